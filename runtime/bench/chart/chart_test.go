package chart_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/chart"
	"github.com/ledge-run/ledge/runtime/bench/internal/sample"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/summary"
)

func all(t *testing.T, records []record.Record) []chart.Chart {
	t.Helper()
	charts, err := chart.All(summary.Rows(records), chart.Roofs(records))
	if err != nil {
		t.Fatal(err)
	}
	return charts
}

// texts are the words of a picture. An SVG that is no XML fails the test.
func texts(t *testing.T, svg []byte) string {
	t.Helper()
	var b strings.Builder
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatalf("the picture is no XML: %v", err)
		}
		if c, ok := tok.(xml.CharData); ok {
			b.WriteString(strings.TrimSpace(string(c)) + "\n")
		}
	}
}

func TestCharts(t *testing.T) {
	charts := all(t, sample.Records())
	want := map[string][]string{
		"ratios":   {"Ledge beside its peers", "SmolLM2-135M Q4_0 tg64 @ d4096, 2 threads", "客厅模型 <1B> & more pp512, 1 thread", "llama.cpp", "openvino"},
		"roofline": {"GOPS (1e9 operations a second)", "1 thread: 25 GB/s, 1000 GOPS", "2 threads: 35 GB/s, 2000 GOPS", "ledge, generating", "llama.cpp, reading prompts"},
		"context":  {"tokens in the cache beforehand", "ledge: SmolLM2-135M Q4_0, 1 thread"},
		"power":    {"watts while generating", "tokens/s"},
	}
	if len(charts) != len(want) {
		t.Errorf("%d pictures, want %d", len(charts), len(want))
	}
	again := all(t, sample.Records())
	for i, c := range charts {
		svg, err := c.SVG()
		if err != nil {
			t.Fatal(err)
		}
		words := texts(t, svg)
		for _, w := range want[c.Name] {
			if !strings.Contains(words, w) {
				t.Errorf("%s has no text %q:\n%s", c.Name, w, words)
			}
		}
		if strings.Contains(words, "NaN") || strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") {
			t.Errorf("%s has numbers that are none", c.Name)
		}
		if c.Alt == "" || c.Title == "" {
			t.Errorf("%s has no description", c.Name)
		}
		raster, err := c.PNG()
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(raster))
		if err != nil {
			t.Fatal(err)
		}
		colours := map[any]bool{}
		for y := range img.Bounds().Dy() {
			for x := range img.Bounds().Dx() {
				colours[img.At(x, y)] = true
			}
		}
		if b := img.Bounds(); b.Dx() < 1000 || b.Dy() < 200 || len(colours) < 10 {
			t.Errorf("%s: %v with %d colours", c.Name, b, len(colours))
		}
		if svg2, _ := again[i].SVG(); !bytes.Equal(svg, svg2) {
			t.Errorf("%s is another picture the second time", c.Name)
		}
		if dir := os.Getenv("LEDGE_TEST_PICTURES"); dir != "" { // to look at
			for ext, data := range map[string][]byte{".svg": svg, ".png": raster} {
				if err := os.WriteFile(filepath.Join(dir, c.Name+ext), data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestAlt: the words for those who cannot see a picture name the engines that are in it, and
// none that has failed everywhere.
func TestAlt(t *testing.T) {
	records := sample.Records()
	for i := range records {
		records[i].Runs = append(records[i].Runs, record.Run{Engine: record.Engine{Name: "bad"}, Failure: "exit status 1"})
	}
	want := map[string]string{
		"ratios": "divided by that of llama.cpp and openvino, with", "roofline": "speeds of ledge, llama.cpp and openvino in", "context": "of ledge, llama.cpp and openvino over", "power": "of ledge, llama.cpp and openvino over",
	}
	for _, c := range all(t, records) {
		if !strings.Contains(c.Alt, want[c.Name]) {
			t.Errorf("%s: %s", c.Name, c.Alt)
		}
	}
}

// TestLittle: rows that have nothing for a picture give none, and odd figures harm
// nothing.
func TestLittle(t *testing.T) {
	if c := all(t, nil); len(c) != 0 {
		t.Errorf("nothing gave %d pictures", len(c))
	}
	for name, change := range map[string]func(*record.Record){
		"no peer":     func(r *record.Record) { r.Runs = r.Runs[:1] },
		"no ceilings": func(r *record.Record) { r.Ceilings = nil },
		"no sizes":    func(r *record.Record) { r.Model = record.Model{Name: "m"} },
		"one depth":   func(r *record.Record) { r.Settings.Depth = 0 },
		"no figures": func(r *record.Record) {
			r.Runs = []record.Run{{Engine: record.Engine{Name: record.Ledge}, Failure: "x"}}
		},
		"only peers":      func(r *record.Record) { r.Runs = r.Runs[1:] },
		"zero":            func(r *record.Record) { set(r, 0) },
		"negative":        func(r *record.Record) { set(r, -1) },
		"not a number":    func(r *record.Record) { set(r, math.NaN()) },
		"infinite":        func(r *record.Record) { set(r, math.Inf(1)) },
		"tiny":            func(r *record.Record) { set(r, 1e-300) },
		"huge":            func(r *record.Record) { set(r, 1e300) },
		"a huge ceiling":  func(r *record.Record) { r.Ceilings = &record.Ceilings{ReadGBs: 1e200, DotGOPS: 1e-200} },
		"an absurd model": func(r *record.Record) { r.Model.TokenOps, r.Model.TokenBytes = -5, 1 },
		"a name of lines": func(r *record.Record) { r.Model.Name = "a\nb\x00\ufffd" + strings.Repeat("long ", 100) },
		"many peers":      func(r *record.Record) { r.Runs = append(r.Runs, many(r.Runs[1])...) },
		"absurd settings": func(r *record.Record) { r.Settings.Depth, r.Settings.Threads = math.MinInt, -3 },
	} {
		records := sample.Records()
		for i := range records {
			change(&records[i])
		}
		for _, c := range all(t, records) {
			svg, err := c.SVG()
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if strings.Contains(string(svg), "NaN") {
				t.Errorf("%s: %s has numbers that are none", name, c.Name)
			}
		}
	}
}

// set gives all figures of a round one value.
func set(r *record.Record, v float64) {
	for i := range r.Runs {
		for name, f := range r.Runs[i].Figures {
			f.Samples = []float64{v}
			r.Runs[i].Figures[name] = f
		}
	}
}

func many(run record.Run) []record.Run {
	var more []record.Run
	for i := range 12 {
		run.Engine.Name = "peer " + string(rune('a'+i))
		more = append(more, run)
	}
	return more
}

// TestChosenDevice: where nobody asked for a device, the one that Ledge chose counts.
func TestChosenDevice(t *testing.T) {
	records := sample.Records()
	for i := range records {
		run, _ := records[i].Of(record.Ledge)
		run.Devices = []record.Device{{Name: "vulkan0"}, {Name: "cpu"}}
	}
	if roofs := chart.Roofs(records); len(roofs) != 0 {
		t.Errorf("the processor's ceilings are said to hold for vulkan0: %+v", roofs)
	}
	rows := summary.Rows(records)
	if c, err := chart.Roofline(rows, []chart.Roof{{Threads: 1, ReadGBs: 10}}); err != nil || c != nil {
		t.Errorf("vulkan0 is under the processor's roof (%v)", err)
	}
	if l := chart.Label(&rows[0]); !strings.Contains(l, ", vulkan0") {
		t.Errorf("%q does not name the device", l)
	}
}
