package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// goldenFile writes a golden model where engine.Open finds it.
func goldenFile(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".gguf")
	if err := os.WriteFile(path, goldenBytes(t, name), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSplit runs every number of layers on one device and the rest on the other,
// which compute alike: all that is read is the same, and pages are saved, loaded,
// copied and read in both.
func TestSplit(t *testing.T) {
	asGPU(t, 0)
	setFault("", 0, nil)
	for _, name := range []string{"llama-gqa", "gemma3", "phi3"} {
		path := goldenFile(t, name)
		o := engine.Options{Device: "cpu", Threads: 1, Batch: 16, Context: 128, Sequences: 2}
		plain := openFaulty(t, path, o)
		layers := plain.Network.Info().Layers
		text := randomTokens(4, 90)
		want := logitsOf(t, plain, text)
		wantRow, err := plain.Embed(context.Background(), text)
		if err != nil {
			t.Fatal(err)
		}
		set := engine.Settings{Sampler: greedy(), MaxTokens: 8, IgnoreEOG: true}
		s := plain.NewSession()
		wantTokens := collect(t, s, text, set)
		s.Close()
		for n := 0; n <= layers+1; n++ {
			what := fmt.Sprintf("%s, %d of %d layers", name, n, layers)
			o := o
			o.Device, o.GPULayers = "faulty", &n
			m := openFaulty(t, path, o)
			places := []engine.Place{{Device: "faulty", Layers: min(n, layers)}, {Device: "cpu", Layers: layers - n}}
			switch {
			case n == 0:
				places = places[1:]
			case n >= layers:
				places = places[:1]
			}
			if got := m.Places(); !slices.Equal(got, places) {
				t.Errorf("%s: %v, want %v", what, got, places)
			}
			if note := m.Device().Note; (note != "") != (len(places) == 2) {
				t.Errorf("%s: note %q", what, note)
			}
			if !sameBits(logitsOf(t, m, text), want) {
				t.Errorf("%s: other logits", what)
			}
			row, err := m.Embed(context.Background(), text)
			if err != nil || !sameBits(row, wantRow) {
				t.Errorf("%s: another embedding: %v", what, err)
			}
			s := m.NewSession()
			collect(t, s, text[:70], engine.Settings{Sampler: greedy(), MaxTokens: 1, IgnoreEOG: true})
			f := s.Fork() // shares a page that is half full
			if got := collect(t, f, text, set); !slices.Equal(got, wantTokens) {
				t.Errorf("%s: got %v, want %v", what, got, wantTokens)
			}
			var saved bytes.Buffer
			if err := f.Save(&saved); err != nil {
				t.Fatal(err)
			}
			f.Close()
			if err := s.Load(bytes.NewReader(saved.Bytes())); err != nil {
				t.Fatal(err)
			}
			if got := collect(t, s, text, set); !slices.Equal(got, wantTokens) || s.Usage().CachedTokens != len(text)-1 {
				t.Errorf("%s: loaded: got %v, want %v, %+v", what, got, wantTokens, s.Usage())
			}
			s.Close()
			if n > 0 && n < layers { // another split is another layout
				o := o
				fewer := n - 1
				o.GPULayers = &fewer
				other := openFaulty(t, path, o)
				s := other.NewSession()
				if err := s.Load(bytes.NewReader(saved.Bytes())); err == nil {
					t.Errorf("%s: its cache was loaded with a layer less", what)
				}
				s.Close()
			}
		}
	}
}

// TestSplitHandsOver: the first of two devices fails in a model that runs on both.
func TestSplitHandsOver(t *testing.T) {
	path := goldenFile(t, "gemma3")
	asGPU(t, 0)
	setFault("", 0, nil)
	two := 2
	o := engine.Options{Threads: 1, Batch: 16, Context: 128, GPULayers: &two}
	prompt := randomTokens(1, 40)
	set := engine.Settings{Sampler: greedy(), MaxTokens: 6, IgnoreEOG: true}
	m := openFaulty(t, path, o)
	s := m.NewSession()
	want := collect(t, s, prompt, set)
	s.Close()
	for nth := 1; nth <= 8; nth++ {
		setFault("", 0, nil)
		m := openFaulty(t, path, o)
		if len(m.Places()) != 2 {
			t.Fatalf("%v", m.Places())
		}
		s := m.NewSession()
		breakAt("Wait", nth, backend.ErrDeviceLost, true, 0)
		if got := collect(t, s, prompt, set); !slices.Equal(got, want) {
			t.Errorf("run %d: got %v, want %v", nth, got, want)
		}
		if p := m.Places(); len(p) != 1 || p[0] != (engine.Place{Device: "cpu", Layers: 7}) || m.Device().Note != "" {
			t.Errorf("run %d: %v", nth, p)
		}
		s.Close()
	}
}

// TestOnlyCPU: layers for a GPU that is not there.
func TestOnlyCPU(t *testing.T) {
	path := tinyFile(t)
	for n := -1; n <= 1; n++ {
		m, err := engine.Open(context.Background(), path, engine.Options{Device: "cpu", Threads: 1, Context: 128, GPULayers: &n})
		if (err != nil) != (n > 0) || err != nil && !strings.Contains(err.Error(), "cpu alone") {
			t.Errorf("%d layers: %v", n, err)
		}
		if err == nil {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// memories sets what the faulty device says it has, and what it really has.
func memories(says uint64, has int64) {
	faulty.Lock()
	defer faulty.Unlock()
	faulty.memory, faulty.have = says, has
}

// TestFit gives a device less and less memory: the model always opens, with as
// many layers as fit and not one more.
func TestFit(t *testing.T) {
	path := goldenFile(t, "gemma3")
	asGPU(t, 0)
	setFault("", 0, nil)
	o := engine.Options{Threads: 1, Batch: 16, Context: 128}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	net, err := engine.Network(f)
	if err != nil {
		t.Fatal(err)
	}
	devices, _, err := engine.OpenDevices(context.Background(), o, o.Choice())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, d := range devices {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	}()
	layersIn := func(memory uint64) int {
		memories(memory, 0)
		parts, err := engine.Graph(net, devices, o, "placed")
		if err != nil {
			t.Fatal(err)
		}
		if p := engine.PlacesOf(parts); p[0].Device == "faulty" {
			return p[0].Layers
		}
		return 0
	}
	const top = 4 << 20
	if n := layersIn(top); n != 7 {
		t.Fatalf("%d layers in %d bytes", n, top)
	}
	for _, n := range []int{7, 6, 3, 1} {
		low, high := uint64(1), uint64(top) // n layers fit high
		for low < high {
			if mid := (low + high) / 2; layersIn(mid) >= n {
				high = mid
			} else {
				low = mid + 1
			}
		}
		if got := layersIn(high - 1); got != n-1 {
			t.Errorf("%d layers in %d bytes, %d in one less", n, high, got)
		}
		// So much is enough, and it is hardly too much.
		memories(high, int64(high))
		m := openFaulty(t, path, o)
		notes := strings.Join(m.Notes(), "; ")
		short := n < 7 && strings.Contains(notes, fmt.Sprintf("faulty has %d of 7 layers", n)) && strings.Contains(notes, "too much")
		if p := m.Places()[0]; p.Device != "faulty" || p.Layers != n || short != (notes != "") || short != (n < 7) {
			t.Errorf("%d bytes for %d layers: %v, notes %q", high, n, m.Places(), notes)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		memories(high, int64(high)*9/10)
		m = openFaulty(t, path, o)
		notes = strings.Join(m.Notes(), "; ")
		if p := m.Places()[0]; p.Device == "faulty" && p.Layers >= n ||
			n > 1 && !strings.Contains(notes, "ran out of memory with") || n == 1 && !strings.Contains(notes, "out of memory") {
			t.Errorf("nine tenths of %d bytes for %d layers: %v, %q", high, n, m.Places(), notes)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		// A number that was asked for is not changed in silence.
		o := o
		o.GPULayers = &n
		var full *backend.ErrOutOfMemory
		if _, err := engine.Open(context.Background(), path, o); !errors.As(err, &full) || !strings.Contains(err.Error(), "faulty") {
			t.Errorf("%d layers asked for: %v", n, err)
		}
	}
	// Of a device that was asked for, at least one layer is expected.
	memories(1000, 0)
	o.Device = "faulty"
	var full *backend.ErrOutOfMemory
	if _, err := engine.Open(context.Background(), path, o); !errors.As(err, &full) {
		t.Errorf("no layer fits: %v", err)
	}
	memories(0, 1000)
	if _, err := engine.Open(context.Background(), path, o); !errors.As(err, &full) {
		t.Errorf("no layer fits after all: %v", err)
	}
	o.Device = ""
	m := openFaulty(t, path, o)
	if notes := m.Notes(); m.Device().Name != "cpu" || len(notes) != 1 || !strings.Contains(notes[0], "faulty is not used") {
		t.Errorf("on %s, %q", m.Device().Name, notes)
	}
}

// TestUnsupported: an operation that a device lacks, in the layers or behind them.
func TestUnsupported(t *testing.T) {
	path := goldenFile(t, "gemma3")
	asGPU(t, 0)
	setFault("", 0, nil)
	for _, c := range []struct {
		op    string
		first int    // layers
		say   string // a note, of loading or of the device
	}{
		{"readout", 7, "all 7 layers run on faulty, what it does not support on cpu"},
		{"attention", 0, "faulty is not used"},
		{"", 7, ""},
	} {
		faulty.Lock()
		faulty.uses = []string{c.op}
		faulty.Unlock()
		m := openFaulty(t, path, engine.Options{Threads: 1, Batch: 16, Context: 128})
		notes := strings.Join(append(m.Notes(), m.Device().Note), "")
		p := m.Places()[0]
		if p.Device == "cpu" {
			p.Layers = 0
		}
		if p.Layers != c.first || !strings.Contains(notes, c.say) || (c.say == "") != (notes == "") {
			t.Errorf("without %q: %v, %q", c.op, m.Places(), notes)
		}
		s := m.NewSession()
		collect(t, s, randomTokens(1, 20), engine.Settings{Sampler: greedy(), MaxTokens: 3, IgnoreEOG: true})
		s.Close()
	}
	faulty.Lock()
	faulty.uses = []string{"attention"}
	faulty.Unlock()
	_, err := engine.Open(context.Background(), path, engine.Options{Device: "faulty", Threads: 1, Context: 128})
	if err == nil || !strings.Contains(err.Error(), "not on this device") {
		t.Errorf("asked for by name: %v", err)
	}
}

// TestLoadFails: a device that was picked automatically and breaks while the model
// is loaded.
func TestLoadFails(t *testing.T) {
	path := tinyFile(t)
	asGPU(t, 0)
	for _, kind := range []string{"Load", "NewState", "Compile"} {
		setFault("", 0, nil)
		m := openFaulty(t, path, engine.Options{Threads: 1, Context: 128})
		calls := counted(kind)
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		broken := fmt.Errorf("%w: while loading", backend.ErrDeviceLost)
		breakAt(kind, calls, broken, false, 0) // the last: the others are the self-test's
		m = openFaulty(t, path, engine.Options{Threads: 1, Context: 128})
		if notes := m.Notes(); m.Device().Name != "cpu" || len(notes) != 1 || !strings.Contains(notes[0], "while loading") {
			t.Errorf("%s: on %s, %q", kind, m.Device().Name, notes)
		}
		breakAt(kind, calls, broken, false, 0)
		if _, err := engine.Open(context.Background(), path, engine.Options{Device: "faulty", Threads: 1, Context: 128}); !errors.Is(err, backend.ErrDeviceLost) {
			t.Errorf("%s, asked for by name: %v", kind, err)
		}
	}
}
