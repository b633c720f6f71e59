// Package chart draws a benchmark's rows: engines side by side, a roofline, speed
// over context and over power. Pictures are SVG or PNG, made by gonum.org/v1/plot;
// the same rows give the same bytes.
package chart

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/summary"
)

// A Chart is one picture.
type Chart struct {
	Name  string // for files: "roofline"
	Title string
	Alt   string // what it shows, for those who cannot see it

	plot          *plot.Plot
	width, height vg.Length
}

// All draws what the rows have something for, in the order in which a report shows
// it.
func All(rows []summary.Row, roofs []Roof) ([]Chart, error) {
	var all []Chart
	for _, draw := range []func() (*Chart, error){
		func() (*Chart, error) { return Ratios(rows) },
		func() (*Chart, error) { return Roofline(rows, roofs) },
		func() (*Chart, error) { return Context(rows) },
		func() (*Chart, error) { return Power(rows) },
	} {
		c, err := draw()
		if err != nil {
			return nil, err
		}
		if c != nil {
			all = append(all, *c)
		}
	}
	return all, nil
}

// SVG is the picture for browsers: text stays text, in a font that the reader has.
func (c *Chart) SVG() ([]byte, error) {
	canvas := vgsvg.NewWith(vgsvg.UseWH(c.width, c.height))
	c.plot.Draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("chart: %s: %w", c.Name, err)
	}
	return b.Bytes(), nil
}

// PNG is the picture for everything else, two pixels for one of a plain screen.
func (c *Chart) PNG() ([]byte, error) {
	canvas := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(c.width, c.height), vgimg.UseDPI(192), vgimg.UseBackgroundColor(color.White))}
	c.plot.Draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("chart: %s: %w", c.Name, err)
	}
	return b.Bytes(), nil
}

// Sizes and looks that all pictures share.
const (
	width     = 760 // points
	textSize  = 11
	smallSize = 10
)

var sans = font.Font{Typeface: "Liberation", Variant: "Sans", Size: textSize}

var (
	ink   = color.NRGBA{0x33, 0x33, 0x33, 0xff}
	faint = color.NRGBA{0xdd, 0xdd, 0xdd, 0xff}
)

// newPlot is an empty plot in the common look.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font = font.From(sans, 14)
	p.Title.Padding = 8
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font, a.Tick.Label.Font = sans, font.From(sans, smallSize)
		a.Label.TextStyle.Color, a.Tick.Label.Color, a.Color, a.Tick.Color = ink, ink, ink, ink
		a.Label.Padding = 4
	}
	p.Title.TextStyle.Color = ink
	p.Legend.TextStyle.Font, p.Legend.TextStyle.Color = font.From(sans, smallSize), ink
	p.Legend.Padding = 2
	return p
}

// grid adds thin lines behind everything that is added later.
func grid(p *plot.Plot, vertical, horizontal bool) {
	g := plotter.NewGrid()
	g.Vertical.Color, g.Horizontal.Color = faint, faint
	if !vertical {
		g.Vertical.Width = 0
	}
	if !horizontal {
		g.Horizontal.Width = 0
	}
	p.Add(g)
}

// looks are an engine's colour and shape: both, for those who see no colours. The
// colours are Okabe and Ito's ("Color universal design", 2008).
type look struct {
	colour color.NRGBA
	shape  draw.GlyphDrawer
}

var looks = []look{
	{color.NRGBA{0x00, 0x72, 0xb2, 0xff}, draw.CircleGlyph{}}, // Ledge
	{color.NRGBA{0xd5, 0x5e, 0x00, 0xff}, draw.BoxGlyph{}},
	{color.NRGBA{0x00, 0x9e, 0x73, 0xff}, draw.TriangleGlyph{}},
	{color.NRGBA{0xcc, 0x79, 0xa7, 0xff}, draw.PlusGlyph{}},
	{color.NRGBA{0xe6, 0x9f, 0x00, 0xff}, draw.CrossGlyph{}},
	{color.NRGBA{0x56, 0xb4, 0xe9, 0xff}, draw.PyramidGlyph{}},
}

// engines are the names of all that ran, Ledge first, then the others by name: an
// engine's place decides its look in every picture of a report.
func engines(rows []summary.Row) []string {
	var names []string
	for _, r := range rows {
		for _, e := range r.Engines {
			if e.Name != record.Ledge && !slices.Contains(names, e.Name) {
				names = append(names, e.Name)
			}
		}
	}
	slices.Sort(names)
	return append([]string{record.Ledge}, names...)
}

// drawn are the engines that a picture shows: one that failed everywhere has no figure.
func drawn(names []string, has func(name string) bool) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !has(name) })
}

func lookOf(names []string, name string) look {
	return looks[max(0, slices.Index(names, name))%len(looks)]
}

func (l look) glyph(size vg.Length) draw.GlyphStyle {
	return draw.GlyphStyle{Color: l.colour, Shape: l.shape, Radius: size}
}

// known tells figures that can be drawn from those that are none.
func known(v float64) bool { return v > 1e-30 && v < 1e30 }

// Logarithmic axes are linear ones of decimal logarithms: gonum's LogScale leaves
// room for an axis' name as if it stood at the middle of the values rather than of
// the axis.
func lg(v float64) float64 { return math.Log10(v) }

// logAxis gives an axis of logarithms its range, a little wider than the values'.
func logAxis(a *plot.Axis, low, high float64) {
	if high < low*1.5 {
		low, high = low/1.25, high*1.25
	}
	a.Min, a.Max = lg(low/1.08), lg(high*1.08)
	a.Tick.Marker = logTicks{}
}

// logTicks marks 1, 2 and 5 of each decade, fewer where there are many decades,
// more where there is but one.
type logTicks struct{}

func (logTicks) Ticks(low, high float64) []plot.Tick {
	steps := []float64{1, 2, 5}
	switch decades := high - low; {
	case decades > 5:
		steps = []float64{1}
	case decades < 0.5:
		steps = []float64{1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9}
	case decades < 1:
		steps = []float64{1, 1.5, 2, 3, 4, 5, 6, 8}
	}
	var ticks []plot.Tick
	for e := math.Floor(low); e <= math.Ceil(high); e++ {
		for _, s := range steps {
			v := s * math.Pow(10, e)
			if at := lg(v); at >= low && at <= high {
				ticks = append(ticks, plot.Tick{Value: at, Label: short(v)})
			}
		}
	}
	return ticks
}

// short writes an axis' number in few digits.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + "M"
	case v >= 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
