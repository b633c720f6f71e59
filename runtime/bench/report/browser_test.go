package report_test

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/internal/browser"
	"github.com/ledge-run/ledge/runtime/bench/internal/sample"
	"github.com/ledge-run/ledge/runtime/bench/report"
)

// TestBrowser reads the page in a real browser, wide and as narrow as a phone:
// pictures show, nothing is cut off or fetched, and the browser has nothing to say.
func TestBrowser(t *testing.T) {
	text := write(t, sample.Records(), report.Options{Version: "0.1"})
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name          string
		width, height int
	}{{"wide", 1200, 900}, {"phone", 390, 800}} {
		t.Run(c.name, func(t *testing.T) {
			p := browser.Open(t, "file://"+path, c.width, c.height)
			var seen struct {
				Title                           string
				Width, Images, Drawn, Rows, Bad int
				Overlaps                        []string
			}
			p.Eval(`(() => {
				const q = s => [...document.querySelectorAll(s)];
				const overlaps = [];
				// A figure's bar lies behind its own figure only; no text sticks out of its cell.
				for (const td of q("td.value")) {
					const box = td.getBoundingClientRect();
					for (const e of td.querySelectorAll("i, span")) {
						const b = e.getBoundingClientRect();
						if (b.right > box.right + 1 || b.left < box.left - 1 || b.bottom > box.bottom + 1) overlaps.push(e.textContent || "bar");
					}
				}
				return {title: document.title, width: document.documentElement.scrollWidth, images: q("img").length,
					drawn: q("img").filter(i => i.complete && i.naturalWidth > 100 && i.getBoundingClientRect().height > 50).length,
					rows: q("tbody tr").length, bad: q("td").filter(d => /NaN|undefined|null/.test(d.textContent)).length, overlaps};
			})()`, &seen)
			if seen.Title != "sample" || seen.Images != 4 || seen.Drawn != 4 || seen.Rows < 5*16 || seen.Bad != 0 {
				t.Errorf("the browser shows %+v", seen)
			}
			if seen.Width > c.width {
				t.Errorf("the page is %d pixels wide in a window of %d", seen.Width, c.width)
			}
			if len(seen.Overlaps) > 0 {
				t.Errorf("sticks out of its cell: %q", seen.Overlaps)
			}
			for i, r := range p.Requests {
				if i > 0 && !strings.HasPrefix(r, "data:") {
					t.Errorf("the page fetches %.100s", r)
				}
			}
			if len(p.Problems) > 0 {
				t.Errorf("the browser complains: %q", p.Problems)
			}
			shot := p.Screenshot()
			save(t, c.name+".png", shot)
			img, err := png.Decode(bytes.NewReader(shot))
			if err != nil {
				t.Fatal(err)
			}
			// Ledge's colour is in the pictures, and in many places.
			blue := 0
			for y := range img.Bounds().Dy() {
				for x := range img.Bounds().Dx() {
					if r, g, b, _ := img.At(x, y).RGBA(); r>>8 < 0x20 && g>>8 > 0x60 && g>>8 < 0x88 && b>>8 > 0xa0 {
						blue++
					}
				}
			}
			if img.Bounds().Dx() != c.width || img.Bounds().Dy() < 2000 || blue < 50 {
				t.Errorf("the screenshot is %v with %d blue pixels", img.Bounds(), blue)
			}
		})
	}
}
