package cpu

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/packcache"
	"github.com/ledge-run/ledge/graph/dtype"
)

// modelOf makes a few weights of all sorts of uses, and a model file.
func modelOf(t *testing.T, dir string) (specs []backend.WeightSpec, files []packcache.File, opens *atomic.Int64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	opens = &atomic.Int64{}
	for _, w := range []struct {
		name  string
		dtype dtype.DType
		shape []int
		uses  backend.Uses
	}{
		{"embd", dtype.Q8_0, []int{20001, 96}, backend.UseProduct | backend.UseGather},
		{"norm", dtype.F32, []int{96}, backend.UseVector},
		{"up", dtype.Q4_0, []int{300, 96}, backend.UseProduct},
		{"table", dtype.F16, []int{50, 96}, backend.UseGather},
		{"down", dtype.F32, []int{96, 300}, backend.UseProduct},
	} {
		n, _ := dtype.Product(w.shape)
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		size, err := dtype.ByteSize(w.dtype, w.shape)
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, size)
		if err := dtype.Quantize(w.dtype, data, x); err != nil {
			t.Fatal(err)
		}
		product := w.uses&backend.UseProduct != 0
		specs = append(specs, backend.WeightSpec{Name: w.name, DType: w.dtype, Shape: w.shape, Uses: w.uses,
			Open: func() ([]byte, func(), error) {
				if product {
					opens.Add(1)
				}
				return data, func() {}, nil
			}})
	}
	path := filepath.Join(dir, "model.gguf")
	if err := os.WriteFile(path, []byte("stands for the weights above"), 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return specs, []packcache.File{{Path: path, Info: st}}, opens
}

// sameWeights compares all that kernels see of two loads.
func sameWeights(t *testing.T, d *device, a, b *weights) {
	t.Helper()
	for name, x := range a.byName {
		y := b.byName[name]
		switch {
		case (x.packed == nil) != (y.packed == nil):
			t.Errorf("%s is packed in one only", name)
		case x.packed != nil && (!bytes.Equal(x.packed.Data, y.packed.Data) || x.packed.Rows != y.packed.Rows || x.packed.Cols != y.packed.Cols):
			t.Errorf("%s differs", name)
		}
		if len(x.vector) != len(y.vector) || len(x.vector) > 0 && x.vector[7] != y.vector[7] || !bytes.Equal(x.raw, y.raw) {
			t.Errorf("%s differs", name)
		}
		if x.spec.Uses&backend.UseGather != 0 {
			p, q := make([]float32, 96), make([]float32, 96)
			if err := x.row(d.k, p, 49); err != nil {
				t.Fatal(err)
			}
			if err := y.row(d.k, q, 49); err != nil {
				t.Fatal(err)
			}
			if p[5] != q[5] || p[95] != q[95] {
				t.Errorf("row 49 of %s differs", name)
			}
		}
	}
}

func TestKeep(t *testing.T) {
	ctx := context.Background()
	for _, threads := range []int{1, 2} {
		dir := t.TempDir()
		specs, files, opens := modelOf(t, dir)
		cache := packcache.New(filepath.Join(dir, "packed"))
		d, err := open(backend.Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		load := func(c *packcache.Cache, share bool, want backend.Origin) *weights {
			t.Helper()
			var p backend.Pack
			if c != nil {
				p = c.Model("model.gguf", files, share)
			}
			l, err := d.Load(ctx, backend.LoadSpec{Weights: specs, Pack: p})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
			w := l.(*weights)
			if w.Origin() != want {
				t.Errorf("the weights are %s, want %s", w.Origin(), want)
			}
			return w
		}
		keep := func(w *weights) {
			t.Helper()
			if err := w.Keep(ctx, func() {}); err != nil {
				t.Fatal(err)
			}
		}
		plain := load(nil, false, backend.Packed)
		keep(plain) // nowhere to: nothing happens
		first := load(cache, false, backend.Packed)
		keep(first)
		sameWeights(t, d, plain, first)
		opens.Store(0)
		second := load(cache, false, backend.Cached)
		sameWeights(t, d, plain, second)
		if n := opens.Load(); n != 0 {
			t.Errorf("%d matrices were looked at in the model's file", n)
		}
		keep(second) // they are there
		shared := load(cache, true, backend.Shared)
		sameWeights(t, d, plain, shared)
		if shared.Bytes() >= second.Bytes() {
			t.Errorf("%d bytes of its own when shared, %d when not", shared.Bytes(), second.Bytes())
		}

		// A flipped bit in the weights: packed anew, and kept anew.
		entries, err := cache.List()
		if err != nil || len(entries) != 1 {
			t.Fatalf("%v, %v", entries, err)
		}
		for _, share := range []bool{false, true} {
			file, err := os.ReadFile(entries[0].Path)
			if err != nil {
				t.Fatal(err)
			}
			file[len(file)/2] ^= 4
			// Not in place: somebody has it mapped.
			if err := os.WriteFile(entries[0].Path+".new", file, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(entries[0].Path+".new", entries[0].Path); err != nil {
				t.Fatal(err)
			}
			want := backend.Packed
			if share { // kept at once, and mapped
				want = backend.Shared
			}
			again := load(cache, share, want)
			sameWeights(t, d, plain, again)
			keep(again)
			load(cache, false, backend.Cached)
		}

		// The first start of all shares, too.
		elsewhere := packcache.New(filepath.Join(dir, "shared"))
		sameWeights(t, d, plain, load(elsewhere, true, backend.Shared))
		load(elsewhere, false, backend.Cached)

		// A cache that cannot be written is none.
		nowhere := packcache.New(filepath.Join(files[0].Path, "packed"))
		lost := load(nowhere, true, backend.Packed)
		sameWeights(t, d, plain, lost)
		if lost.Keep(ctx, func() {}) == nil {
			t.Error("kept in a folder that cannot be")
		}
	}
}

// Large weights are given back piece by piece, all of each, and each part once.
func TestDropWhilePacking(t *testing.T) {
	specs, _, _ := modelOf(t, t.TempDir())
	d, err := open(backend.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	big := &specs[0]
	size, err := dtype.ByteSize(big.DType, big.Shape)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int{big.Shape[0], 60000} {
		s := *big
		s.Shape = []int{rows, 96}
		data := make([]byte, size/big.Shape[0]*rows)
		s.Open = func() ([]byte, func(), error) { return data, func() {}, nil }
		seen := make([]atomic.Int32, len(data))
		calls := atomic.Int32{}
		s.Drop = func(from, to int) {
			calls.Add(1)
			for i := from; i < to; i++ {
				seen[i].Add(1)
			}
		}
		w, err := d.Load(context.Background(), backend.LoadSpec{Weights: []backend.WeightSpec{s}})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		want := int32(0)
		if len(data) > 4<<20 {
			want = 1
			if n := calls.Load(); n < 4 || int(n) > len(data)>>19 {
				t.Errorf("%d bytes were given back in %d pieces", len(data), n)
			}
		}
		for i := range seen {
			if n := seen[i].Load(); n != want {
				t.Fatalf("byte %d of %d was given back %d times, want %d", i, len(data), n, want)
			}
		}
	}
}
