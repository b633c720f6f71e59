package chart

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/summary"
)

// mostLines is how many lines of a picture a person still reads.
const mostLines = 60

// Ratios shows for each throughput Ledge's ratio to each peer, with its interval:
// right of 1 Ledge is the faster. nil if there is no peer.
func Ratios(rows []summary.Row) (*Chart, error) {
	type line struct {
		label string
		row   summary.Row
	}
	names := engines(rows)
	var lines []line
	low, high, count := 1.0, 1.0, 0
	for _, r := range rows {
		if r.Figure != record.Decode && r.Figure != record.Prefill {
			continue
		}
		some := false
		for _, e := range r.Engines {
			if e.Ratio.N > 0 && known(e.Ratio.Low) && known(e.Ratio.High) {
				some, count = true, count+1
				low, high = min(low, e.Ratio.Low), max(high, e.Ratio.High)
			}
		}
		if some {
			lines = append(lines, line{Label(&r), r})
		}
	}
	if count == 0 {
		return nil, nil
	}
	left := len(lines) - mostLines
	if left > 0 {
		lines = lines[:mostLines]
	}
	slices.Reverse(lines) // the first on top

	c := &Chart{Name: "ratios", Title: "Ledge beside its peers", width: width, height: vg.Length(90 + 17*(len(lines)+len(names)-1))}
	p := newPlot(c.Title, "times the peer's tokens/s, with the interval of 95 %", "")
	if left > 0 {
		p.Title.Text += fmt.Sprintf(" (%d tests more are in the tables)", left)
	}
	grid(p, true, false)
	labels := make([]string, len(lines))
	places := map[string]plotter.XYs{}
	bars := map[string]plotter.XErrors{}
	for i, l := range lines {
		labels[i] = l.label
		for n, e := range l.row.Engines {
			if e.Ratio.N == 0 || !known(e.Ratio.Low) || !known(e.Ratio.High) {
				continue
			}
			y := float64(i)
			if len(l.row.Engines) > 2 { // several peers: one above the other
				y += 0.5 * (0.5 - float64(n)/float64(len(l.row.Engines)))
			}
			places[e.Name] = append(places[e.Name], plotter.XY{X: lg(e.Ratio.Median), Y: y})
			bars[e.Name] = append(bars[e.Name], struct{ Low, High float64 }{lg(e.Ratio.Median / e.Ratio.Low), lg(e.Ratio.High / e.Ratio.Median)})
		}
	}
	has := func(name string) bool { return len(places[name]) > 0 }
	c.Alt = fmt.Sprintf("For %s Ledge's speed divided by that of %s, with intervals of 95 %%. Ratios lie between %.2f and %.2f.",
		plural(len(lines), "test"), list(drawn(names[1:], has)), low, high)
	for _, name := range names[1:] {
		at := places[name]
		if len(at) == 0 {
			continue
		}
		look := lookOf(names, name)
		whiskers, err := plotter.NewXErrorBars(struct {
			plotter.XYs
			plotter.XErrors
		}{at, bars[name]})
		if err != nil {
			return nil, fmt.Errorf("chart: ratios: %w", err)
		}
		whiskers.LineStyle = draw.LineStyle{Color: look.colour, Width: 1}
		whiskers.CapWidth = 5
		dots, err := plotter.NewScatter(at)
		if err != nil {
			return nil, fmt.Errorf("chart: ratios: %w", err)
		}
		dots.GlyphStyle = look.glyph(3.2)
		p.Add(whiskers, dots)
		p.Legend.Add(name, dots)
	}
	logAxis(&p.X, low, high)
	p.Y.Min, p.Y.Max = -0.6, float64(len(lines))-0.4+0.9*float64(len(names)-1) // room for the legend above
	p.NominalY(labels...)
	one, err := plotter.NewLine(plotter.XYs{{X: 0, Y: p.Y.Min}, {X: 0, Y: float64(len(lines)) - 0.4}})
	if err != nil {
		return nil, fmt.Errorf("chart: ratios: %w", err)
	}
	one.LineStyle = draw.LineStyle{Color: ink, Width: 1}
	p.Add(one)
	p.Legend.Top, p.Legend.Left = true, true
	p.Y.Tick.Length = 0
	c.plot = p
	return c, nil
}

// Label names a row for people: model, test, and what else was set.
func Label(r *summary.Row) string { return strings.TrimSpace(label(r, " "+test(r))) }

func label(r *summary.Row, test string) string {
	s := r.Model.Name
	if s == "" {
		s = r.Model.File
	}
	s += test
	if device := cmp.Or(r.Settings.Device, r.Device); device != "" && device != "cpu" {
		s += ", " + device
	}
	if r.Settings.Threads > 0 {
		s += ", " + plural(r.Settings.Threads, "thread")
	}
	for _, k := range slices.Sorted(maps.Keys(r.Settings.Env)) {
		s += ", " + k + "=" + r.Settings.Env[k]
	}
	return s
}

// test names what a row's figure is of: prompts and generation are measured apart.
func test(r *summary.Row) string {
	set := r.Settings
	switch r.Figure {
	case record.Decode:
		set.Prompt = 0
	case record.Prefill:
		set.Gen = 0
	}
	return set.Test()
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// list writes "a, b and c".
func list(names []string) string {
	switch n := len(names); n {
	case 0:
		return "nothing"
	case 1:
		return names[0]
	default:
		s := names[0]
		for _, w := range names[1 : n-1] {
			s += ", " + w
		}
		return s + " and " + names[n-1]
	}
}
