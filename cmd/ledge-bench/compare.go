package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/table"
)

func (a *app) compareCommand() *cli.Command {
	c := &cli.Command{Name: "compare", Usage: "show what became of the figures between two journals", Flags: []cli.Flag{
		&cli.StringFlag{Name: "figures", Usage: "`FIGURE,...`, or all (default: those that users look at)"},
		&cli.Float64Flag{Name: "tolerance", Value: 0.02, Usage: "changes below this `PART` are none: 0.02 are 2 %"},
		&cli.BoolFlag{Name: "check", Usage: "end with exit code 5 if a figure is worse"},
	}, Action: a.compare}
	return console.Describe(c, "ledge-bench compare [FLAGS] BEFORE.jsonl AFTER.jsonl", `
A change counts if the 95 % interval of the ratio of the medians lies beyond the
tolerance. Where a peer was measured both times, Ledge's ratio to it is compared: what
the machine itself did is then not in it. To compare two builds closely, measure one as
the other's peer (ledge: in a suite's peers) instead.`,
		`ledge-bench compare monday.jsonl tuesday.jsonl`, `ledge-bench compare before.jsonl after.jsonl --figures decode --check`)
}

func (a *app) compare(c *cli.Context) error {
	if c.NArg() != 2 {
		return console.Usagef("name two journals, the earlier one first")
	}
	tolerance := c.Float64("tolerance")
	if !(tolerance >= 0 && tolerance < 10) {
		return console.Usagef("--tolerance %g: it must be 0 or a part, such as 0.02", tolerance)
	}
	figures, err := figureNames(c)
	if err != nil {
		return err
	}
	if figures == nil {
		figures = table.Usual()
	}
	var journals [2][]record.Record
	for i := range journals {
		if journals[i], err = readJournal(c.Args().Get(i)); err != nil {
			return err
		}
	}
	changes := table.Compare(journals[0], journals[1], figures, tolerance)
	if len(changes) == 0 {
		return fmt.Errorf("%s and %s have no figure of one case in common", c.Args().Get(0), c.Args().Get(1))
	}
	if _, err := io.WriteString(a.out, table.Changes(changes).Text()); err != nil {
		return err
	}
	if err := a.out.Flush(); err != nil {
		return err
	}
	worse := 0
	for _, ch := range changes {
		if ch.Verdict == table.Worse {
			worse++
		}
	}
	if c.Bool("check") && worse > 0 {
		return outcome{fmt.Sprintf("%d of %d figures are worse", worse, len(changes)), exitBar}
	}
	return nil
}
