package kerneltest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/kernels/ref"
	"github.com/ledge-run/ledge/kernels/shader"
)

// random are n floats of the normal distribution.
func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func newRand(seed ...int) *rand.Rand {
	n := uint64(1)
	for _, s := range seed {
		n = n*1000003 + uint64(s)
	}
	return rand.New(rand.NewPCG(n, 7))
}

func testCopies(t *testing.T, api accel.API) {
	m := New(t, api)
	for _, n := range []int{1, 3, 511, 512, 513, 5000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			x := random(newRand(n), n)
			var a Arena
			from, to := a.Value(x), a.Room(n)
			a.Load(m)
			m.Make(shader.Out, 0, n+2)
			elems := shader.Each(1, shader.SizeT)
			s := shader.Sizes{T: n}
			calls := shader.Copy{From: shader.Arena, Into: shader.Arena, X: from, To: to, Elems: elems}.Calls(shader.Features{})
			calls = append(calls, shader.Copy{From: shader.Arena, Into: shader.Out, X: to, To: 1, Elems: elems}.Calls(shader.Features{})...)
			m.Do(s, calls...)
			a.Check(m)
			Same(t, "in the arena", Bits(m.Floats(shader.Arena, to, n)), Bits(x))
			Same(t, "read back", Bits(m.Floats(shader.Out, 1, n)), Bits(x))
		})
	}
}

// testMoves copies, slices, joins and transposes.
func testMoves(t *testing.T, api accel.API) {
	m := New(t, api)
	c, T := shader.Const, shader.Each(1, shader.SizeT)
	times := func(n int) shader.Extent { return shader.Each(n, shader.SizeT) }
	for _, rows := range []int{1, 3, 70} {
		x := random(newRand(rows), rows*3*5)
		at := func(i, j, k int) float32 { return x[(i*3+j)*5+k] }
		for _, k := range []struct {
			name string
			dims []shader.MoveDim
			skip shader.Extent
			n    int
			want func(out []float32)
		}{
			{"copy", []shader.MoveDim{{Size: times(15), In: c(1), Out: c(1)}}, c(0), rows * 15, func(out []float32) { copy(out, x) }},
			{"transpose-102", []shader.MoveDim{{Size: T, In: c(15), Out: c(5)}, {Size: c(3), In: c(5), Out: times(5)}, {Size: c(5), In: c(1), Out: c(1)}}, c(0), rows * 15,
				func(out []float32) {
					for i := range rows {
						for j := range 3 {
							for k := range 5 {
								out[(j*rows+i)*5+k] = at(i, j, k)
							}
						}
					}
				}},
			{"transpose-210", []shader.MoveDim{{Size: c(5), In: c(1), Out: times(3)}, {Size: c(3), In: c(5), Out: T}, {Size: T, In: c(15), Out: c(1)}}, c(0), rows * 15,
				func(out []float32) {
					for i := range rows {
						for j := range 3 {
							for k := range 5 {
								out[(k*3+j)*rows+i] = at(i, j, k)
							}
						}
					}
				}},
			{"slice", []shader.MoveDim{{Size: T, In: c(15), Out: c(6)}, {Size: c(2), In: c(5), Out: c(3)}, {Size: c(3), In: c(1), Out: c(1)}}, c(5 + 2), rows * 6,
				func(out []float32) {
					for i := range rows {
						for j := range 2 {
							for k := range 3 {
								out[(i*2+j)*3+k] = at(i, j+1, k+2)
							}
						}
					}
				}},
			// x taken for [15, T]: rows 4 to 6 of it begin at a multiple of T.
			{"slice-run", []shader.MoveDim{{Size: c(3), In: T, Out: T}, {Size: T, In: c(1), Out: c(1)}}, times(4), rows * 3,
				func(out []float32) { copy(out, x[4*rows:]) }},
			{"four", []shader.MoveDim{{Size: T, In: c(15), Out: c(15)}, {Size: c(1), In: c(15), Out: c(15)}, {Size: c(3), In: c(5), Out: c(1)}, {Size: c(5), In: c(1), Out: c(3)}}, c(0), rows * 15,
				func(out []float32) {
					for i := range rows {
						for j := range 3 {
							for k := range 5 {
								out[i*15+k*3+j] = at(i, j, k)
							}
						}
					}
				}},
		} {
			t.Run(fmt.Sprintf("%s-%d", k.name, rows), func(t *testing.T) {
				want := make([]float32, k.n)
				k.want(want)
				for _, from := range []shader.Role{shader.Arena, shader.Run} {
					var a Arena
					move := shader.Move{From: from, X: a.Value(x), Skip: k.skip, OutSkip: c(0), Dims: k.dims}
					// The result begins where the run says.
					move.Out = a.Room(k.n+rows) + 0
					move.OutSkip = T
					a.out[len(a.out)-1] = [2]int{int(move.Out) + rows, int(move.Out) + rows + k.n}
					if from == shader.Run {
						move.X = shader.RunHeader + 3
						m.Put(shader.Run, 0, append(make([]uint32, shader.RunHeader+3), Bits(x)...))
					}
					calls, err := move.Calls(features(api))
					if err != nil {
						t.Fatal(err)
					}
					a.Load(m)
					m.Do(shader.Sizes{T: rows}, calls...)
					a.Check(m)
					Same(t, fmt.Sprintf("from %d", from), Bits(m.Floats(shader.Arena, move.Out+uint32(rows), k.n)), Bits(want))
				}
			})
		}
	}
	if _, err := (shader.Move{Dims: make([]shader.MoveDim, 5)}).Calls(features(api)); err == nil {
		t.Error("five dimensions were taken")
	}
}

func testGather(t *testing.T, api accel.API) {
	m := New(t, api)
	for _, cols := range []int{1, 127, 129, 576} {
		for _, rows := range []int{1, 2, 9} {
			t.Run(fmt.Sprintf("%dx%d", rows, cols), func(t *testing.T) {
				const have = 7
				r := newRand(cols, rows)
				x := random(r, have*cols)
				want, ids := make([]float32, rows*cols), make([]uint32, shader.RunHeader+2+rows)
				for i := range rows {
					id := r.IntN(have)
					if i == 1 {
						id = have - 1
					}
					ids[shader.RunHeader+2+i] = uint32(id)
					copy(want[i*cols:(i+1)*cols], x[id*cols:])
				}
				if rows > 2 {
					ids[shader.RunHeader+4] = 1 << 31 // cut to the last
					copy(want[2*cols:3*cols], x[(have-1)*cols:])
				}
				m.Put(shader.Run, 0, ids)
				var a Arena
				g := shader.GatherRows{Cols: cols, From: shader.Each(1, shader.SizeT), Rows: shader.Each(1, shader.SizeR),
					X: a.Value(x), Out: a.Room(rows * cols), IDs: shader.RunHeader + 2}
				a.Load(m)
				m.Do(shader.Sizes{T: have, R: rows}, g.Calls(features(api))...)
				a.Check(m)
				Same(t, "rows", Bits(m.Floats(shader.Arena, g.Out, rows*cols)), Bits(want))
			})
		}
	}
}

func testMatMul(t *testing.T, api accel.API) {
	m := New(t, api)
	for _, s := range [][4]int{{1, 1, 1, 1}, {3, 5, 7, 3}, {2, 16, 8, 33}, {5, 2, 31, 64}, {1, 33, 17, 16}, {1, 6, 6, 65}, {70, 3, 4, 5}} {
		for name, size := range map[string]int{"batch": 0, "m": 1, "n": 2, "k": 3} {
			t.Run(fmt.Sprintf("%v-%s", s, name), func(t *testing.T) {
				r := newRand(s[:]...)
				x, y := random(r, s[0]*s[1]*s[3]), random(r, s[0]*s[3]*s[2])
				want := make([]float32, s[0]*s[1]*s[2])
				ref.MatMul(want, x, y, s[0], s[1], s[2], s[3])
				var e [4]shader.Extent
				for i := range e {
					e[i] = shader.Const(s[i])
					if i == size {
						e[i] = shader.Each(1, shader.SizeT)
					}
				}
				var a Arena
				mm := shader.MatMul{Batch: e[0], M: e[1], N: e[2], K: e[3], A: a.Value(x), B: a.Value(y), Out: a.Room(len(want))}
				a.Load(m)
				m.Do(shader.Sizes{T: s[size]}, mm.Calls(features(api))...)
				a.Check(m)
				Near(t, "product", m.Floats(shader.Arena, mm.Out, len(want)), want, 1e-11)
			})
		}
	}
}
