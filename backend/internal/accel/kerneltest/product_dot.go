package kerneltest

import (
	"math"
	"slices"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// roundQ8 is x as products by int8 have it, in units of 32: x = q·d with
// d = max|x|/127.
func roundQ8(x []float32) []float32 {
	out := make([]float32, len(x))
	for at := 0; at+32 <= len(x); at += 32 {
		top := 1e-30
		for _, v := range x[at : at+32] {
			top = max(top, math.Abs(float64(v)))
		}
		for i, v := range x[at : at+32] {
			out[at+i] = float32(math.RoundToEven(float64(v)*127/top) * top / 127)
		}
	}
	return out
}

// dotShort are the types of short tests, one of each way to bytes, scales and
// offsets: some drivers take a second to compile each.
var dotShort = []dtype.DType{dtype.Q5_0, dtype.Q8_0, dtype.Q2_K, dtype.Q4_K, dtype.Q6_K}

// testDotProducts is testProducts by dot products of int8, with the device's
// instruction where it was opened with it.
func testDotProducts(t *testing.T, api accel.API) {
	f := api.Limits().Features
	if f.Tensor {
		t.Skip("the device has no such kernels")
	}
	f.IntDot = true
	for _, c := range productCases() {
		ints := false
		for _, d := range c.types {
			l, _ := shader.LayoutOf(d)
			ints = ints || l.Ints()
		}
		if !ints || c.act > shader.Silu && len(c.types) == 1 {
			continue // the same kernels as without, or the epilogue's, which they share
		}
		if testing.Short() && (len(c.types) == 1 && !slices.Contains(dotShort, c.types[0]) || c.rows[0] > 100000) {
			continue
		}
		t.Run(c.String(), func(t *testing.T) { testProduct(t, api, f, c) })
	}
}

// testDotExtremes: all bits of weights and activations are seen at their limits,
// zeros stay zeros, and what is no number comes out as none.
func testDotExtremes(t *testing.T, api accel.API) {
	f := api.Limits().Features
	f.IntDot = true
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name string
		x    func(i int) float32
		want func(v float32) bool
	}{
		{"largest", func(i int) float32 { return 127 }, nil},
		{"smallest", func(i int) float32 { return -127 }, nil},
		{"halves", func(i int) float32 { return []float32{127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 3.5}[i%8] }, nil},
		{"zero", func(i int) float32 { return 0 }, func(v float32) bool { return v == 0 }},
		{"tiny", func(i int) float32 { return 1e-36 }, func(v float32) bool { return math.Abs(float64(v)) < 1e-28 }},
		{"nan", func(i int) float32 { return []float32{1, nan}[i/40%2] }, func(v float32) bool { return v != v }},
		{"inf", func(i int) float32 { return []float32{1, inf}[i/40%2] }, func(v float32) bool { return v != v || math.IsInf(float64(v), 0) }},
	} {
		for _, d := range computable {
			if l, _ := shader.LayoutOf(d); !l.Ints() || testing.Short() && !slices.Contains(dotShort, d) {
				continue
			}
			t.Run(c.name+"/"+d.String(), func(t *testing.T) { testDotExtreme(t, api, f, d, c.x, c.want) })
		}
	}
}

func testDotExtreme(t *testing.T, api accel.API, f shader.Features, d dtype.DType, x func(int) float32, want func(float32) bool) {
	const tokens = 33 // the tile that the other tests compile, too
	k := max(64, d.BlockLen())
	b := newBench(t, productCase{k: k, types: []dtype.DType{d}, rows: []int{24}}, f, tokens)
	for i := range b.x {
		b.x[i] = x(i % k)
	}
	copy(b.arena.words[b.product.X:], Bits(b.x))
	m := New(t, api)
	m.Put(shader.Weights, 0, b.banks[0])
	m.Put(shader.Weights, 1, b.banks[1])
	m.Put(shader.Vectors, 0, []uint32{0})
	p := b.product
	calls, err := p.Calls(f, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 4, tokens} {
		b.arena.Load(m)
		m.Do(shader.Sizes{T: n}, calls...)
		b.arena.Check(m)
		got := ToFloats(m.Get(shader.Arena, 0)[p.Out:][:n*b.cols])
		if want == nil {
			out, _ := b.want(n, true)
			Near(t, "rows", got, out, 1e-10)
			continue
		}
		for i, v := range got {
			if !want(v) {
				t.Fatalf("%d rows: element %d is %v", n, i, v)
			}
		}
	}
}
