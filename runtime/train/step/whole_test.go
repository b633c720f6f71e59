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

// TestRate: a schedule that gives no number is refused before anything is computed.
func TestRate(t *testing.T) {
	g := graphOf(t, small, limits, 0)
	dev, err := cpu.Open(backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for _, bad := range []step.Schedule{
		{}, {Kind: "cosign", Peak: 1}, step.Constant(math.NaN()), step.Constant(math.Inf(1)), step.Constant(-1),
		step.Constant(1e39), // no number in float32
		step.Cosine(1, math.NaN(), 1, 10), step.Cosine(1, 0, -1, 10), step.Cosine(1, 0, 1, -10),
	} {
		_, err := step.New(t.Context(), dev, g, step.Random(1, 0.05, small.layers), step.Options{Rate: bad})
		if err == nil || !strings.Contains(err.Error(), "train: Options.Rate") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: error %v", bad, err)
		}
	}
	for _, c := range []struct {
		s    step.Schedule
		at   int
		want float64
	}{
		{step.Constant(2), 7, 2}, {step.Cosine(2, 1, 10, 30), 1, .2}, {step.Cosine(2, 1, 10, 30), 10, 2}, {step.Cosine(2, 1, 10, 30), 20, 1.5},
		{step.Cosine(2, 1, 10, 30), 30, 1}, {step.Cosine(2, 1, 10, 30), 99, 1}, {step.Cosine(2, 1, 0, 10), 5, 1.5},
		{step.Schedule{Kind: step.KindLinear, Peak: 2, Warmup: 10, Total: 30}, 25, .5},
	} {
		if got := c.s.Rate(c.at); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v: step %d has %g, want %g", c.s, c.at, got, c.want)
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
