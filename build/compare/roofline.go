package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// The picture: operations a second over operations a byte, both logarithmic.
// Left of a roof's ridge memory is the limit, right of it the dot product.

const (
	picWidth, picHeight = 960, 600
	picLeft, picRight   = 84, 24
	picTop, picBottom   = 60, 64
)

// axes map the two quantities to places.
type axes struct{ x0, x1, y0, y1 float64 }

func (a axes) x(v float64) float64 {
	return picLeft + (picWidth-picLeft-picRight)*math.Log(v/a.x0)/math.Log(a.x1/a.x0)
}

func (a axes) y(v float64) float64 {
	return picHeight - picBottom - (picHeight-picTop-picBottom)*math.Log(v/a.y0)/math.Log(a.y1/a.y0)
}

// A point is the speed of an engine in a case.
type point struct {
	x, gops float64
	peer    bool
	threads int
	work    table
	title   string
}

// A roof is what the machine can do at a number of threads.
type roof struct {
	threads    int
	read, dots float64 // GB/s and GOPS
}

// roofsOf takes the medians of all rounds.
func roofsOf(records []record, all []benchCase) []roof {
	var roofs []roof
	for threads := 1; threads <= 2; threads++ {
		var read, dots []float64
		for i := range all {
			if all[i].threads != threads {
				continue
			}
			for _, r := range latest(records, all[i].id) {
				read, dots = append(read, r.Read), append(dots, r.Dots)
			}
		}
		if len(read) > 0 {
			roofs = append(roofs, roof{threads, summarize(read).median, summarize(dots).median})
		}
	}
	return roofs
}

// pointsOf are the points of decoding, eight sequences and prompts. A prompt
// reads the weights once.
func pointsOf(records []record, all []benchCase) []point {
	var points []point
	for _, t := range []table{decoding, together, reading} {
		for _, r := range resultsOf(records, all, t) {
			m := r.records[0].Facts
			ops := m.operations(t == reading)
			perToken := bytesOf(r.c, m)
			if t == reading {
				perToken = float64(m.TokenBytes) / float64(r.c.prompt)
			}
			for _, peer := range []bool{true, false} {
				speed, name := r.ledge, "Ledge"
				if peer {
					speed, name = r.peer, r.c.peerName
				}
				if speed > 0 {
					points = append(points, point{ops / perToken, speed * ops / 1e9, peer, r.c.threads, t,
						fmt.Sprintf("%s, %s, %s, %d threads: %s tok/s", name, r.model, testName(r.c, r.row), r.c.threads, figure(speed))})
				}
			}
		}
	}
	return points
}

// Colours that differ in brightness too.
const (
	ledgeColour = "#0b5fa5"
	peerColour  = "#d9730d"
	roofColour  = "#444444"
	gridColour  = "#e3e3e3"
	textColour  = "#222222"
)

// drawRoofline is the picture as SVG.
func drawRoofline(records []record, all []benchCase) []byte {
	a := axes{x0: 1, x1: 4096, y0: 20, y1: 4000}
	roofs, points := roofsOf(records, all), pointsOf(records, all)
	for _, r := range roofs {
		for a.y1 < 1.5*r.dots {
			a.y1 *= 2
		}
	}
	for _, p := range points {
		for a.y0 > p.gops/1.2 {
			a.y0 /= 2
		}
	}
	var b bytes.Buffer
	p := func(f string, args ...any) { fmt.Fprintf(&b, f+"\n", args...) }
	p(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="13">`,
		picWidth, picHeight, picWidth, picHeight)
	p(`<title>Roofline: what the machine allows, and what Ledge and llama.cpp reach</title>`)
	p(`<rect width="%d" height="%d" fill="#ffffff"/>`, picWidth, picHeight)
	a.grid(p)
	for _, r := range roofs {
		a.roof(p, r)
	}
	for _, pt := range points {
		p(`<g><title>%s</title>%s</g>`, escape(pt.title), marker(pt, a.x(pt.x), a.y(pt.gops)))
	}
	legend(p, points)
	p(`</svg>`)
	return b.Bytes()
}

func (a axes) grid(p func(string, ...any)) {
	right, bottom := float64(picWidth-picRight), float64(picHeight-picBottom)
	for v := 1.0; v <= a.x1; v *= 4 {
		p(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%.1f" stroke="%s"/>`, a.x(v), picTop, a.x(v), bottom, gridColour)
		p(`<text x="%.1f" y="%.1f" text-anchor="middle" fill="%s">%.0f</text>`, a.x(v), bottom+20, textColour, v)
	}
	for decade := math.Pow(10, math.Floor(math.Log10(a.y0))); decade <= a.y1; decade *= 10 {
		for _, m := range []float64{1, 2, 5} {
			v := decade * m
			if v < a.y0 || v > a.y1 {
				continue
			}
			p(`<line x1="%d" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`, picLeft, a.y(v), right, a.y(v), gridColour)
			p(`<text x="%d" y="%.1f" text-anchor="end" fill="%s">%.0f</text>`, picLeft-8, a.y(v)+4, textColour, v)
		}
	}
	p(`<rect x="%d" y="%d" width="%.1f" height="%.1f" fill="none" stroke="#999999"/>`, picLeft, picTop, right-picLeft, bottom-picTop)
	p(`<text x="%.1f" y="%.1f" text-anchor="middle" fill="%s">operations for each byte of weights and cache that is read</text>`, (picLeft+right)/2, bottom+44, textColour)
	p(`<text transform="translate(24 %.1f) rotate(-90)" text-anchor="middle" fill="%s">GOPS (1e9 operations a second)</text>`, (picTop+bottom)/2, textColour)
}

// roof draws the slope of memory and the flat of the dot product.
func (a axes) roof(p func(string, ...any), r roof) {
	dash := ""
	if r.threads == 1 {
		dash = ` stroke-dasharray="7 5"`
	}
	from := max(a.x0, a.y0/r.read)
	line := fmt.Sprintf("M%.1f %.1f", a.x(from), a.y(from*r.read))
	top := a.y1
	if r.dots > 0 {
		ridge := r.dots / r.read
		line += fmt.Sprintf(" L%.1f %.1f L%.1f %.1f", a.x(ridge), a.y(r.dots), a.x(a.x1), a.y(r.dots))
		top = r.dots
		p(`<text x="%.1f" y="%.1f" fill="%s">int8 dot product, %s: %.0f GOPS</text>`, a.x(max(64, 1.2*ridge)), a.y(r.dots)-7, roofColour, threads(r.threads), r.dots)
	} else {
		line += fmt.Sprintf(" L%.1f %.1f", a.x(top/r.read), a.y(top))
	}
	p(`<path d="%s" fill="none" stroke="%s" stroke-width="2"%s/>`, line, roofColour, dash)
	// The slope's label stands along it, half-way up, above the upper roof and below the lower.
	at := math.Sqrt(max(from, 5) * min(top/r.read, 24))
	angle := -180 / math.Pi * math.Atan2(a.y(r.read)-a.y(2*r.read), a.x(2*a.x0)-a.x(a.x0))
	shift := -9
	if r.threads == 1 {
		shift = 20
	}
	p(`<text transform="translate(%.1f %.1f) rotate(%.1f)" dy="%d" text-anchor="middle" fill="%s">read ceiling, %s: %.0f GB/s</text>`,
		a.x(at), a.y(at*r.read), angle, shift, roofColour, threads(r.threads), r.read)
}

func threads(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}

// marker is a shape for the work: a circle decodes, a diamond decodes eight
// sequences, a square reads a prompt. It is filled at two threads.
func marker(pt point, x, y float64) string {
	colour := ledgeColour
	if pt.peer {
		colour = peerColour
	}
	fill := colour
	if pt.threads == 1 {
		fill = "#ffffff"
	}
	style := fmt.Sprintf(`fill="%s" fill-opacity="0.85" stroke="%s" stroke-width="1.6"`, fill, colour)
	switch pt.work {
	case reading:
		return fmt.Sprintf(`<rect x="%.1f" y="%.1f" width="10" height="10" %s/>`, x-5, y-5, style)
	case together:
		return fmt.Sprintf(`<path d="M%.1f %.1f l7 7 l-7 7 l-7 -7 z" %s/>`, x, y-7, style)
	}
	return fmt.Sprintf(`<circle cx="%.1f" cy="%.1f" r="5.2" %s/>`, x, y, style)
}

// legend explains colours and shapes that occur.
func legend(p func(string, ...any), points []point) {
	type entry struct {
		text   string
		sample point
	}
	entries := []entry{
		{"Ledge", point{threads: 2, work: decoding}}, {llamaName, point{threads: 2, work: decoding, peer: true}},
		{"1 thread", point{threads: 1, work: decoding}},
		{"decoding", point{threads: 2, work: decoding}}, {"eight sequences", point{threads: 2, work: together}}, {"prompt of 512", point{threads: 2, work: reading}},
	}
	x := float64(picLeft)
	p(`<text x="%.1f" y="22" font-size="16" font-weight="bold" fill="%s">What the machine allows, and what is reached</text>`, x, textColour)
	for i, e := range entries {
		if e.sample.work == together && !has(points, together) {
			continue
		}
		s := marker(e.sample, x+8, 42)
		if i > 2 {
			s = strings.ReplaceAll(s, ledgeColour, "#777777")
		}
		p(`%s<text x="%.1f" y="46.5" fill="%s">%s</text>`, s, x+20, textColour, escape(e.text))
		x += 44 + 7.2*float64(len(e.text))
	}
}

func has(points []point, t table) bool {
	for _, p := range points {
		if p.work == t {
			return true
		}
	}
	return false
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
