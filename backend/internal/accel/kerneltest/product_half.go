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
	if f.Tensor {
		// Where a norm's last bit differs, an element of x may round to the other side. And
		// tensor cores cut sums off rather than round them: up to 2e-9 was seen on a GPU,
		// where sums cancel against minimums.
		return 1e-8
	}
	for _, q := range b.product.Pieces {
		if f.Half && q.Layout.Ints() {
			return 2e-6 // a fifth of what backendtest allows
		}
	}
	return 1e-10
}

// roundF16 is rows of x as products on tensor cores have them: in float16, each slice
// times a power of two if there was no norm.
func roundF16(x []float32, k, unit int, normed bool) []float32 {
	out := make([]float32, len(x))
	units, slices := (k+unit-1)/unit, shader.Slices(k, unit)
	for row := range len(x) / k {
		for s := range slices {
			from, to := row*k+s*units/slices*unit, row*k+min(k, (s+1)*units/slices*unit)
			top := 0.0
			for _, v := range x[from:to] {
				top = max(top, math.Abs(float64(v)))
			}
			power := 1.0
			if top > 0 && !normed {
				_, e := math.Frexp(top)
				power = math.Ldexp(1, 14-e)
			}
			for i := from; i < to; i++ {
				h := dtype.F16ToF32(dtype.F32ToF16(float32(float64(x[i]) * power)))
				out[i] = float32(float64(h) / power)
			}
		}
	}
	return out
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
