package backendtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// readoutGraph reads its input back, so that the result is known exactly.
func readoutGraph(cols, rows int) *graph.Graph {
	b := graph.NewBuilder("readout", graph.Limits{R: rows})
	x := b.Input("x", graph.F32(dtype.Sym(dtype.R), dtype.Const(cols)))
	// Times one: the readout's input is a value of the arena, as in a model.
	b.Output("logits", b.Add(graph.OpReadout, nil, b.Scale(x, 1)))
	g, err := b.Graph()
	if err != nil {
		panic(err)
	}
	return g
}

// testReadout compares every mode with a sort of the row, exactly.
func testReadout(t *testing.T, dev backend.Device) {
	for _, cols := range []int{1, 2, 63, 64, 65, 127, 128, 129, 1000, 4097, 12289} {
		g := readoutGraph(cols, 3)
		if why := unsupported(dev, g); why != "" {
			t.Skip(why)
		}
		m := compile(t, dev, g, nil, true)
		for _, kind := range []string{"random", "ties", "equal", "nan"} {
			for _, adjust := range []string{"", "bias", "mask", "mask+bias", "mask-all"} {
				t.Run(fmt.Sprintf("%d-%s-%s", cols, kind, adjust), func(t *testing.T) { readoutCase(t, m, cols, kind, adjust) })
			}
		}
	}
}

func readoutCase(t *testing.T, m *machine, cols int, kind, adjust string) {
	const rows = 3
	r := rand.New(rand.NewPCG(uint64(cols), 5))
	x := make([]float32, rows*cols)
	for i := range x {
		switch kind {
		case "random":
			x[i] = float32(r.NormFloat64()) * 5
		case "ties":
			x[i] = float32(r.IntN(4))
		case "nan":
			x[i] = float32(r.NormFloat64())
			if r.IntN(5) == 0 && i%cols != 0 {
				x[i] = float32(math.NaN())
			}
		}
	}
	o := backend.Output{}
	if adjust == "bias" || adjust == "mask+bias" {
		for row := range rows {
			o.Bias = append(o.Bias, backend.Bias{Row: row, ID: int32(r.IntN(cols)), Add: 7}, backend.Bias{Row: row, ID: int32(cols - 1), Add: -9})
		}
	}
	if adjust == "mask" || adjust == "mask+bias" || adjust == "mask-all" {
		o.Mask = make([]uint64, rows*((cols+63)/64))
		if adjust != "mask-all" {
			for i := range o.Mask {
				o.Mask[i] = r.Uint64()
			}
		}
	}
	want := adjusted(x, rows, cols, &o)
	run := func(mode backend.ReadMode, o backend.Output) (backend.Output, bool) {
		o.Mode = mode
		a := &backend.Args{Inputs: []backend.Tensor{{F32: append([]float32(nil), x...)}}, Outputs: []backend.Output{o}}
		if err := m.submit(a); err != nil {
			t.Errorf("mode %d: %v", mode, err)
			return o, false
		}
		return a.Outputs[0], true
	}
	full := o
	full.F32 = guarded[float32](len(x))
	if got, ok := run(backend.ReadFull, full); ok {
		for i := range want {
			if got.F32[i] != want[i] && (got.F32[i] == got.F32[i] || want[i] == want[i]) {
				t.Errorf("full rows: element %d is %g, want %g", i, got.F32[i], want[i])
				break
			}
		}
	}
	for _, mode := range []backend.ReadMode{backend.ReadTop, backend.ReadArgMax} {
		k := 1
		if mode == backend.ReadTop {
			k = min(backend.TopCount, cols)
		}
		c := o
		c.IDs, c.Logits, c.LogSumExp = guarded[int32](rows*k), guarded[float32](rows*k), guarded[float32](rows)
		got, ok := run(mode, c)
		if !ok {
			continue
		}
		for row := range rows {
			checkBest(t, mode, row, want[row*cols:(row+1)*cols], got.IDs[row*k:(row+1)*k], got.Logits[row*k:(row+1)*k])
			if mode == backend.ReadTop && kind != "nan" {
				checkLogSumExp(t, row, want[row*cols:(row+1)*cols], got.LogSumExp[row])
			}
		}
	}
}

// adjusted is x after bias and mask, in the contract's order.
func adjusted(x []float32, rows, cols int, o *backend.Output) []float32 {
	y := append([]float32(nil), x...)
	for _, b := range o.Bias {
		y[b.Row*cols+int(b.ID)] += b.Add
	}
	words := (cols + 63) / 64
	for row := range rows {
		for i := range cols {
			if o.Mask != nil && o.Mask[row*words+i/64]>>(i%64)&1 == 0 {
				y[row*cols+i] = float32(math.Inf(-1))
			}
		}
	}
	return y
}

// checkBest compares candidates with a sort: the largest first, equal ones by
// id; NaN is never a candidate.
func checkBest(t *testing.T, mode backend.ReadMode, row int, logits []float32, ids []int32, values []float32) {
	t.Helper()
	var order []int32
	for i, v := range logits {
		if v == v {
			order = append(order, int32(i))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		switch {
		case logits[a] > logits[b]:
			return -1
		case logits[a] < logits[b]:
			return 1
		}
		return int(a - b)
	})
	for i, id := range ids {
		if i >= len(order) {
			if id != -1 || values[i] == values[i] {
				t.Errorf("mode %d, row %d: candidate %d is %d (%g) but the row has only %d numbers: want id -1 and NaN", mode, row, i, id, values[i], len(order))
				return
			}
			continue
		}
		if id != order[i] || values[i] != logits[id] {
			t.Errorf("mode %d, row %d: candidate %d is %d (%g), want %d (%g)", mode, row, i, id, values[i], order[i], logits[order[i]])
			return
		}
	}
}

func checkLogSumExp(t *testing.T, row int, logits []float32, got float32) {
	t.Helper()
	top, sum := math.Inf(-1), 0.0
	for _, v := range logits {
		top = max(top, float64(v))
	}
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	want := top + math.Log(sum)
	if math.IsInf(top, -1) {
		want = top
	}
	if got := float64(got); got != want && !(math.Abs(got-want) <= 1e-5*max(1, math.Abs(want))) {
		t.Errorf("row %d: log-sum-exp %g, want %g", row, got, want)
	}
}
