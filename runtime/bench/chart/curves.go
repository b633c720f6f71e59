package chart

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/summary"
)

// curve is a line of a picture: an engine with everything but one setting fixed.
type curve struct {
	engine, what string
	at           plotter.XYs
}

// Context shows tokens/s of generation over the tokens that are in the cache
// already. nil if no model was measured at two depths.
func Context(rows []summary.Row) (*Chart, error) {
	var curves []curve
	for _, r := range rows {
		if r.Figure != record.Decode {
			continue
		}
		test := ""
		if r.Settings.Parallel > 1 {
			test = fmt.Sprintf(" x%d", r.Settings.Parallel)
		}
		for _, e := range r.Engines {
			if known(e.Value.Median) {
				curves = add(curves, e.Name, label(&r, test), plotter.XY{X: float64(r.Settings.Depth), Y: lg(e.Value.Median)})
			}
		}
	}
	curves = slices.DeleteFunc(curves, func(c curve) bool {
		slices.SortStableFunc(c.at, func(a, b plotter.XY) int { return int(a.X - b.X) })
		return c.at[0].X == c.at[len(c.at)-1].X
	})
	return lines(&Chart{Name: "context", Title: "Generation with a filled cache"}, rows, curves, "tokens in the cache beforehand", "tokens/s")
}

// Power shows tokens/s over watts. nil if the machine measured no power.
func Power(rows []summary.Row) (*Chart, error) {
	watts := map[string]map[string]float64{} // of a case, of an engine
	for _, r := range rows {
		if r.Figure == record.Watts {
			watts[r.Case] = map[string]float64{}
			for _, e := range r.Engines {
				watts[r.Case][e.Name] = e.Value.Median
			}
		}
	}
	var curves []curve
	for _, r := range rows {
		if r.Figure != record.Decode {
			continue
		}
		fixed := r
		fixed.Settings.Threads, fixed.Settings.Device, fixed.Device, fixed.Settings.Env = 0, "", "", nil
		for _, e := range r.Engines {
			if w := watts[r.Case][e.Name]; known(w) && known(e.Value.Median) {
				curves = add(curves, e.Name, Label(&fixed), plotter.XY{X: w, Y: lg(e.Value.Median)})
			}
		}
	}
	for _, c := range curves {
		slices.SortStableFunc(c.at, func(a, b plotter.XY) int { return int(math.Copysign(1, a.X-b.X)) })
	}
	return lines(&Chart{Name: "power", Title: "Speed and power"}, rows, curves, "watts while generating", "tokens/s")
}

// add puts a point into the curve that it belongs to.
func add(curves []curve, engine, what string, at plotter.XY) []curve {
	for i := range curves {
		if curves[i].engine == engine && curves[i].what == what {
			curves[i].at = append(curves[i].at, at)
			return curves
		}
	}
	return append(curves, curve{engine, what, plotter.XYs{at}})
}

// mostCurves is how many lines can be told apart.
const mostCurves = 12

// lines draws curves: colour and shape say which engine, dashes which model. nil of
// none.
func lines(c *Chart, rows []summary.Row, curves []curve, x, y string) (*Chart, error) {
	if len(curves) == 0 {
		return nil, nil
	}
	left := len(curves) - mostCurves
	if left > 0 {
		curves = curves[:mostCurves]
	}
	names := engines(rows)
	c.width, c.height = width, 420
	p := newPlot(c.Title, x, y)
	if left > 0 {
		p.Title.Text += fmt.Sprintf(" (%s more in the tables)", plural(left, "curve"))
	}
	grid(p, true, true)
	low, high := math.Inf(1), math.Inf(-1)
	most := 0.0
	var what []string
	for _, u := range curves {
		line, dots, err := plotter.NewLinePoints(u.at)
		if err != nil {
			return nil, fmt.Errorf("chart: %s: %w", c.Name, err)
		}
		look := lookOf(names, u.engine)
		i := slices.Index(what, u.what)
		if i < 0 {
			i, what = len(what), append(what, u.what)
		}
		line.LineStyle = draw.LineStyle{Color: look.colour, Width: 1.2, Dashes: dashes[i%len(dashes)]}
		dots.GlyphStyle = look.glyph(3)
		p.Add(line, dots)
		p.Legend.Add(u.engine+": "+u.what, line, dots)
		for _, at := range u.at {
			low, high, most = min(low, at.Y), max(high, at.Y), max(most, at.X)
		}
	}
	logAxis(&p.Y, math.Pow(10, low), math.Pow(10, high))
	p.Y.Max += (p.Y.Max - p.Y.Min) * 0.06 * float64(len(curves)) // room for the legend above
	p.X.Min, p.X.Max = 0, most*1.03
	p.X.Tick.Marker = plot.DefaultTicks{}
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs = 8
	has := func(name string) bool {
		return slices.ContainsFunc(curves, func(u curve) bool { return u.engine == name })
	}
	c.Alt = fmt.Sprintf("%s of %s over %s: %s between %.3g and %.3g.", y, list(drawn(names, has)), x, plural(len(curves), "curve"), math.Pow(10, low), math.Pow(10, high))
	c.plot = p
	return c, nil
}

var dashes = [][]vg.Length{nil, {5, 3}, {2, 2}, {8, 3, 2, 3}}
