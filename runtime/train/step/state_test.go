package step_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/grad"
	"github.com/ledge-run/ledge/runtime/train/step"
)

// bytesOf reads all tensors of a trainer's state.
func bytesOf(t *testing.T, tr *step.Trainer) (step.State, map[string][]byte) {
	t.Helper()
	s, all := tr.State(), map[string][]byte{}
	for _, x := range s.Tensors {
		n, err := x.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		all[x.Name] = make([]byte, n)
		if err := tr.ReadTensor(x.Name, all[x.Name]); err != nil {
			t.Fatal(err)
		}
	}
	return s, all
}

// TestState: a trainer goes on from another's state with the same bits; a state of
// other settings is refused with what differs, or taken where that is asked for.
func TestState(t *testing.T) {
	g := graphOf(t, small, limits, 0.1)
	o := step.Options{Seed: 5, Layout: "data: a\nrows: 3", Groups: []step.Group{{Weights: "token_embd.*", Rate: .5}}}
	a := trainer(t, 2, g, step.Random(1, 0.05, small.layers), o)
	steps(t, a, 1, 3)
	s, data := bytesOf(t, a)
	read := func(x step.Tensor, dst []byte) error { copy(dst, data[x.Name]); return nil }
	if s.Step != 3 || len(s.Tensors) != 3*len(a.Params()) {
		t.Fatalf("step %d with %d tensors", s.Step, len(s.Tensors))
	}
	b := trainer(t, 1, g, step.Random(2, 0.05, small.layers), o)
	if err := b.SetState(s, false, read); err != nil {
		t.Fatal(err)
	}
	steps(t, a, 4, 5)
	steps(t, b, 4, 5)
	same(t, "from a state", tensors(t, a), tensors(t, b))

	other := func(change func(o *step.Options)) step.Options {
		c := o
		change(&c)
		return c
	}
	for _, c := range []struct {
		o    step.Options
		want string
	}{
		{other(func(o *step.Options) { o.Seed = 6 }), "seed was 5, now 6"},
		{other(func(o *step.Options) { o.Rate = step.Constant(1) }), "learning rate was cosine 0.003 to 0.0001 at step 100, 5 steps of warm-up, now constant 1"},
		{other(func(o *step.Options) { o.AdamW = grad.AdamW{Beta1: .9, Beta2: .999, Eps: 1e-8} }), "optimizer was beta1 0.9, beta2 0.95"},
		{other(func(o *step.Options) { o.AdamW.Decays = func(p grad.Param) bool { return false } }), "optimizer was"},
		{other(func(o *step.Options) { o.Precision = dtype.BF16 }), "rounding of products was none, now bf16"},
		{other(func(o *step.Options) { o.Groups = nil }), "groups was token_embd.* 0.5, now none"},
		{other(func(o *step.Options) { o.Layout = "data: b\nrows: 3" }), "data was a, now b"},
		{other(func(o *step.Options) { o.Layout = "data: a" }), "layout was rows: 3, now none"},
	} {
		b := trainer(t, 1, g, step.Random(2, 0.05, small.layers), c.o)
		before := tensors(t, b)
		err := b.SetState(s, false, read)
		var e *step.ErrOtherSettings
		if !errors.As(err, &e) || len(e.Differences) != 1 || !strings.HasPrefix(e.Differences[0], c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
		same(t, "after a refusal", before, tensors(t, b))
		if err := b.SetState(s, true, read); err != nil || b.Taken() != 3 {
			t.Errorf("%s: %v, %d steps taken", c.want, err, b.Taken())
		}
	}
	// Another model: dropout is in the graph alone, sizes are in the tensors.
	plain := trainer(t, 1, graphOf(t, small, limits, 0), step.Random(2, 0.05, small.layers), o)
	if old, now := (step.Settings{Graph: "a", Layout: "l"}), (step.Settings{Graph: "a", Layout: "l", Shape: "mix: 1"}); !old.Same(now) || len(old.Differences(now)) > 0 {
		t.Errorf("a state from before there were shapes: %q", old.Differences(now))
	}
	if err := plain.SetState(s, false, read); err == nil || !strings.Contains(err.Error(), "the model is another one") {
		t.Errorf("another dropout: %v", err)
	}
	wide := small
	wide.ffn = 48
	for _, changed := range []bool{false, true} {
		err := trainer(t, 1, graphOf(t, wide, limits, 0.1), step.Random(2, 0.05, small.layers), o).SetState(s, changed, read)
		if err == nil || !strings.Contains(err.Error(), "it is of another model: tensor") {
			t.Errorf("another size: %v", err)
		}
	}
	cut := s
	cut.Tensors = s.Tensors[1:]
	if err := b.SetState(cut, true, read); err == nil || !strings.Contains(err.Error(), "has no tensor") {
		t.Errorf("a tensor less: %v", err)
	}
	broken := errors.New("broken")
	if err := b.SetState(s, true, func(step.Tensor, []byte) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a tensor that cannot be read: %v", err)
	}
	// Another limit for parts is no other run.
	large := limits
	large.T = 80
	if err := trainer(t, 1, graphOf(t, small, large, 0.1), step.Random(2, 0.05, small.layers), o).SetState(s, false, read); err != nil {
		t.Errorf("another limit: %v", err)
	}
}

// TestGroups: a group's rate is its factor times the schedule's; with 0 it stays.
func TestGroups(t *testing.T) {
	g := graphOf(t, small, limits, 0)
	p := part(rand.New(rand.NewPCG(1, 1)), small.vocab, 20)
	after := func(rate step.Schedule, groups ...step.Group) map[string][]float32 {
		tr := trainer(t, 1, g, step.Random(1, 0.05, small.layers), step.Options{AdamW: grad.AdamW{Beta1: .9, Beta2: .95, Eps: 1e-8, Decay: .1}, Rate: rate, Groups: groups})
		if _, err := tr.Step(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		return tensors(t, tr)
	}
	one, half := after(step.Constant(.01)), after(step.Constant(.005))
	mixed := after(step.Constant(.01), step.Group{Weights: "*norm.weight", Rate: .5}, step.Group{Weights: "token_embd.*", Rate: 0})
	first := tensors(t, trainer(t, 1, g, step.Random(1, 0.05, small.layers), step.Options{}))
	for name, x := range mixed {
		want := one
		switch {
		case strings.HasPrefix(name, "adamw"):
		case strings.HasSuffix(name, "norm.weight"):
			want = half
		case strings.HasPrefix(name, "token_embd"):
			want = first
		}
		if !slices.Equal(x, want[name]) {
			t.Errorf("%s differs", name)
		}
	}
	if slices.Equal(one["token_embd.weight"], first["token_embd.weight"]) {
		t.Error("a step changes nothing")
	}
	for _, bad := range []step.Group{{Weights: "[", Rate: 1}, {Weights: "none", Rate: 1}, {Weights: "*", Rate: -1}} {
		if err := newTrainer(t, g, step.Options{Rate: step.Constant(1), Groups: []step.Group{bad}}); err == nil || !strings.Contains(err.Error(), "group \""+bad.Weights) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// newTrainer says why there is no trainer.
func newTrainer(t *testing.T, g *graph.Graph, o step.Options) error {
	t.Helper()
	dev, err := cpu.Open(backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	tr, err := step.New(t.Context(), dev, g, step.Random(1, 0.05, small.layers), o)
	if err == nil {
		err = tr.Close()
	}
	return err
}
