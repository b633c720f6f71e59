package engine

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/null"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// sized is a device that has so much memory.
func sized(t *testing.T, memory uint64) backend.Device {
	d := null.New(null.Options{Memory: memory})
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func adviceModel(t *testing.T) model.Model {
	t.Helper()
	packed, err := os.Open("../model/testdata/llama-gqa.gguf.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	net, err := Network(f)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// TestShortage gives a model too little memory, in ways that a smaller context or
// other weights would mend, and in one that nothing does.
func TestShortage(t *testing.T) {
	net := adviceModel(t)
	o := Options{Batch: 16, Context: 8192, Sequences: 1, CacheType: dtype.F16}
	size := func(context int) uint64 {
		o := o
		o.Context = context
		d := []backend.Device{sized(t, 1<<40)}
		parts, err := lower(net, o, d, last, net.Info().Layers, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := need(parts, 0, d[0], o)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	whole, half, least := size(8192), size(4096), size(leastContext)
	for _, c := range []struct {
		memory uint64
		want   []string // all of them; none: it fits
	}{
		{whole, nil},
		{whole - 1, []string{"it needs ", " tokens", "too much", "context of 4096 tokens", " or as Q"}},
		{half, []string{"context of 4096 tokens"}},
		{half - 1, []string{"context of 2048 tokens"}},
		{least - 1, []string{"a smaller model is needed"}},
	} {
		got := shortage(net, o, []backend.Device{sized(t, c.memory)})
		if (got == "") != (c.want == nil) {
			t.Errorf("%d bytes: %q", c.memory, got)
		}
		for _, w := range c.want {
			if !strings.Contains(got, w) {
				t.Errorf("%d bytes: %q does not say %q", c.memory, got, w)
			}
		}
	}
}
