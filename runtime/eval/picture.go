package eval

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxPictured is how many labels a picture of a confusion matrix has at most.
const maxPictured = 100

// Sizes of the picture, in pixels.
const (
	cell     = 34
	fontSize = 12
	margin   = 16
	caption  = 48
)

// ConfusionCaption stands in every picture of a confusion matrix.
const ConfusionCaption = "rows: what is right; columns: what was predicted"

// ConfusionSVG draws a confusion matrix: a row for each right label, a column for
// each prediction, darker where a larger share of the row is. It is a few rectangles
// and texts, in the fonts of whoever looks at it, so that labels may be in any
// writing.
func ConfusionSVG(c *Classification, title string) ([]byte, error) {
	n := len(c.Labels)
	if n == 0 || n > maxPictured {
		return nil, fmt.Errorf("a confusion matrix of %d labels cannot be drawn: it must have 1 to %d", n, maxPictured)
	}
	longest := 0
	names := make([]string, n)
	for i, l := range c.Labels {
		names[i] = shorten(l)
		longest = max(longest, width(names[i]))
	}
	left := margin + caption/2 + longest*7 + 8
	top := margin + caption + longest*5 + 12
	w, h := left+n*cell+margin+longest*5, top+n*cell+margin
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="%d" fill="#333">`+"\n", w, h, w, h, fontSize)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", w, h)
	text := func(x, y int, anchor, attrs, s string) {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="%s"%s>`, x, y, anchor, attrs)
		_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
		b.WriteString("</text>\n")
	}
	text(margin, margin+fontSize, "start", ` font-size="15"`, title)
	text(margin, margin+fontSize+20, "start", ` fill="#777"`, ConfusionCaption)
	for i, name := range names {
		text(left-6, top+i*cell+cell/2+fontSize/3, "end", "", name)
		x, y := left+i*cell+cell/2+4, top-6
		text(x, y, "start", fmt.Sprintf(` transform="rotate(-45 %d %d)"`, x, y), name)
		sum := 0
		for _, k := range c.Confusion[i] {
			sum += k
		}
		for j, k := range c.Confusion[i] {
			share := ratio(k, sum)
			x, y := left+j*cell, top+i*cell
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s" stroke="#ddd"/>`+"\n", x, y, cell, cell, shade(share, i == j))
			if k > 0 {
				ink := ""
				if share > .55 {
					ink = ` fill="#fff"`
				}
				text(x+cell/2, y+cell/2+fontSize/3, "middle", ink, fmt.Sprint(k))
			}
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes(), nil
}

// shade is the colour of a share: blue where it is right, red where not.
func shade(share float64, right bool) string {
	to := [3]float64{0xb0, 0x30, 0x30}
	if right {
		to = [3]float64{0x1f, 0x5a, 0x9e}
	}
	var c [3]int
	for i := range c {
		c[i] = int(255 + share*(to[i]-255) + .5)
	}
	return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2])
}

// shorten keeps a label on one short line.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 24 {
		return string(r[:23]) + "…"
	}
	return s
}

// width is how many columns a text takes: two for what is not Latin.
func width(s string) (n int) {
	for _, r := range s {
		if n++; r > 0x2e80 {
			n++
		}
	}
	return n
}
