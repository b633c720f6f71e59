package prune

import (
	"bytes"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

// TestWriteHealed: the file has the pruned one's tensors in their types, the values being
// those that were learnt; what was not learnt from this plan's file is refused.
func TestWriteHealed(t *testing.T) {
	f := tiny(t, "llama-gqa", nil)
	p, pruned := pruneFile(t, f, Options{Layers: 1, Channels: 32, Text: sample, Threads: 2})
	if err := p.Healable(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "healed.gguf")
	if err := p.WriteHealed(t.Context(), pruned, pruned, path, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	same := open(t, path) // nothing was learnt
	if len(same.Tensors()) != len(pruned.Tensors()) {
		t.Errorf("%d tensors of %d", len(same.Tensors()), len(pruned.Tensors()))
	}
	for _, x := range pruned.Tensors() {
		y, ok := same.Tensor(x.Name)
		if !ok || y.DType != x.DType || !bytes.Equal(x.Data, y.Data) {
			t.Errorf("%s is another", x.Name)
		}
	}
	if err := p.WriteHealed(t.Context(), pruned, f, path, WriteOptions{Replace: true}); err == nil || !strings.Contains(err.Error(), "there is no tensor") || strings.Contains(err.Error(), "\n") {
		t.Errorf("the source as what was healed: %v", err)
	}
	if err := p.WriteHealed(t.Context(), pruned, pruned, path, WriteOptions{}); err == nil {
		t.Error("a file that is there was written over")
	}
	p.tensors[0].dtype = dtype.IQ2_XXS
	if err := p.Healable(); err == nil || !strings.Contains(err.Error(), "which nothing encodes") {
		t.Errorf("a type that is only read: %v", err)
	}
}

// TestStep: what was learnt stays in the mean although each change is a small part of a
// step, and values stay on steps.
func TestStep(t *testing.T) {
	const d, learnt = 0.25, 0.03
	sum, n := 0.0, 0
	for seed := range 400 {
		was, y := make([]float32, 64), make([]float32, 64)
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		for i := range was {
			was[i] = d * float32(rng.IntN(16)-8)
			y[i] = was[i] + learnt
		}
		step(y, was, 32, rng)
		for i := range y {
			if q := float64(y[i]) / d; math.Abs(q-math.Round(q)) > 1e-6 {
				t.Fatalf("%g is between steps of %g", y[i], d)
			}
			sum += float64(y[i] - was[i])
			n++
		}
	}
	// A value's variance is at most learnt (2d - learnt), were the least distance two steps.
	if mean, bound := sum/float64(n), 5*math.Sqrt(learnt*(2*d-learnt)/float64(n)); math.Abs(mean-learnt) > bound {
		t.Errorf("values have moved by %g, want %g within %g", mean, learnt, bound)
	}
	same := []float32{1, 1, 1}
	if y := []float32{1, 2, 3}; true {
		if step(y, same, 32, rand.New(rand.NewPCG(1, 1))); y[1] != 2 {
			t.Errorf("values without a step became %v", y)
		}
	}
}
