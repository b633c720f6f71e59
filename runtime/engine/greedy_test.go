package engine_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// TestGreedy: greedy text is the same whatever is read of the logits.
func TestGreedy(t *testing.T) {
	for _, g := range goldentest.Models(t, goldens) {
		t.Run(g.Name, func(t *testing.T) {
			for _, threads := range []int{1, 2} {
				g.CheckGreedy(t, engine.Options{Threads: threads})
			}
		})
	}
}

// TestGreedyNoNumber: where a damaged file makes logits that are no number, a token is
// never chosen, whatever is read of them.
func TestGreedyNoNumber(t *testing.T) {
	g := golden(t, "llama-gqa")
	f, err := gguf.Parse(g.File(t))
	if err != nil {
		t.Fatal(err)
	}
	norm, ok := f.Tensor("output_norm.weight")
	if !ok {
		t.Fatal("no tensor output_norm.weight")
	}
	nan := math.Float32bits(float32(math.NaN()))
	for i := range len(norm.Data) / 4 {
		for j := range 4 {
			norm.Data[4*i+j] = byte(nan >> (8 * j))
		}
	}
	m, err := engine.OpenFile(context.Background(), f, engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for what, set := range goldentest.GreedySettings(8) {
		s := m.NewSession()
		n := 0
		for p, err := range s.Generate(context.Background(), []int32{1, 2, 3}, set) {
			if n++; err == nil || !strings.Contains(err.Error(), "NaN") {
				t.Errorf("%s: token %d, %v", what, p.ID, err)
			}
		}
		if n != 1 || s.Usage().Reason != engine.ReasonError {
			t.Errorf("%s: %d elements, %+v", what, n, s.Usage())
		}
		s.Close()
	}
}
