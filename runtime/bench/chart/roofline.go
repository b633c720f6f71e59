package chart

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/stats"
	"github.com/ledge-run/ledge/runtime/bench/summary"
)

// Roof is what the processor can do at a number of threads.
type Roof struct {
	Threads int     `json:"threads"`
	ReadGBs float64 `json:"read_gbs"`
	DotGOPS float64 `json:"dot_gops"` // 0: not measured
}

// Roofs are the medians of the ceilings that were measured, in the rounds that rows are
// made of.
func Roofs(records []record.Record) []Roof {
	read, dots := map[int][]float64{}, map[int][]float64{}
	var threads []int
	for _, r := range summary.Latest(records) {
		if r.Ceilings == nil || !r.OnProcessor() || !known(r.Ceilings.ReadGBs) {
			continue
		}
		n := r.Settings.Threads
		if !slices.Contains(threads, n) {
			threads = append(threads, n)
		}
		read[n] = append(read[n], r.Ceilings.ReadGBs)
		if known(r.Ceilings.DotGOPS) {
			dots[n] = append(dots[n], r.Ceilings.DotGOPS)
		}
	}
	slices.Sort(threads)
	var roofs []Roof
	for _, n := range threads {
		roof := Roof{Threads: n, ReadGBs: stats.Median(read[n])}
		if len(dots[n]) > 0 {
			roof.DotGOPS = stats.Median(dots[n])
		}
		roofs = append(roofs, roof)
	}
	return roofs
}

// Roofline shows operations a second over operations a byte, both logarithmic:
// under the slope memory is the limit, under the flat the int8 dot product. nil if
// there is no roof, or nothing to put under it.
func Roofline(rows []summary.Row, roofs []Roof) (*Chart, error) {
	names := engines(rows)
	type series struct {
		engine  string
		prefill bool
	}
	points := map[series]plotter.XYs{}
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, r := range rows {
		if r.Figure != record.Decode && r.Figure != record.Prefill || !r.Processor {
			continue
		}
		ops, bytes := summary.Operations(r.Model, r.Figure), summary.Bytes(r.Model, r.Settings, r.Figure)
		if !known(ops) || !known(bytes) {
			continue
		}
		for _, e := range r.Engines {
			if !known(e.Value.Median) {
				continue
			}
			at := plotter.XY{X: ops / bytes, Y: e.Value.Median * ops / 1e9}
			k := series{e.Name, r.Figure == record.Prefill}
			points[k] = append(points[k], plotter.XY{X: lg(at.X), Y: lg(at.Y)})
			x0, x1, y0, y1 = min(x0, at.X), max(x1, at.X), min(y0, at.Y), max(y1, at.Y)
		}
	}
	if len(points) == 0 || len(roofs) == 0 {
		return nil, nil
	}
	for _, r := range roofs {
		if known(r.DotGOPS) {
			y1, x1 = max(y1, r.DotGOPS), max(x1, 2*r.DotGOPS/r.ReadGBs)
		}
	}
	x0, y0, x1, y1 = x0/1.3, y0/1.3, x1*1.3, y1*1.3
	c := &Chart{Name: "roofline", Title: "What the machine allows, and what is reached", width: width, height: 460}
	has := func(name string) bool { return points[series{name, false}] != nil || points[series{name, true}] != nil }
	c.Alt = fmt.Sprintf("Roofline of the processor at %s: speeds of %s in operations a second, over operations for each byte read.", roofList(roofs), list(drawn(names, has)))
	p := newPlot(c.Title, "operations for each byte of weights and cache that is read", "GOPS (1e9 operations a second)")
	grid(p, true, true)
	for i, r := range roofs {
		at := plotter.XYs{{X: lg(x0), Y: lg(x0 * r.ReadGBs)}}
		label := fmt.Sprintf("%s: %.0f GB/s", plural(r.Threads, "thread"), r.ReadGBs)
		if known(r.DotGOPS) {
			at = append(at, plotter.XY{X: lg(r.DotGOPS / r.ReadGBs), Y: lg(r.DotGOPS)}, plotter.XY{X: lg(max(x1, r.DotGOPS/r.ReadGBs)), Y: lg(r.DotGOPS)})
			label += fmt.Sprintf(", %.0f GOPS", r.DotGOPS)
		} else {
			at = append(at, plotter.XY{X: lg(x1), Y: lg(x1 * r.ReadGBs)})
		}
		roof, err := plotter.NewLine(at)
		if err != nil {
			return nil, fmt.Errorf("chart: roofline: %w", err)
		}
		roof.LineStyle = draw.LineStyle{Color: ink, Width: 1.4}
		if i < len(roofs)-1 {
			roof.Dashes = []vg.Length{vg.Length(3 + 2*i), 3}
		}
		p.Add(roof)
		p.Legend.Add(label, roof)
	}
	for _, name := range names {
		for _, prefill := range []bool{false, true} {
			at := points[series{name, prefill}]
			if len(at) == 0 {
				continue
			}
			dots, err := plotter.NewScatter(at)
			if err != nil {
				return nil, fmt.Errorf("chart: roofline: %w", err)
			}
			look, what := lookOf(names, name), "generating"
			dots.GlyphStyle = look.glyph(3)
			if prefill {
				what = "reading prompts"
				dots.GlyphStyle = draw.GlyphStyle{Color: look.colour, Shape: draw.RingGlyph{}, Radius: 4}
				if name != record.Ledge {
					dots.Shape = draw.SquareGlyph{}
				}
			}
			p.Add(dots)
			p.Legend.Add(name+", "+what, dots)
		}
	}
	logAxis(&p.X, x0, x1)
	logAxis(&p.Y, y0, y1)
	p.Legend.Top, p.Legend.Left = true, true // above the slope nothing can be
	p.Legend.XOffs = 8
	c.plot = p
	return c, nil
}

func roofList(roofs []Roof) string {
	var all []string
	for _, r := range roofs {
		all = append(all, plural(r.Threads, "thread"))
	}
	return list(all)
}
