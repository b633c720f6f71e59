package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/bench/journal"
	"github.com/ledge-run/ledge/runtime/bench/runner"
	"github.com/ledge-run/ledge/runtime/bench/suite"
	"github.com/ledge-run/ledge/runtime/hub"
)

// suiteFlags are those of commands that read a suite.
func suiteFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "set", Usage: "`NAME=VALUE`: another value of the suite's vars"},
		&cli.StringFlag{Name: "journal", Usage: "`FILE` of the results (default: as the suite says, else beside it with the ending .jsonl)"},
		&cli.StringFlag{Name: "only", Usage: "only cases whose identifiers match `REGEXP`"},
	}
}

// load reads the suite that a command line names.
func (a *app) load(c *cli.Context) (*suite.Suite, *regexp.Regexp, error) {
	if c.NArg() != 1 {
		return nil, nil, console.Usagef("name one suite file; ledge-bench init FILE writes one")
	}
	set := map[string]string{}
	for _, s := range c.StringSlice("set") {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, nil, console.Usagef("--set %s: it is written NAME=VALUE", s)
		}
		set[name] = value
	}
	only, err := regexp.Compile(c.String("only"))
	if err != nil {
		return nil, nil, console.Usagef("--only: %v", err)
	}
	s, err := suite.Load(c.Args().First(), set)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("there is no suite %s: ledge-bench init %[1]s writes one", c.Args().First())
	}
	if err != nil {
		return nil, nil, err
	}
	if j := c.String("journal"); j != "" {
		s.Journal = j
	}
	a.readsSuite(c.Args().First(), s)
	return s, only, nil
}

func (a *app) listCommand() *cli.Command {
	c := &cli.Command{Name: "list", Usage: "show the cases of a suite", Flags: append(suiteFlags(), &cli.BoolFlag{Name: "json", Usage: "everything that a case fixes, as JSON"}),
		Action: a.list}
	return console.Describe(c, "ledge-bench list [FLAGS] SUITE", `
A line each: the identifier, who is measured, and how often.`,
		`ledge-bench list board.yaml`, `ledge-bench list board.yaml --only t1 --json`)
}

func (a *app) list(c *cli.Context) error {
	s, only, err := a.load(c)
	if err != nil {
		return err
	}
	some := []suite.Case{}
	for _, cs := range s.Cases {
		if only.MatchString(cs.ID) {
			some = append(some, cs)
		}
	}
	if c.Bool("json") {
		return a.out.JSON(some, true)
	}
	for _, cs := range some {
		slow := ""
		if cs.Slow {
			slow = "  slow"
		}
		fmt.Fprintf(a.out, "%s  %s  %d rounds%s\n", cs.ID, strings.Join(append([]string{"ledge"}, cs.Peers...), ", "), cs.Rounds, slow)
	}
	return a.out.Flush()
}

func (a *app) runCommand() *cli.Command {
	c := &cli.Command{Name: "run", Usage: "measure a suite, or go on where it stopped", Flags: append(suiteFlags(),
		&cli.IntFlag{Name: "rounds", Aliases: []string{"r"}, Usage: "measure each case `N` times (default: as the suite says)"},
		&cli.DurationFlag{Name: "budget", Usage: "begin no round that would not end within this `TIME`"},
		&cli.BoolFlag{Name: "slow", Usage: "measure the slow cases, too"},
		&cli.StringSliceFlag{Name: "without", Usage: "leave the `PEER` out"},
		&cli.BoolFlag{Name: "retry", Usage: "measure rounds again in which an engine failed"},
		&cli.StringFlag{Name: "ledge", Usage: "measure this `PROGRAM`, ledge or ledge-bench of the same version (default: ledge beside this program, or this one)"},
		&cli.BoolFlag{Name: "no-energy", Usage: "do not measure energy"},
		&cli.IntFlag{Name: "passes", Value: 5, Usage: "measure ceilings `N` times; their medians count"},
		&cli.IntFlag{Name: "read", Value: 256, Usage: "measure how fast `MIB` of memory are read; several times the last cache"},
		quietFlag(),
	), Action: a.run}
	return console.Describe(c, "ledge-bench run [FLAGS] SUITE", `
A round measures Ledge and its peers one after the other, each in a process of its own,
between measurements of what the machine can do at most. Who is first changes from round
to round. A round in which other processes used the processors, the machine swapped or
was slowed down for its heat is marked, and measured again: at most as often as there
are rounds. A peer that crashes, hangs or prints nonsense is recorded as failed; the
others' figures stand, and the exit code is 4.

Every round is in the journal before the next begins. Interrupted, or after a change of
the suite, the same command measures what is not there: a round counts while the case,
the model and the programs are the same.`,
		`ledge-bench run board.yaml`, `ledge-bench run board.yaml --only 'decode/.*/t1' --rounds 10`, `ledge-bench run board.yaml --budget 20m --without llama.cpp`)
}

// most bounds the numbers of run's flags.
const most = 1 << 20

func (a *app) run(c *cli.Context) error {
	s, only, err := a.load(c)
	if err != nil {
		return err
	}
	if err := some(c, s, only); err != nil {
		return err
	}
	for _, n := range []string{"rounds", "read", "passes"} {
		if c.IsSet(n) && (c.Int(n) < 1 || c.Int(n) > most) {
			return console.Usagef("--%s %d: it must be 1 to %d", n, c.Int(n), most)
		}
	}
	if b := c.Duration("budget"); c.IsSet("budget") && b <= 0 {
		return console.Usagef("--budget %v: there must be time", b)
	}
	if p := c.String("ledge"); p != "" {
		s.Ledge = p
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if s.Ledge == "" {
		s.Ledge = a.beside(self)
	}
	j, err := journal.Open(s.Journal)
	if err != nil {
		return err
	}
	defer j.Close()
	a.noteCut(j)
	bar := console.NewProgress(a.stderr, a.getenv, a.quiet)
	defer bar.Done()
	out, err := runner.Run(c.Context, runner.Options{
		Suite: s, Journal: j, Self: self, Only: only, Rounds: c.Int("rounds"), Slow: c.Bool("slow"), Without: c.StringSlice("without"), Retry: c.Bool("retry"),
		Budget: c.Duration("budget"), Energy: !c.Bool("no-energy"), MiB: c.Int("read"), Passes: c.Int("passes"),
		Resolve: func(name string) (string, error) { return hub.New(hub.Config{Getenv: a.getenv}).Resolve(name) },
		Say:     func(l string) { bar.Log(l) },
		Progress: func(p runner.Progress) {
			part := p.Passed.Seconds() / max(p.Passed.Seconds()+p.Left.Seconds(), 1)
			bar.Show(p.Case+" "+p.Engine, part, fmt.Sprintf("%d of %d rounds, %v left", p.Done, p.Rounds, p.Left.Round(time.Second)))
		},
	})
	bar.Done()
	if err != nil {
		return err
	}
	for _, f := range out.Failed {
		a.note("%s", f)
	}
	a.note("%d rounds measured; %d in %s", out.Measured, len(j.Records), j.Path())
	switch {
	case out.Left > 0:
		return outcome{fmt.Sprintf("the budget is used up and %d rounds are left: run the same command again", out.Left), exitLeft}
	case len(out.Failed) > 0:
		return outcome{"an engine or a model failed or is not there (see above); everything else was measured", exitEngine}
	}
	return nil
}

// some sees to it that there is a case to measure. Peers do not matter: Ledge is
// always measured.
func some(c *cli.Context, s *suite.Suite, only *regexp.Regexp) error {
	named := 0
	for i := range s.Cases {
		if only.MatchString(s.Cases[i].ID) {
			if c.Bool("slow") || !s.Cases[i].Slow {
				return nil
			}
			named++
		}
	}
	if named == 0 {
		return console.Usagef("--only %s: the suite has no such case; ledge-bench list %s shows them", c.String("only"), c.Args().First())
	}
	return console.Usagef("nothing is measured: all %d cases are slow; give --slow", named)
}

// noteCut says what opening a journal took away.
func (a *app) noteCut(j *journal.Journal) {
	if j.Cut > 0 {
		a.note("%s: %d bytes of a round that was interrupted while it was written are cut off", j.Path(), j.Cut)
	}
}

// beside is the program ledge in the folder of this one, which starts sooner and takes
// less memory than this one with its pictures; this one, if there is none.
func (a *app) beside(self string) string {
	path := filepath.Join(filepath.Dir(self), "ledge"+filepath.Ext(self))
	if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
		return path
	}
	a.note("there is no ledge beside this program, which is measured itself: starts take some ms and 10 MB more")
	return self
}
