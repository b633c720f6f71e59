package engine_test

import (
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
)

const goldens = "../model/testdata"

func openGolden(t testing.TB, g goldentest.Model, o engine.Options) *engine.Model {
	t.Helper()
	return g.Open(t, o)
}

func logitsOf(t *testing.T, m *engine.Model, tokens []int32) []float32 {
	t.Helper()
	return goldentest.Logits(t, m, tokens)
}

// TestGoldenLogits runs every golden model as its users would and compares
// with the reference's logits: whole prompts and small chunks, each sequence
// by itself and all in one batch, with each type of cache, fused and not.
func TestGoldenLogits(t *testing.T) {
	for _, g := range goldentest.Models(t, goldens) {
		t.Run(g.Name, func(t *testing.T) {
			for _, v := range []goldentest.Variant{
				{Name: "whole", Options: engine.Options{CacheType: dtype.F32, Threads: 2}},
				{Name: "chunks of 7", Options: engine.Options{CacheType: dtype.F32, Batch: 7}},
				{Name: "unfused", Options: engine.Options{CacheType: dtype.F32, NoFuse: true}},
				{Name: "one batch", Options: engine.Options{CacheType: dtype.F32, Sequences: 3}, Batch: true},
				{Name: "f16 cache", Options: engine.Options{CacheType: dtype.F16}},
				{Name: "q8_0 cache", Options: engine.Options{CacheType: dtype.Q8_0}},
				{Name: "q8_0 cache, chunks of 7", Options: engine.Options{CacheType: dtype.Q8_0, Batch: 7, Threads: 2}},
				{Name: "f16 cache, chunks of 16", Options: engine.Options{CacheType: dtype.F16, Batch: 16}},
			} {
				t.Run(v.Name, func(t *testing.T) { g.Check(t, v) })
			}
		})
	}
}

// goldenBytes is the GGUF file of a golden model.
func goldenBytes(t testing.TB, name string) []byte {
	t.Helper()
	m := golden(t, name)
	return m.File(t)
}
