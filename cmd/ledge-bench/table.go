package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/bench/chart"
	"github.com/ledge-run/ledge/runtime/bench/journal"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/suite"
	"github.com/ledge-run/ledge/runtime/bench/summary"
	"github.com/ledge-run/ledge/runtime/bench/table"
)

func (a *app) tableCommand() *cli.Command {
	c := &cli.Command{Name: "table", Usage: "show what was measured, engines side by side", Flags: append(suiteFlags(),
		&cli.BoolFlag{Name: "markdown", Aliases: []string{"m"}, Usage: "as Markdown"},
		&cli.StringFlag{Name: "figures", Usage: "a table for each of `FIGURE,...`, or all; instead of the suite's tables"},
		&cli.StringFlag{Name: "into", Usage: "replace the tables of this Markdown `FILE`"},
		&cli.StringFlag{Name: "picture", Usage: "draw the roofline into this SVG `FILE`"},
		&cli.BoolFlag{Name: "check", Usage: "end with exit code 5 if a figure misses its bar"},
		quietFlag(),
	), Action: a.table}
	return console.Describe(c, "ledge-bench table [FLAGS] SUITE|JOURNAL", `
Figures are medians over rounds. A ratio is Ledge's figure divided by the peer's, taken
within a round; in brackets is the 95 % interval of its median. Disturbed rounds are
left out where half or more were not. Of a journal alone (*.jsonl) there are no bars.

--into writes between the lines
   `+strings.TrimSpace(table.Begin)+`
   `+strings.TrimSpace(table.End),
		`ledge-bench table board.yaml`, `ledge-bench table board.jsonl --figures decode,peak_memory`, `ledge-bench table board.yaml --check -q > /dev/null`)
}

// measured reads what a command line names: a suite with its journal, or a journal
// alone.
func (a *app) measured(c *cli.Context) (*suite.Suite, []record.Record, error) {
	var s *suite.Suite
	path := c.Args().First()
	var only *regexp.Regexp
	if c.NArg() == 1 && strings.EqualFold(filepath.Ext(path), ".jsonl") {
		var err error
		if only, err = regexp.Compile(c.String("only")); err != nil {
			return nil, nil, console.Usagef("--only: %v", err)
		}
		a.reads(path, "the journal")
	} else {
		var err error
		if s, only, err = a.load(c); err != nil {
			return nil, nil, err
		}
		path = s.Journal
	}
	records, err := readJournal(path)
	if err != nil {
		return s, nil, err
	}
	records = slices.DeleteFunc(records, func(r record.Record) bool { return !only.MatchString(r.Case) })
	if len(records) == 0 {
		return s, nil, fmt.Errorf("%s has no rounds of these cases: ledge-bench run measures them", path)
	}
	return s, records, nil
}

// readJournal reads a journal; of one that is not there it says where journals come from.
func readJournal(path string) ([]record.Record, error) {
	all, err := journal.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no journal %s: ledge-bench run writes it when it measures", path)
	}
	return all, err
}

func (a *app) table(c *cli.Context) error {
	if c.NArg() != 1 {
		return console.Usagef("name one suite or journal")
	}
	o := table.Options{}
	var err error
	if o.Figures, err = figureNames(c); err != nil {
		return err
	}
	s, records, err := a.measured(c)
	if err != nil {
		return err
	}
	o.Suite = s
	into, picture := c.String("into"), c.String("picture")
	for _, path := range []string{into, picture} { // before either is written
		if err := a.spare(path); path != "" && err != nil {
			return err
		}
	}
	if into != "" && picture != "" && console.SameFile(into, picture) {
		return console.Usagef("%s is read, too (--into): name another file to draw into", picture)
	}
	tables := table.Of(records, o)
	text := table.Text(records, tables)
	if c.Bool("markdown") {
		text = table.Markdown(records, tables)
	}
	if into != "" {
		if err := a.rewrite(into, table.Markdown(records, tables)); err != nil {
			return err
		}
		text = ""
	}
	if picture != "" {
		if err := a.roofline(picture, records); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(a.out, text); err != nil {
		return err
	}
	if err := a.out.Flush(); err != nil {
		return err
	}
	met, bars := 0, 0
	for _, t := range tables {
		met, bars = met+t.Met, bars+t.Bars
	}
	if c.Bool("check") && met < bars {
		return outcome{fmt.Sprintf("%d of %d figures miss their bar", bars-met, bars), exitBar}
	}
	return nil
}

// roofline draws what the machine allows and what is reached.
func (a *app) roofline(path string, records []record.Record) error {
	c, err := chart.Roofline(summary.Rows(records), chart.Roofs(records))
	if err != nil {
		return err
	}
	if c == nil {
		return errors.New("there is no roofline to draw: it takes rounds with ceilings, which are measured on the processor")
	}
	svg, err := c.SVG()
	if err != nil {
		return err
	}
	return a.write(path, svg)
}

// rewrite replaces the tables of a document, which stays as it is if that fails.
func (a *app) rewrite(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	document, err := table.Replace(string(old), text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return a.write(path, []byte(document))
}

// figureNames reads --figures; nil if it is not there.
func figureNames(c *cli.Context) ([]string, error) {
	f := c.String("figures")
	if f == "" {
		return nil, nil
	}
	if f == "all" {
		return record.Names(), nil
	}
	names := strings.Split(f, ",")
	for _, name := range names {
		if !slices.Contains(record.Names(), name) {
			return nil, console.Usagef("--figures: no figure is called %q%s; figures: %s", name, console.Suggest(name, record.Names()), strings.Join(record.Names(), ", "))
		}
	}
	return names, nil
}
