package kerneltest

import (
	"fmt"
	"math"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/kernels/ref"
	"github.com/ledge-run/ledge/kernels/shader"
)

// table makes cosines and sines of any angles for rows, as they lie in Run.
func table(rows, dims int) []float32 {
	r := newRand(rows, dims, 5)
	var t []float32
	for range rows {
		angle := make([]float64, dims/2)
		for i := range angle {
			angle[i] = r.Float64() * 10
			t = append(t, float32(math.Cos(angle[i])))
		}
		for _, a := range angle {
			t = append(t, float32(math.Sin(a)))
		}
	}
	return t
}

// turn rotates the heads of a row by its entry of the table.
func turn(x []float32, size, row, dims int, cs []float32, pairs bool) {
	half := dims / 2
	ref.Rope(x, size, cs[row*dims:][:half], cs[row*dims+half:][:half], pairs)
}

func testRope(t *testing.T, api accel.API) {
	m := New(t, api)
	for _, size := range []int{2, 16, 80, 129, 256} {
		for _, dims := range []int{2, size / 2 &^ 1, size &^ 1} {
			for _, pairs := range []bool{false, true} {
				if dims == 0 {
					continue
				}
				for _, rows := range []int{1, 5, 40} {
					t.Run(fmt.Sprintf("%d-of-%d-%v-%d", dims, size, pairs, rows), func(t *testing.T) {
						const heads = 3
						x := random(newRand(size, dims, rows), rows*heads*size)
						cs := table(rows, dims)
						m.Put(shader.Run, 0, append(make([]uint32, shader.RunHeader+1), Bits(cs)...))
						var a Arena
						r := shader.Rope{Heads: heads, HeadDim: size, X: a.Value(x), Out: a.Room(len(x)),
							Table: shader.RopeTable{Dims: dims, Pairs: pairs, At: shader.RunHeader + 1}}
						a.Load(m)
						m.Do(shader.Sizes{T: rows}, r.Calls(features(api))...)
						a.Check(m)
						want := append([]float32(nil), x...)
						for i := range rows {
							turn(want[i*heads*size:(i+1)*heads*size], size, i, dims, cs, pairs)
						}
						Near(t, "rope", m.Floats(shader.Arena, r.Out, len(x)), want, 1e-12)
					})
				}
			}
		}
	}
}
