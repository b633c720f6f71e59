package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/bench/journal"
	"github.com/ledge-run/ledge/runtime/bench/receipt"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/runner"
	"github.com/ledge-run/ledge/runtime/bench/suite"
)

func (a *app) replayCommand() *cli.Command {
	c := &cli.Command{Name: "replay", Usage: "measure a receipt's cases again, and compare", Flags: []cli.Flag{
		&cli.StringSliceFlag{Name: "in", Usage: "look for the models and texts in this `FOLDER`, two levels deep (default: this one)"},
		&cli.Float64Flag{Name: "tolerance", Value: 0.1, Usage: "a figure may be worse by this `PART`: 0.1 is a tenth"},
		&cli.IntFlag{Name: "rounds", Aliases: []string{"r"}, Value: 3, Usage: "measure each case `N` times"},
		&cli.StringFlag{Name: "only", Usage: "only cases whose identifiers match `REGEXP`"},
		&cli.StringFlag{Name: "journal", Usage: "keep what is measured in this `FILE`, and go on there when called again"},
		byFlag(),
		&cli.BoolFlag{Name: "json", Usage: "the comparison as JSON"},
		quietFlag(),
	}, Action: a.replay}
	return console.Describe(c, "ledge-bench replay [FLAGS] RECEIPT", `
Ledge's part of every case is measured with the receipt's settings, on files with the receipt's
SHA-256. Outputs, perplexity, kl and top_one must be equal where both machines are of one
class of numerics; other figures may be worse by the tolerance. Where one is, or an output
differs, the exit code is 7. What another machine does slower, or has no sensor for, is
"not to compare" and contradicts nothing. Peers are not measured: their programs are not in
a receipt. Settings beyond a suite's bounds, and variables that do more than choose among
what Ledge has, are refused: a receipt is a stranger's.`,
		`ledge-bench replay --in models board.receipt.json`, `ledge-bench replay --only decode -r 1 board.receipt.json`)
}

func (a *app) replay(c *cli.Context) error {
	tolerance := c.Float64("tolerance")
	if !(tolerance >= 0 && tolerance < 1) {
		return console.Usagef("--tolerance %g: it must be 0 or a part, such as 0.1", tolerance)
	}
	if n := c.Int("rounds"); n < 1 || n > 1000 {
		return console.Usagef("--rounds %d: it must be 1 to 1000", n)
	}
	only, err := regexp.Compile(c.String("only"))
	if err != nil {
		return console.Usagef("--only: %v", err)
	}
	r, err := a.openReceipt(c)
	if err != nil {
		return err
	}
	some := slices.DeleteFunc(r.Records, func(rec record.Record) bool { return !only.MatchString(rec.Case) })
	if len(some) == 0 {
		return console.Usagef("--only %s: the receipt has no such case", c.String("only"))
	}
	was := receipt.Newest(some)
	if len(was) == 0 {
		return errors.New("the receipt has no case that Ledge ran")
	}
	if err := trusted(was); err != nil {
		return err
	}
	s, err := a.again(c, was)
	if err != nil {
		return err
	}
	now, err := a.measureAgain(c, s)
	if err != nil {
		return err
	}
	findings := receipt.Compare(was, now, tolerance)
	refuted := 0
	for _, f := range findings {
		if f.Verdict.Refutes() {
			refuted++
		}
	}
	if c.Bool("json") {
		if err := a.out.JSON(findings, true); err != nil {
			return err
		}
	} else {
		for _, f := range findings {
			fmt.Fprintln(a.out, line(f))
		}
		if err := a.out.Flush(); err != nil {
			return err
		}
	}
	if refuted > 0 {
		return outcome{fmt.Sprintf("%d of %d figures and outputs contradict the receipt", refuted, len(findings)), exitDiffer}
	}
	return nil
}

// line is a finding in words.
func line(f receipt.Finding) string {
	s := fmt.Sprintf("%s  %s: %s", f.Case, f.What, f.Verdict)
	if f.What != "output" {
		s += fmt.Sprintf(" (%.4g then, %.4g now", f.Was, f.Now)
		if f.Unit != "" {
			s += " " + f.Unit
		}
		s += ")"
	}
	if f.Why != "" {
		s += ": " + f.Why
	}
	return console.OneLine(s)
}

// again is a suite of the records' cases without peers.
func (a *app) again(c *cli.Context, was []record.Record) (*suite.Suite, error) {
	folders := c.StringSlice("in")
	if len(folders) == 0 {
		folders = []string{"."}
	}
	files, err := newFinder(folders)
	if err != nil {
		return nil, err
	}
	s := &suite.Suite{Name: "replay of " + was[0].Suite.Name, Timeout: suite.DefaultTimeout, Rounds: c.Int("rounds"), Journal: c.String("journal")}
	seen := map[string]bool{}
	for i := range was {
		r := &was[i]
		if seen[r.Case] {
			continue
		}
		seen[r.Case] = true
		path, err := files.find(r.Model.File, r.Model.Bytes, r.Model.SHA256)
		if err != nil {
			return nil, fmt.Errorf("model of %s: %w", r.Case, err)
		}
		cs := suite.Case{ID: r.Case, Model: suite.Model{Name: r.Model.Name, File: path}, Settings: r.Settings, Rounds: s.Rounds}
		if q := r.Settings.Quality; q != nil {
			if cs.Text, err = files.find(q.Text, 0, q.SHA256); err != nil {
				return nil, fmt.Errorf("text of %s: %w", r.Case, err)
			}
			if q.Reference != "" {
				if cs.Reference, err = files.find(q.Reference, 0, q.ReferenceSHA256); err != nil {
					return nil, fmt.Errorf("reference of %s: %w", r.Case, err)
				}
			}
		}
		s.Cases = append(s.Cases, cs)
	}
	return s, nil
}

// measureAgain measures a suite into its journal, which is a passing one if none is
// named.
func (a *app) measureAgain(c *cli.Context, s *suite.Suite) ([]record.Record, error) {
	if s.Journal == "" {
		dir, err := os.MkdirTemp("", "ledge-replay-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		s.Journal = filepath.Join(dir, "replay.jsonl")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s.Ledge = a.beside(self) // as run does: the receipt's figures are most likely of it
	j, err := journal.Open(s.Journal)
	if err != nil {
		return nil, err
	}
	defer j.Close()
	a.noteCut(j)
	bar := console.NewProgress(a.stderr, a.getenv, a.quiet)
	defer bar.Done()
	out, err := runner.Run(c.Context, runner.Options{Suite: s, Journal: j, Self: self, Slow: true, Energy: true, Say: func(l string) { bar.Log(l) },
		Progress: func(p runner.Progress) {
			part := p.Passed.Seconds() / max(p.Passed.Seconds()+p.Left.Seconds(), 1)
			bar.Show(console.OneLine(p.Case), part, fmt.Sprintf("%d of %d rounds, %v left", p.Done, p.Rounds, p.Left.Round(time.Second)))
		}})
	bar.Done()
	if err != nil {
		return nil, err
	}
	for _, f := range out.Failed {
		a.note("%s", f)
	}
	program, err := runner.HashFile(s.Ledge)
	if err != nil {
		return nil, err
	}
	return present(j.Records, s, program), nil
}

// present are the records of a suite's cases as they stand, measured with the present
// program: a journal that was named may have others, too.
func present(all []record.Record, s *suite.Suite, program string) []record.Record {
	var some []record.Record
	for i := range all {
		c, ok := s.Case(all[i].Case)
		if !ok {
			continue
		}
		run, ok := all[i].Of(record.Ledge)
		was, err1 := json.Marshal(all[i].Settings)
		now, err2 := json.Marshal(c.Settings)
		if ok && run.Engine.SHA256 == program && err1 == nil && err2 == nil && bytes.Equal(was, now) {
			some = append(some, all[i])
		}
	}
	return some
}

// finder looks for files by what is in them.
type finder struct {
	folders []string
	paths   []string
	sums    map[string]string // of paths
}

// levels are how deep below a folder that is named files are looked for.
const levels = 2

// newFinder lists folders, with what is two levels below. Links to folders are followed,
// for models often lie on another disk.
func newFinder(folders []string) (*finder, error) {
	for _, dir := range folders {
		if st, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("--in: %w", err)
		} else if !st.IsDir() {
			return nil, console.Usagef("--in %s: it is no folder", dir)
		}
	}
	f := &finder{folders: folders, sums: map[string]string{}}
	var seen []os.FileInfo
	for next, level := folders, 0; level <= levels; level++ {
		var below []string
		for _, dir := range next {
			// Links may lead in circles, and a file that is met twice would be read twice.
			st, err := os.Stat(dir)
			if err != nil || slices.ContainsFunc(seen, func(o os.FileInfo) bool { return os.SameFile(st, o) }) {
				continue
			}
			seen = append(seen, st)
			below = append(below, f.list(dir)...)
		}
		next = below
	}
	return f, nil
}

// list notes a folder's files and gives the folders in it. What cannot be read has
// nothing for us.
func (f *finder) list(dir string) (below []string) {
	entries, _ := os.ReadDir(dir)
	for _, d := range entries {
		path := filepath.Join(dir, d.Name())
		if st, err := os.Stat(path); err != nil || !st.IsDir() {
			f.paths = append(f.paths, path)
		} else if !strings.HasPrefix(d.Name(), ".") {
			below = append(below, path)
		}
	}
	return below
}

// find gives the file with a hash. Of a file whose size is known (not 0) the name
// does not matter.
func (f *finder) find(name string, size int64, sum string) (string, error) {
	for _, named := range []bool{true, false} { // the likely one first
		for _, path := range f.paths {
			if named != (filepath.Base(path) == name) || size == 0 && !named {
				continue
			}
			if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() || size != 0 && st.Size() != size {
				continue
			}
			if f.sums[path] == "" {
				s, err := runner.HashFile(path)
				if err != nil {
					return "", err
				}
				f.sums[path] = s
			}
			if f.sums[path] == sum {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("no file in %s has the SHA-256 of %s (%.12s…): fetch it and name its folder with --in", strings.Join(f.folders, ", "), name, sum)
}
