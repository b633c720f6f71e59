// Package report makes of a benchmark's records one HTML page with everything in
// it: no scripts, nothing that is fetched, readable on paper and on a phone.
package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/chart"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/stats"
	"github.com/ledge-run/ledge/runtime/bench/summary"
)

// Options are what a page says besides its records.
type Options struct {
	Title   string // "" takes the suite's name
	Signer  string // the fingerprint of the key that signed the records, if one did
	Version string // of Ledge, which made the page
}

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"short": Short, "megabytes": func(n int64) float64 { return float64(n) / 1e6 }}).Parse(pageText))

// Write writes the page.
func Write(w io.Writer, records []record.Record, o Options) error {
	if len(records) == 0 {
		return errors.New("report: there are no records to show")
	}
	v, err := build(records, o)
	if err != nil {
		return err
	}
	var b bytes.Buffer // all or nothing
	if err := page.Execute(&b, v); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// view is what the page shows.
type view struct {
	Options
	From, To time.Time
	Rounds   int
	Headline []string
	Warnings []string
	Charts   []picture
	Tables   []table
	Machines []machine
	Engines  []engine
	Models   []record.Model
	Outputs  []output
	Records  []record.Record
}

type picture struct {
	chart.Chart
	Source template.URL
}

// output is what a model said to a fixed prompt.
type output struct {
	Engine string
	record.Output
	Cases []string
}

func build(records []record.Record, o Options) (*view, error) {
	rows := summary.Rows(records)
	v := &view{Options: o, Rounds: len(records), Records: records}
	if v.Title == "" {
		v.Title = "Benchmark"
		if n := records[0].Suite.Name; n != "" {
			v.Title = n
		}
	}
	v.From, v.To = records[0].Time, records[0].Time
	for _, r := range records {
		if r.Time.Before(v.From) {
			v.From = r.Time
		}
		if r.Time.After(v.To) {
			v.To = r.Time
		}
	}
	charts, err := chart.All(rows, chart.Roofs(records))
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	for _, c := range charts {
		svg, err := c.SVG()
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		// The picture is data in the page, made above: no URL from outside.
		v.Charts = append(v.Charts, picture{c, template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(svg))})
	}
	v.Headline, v.Warnings, v.Tables = headline(rows), warnings(records, rows), tables(rows)
	v.Machines, v.Engines, v.Models, v.Outputs = machines(records), programs(records), models(records), outputs(records)
	return v, nil
}

// headline says in a sentence for each peer how much faster Ledge is.
func headline(rows []summary.Row) []string {
	type key struct{ peer, figure string }
	ratios := map[key][]float64{}
	var order []key
	for _, r := range rows {
		for _, e := range r.Engines {
			k := key{e.Name, r.Figure}
			if (r.Figure != record.Decode && r.Figure != record.Prefill) || e.Ratio.N == 0 || !finite(e.Ratio.Median) {
				continue
			}
			if ratios[k] == nil {
				order = append(order, k)
			}
			ratios[k] = append(ratios[k], e.Ratio.Median)
		}
	}
	what := map[string]string{record.Decode: "generates", record.Prefill: "reads prompts"}
	var lines []string
	for _, k := range order {
		x := ratios[k]
		s := fmt.Sprintf("Ledge %s at %s times the speed of %s", what[k.figure], Short(stats.Median(x)), k.peer)
		if len(x) > 1 {
			s += fmt.Sprintf(": the median of %d tests, which lie between %s and %s", len(x), Short(slices.Min(x)), Short(slices.Max(x)))
		}
		lines = append(lines, s+".")
	}
	return lines
}

// warnings are what a reader must know before believing a figure.
func warnings(records []record.Record, rows []summary.Row) []string {
	var all []string
	add := func(format string, args ...any) {
		if s := fmt.Sprintf(format, args...); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	disturbed := 0
	for _, r := range records {
		if r.Machine.Virtual != "" {
			add("Measured on a virtual machine (%s): what it shares with others is not seen from inside.", r.Machine.Virtual)
		}
		if len(r.Disturbed) > 0 {
			disturbed++
		}
	}
	if disturbed > 0 {
		add("%d of %d rounds were disturbed. They count only where most rounds of a test were; such rows are marked with ⚠.", disturbed, len(records))
	}
	few := false
	failed := map[string][]string{} // by what happened, the cases
	var order []string
	note := func(what, name string) {
		if failed[what] == nil {
			order = append(order, what)
		}
		if !slices.Contains(failed[what], name) {
			failed[what] = append(failed[what], name)
		}
	}
	for _, r := range rows {
		for _, d := range r.Disturbed {
			note("Disturbed, "+d, r.Case)
		}
		for _, e := range r.Engines {
			for _, f := range e.Failures {
				note(e.Name+" failed, "+strings.TrimSuffix(f, "."), r.Case)
			}
		}
		few = few || r.Rounds < 3
	}
	for _, what := range order {
		where := failed[what][0]
		if n := len(failed[what]); n > 1 {
			where = fmt.Sprintf("%d tests, such as %s", n, where)
		}
		add("%s: in %s.", what, where)
	}
	if few {
		add("Some tests have fewer than three rounds: their intervals mean little.")
	}
	return all
}

// models are the files that were measured, each once.
func models(records []record.Record) []record.Model {
	var all []record.Model
	for _, r := range records {
		if !slices.ContainsFunc(all, func(m record.Model) bool { return m.SHA256 == r.Model.SHA256 && m.Name == r.Model.Name }) {
			all = append(all, r.Model)
		}
	}
	return all
}

func outputs(records []record.Record) []output {
	var all []output
	for _, r := range records {
		for _, run := range r.Runs {
			if run.Output == nil {
				continue
			}
			i := slices.IndexFunc(all, func(o output) bool { return o.Engine == run.Engine.Name && o.Output == *run.Output })
			if i < 0 {
				i, all = len(all), append(all, output{Engine: run.Engine.Name, Output: *run.Output})
			}
			if !slices.Contains(all[i].Cases, r.Case) {
				all[i].Cases = append(all[i].Cases, r.Case)
			}
		}
	}
	return all
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Short writes a figure with three digits, as many as a measurement bears; "-" if
// it is none. Tables in text (table.number) write whole numbers as such, and large ones
// without an exponent; axes (chart.short) need no zeros at the end.
func Short(v float64) string {
	a := math.Abs(v)
	switch {
	case !finite(v):
		return "-"
	case v == 0:
		return "0"
	case a >= 1e6 || a < 0.001:
		return fmt.Sprintf("%.3g", v)
	case a >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.9995:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
