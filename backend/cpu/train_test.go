package cpu

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/plan"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// TestErrorOfAnyWorker: a run of one row is the last worker's, whose error is the
// run's as any other's.
func TestErrorOfAnyWorker(t *testing.T) {
	const threads = 2
	d, err := open(backend.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := graph.NewBuilder("lookup", graph.Limits{T: threads, S: 1, R: 1})
	b.Output("y", b.Embed(b.Weight("w", dtype.F32, 3, 4), b.Input("ids", graph.I32(dtype.Sym(dtype.T)))))
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	spec := backend.WeightSpec{Name: "w", DType: dtype.F32, Shape: []int{3, 4}, Uses: backend.UseGather,
		Open: func() ([]byte, func(), error) { return make([]byte, 48), func() {}, nil }}
	loaded, err := d.Load(context.Background(), backend.LoadSpec{Weights: []backend.WeightSpec{spec}})
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	layout, err := plan.New(g, align)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := d.Compile(context.Background(), backend.CompileSpec{Graph: g, Plan: layout, Weights: loaded})
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	e := exe.(*executable)
	loaded.(*weights).byName["w"].spec.DType = dtype.I32 // which nothing decodes
	for rows := 1; rows <= threads; rows++ {
		ids := make([]int32, rows)
		a := &backend.Args{Inputs: []backend.Tensor{{I32: ids}}, Segments: []backend.Segment{{Rows: rows}}, Seqs: 1,
			Outputs: []backend.Output{{F32: make([]float32, 4*rows)}}}
		if err := e.bind(a); err != nil {
			t.Fatal(err)
		}
		for only := range threads { // each worker alone
			lo, hi := pool.Split(rows, 1, only, threads)
			e.err = nil
			err := d.pool.Run(context.Background(), threads, func(w *pool.Worker) {
				if w.ID == only {
					e.steps[0].run(w)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if has := e.err != nil; has != (hi > lo) || has && !strings.Contains(e.err.Error(), "i32") {
				t.Errorf("worker %d with rows %d to %d of %d: error %v", only, lo, hi, rows, e.err)
			}
		}
	}
}

// yields notes how much of a row a product has computed between yields.
type yields struct {
	row, seen []float32
	count     int
	most      int // elements that changed from one yield to the next
}

func (y *yields) Yield() {
	y.count++
	changed := 0
	for i, v := range y.row {
		if v != y.seen[i] {
			changed++
		}
	}
	y.most = max(y.most, changed)
	copy(y.seen, y.row)
}

// TestFewRowsYield: a product of few rows and a large vocabulary, which is not
// shared by rows, yields after each block, and its bits are those of the whole.
func TestFewRowsYield(t *testing.T) {
	d, err := open(backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	e := &executable{k: d.k}
	const m, n, k, lo, hi = 5, 5000, 300, 16, 4990
	rng := rand.New(rand.NewPCG(1, 1))
	values := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		return x
	}
	a, scratch := values(m*k), make([]float32, kernels.GemmPacked+kernels.GemmScratch)
	for _, turned := range []bool{false, true} {
		for _, add := range []bool{false, true} {
			b := kernels.Operand{F32: values(n * k), LD: n}
			if turned {
				b.LD, b.T = k, true
			}
			g := &kernels.Gemm{M: m, N: n, K: k, A: kernels.Operand{F32: a, LD: k}, B: b, C: values(m * n), LDC: n, Add: add}
			whole := *g
			whole.C = slices.Clone(g.C)
			d.k.Gemm(&whole, 0, m, lo, hi, scratch)
			row := g.C[(m-1)*n:]
			y := &yields{row: row, seen: slices.Clone(row)}
			e.multiplyAlone(y, g, lo, hi, scratch)
			if most := kernels.GemmPacked / kernels.GemmSteps; y.most == 0 || y.most > most || y.count < n*k/kernels.GemmPacked {
				t.Errorf("%d yields, between which up to %d elements of a row were computed, want up to %d", y.count, y.most, most)
			}
			for i, v := range g.C {
				if math.Float32bits(v) != math.Float32bits(whole.C[i]) {
					t.Fatalf("element %d is %g, at once %g", i, v, whole.C[i])
				}
			}
		}
	}
}
