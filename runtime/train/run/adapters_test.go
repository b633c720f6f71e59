package run

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/train/recipe"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// TestRoundedRun: a run that trains rounded, from some step on, ends with a file of that
// type, whose loss is exactly what training said; going on in the middle, on either side
// of the change, gives the same file, and other settings are refused.
func TestRoundedRun(t *testing.T) {
	r := numbers(t)
	r.Train.Steps, r.Validate.Every = 60, 60
	r.Round = &recipe.Round{Type: dtype.Q4_0, FromStep: 30}
	hash, whole := whole(t, r)
	f, err := gguf.Open(whole.Model)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, x := range f.Tensors() {
		if want := map[bool]dtype.DType{true: dtype.Q4_0, false: dtype.F32}[len(x.Shape) > 1]; x.DType != want {
			t.Errorf("%s is %v", x.Name, x.DType)
		}
	}
	if v, _ := f.Uint("general.file_type"); v != 2 {
		t.Errorf("file type %d", v)
	}

	// The loss of the file, by a run that begins with it and rounds nothing.
	read := elsewhere(t, r)
	read.Train.Steps = 60
	read.From, read.Tokenizer, read.Round = whole.Model, "", &recipe.Round{Type: dtype.Q4_0, FromStep: 59}
	x := &running{o: Options{Device: device(t, 1), Progress: func(Progress) {}, Note: func(string) {}}}
	defer x.close()
	if x.net, err = OpenNetwork(read); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(x.prepare(t.Context(), read), x.begin(t.Context(), 0)); err != nil {
		t.Fatal(err)
	}
	got, err := x.trainer.Loss(t.Context(), x.valid...)
	if err != nil {
		t.Fatal(err)
	}
	if whole.Valid == nil || math.Float64bits(got) != math.Float64bits(*whole.Valid) {
		t.Errorf("the file has the loss %.12g, training said %.12g", got, *whole.Valid)
	}

	steps := elsewhere(t, r)
	for _, n := range []int{10, 20, 7, 0} { // to step 10, 30, 37 and the end
		train(t, steps, Options{Device: device(t, 2), Steps: n})
	}
	if got := hashOf(t, filepath.Join(steps.Out, ModelName)); got != hash {
		t.Error("in several calls another file came of it")
	}
	steps.Round = &recipe.Round{Type: dtype.Q8_0, FromStep: 30}
	_, err = Run(t.Context(), steps, Options{Device: device(t, 1)})
	if err == nil || !strings.Contains(err.Error(), "round was q4_0 after step 30, now q8_0 after step 30") {
		t.Errorf("another type: error %v", err)
	}
}

// TestAdapterRun: adapters are trained beside a quantised model, which stays as it is;
// the file is one that the engine runs; the run goes on with the
// same bits.
func TestAdapterRun(t *testing.T) {
	r := numbers(t)
	r.Train.Steps, r.Round = 60, &recipe.Round{Type: dtype.Q8_0}
	base := train(t, r, Options{})
	c := elsewhere(t, r)
	c.From, c.Tokenizer, c.Round, c.Train.Steps, c.Train.Rate, c.Train.Dropout = base.Model, "", nil, 60, 2e-2, 0
	c.Adapters = &recipe.Adapters{Rank: 4, Alpha: 8}
	hash, res := whole(t, c)
	if res.Trained >= res.Parameters || res.Valid == nil || *res.Valid > 0.7**base.Valid {
		t.Errorf("%+v, before %g", res, *base.Valid)
	}
	for _, n := range []int{20, 0} {
		train(t, c, Options{Device: device(t, 2), Steps: n})
	}
	if got := hashOf(t, filepath.Join(c.Out, AdapterName)); got != hash {
		t.Error("in two calls another adapter came of it")
	}
	// Another file of the same shape is another base: its weights are in no checkpoint.
	r.Seed, r.Train.Steps, r.Round = 7, 2, nil
	other := *c
	other.From = train(t, elsewhere(t, r), Options{}).Model
	if _, err := Run(t.Context(), &other, Options{Device: device(t, 1)}); err == nil || !strings.Contains(err.Error(), "with other settings: from was ") {
		t.Errorf("beside another model: %v", err)
	}
	a, err := lora.Open(res.Model)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if len(a.Pairs) != 7 || a.Pairs[0].Rank != 4 || a.Alpha != 8 {
		t.Errorf("%+v", a)
	}

	// As the engine runs it.
	own, err := lora.Open(res.Model)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(t.Context(), base.Model, engine.Options{Device: "cpu", Threads: 1, Adapters: []lora.Use{{File: own, Scale: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got := continuedBy(t, e, "three\n"); !strings.HasPrefix(got, "four") {
		t.Errorf("with the adapter it says %q", got)
	}

	for what, change := range map[string]func(c *recipe.Recipe){
		`no matrix "attn_x"; its layers have attn_q, `: func(c *recipe.Recipe) {
			c.Adapters = &recipe.Adapters{Rank: 2, Alpha: 2, Targets: []string{"attn_q", "attn_x"}}
		},
		"adapters need a model":             func(c *recipe.Recipe) { c.From, c.Tokenizer = "", r.Tokenizer },
		"adapters and round are both there": func(c *recipe.Recipe) { c.Round = &recipe.Round{Type: dtype.Q4_0} },
	} {
		x := elsewhere(t, c)
		change(x)
		if _, err := Run(t.Context(), x, Options{Device: device(t, 1)}); err == nil || !strings.Contains(err.Error(), what) || errors.Is(err, ErrStopped) {
			t.Errorf("%s: error %v", what, err)
		}
	}
}
