package kerneltest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/kernels/shader"
)

// logits of a row that is hard in some way.
func logits(kind string, cols int, seed ...int) []float32 {
	r := newRand(append(seed, cols)...)
	x := make([]float32, cols)
	inf := float32(math.Inf(1))
	for i := range x {
		switch kind {
		case "random":
			x[i] = float32(r.NormFloat64()) * 5
		case "rising":
			x[i] = float32(i) / 100
		case "ties":
			x[i] = float32(r.IntN(4))
		case "zeros":
			x[i] = []float32{0, float32(math.Copysign(0, -1)), -1}[r.IntN(3)]
		case "nan":
			x[i] = float32(r.NormFloat64())
			if r.IntN(5) != 0 {
				x[i] = float32(math.NaN())
			}
		case "all-nan":
			x[i] = math.Float32frombits(0xffc00000)
		case "masked":
			x[i] = -inf
			if r.IntN(50) == 0 {
				x[i] = float32(r.NormFloat64())
			}
		case "all-masked":
			x[i] = -inf
		case "infinite":
			x[i] = []float32{inf, -inf, 1, 2}[r.IntN(4)]
		case "tiny":
			x[i] = math.Float32frombits(uint32(r.IntN(1000)) | uint32(r.IntN(2))<<31)
		}
	}
	return x
}

var logitKinds = []string{"random", "rising", "ties", "zeros", "nan", "all-nan", "masked", "all-masked", "infinite", "tiny"}

// bestOf is the ids of a row's numbers, the best first, equal ones by id.
func bestOf(x []float32) []uint32 {
	var ids []uint32
	for i, v := range x {
		if v == v {
			ids = append(ids, uint32(i))
		}
	}
	slices.SortStableFunc(ids, func(a, b uint32) int {
		switch {
		case x[a] > x[b]:
			return -1
		case x[a] < x[b]:
			return 1
		}
		return 0
	})
	return ids
}

// checkBest compares candidates with a sort of the row.
func checkBest(t *testing.T, what string, x []float32, ids []uint32, values []float32) {
	t.Helper()
	order := bestOf(x)
	for i, id := range ids {
		if i >= len(order) {
			if id != 0xffffffff || values[i] == values[i] {
				t.Errorf("%s: candidate %d is %d (%g) of a row with %d numbers", what, i, int32(id), values[i], len(order))
				return
			}
			continue
		}
		if id != order[i] || values[i] != x[id] {
			t.Errorf("%s: candidate %d is %d (%g), want %d (%g)", what, i, int32(id), values[i], order[i], x[order[i]])
			return
		}
	}
}

func testReadout(t *testing.T, api accel.API) {
	m := New(t, api)
	for _, cols := range []int{1, 2, 127, 128, 129, 1000, 1024, 1025, 4096, 4097, 12289, 70001, 262144, 262145} {
		t.Run(fmt.Sprint(cols), func(t *testing.T) {
			kinds := logitKinds
			if cols > 100000 {
				kinds = []string{"random", "ties", "masked"}
			}
			rows, x := len(kinds), []float32(nil)
			for _, k := range kinds {
				x = append(x, logits(k, cols)...)
			}
			each := shader.Each(1, shader.SizeR)
			var a Arena
			from := a.Value(x)
			best := shader.ArgMax{Cols: cols, Rows: each, Max: rows, X: from, To: 3}
			best.Scratch = a.Room(best.ScratchFloats(features(api)))
			top := shader.Top{Cols: cols, Rows: each, Max: rows, X: from, To: uint32(5 + rows*shader.ArgMaxUints)}
			top.Scratch = a.Room(top.ScratchFloats(features(api)))
			a.Load(m)
			m.Make(shader.Out, 0, int(top.To)+rows*shader.TopUints+1)
			m.Do(shader.Sizes{R: rows}, append(best.Calls(features(api)), top.Calls(features(api))...)...)
			a.Check(m)
			out := m.Get(shader.Out, 0)
			for r, kind := range kinds {
				row := x[r*cols : (r+1)*cols]
				o := out[int(best.To)+r*shader.ArgMaxUints:]
				checkBest(t, "arg-max, "+kind, row, o[:1], ToFloats(o[1:2]))
				o = out[int(top.To)+r*shader.TopUints:]
				n := min(shader.TopCount, cols)
				checkBest(t, "top, "+kind, row, o[:n], ToFloats(o[shader.TopCount:][:n]))
				checkLogSumExp(t, kind, row, math.Float32frombits(o[2*shader.TopCount]))
			}
		})
	}
}

func checkLogSumExp(t *testing.T, kind string, x []float32, got float32) {
	t.Helper()
	if kind == "nan" || kind == "all-nan" || kind == "infinite" {
		return // no sum
	}
	most, sum := math.Inf(-1), 0.0
	for _, v := range x {
		most = max(most, float64(v))
	}
	for _, v := range x {
		sum += math.Exp(float64(v) - most)
	}
	want := most + math.Log(sum)
	if math.IsInf(most, -1) {
		want = most
	}
	if g := float64(got); g != want && !(math.Abs(g-want) <= 3e-6*max(1, math.Abs(want))) {
		t.Errorf("top, %s: log-sum-exp %g, want %g", kind, got, want)
	}
}
