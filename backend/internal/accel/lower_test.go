package accel

import (
	"testing"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// TestLowerFormat: the format of a product says what is rounded to int8.
func TestLowerFormat(t *testing.T) {
	for _, c := range []struct {
		intDot         bool
		types          []dtype.DType
		kernel, format string
	}{
		{false, []dtype.DType{dtype.Q4_0}, "product.q4_0", "f32"},
		{true, []dtype.DType{dtype.Q4_0}, "product.q4_0", "q8"},
		{true, []dtype.DType{dtype.Q5_0, dtype.Q5_0, dtype.Q8_0}, "product.q5_0.q8_0", "q8"},
		{true, []dtype.DType{dtype.Q2_K, dtype.MXFP4}, "product.i8m.i8", "q8"},
		{true, []dtype.DType{dtype.F16}, "product.f16", "f32"},
		{true, []dtype.DType{dtype.F32, dtype.Q6_K}, "product.f32.q6_k", "q8+f32"},
	} {
		d := &device{limits: Limits{Features: shader.Features{IntDot: c.intDot}}}
		n := &graph.Node{Op: graph.OpFusedLinear, Attr: graph.FusedLinearAttr{Segments: len(c.types)}, In: []*graph.Node{{}}}
		for _, dt := range c.types {
			n.In = append(n.In, &graph.Node{Op: graph.OpWeight, Type: graph.Type{DType: dt}})
		}
		if kernel, format := d.lower(nil, n); kernel != c.kernel || format != c.format {
			t.Errorf("%v, int8 %v: %s with %s, want %s with %s", c.types, c.intDot, kernel, format, c.kernel, c.format)
		}
	}
}

// TestLowerAttention: attention is in float16 where tensor cores take its cache.
func TestLowerAttention(t *testing.T) {
	for _, c := range []struct {
		tensor         bool
		cache          dtype.DType
		key, value     int
		kernel, format string
	}{
		{false, dtype.F16, 64, 64, "attention", "f32"},
		{true, dtype.F16, 64, 64, "attention.tensor", "f16"},
		{true, dtype.F16, 256, 16, "attention.tensor", "f16"},
		{true, dtype.F16, 72, 64, "attention", "f32"},
		{true, dtype.F16, 64, 272, "attention", "f32"},
		{true, dtype.F32, 64, 64, "attention", "f32"},
	} {
		d := &device{limits: Limits{Features: shader.Features{Tensor: c.tensor}}}
		g := &graph.Graph{States: []graph.StateDecl{{Name: "kv", Kind: graph.Paged, KVHeads: 1, KeyDim: c.key, ValueDim: c.value, DType: c.cache}}}
		n := &graph.Node{Op: graph.OpAttention, Attr: graph.AttentionAttr{State: "kv"}}
		if kernel, format := d.lower(g, n); kernel != c.kernel || format != c.format {
			t.Errorf("%+v: %s with %s", c, kernel, format)
		}
	}
}
