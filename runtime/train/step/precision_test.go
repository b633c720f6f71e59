package step_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/train/step"
)

// TestPrecision: products of bfloat16 are others than those of float32, and near
// them; neither threads nor recomputing change a bit of theirs.
func TestPrecision(t *testing.T) {
	o := step.Options{Seed: 5}
	plain := trainer(t, 1, graphOf(t, small, limits, 0.1), step.Random(1, 0.3, small.layers), o)
	want := steps(t, plain, 1, 3).Loss
	o.Precision = dtype.BF16
	var first map[string][]float32
	for _, c := range []struct {
		threads   int
		recompute bool
	}{{1, false}, {2, false}, {3, true}} {
		o.Recompute = c.recompute
		tr := trainer(t, c.threads, graphOf(t, small, limits, 0.1), step.Random(1, 0.3, small.layers), o)
		loss := steps(t, tr, 1, 3).Loss
		if d := math.Abs(loss-want) / want; d == 0 || d > 5e-3 {
			t.Errorf("%d threads: the loss is %g, in float32 %g", c.threads, loss, want)
		}
		got := tensors(t, tr)
		if first == nil {
			first = got
		}
		same(t, fmt.Sprintf("%d threads, recompute %v", c.threads, c.recompute), first, got)
	}
}

// TestPrecisionLearns: with products of bfloat16 counting is learnt, too.
func TestPrecisionLearns(t *testing.T) {
	tr := trainer(t, 0, graphOf(t, small, limits, 0), step.Random(1, 0.05, small.layers), step.Options{
		Precision: dtype.BF16, Rate: step.Cosine(1e-2, 1e-3, 20, 300)})
	if last := steps(t, tr, 1, 300); last.Loss > 0.5 {
		t.Errorf("after 300 steps the loss is %g", last.Loss)
	}
}

// TestPrecisionState: a run with other products is not gone on from unasked.
func TestPrecisionState(t *testing.T) {
	g, open := graphOf(t, small, limits, 0), step.Random(1, 0.05, small.layers)
	a, b := trainer(t, 1, g, open, step.Options{Precision: dtype.BF16}), trainer(t, 1, g, open, step.Options{Precision: dtype.F32})
	if a.State().Settings == b.State().Settings {
		t.Fatal("the settings are the same")
	}
	if d := a.State().Settings.Differences(b.State().Settings); len(d) != 1 || d[0] != "rounding of products was bf16, now none" {
		t.Errorf("differences: %q", d)
	}
	if c := trainer(t, 1, g, open, step.Options{}); c.State().Settings != b.State().Settings {
		t.Errorf("f32 and nothing differ: %q", c.State().Settings.Differences(b.State().Settings))
	}
}

func TestPrecisionMisuse(t *testing.T) {
	dev, err := cpu.Open(backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	_, err = step.New(t.Context(), dev, graphOf(t, small, limits, 0), step.Random(1, 0.05, small.layers), step.Options{
		Precision: dtype.Q8_0, Rate: step.Constant(1)})
	if err == nil || !strings.Contains(err.Error(), "q8_0, want f32 or bf16") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
}
