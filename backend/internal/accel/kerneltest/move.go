package kerneltest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
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
