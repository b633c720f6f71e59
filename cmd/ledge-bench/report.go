package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/bench/chart"
	"github.com/ledge-run/ledge/runtime/bench/receipt"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/report"
	"github.com/ledge-run/ledge/runtime/bench/summary"
)

func (a *app) reportCommand() *cli.Command {
	c := &cli.Command{Name: "report", Usage: "make a page of what was measured, with pictures", Flags: append(suiteFlags(),
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the page to `FILE` (default: standard output)"},
		&cli.StringFlag{Name: "pictures", Usage: "write the pictures to this `FOLDER` instead, as PNG and SVG"},
		&cli.StringFlag{Name: "title", Usage: "the page's `TITLE` (default: the suite's name)"},
		byFlag(),
		quietFlag(),
	), Action: a.report}
	return console.Describe(c, "ledge-bench report [FLAGS] SUITE|JOURNAL|RECEIPT", `
The page is one HTML file with everything in it: pictures, tables, machine, programs and
every sample; it runs no script and fetches nothing. The pictures: Ledge's ratio to each
peer, a roofline, speed over the context's length, and speed over watts, as far as the suite
measured them. Of a receipt (*.json) the signature is checked first.`,
		`ledge-bench report board.yaml -o board.html`, `ledge-bench report board.receipt.json --pictures plots`)
}

func (a *app) report(c *cli.Context) error {
	if c.NArg() != 1 {
		return console.Usagef("name one suite, journal or receipt")
	}
	o := report.Options{Title: c.String("title"), Version: console.Revision()}
	var records []record.Record
	if strings.EqualFold(filepath.Ext(c.Args().First()), ".json") {
		r, err := a.openReceipt(c)
		if err != nil {
			return err
		}
		records, o.Signer = r.Records, receipt.Fingerprint(r.Key)
	} else {
		if c.IsSet("by") {
			return console.Usagef("--by is for receipts")
		}
		var err error
		if _, records, err = a.measured(c); err != nil {
			return err
		}
	}
	if dir := c.String("pictures"); dir != "" {
		return a.pictures(dir, records)
	}
	var page bytes.Buffer
	if err := report.Write(&page, records, o); err != nil {
		return err
	}
	return a.write(c.String("output"), page.Bytes())
}

// pictures writes each picture as PNG and as SVG.
func (a *app) pictures(dir string, records []record.Record) error {
	charts, err := chart.All(summary.Rows(records), chart.Roofs(records))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range charts {
		for _, f := range []struct {
			ending string
			draw   func() ([]byte, error)
		}{{".svg", c.SVG}, {".png", c.PNG}} {
			data, err := f.draw()
			if err != nil {
				return err
			}
			if err := a.write(filepath.Join(dir, c.Name+f.ending), data); err != nil {
				return err
			}
		}
		a.note("%s: %s", filepath.Join(dir, c.Name+".svg"), c.Alt)
	}
	if len(charts) == 0 {
		a.note("nothing here makes a picture: there is no peer, no second depth, no ceiling and no power")
	}
	return nil
}
