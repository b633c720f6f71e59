package step_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/train/step"
)

// endsAt is a context that ends after it has been asked some times.
type endsAt struct {
	context.Context
	left int
}

func (c *endsAt) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestCancelled: wherever a context ends, a step is taken whole or not at all.
func TestCancelled(t *testing.T) {
	g := graphOf(t, small, limits, 0)
	open := step.Random(1, 0.05, small.layers)
	a, b := trainer(t, 2, g, open, step.Options{}), trainer(t, 2, g, open, step.Options{})
	steps(t, a, 1, 2)
	steps(t, b, 1, 2)
	before := tensors(t, a)
	p := part(rand.New(rand.NewPCG(1, 1)), small.vocab, 20)
	failed := 0
	for ; ; failed++ {
		if failed > 1000 {
			t.Fatal("a step does not end")
		}
		_, err := a.Step(&endsAt{t.Context(), failed}, p, p)
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		same(t, "a cancelled step", before, tensors(t, a))
		if a.Taken() != 2 {
			t.Fatalf("%d steps taken", a.Taken())
		}
	}
	if failed < 4 { // two parts, each asked at its start and on its way
		t.Errorf("only %d steps were cancelled", failed)
	}
	if _, err := b.Step(t.Context(), p, p); err != nil {
		t.Fatal(err)
	}
	same(t, "the step after", tensors(t, b), tensors(t, a))
}

// full is a device without memory for another program, if it is set so.
type full struct {
	backend.Device
	now bool
}

var errFull = errors.New("out of memory")

func (f *full) Compile(ctx context.Context, s backend.CompileSpec) (backend.Executable, error) {
	if f.now {
		return nil, errFull
	}
	return f.Device.Compile(ctx, s)
}

// TestNoMemory: when the program that evaluates finds no memory, the next attempt
// makes it.
func TestNoMemory(t *testing.T) {
	d, err := cpu.Open(backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	dev := &full{Device: d, now: true}
	g, open, o := graphOf(t, small, limits, 0), step.Random(1, 0.05, small.layers), step.Options{Rate: step.Constant(1e-3)}
	if _, err := step.New(t.Context(), dev, g, open, o); !errors.Is(err, errFull) {
		t.Errorf("a trainer without memory: error %v", err)
	}
	dev.now = false
	tr, err := step.New(t.Context(), dev, g, open, o)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	p := part(rand.New(rand.NewPCG(1, 1)), small.vocab, 20)
	dev.now = true
	for range 2 {
		if _, err := tr.Loss(t.Context(), p); !errors.Is(err, errFull) {
			t.Fatalf("error %v", err)
		}
	}
	dev.now = false
	if loss, err := tr.Loss(t.Context(), p); err != nil || math.Abs(loss-math.Log(float64(small.vocab))) > 0.3 {
		t.Errorf("loss %g (%v)", loss, err)
	}
}

// TestRate: a learning rate that is no number is refused before anything is computed.
func TestRate(t *testing.T) {
	g := graphOf(t, small, limits, 0)
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e39} { // 1e39 is none in float32
		rate := bad
		tr := trainer(t, 1, g, step.Random(1, 0.05, small.layers), step.Options{Rate: func(int) float64 { return rate }})
		before := tensors(t, tr)
		p := part(rand.New(rand.NewPCG(1, 1)), small.vocab, 20)
		_, err := tr.Step(t.Context(), p)
		if err == nil || !strings.Contains(err.Error(), "step 1: Options.Rate") || strings.Contains(err.Error(), "\n") {
			t.Errorf("a rate of %g: error %v", bad, err)
		}
		same(t, "after the refused step", before, tensors(t, tr))
		rate = 1e-3
		if _, err := tr.Step(t.Context(), p); err != nil {
			t.Errorf("after it: %v", err)
		}
	}
}

// TestRoundedTable: an embedding that is trained rounded, tied to the output.
func TestRoundedTable(t *testing.T) {
	b := graph.NewBuilder("rounded", limits)
	rows := dtype.Sym(dtype.R)
	tokens, at, labels := b.Input("tokens", graph.I32(dtype.Sym(dtype.T))), b.Input("rows", graph.I32(rows)), b.Input("labels", graph.I32(rows))
	table := b.Add(graph.OpFakeQuant, graph.QuantAttr{Type: "q8_0"}, b.Weight("embd", dtype.F32, small.vocab, 32))
	x := b.Add(graph.OpGatherRows, nil, b.Embed(table, tokens), at)
	x = b.Linear(x, b.Weight("w", dtype.F32, 32, 32))
	b.Output("loss", b.Add(graph.OpCrossEntropy, graph.CrossEntropyAttr{}, b.Linear(x, table), labels))
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	tr := trainer(t, 2, g, step.Random(1, 0.3, 1), step.Options{Rate: step.Constant(0.02)})
	first := steps(t, tr, 1, 1)
	if last := steps(t, tr, 2, 60); last.Loss > first.Loss/2 {
		t.Errorf("the loss went from %g to %g", first.Loss, last.Loss)
	}
}
