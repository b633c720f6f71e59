package prune

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// sample is a text for tiny models, whose tokens are bytes and a few pairs.
var sample = strings.Repeat("The cat sat on the mat; 17 birds sang. Who knows why? Not even (we) do! ", 30)

// tiny writes a golden model, which may be changed before, and opens it.
func tiny(t testing.TB, name string, change func(*gguf.File)) *gguf.File {
	t.Helper()
	f := goldentest.Parse(t, "../../model/testdata", name+".gguf.gz")
	if change != nil {
		change(f)
	}
	w := &gguf.Writer{}
	for k, v := range f.Metadata() {
		if err := w.Set(k, v); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range f.Tensors() {
		if err := w.Add(x.Name, x.DType, x.Shape, x.Data); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), name+".gguf")
	if err := w.Save(t.Context(), path, true); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

func open(t testing.TB, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// pruneFile makes a plan, writes it and opens the file.
func pruneFile(t testing.TB, f *gguf.File, o Options) (*Plan, *gguf.File) {
	t.Helper()
	if o.Threads == 0 {
		o.Threads = 1
	}
	p, err := New(t.Context(), f, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pruned.gguf")
	if err := p.Write(t.Context(), path, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	return p, open(t, path)
}

// gates are the values that a network is multiplied by: nothing is 1.
type gates struct{ layers, groups, channels map[int][]int }

// lossOf is the loss on the sample with parts of the network multiplied by zero.
func lossOf(t testing.TB, f *gguf.File, off gates) float64 {
	t.Helper()
	n, err := readNetwork(f)
	if err != nil {
		t.Fatal(err)
	}
	size := min(96, n.info.Context)
	g, err := decoder(f, size, size/2)
	if err != nil {
		t.Fatal(err)
	}
	adds, err := additions(g, n.info.Layers)
	if err != nil {
		t.Fatal(err)
	}
	by := map[*graph.Node]string{}
	for l := range n.info.Layers {
		for _, x := range adds[l] {
			by[x] = layerGate(l)
		}
		for _, name := range []string{out(l), down(l)} {
			x, err := product(g, name)
			if err != nil {
				t.Fatal(err)
			}
			by[x.In[0]] = "gate." + name
		}
	}
	if g, err = gated(g, by); err != nil {
		t.Fatal(err)
	}
	p, err := newProbe(t.Context(), f, g, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}()
	for l := range off.layers {
		p.gates[layerGate(l)] = make([]float32, n.info.Embedding)
	}
	width := n.perGroup() * n.info.ValueDim
	for l, groups := range off.groups {
		x := ones(n.info.Heads * n.info.ValueDim)
		for _, k := range groups {
			clear(x[k*width : (k+1)*width])
		}
		p.gates["gate."+out(l)] = x
	}
	for l, channels := range off.channels {
		x := ones(n.info.FeedForward)
		for _, k := range channels {
			x[k] = 0
		}
		p.gates["gate."+down(l)] = x
	}
	text, err := newText(f, sample, size, 4)
	if err != nil {
		t.Fatal(err)
	}
	loss, err := p.mean(context.Background(), text)
	if err != nil {
		t.Fatal(err)
	}
	return loss
}

// values decodes a tensor.
func values(t testing.TB, f *gguf.File, name string) []float32 {
	t.Helper()
	x, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %s", name)
	}
	y, err := x.Dequantize()
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// overwrite changes a tensor of a golden model in memory.
func overwrite(t testing.TB, f *gguf.File, name string, change func(x []float32)) {
	t.Helper()
	x := values(t, f, name)
	change(x)
	k, _ := f.Tensor(name)
	if err := dtype.Quantize(k.DType, k.Data, x); err != nil {
		t.Fatal(err)
	}
}
