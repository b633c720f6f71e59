package run

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/train/recipe"
)

// TestStages: whatever takes time is told before it begins: all that comes before the first
// step, too.
func TestStages(t *testing.T) {
	r := numbers(t)
	r.Train.Steps, r.Validate.Every = 4, 2
	base := train(t, r, Options{})
	adapters := *r
	adapters.From, adapters.Tokenizer, adapters.Model = base.Model, "", recipe.Default().Model
	adapters.Adapters = &recipe.Adapters{Rank: 2, Alpha: 4}
	before := []string{"opening tokenizer.gguf", "reading train 100 %", "reading valid 100 %", "preparing the weights"}
	again := []string{before[0], before[3]} // its data are kept as tokens
	beside := []string{"opening model.gguf", "reading train 100 %", "reading model.gguf", "reading valid 100 %", "preparing the weights"}
	for _, c := range []struct {
		name   string
		r      *recipe.Recipe
		steps  int // of a first call
		before []string
		first  string // told before it is taken
	}{
		{"new", r, 0, before, "training step 1 of 4"},
		{"goes on", r, 3, again, "training step 4 of 4"},
		{"adapters", &adapters, 0, beside, "training step 1 of 4"},
		{"finished", r, 4, again, ""},
	} {
		x := elsewhere(t, c.r)
		if c.steps > 0 {
			train(t, x, Options{Steps: c.steps})
		}
		var told []string
		train(t, x, Options{Progress: func(p Progress) { told = append(told, p.Stage+" "+p.Text) }})
		at := -1
		for _, want := range append(slices.Clone(c.before), c.first, "writing what was learnt") {
			if want == "" {
				continue
			}
			next := slices.Index(told[at+1:], want)
			if next < 0 {
				t.Errorf("%s: no %q after %d of %q", c.name, want, at, told)
				break
			}
			at += 1 + next
		}
		if n := slices.IndexFunc(told, func(s string) bool { return strings.HasPrefix(s, "training") }); c.first != "" && told[n] != c.first || c.first == "" && n >= 0 {
			t.Errorf("%s: the first step is told in %q", c.name, told)
		}
	}
}

// TestNoLoss: of a finished run without its log no loss is told, for none is known.
func TestNoLoss(t *testing.T) {
	r := numbers(t)
	r.Train.Steps = 2
	first := train(t, r, Options{})
	for _, c := range []struct {
		name  string
		spoil func(path string) error
		loss  bool
	}{
		{"whole", func(string) error { return nil }, true},
		{"emptied", func(path string) error { return os.Truncate(path, 0) }, false},
		{"removed", os.Remove, false},
	} {
		if err := c.spoil(filepath.Join(r.Out, LogName)); err != nil {
			t.Fatal(err)
		}
		res := train(t, r, Options{})
		b, err := json.Marshal(res)
		if err != nil || strings.Contains(string(b), `"loss"`) != c.loss || c.loss && res.Loss != first.Loss {
			t.Errorf("%s: %s, %v; the first was %+v", c.name, b, err, first)
		}
	}
}
