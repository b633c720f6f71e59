package governor

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/governor.svg")

const picture = "../../../docs/governor.svg"

// A panel shows a quantity over time, without and with a governor, and the effort below.
type panel struct {
	title, unit string
	limit       float64
	low, high   float64
	seconds     int
	of          func(point) float64
	free, held  *plant
}

// TestPicture draws docs/governor.svg from the simulated board: look at it after -update.
func TestPicture(t *testing.T) {
	draw := func(l Limits, seconds int) (free, held *plant) {
		free, held = board(), board()
		free.work(t, nil, time.Duration(seconds)*second)
		g, _ := governed(held, l)
		held.work(t, g, time.Duration(seconds)*second)
		return free, held
	}
	a := panel{title: "--max-watts 8", unit: "W", limit: 8, low: 3, high: 13, seconds: 90, of: ofWatts}
	a.free, a.held = draw(Limits{Watts: 8}, a.seconds)
	b := panel{title: "--max-temp 70", unit: "°C", limit: 70, low: 40, high: 90, seconds: 900, of: ofDie}
	b.free, b.held = draw(Limits{Celsius: 70}, b.seconds)
	got := svg(a, b)
	if *update {
		if err := os.WriteFile(picture, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	// Other processors round products and sums at once, and a sensor's steps make more of it.
	if runtime.GOARCH == "amd64" && !bytes.Equal(got, want) {
		t.Errorf("%s is not what the law gives: go test ./runtime/power/governor -run Picture -update, and look at it", picture)
	}
}

// svg draws panels side by side. Colours differ in brightness, too.
func svg(panels ...panel) []byte {
	const (
		width, height    = 470, 430 // of a panel
		left, right      = 52, 16
		top, split, foot = 44, 270, 46 // split: the upper part's height
		gap              = 24
	)
	var b bytes.Buffer
	p := func(f string, args ...any) { fmt.Fprintf(&b, f+"\n", args...) }
	p(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="12">`,
		width*len(panels), height, width*len(panels), height)
	p(`<title>The governor on a simulated board: power and temperature without and with a limit</title>`)
	p(`<rect width="100%%" height="100%%" fill="#ffffff"/>`)
	for i, n := range panels {
		x0, x1 := float64(width*i+left), float64(width*(i+1)-right)
		x := func(s float64) float64 { return x0 + (x1-x0)*s/float64(n.seconds) }
		y := func(v float64) float64 { return top + split*(n.high-v)/(n.high-n.low) }
		const e0, e1 = height - foot, top + split + gap
		effort := func(u float64) float64 { return e0 + (e1-e0)*u }
		line := func(pl *plant, of func(point) float64, y func(float64) float64, style string) {
			var at []string
			step := max(1, len(pl.trace)/450)
			for i := 0; i < len(pl.trace); i += step {
				at = append(at, fmt.Sprintf("%.1f,%.1f", x(min(pl.trace[i].at, float64(n.seconds))), y(of(pl.trace[i]))))
			}
			p(`<polyline points="%s" fill="none" %s/>`, strings.Join(at, " "), style)
		}
		p(`<text x="%.0f" y="24" font-size="15" font-weight="bold" fill="#222222">%s</text>`, x0, n.title)
		for k := range 6 {
			v := n.low + float64(k)*(n.high-n.low)/5
			p(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#e3e3e3"/>`, x0, y(v), x1, y(v))
			p(`<text x="%.1f" y="%.1f" text-anchor="end" fill="#222222">%g</text>`, x0-6, y(v)+4, v)
			s := float64(k*n.seconds) / 5
			p(`<text x="%.1f" y="%d" text-anchor="middle" fill="#222222">%g</text>`, x(s), e0+16, s)
		}
		for _, u := range []float64{0, .5, 1} {
			p(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#e3e3e3"/>`, x0, effort(u), x1, effort(u))
			p(`<text x="%.1f" y="%.1f" text-anchor="end" fill="#222222">%g %%</text>`, x0-6, effort(u)+4, 100*u)
		}
		p(`<text x="%.1f" y="%d" text-anchor="end" fill="#222222">%s</text>`, x0-6, top-10, n.unit)
		p(`<text x="%.1f" y="%d" fill="#222222">effort</text>`, x0+4, e1-6)
		p(`<text x="%.1f" y="%d" text-anchor="end" fill="#222222">seconds</text>`, x1, e0+34)
		p(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#444444" stroke-width="1.5" stroke-dasharray="6 4"/>`, x0, y(n.limit), x1, y(n.limit))
		p(`<text x="%.1f" y="%.1f" text-anchor="end" fill="#444444">limit</text>`, x1-2, y(n.limit)-6)
		line(n.free, n.of, y, `stroke="#d9730d" stroke-width="2"`)
		line(n.held, n.of, y, `stroke="#0b5fa5" stroke-width="2"`)
		line(n.held, ofEffort, effort, `stroke="#0b5fa5" stroke-width="1.5"`)
		last := n.free.trace[len(n.free.trace)-1]
		p(`<text x="%.1f" y="%.1f" text-anchor="end" fill="#d9730d">without</text>`, x1-2, y(n.of(last))-8)
		p(`<text x="%.1f" y="%.1f" text-anchor="end" fill="#0b5fa5">with the limit</text>`, x1-2, y(n.limit)+34)
	}
	p(`</svg>`)
	return b.Bytes()
}
