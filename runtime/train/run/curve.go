package run

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// Sizes of the picture in pixels. It is drawn at twice the size and reduced, which
// smooths its lines.
const (
	curveWidth  = 960
	curveHeight = 480
	marginLeft  = 64
	marginRight = 24
	marginTop   = 40
	marginDown  = 40
	twice       = 2
)

var (
	inkText   = color.RGBA{0x33, 0x33, 0x33, 0xff}
	inkGrid   = color.RGBA{0xe4, 0xe4, 0xe4, 0xff}
	inkRaw    = color.RGBA{0xc4, 0xd6, 0xec, 0xff}
	inkLoss   = color.RGBA{0x1f, 0x5a, 0x9e, 0xff}
	inkValid  = color.RGBA{0xd0, 0x66, 0x1a, 0xff}
	drawEvery = 10 * time.Second
)

// draw writes the curve of the losses so far, but not too often.
func (x *running) draw() error {
	if time.Since(x.drawn) < drawEvery && x.trainer.Taken() < x.plan.steps {
		return nil
	}
	x.drawn = time.Now()
	title := fmt.Sprintf("%s: loss after %d of %d steps", filepath.Base(x.plan.r.File), x.trainer.Taken(), x.plan.steps)
	b, err := curve(x.log.all, title)
	if b == nil || err != nil {
		return err
	}
	path := filepath.Join(x.plan.r.Out, CurveName)
	temp := path + ".part"
	if err := os.WriteFile(temp, b, 0o644); err != nil {
		_ = os.Remove(temp) // nothing better to do
		// A picture is nothing to end a run for.
		x.o.Note(fmt.Sprintf("%s: %v", path, reason(err)))
		return nil
	}
	return os.Rename(temp, path)
}

// curve draws the losses of records as a PNG: of each step, their running mean, and
// those on the validation data. nil if there is nothing to draw.
func curve(all []Record, title string) ([]byte, error) {
	if len(all) < 2 {
		return nil, nil
	}
	p := newPlot(all)
	img := image.NewRGBA(image.Rect(0, 0, twice*curveWidth, twice*curveHeight))
	draw.Draw(img, img.Bounds(), image.White, image.Point{}, draw.Src)
	ys, xs := ticks(p.low, p.high, 6), ticks(float64(p.first), float64(p.last), 9)
	for _, v := range ys {
		line(img, p.x(float64(p.first)), p.y(v), p.x(float64(p.last)), p.y(v), inkGrid, 1)
	}
	for _, v := range xs {
		line(img, p.x(v), p.y(p.low), p.x(v), p.y(p.high), inkGrid, 1)
	}
	for i, r := range all[1:] {
		line(img, p.x(float64(all[i].Step)), p.y(all[i].Loss), p.x(float64(r.Step)), p.y(r.Loss), inkRaw, 2)
	}
	mean, weight := 0.0, 0.0 // the running mean, as the live line has it
	var before [2]float64
	for i, r := range all {
		mean, weight = smooth*mean+(1-smooth)*r.Loss, smooth*weight+(1-smooth)
		now := [2]float64{p.x(float64(r.Step)), p.y(mean / weight)}
		if i > 0 {
			line(img, before[0], before[1], now[0], now[1], inkLoss, 4)
		}
		before = now
	}
	valid := false
	for _, r := range all {
		if r.Valid == nil {
			continue
		}
		now := [2]float64{p.x(float64(r.Step)), p.y(*r.Valid)}
		if valid {
			line(img, before[0], before[1], now[0], now[1], inkValid, 4)
		}
		dot(img, now[0], now[1], 7, inkValid)
		before, valid = now, true
	}
	out := reduce(img)
	for _, v := range ys {
		s := number(v)
		text(out, marginLeft-8-7*len(s), int(p.y(v)/twice)+4, s, inkText)
	}
	for _, v := range xs {
		s := number(v)
		text(out, int(p.x(v)/twice)-7*len(s)/2, curveHeight-marginDown+18, s, inkText)
	}
	text(out, curveWidth-marginRight-4*7, curveHeight-8, "step", inkText)
	text(out, marginLeft, 24, ascii(title), inkText)
	text(out, curveWidth-marginRight-31*7, 24, "training", inkLoss)
	if valid {
		text(out, curveWidth-marginRight-20*7, 24, "validation", inkValid)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, out); err != nil {
		return nil, fmt.Errorf("%s: %w", CurveName, err)
	}
	return b.Bytes(), nil
}

// plot maps steps and losses to pixels of the picture at twice its size.
type plot struct {
	first, last int
	low, high   float64
}

func newPlot(all []Record) plot {
	p := plot{first: all[0].Step, last: all[len(all)-1].Step, low: math.Inf(1), high: math.Inf(-1)}
	add := func(v float64) { p.low, p.high = math.Min(p.low, v), math.Max(p.high, v) }
	for _, r := range all {
		add(r.Loss)
		if r.Valid != nil {
			add(*r.Valid)
		}
	}
	if p.low > 0 && p.low < p.high/4 {
		p.low = 0
	}
	if p.high-p.low < 1e-6 {
		p.low, p.high = p.low-.5, p.high+.5
	}
	return p
}

func (p plot) x(step float64) float64 {
	return twice * (marginLeft + (step-float64(p.first))/float64(max(1, p.last-p.first))*(curveWidth-marginLeft-marginRight))
}

func (p plot) y(loss float64) float64 {
	return twice * (curveHeight - marginDown - (loss-p.low)/(p.high-p.low)*(curveHeight-marginTop-marginDown))
}

// ticks are round numbers from low to high, about n of them.
func ticks(low, high float64, n int) []float64 {
	raw := (high - low) / float64(n)
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*unit >= raw {
			unit *= m
			break
		}
	}
	var all []float64
	for v := math.Ceil(low/unit-1e-9) * unit; v <= high+unit*1e-9; v += unit {
		all = append(all, v+0) // no -0
	}
	return all
}

func number(v float64) string {
	if a := math.Abs(v); a >= 1e4 {
		return fmt.Sprintf("%gk", math.Round(v)/1e3)
	}
	return fmt.Sprintf("%.6g", math.Round(v*1e6)/1e6)
}

// line draws a line of a width.
func line(img *image.RGBA, x0, y0, x1, y1 float64, c color.RGBA, width float64) {
	n := int(math.Max(math.Abs(x1-x0), math.Abs(y1-y0))) + 1
	for i := 0; i <= n; i++ {
		t := float64(i) / float64(n)
		dot(img, x0+t*(x1-x0), y0+t*(y1-y0), width/2, c)
	}
}

// dot fills a circle.
func dot(img *image.RGBA, x, y, r float64, c color.RGBA) {
	for py := int(math.Floor(y - r)); py <= int(math.Ceil(y+r)); py++ {
		for px := int(math.Floor(x - r)); px <= int(math.Ceil(x+r)); px++ {
			if dx, dy := float64(px)+.5-x, float64(py)+.5-y; dx*dx+dy*dy <= r*r+.25 && image.Pt(px, py).In(img.Rect) {
				img.SetRGBA(px, py, c)
			}
		}
	}
}

// reduce halves a picture: each pixel is the mean of four.
func reduce(in *image.RGBA) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, curveWidth, curveHeight))
	for y := range curveHeight {
		for x := range curveWidth {
			for c := range 4 {
				a, b := in.PixOffset(2*x, 2*y)+c, in.PixOffset(2*x, 2*y+1)+c
				out.Pix[out.PixOffset(x, y)+c] = uint8((int(in.Pix[a]) + int(in.Pix[a+4]) + int(in.Pix[b]) + int(in.Pix[b+4]) + 2) / 4)
			}
		}
	}
	return out
}

func text(img draw.Image, x, y int, s string, c color.RGBA) {
	d := font.Drawer{Dst: img, Src: image.NewUniform(c), Face: basicfont.Face7x13, Dot: fixed.P(x, y)}
	d.DrawString(s)
}

// ascii is what the font has of a text.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
