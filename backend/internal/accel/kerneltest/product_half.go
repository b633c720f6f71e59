package kerneltest

import (
	"fmt"
	"math"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// bound is the error that the device's kernels may have.
func (b *bench) bound(f shader.Features) float64 {
	for _, q := range b.product.Pieces {
		if f.Half && q.Layout.Ints() {
			return 2e-6 // a fifth of what backendtest allows
		}
	}
	return 1e-10
}

// testUneven is testProducts with x that float16 does not hold as it is: large and
// tiny ones, beside each other.
func testUneven(t *testing.T, api accel.API) {
	f := api.Limits().Features
	f.IntDot = false
	for _, large := range []float32{1e-30, 1e-6, 1e4, 1e30} {
		for _, d := range computable {
			c := productCase{k: 256, types: []dtype.DType{d}, rows: []int{9}, large: large}
			t.Run(c.String(), func(t *testing.T) { testProduct(t, api, f, c) })
		}
	}
}

// testNotFinite: what is no number, or infinite, reaches the rows it belongs to,
// and no others.
func testNotFinite(t *testing.T, api accel.API) {
	f := api.Limits().Features
	f.IntDot = false
	const tokens, bad = 12, 1
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		for _, d := range computable {
			t.Run(fmt.Sprint(v, "/", d), func(t *testing.T) {
				k := max(64, d.BlockLen())
				b := newBench(t, productCase{k: k, types: []dtype.DType{d}, rows: []int{24}}, f, tokens)
				b.x[bad*k+33] = v
				copy(b.arena.words[b.product.X:], Bits(b.x))
				m := New(t, api)
				m.Put(shader.Weights, 0, b.banks[0])
				m.Put(shader.Vectors, 0, []uint32{0})
				calls, err := b.product.Calls(f, true)
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range []int{2, 4, tokens} {
					b.arena.Load(m)
					m.Do(shader.Sizes{T: n}, calls...)
					b.arena.Check(m)
					for i, v := range ToFloats(m.Get(shader.Arena, 0)[b.product.Out:][:n*b.cols]) {
						finite := !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
						if row := i / b.cols; finite != (row != bad) {
							t.Fatalf("%d rows: element %d of row %d is %v", n, i%b.cols, row, v)
						}
					}
				}
			})
		}
	}
}
