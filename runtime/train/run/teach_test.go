package run

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/train/recipe"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// pupil is a recipe of a smaller model that learns from a teacher alone.
func pupil(t *testing.T, from *recipe.Recipe, teacher string) *recipe.Recipe {
	r := elsewhere(t, from)
	r.Model.Embedding, r.Model.KeyLength, r.Model.FeedForward = 24, 12, 32
	r.Train.Dropout = 0
	r.Distill = &recipe.Distill{Teacher: teacher, Temperature: 1.5, Mix: 0, TopK: 12}
	return r
}

// TestDistill: a student learns from a teacher alone what the teacher has learnt from
// the text; interrupted or not, and with any number of threads, with the same bits. The
// teacher reads each text once.
func TestDistill(t *testing.T) {
	r := numbers(t)
	teacher := train(t, r, Options{})
	p := pupil(t, r, teacher.Model)
	want, res := whole(t, p)
	if res.Loss > 0.1 || res.Valid == nil || *res.Valid > 0.3 {
		t.Errorf("the divergence is %g at the end, the loss of the labels %v (of the teacher %g)", res.Loss, *res.Valid, *teacher.Valid)
	}
	again := elsewhere(t, p)
	train(t, again, Options{Steps: 37, Device: device(t, 2)})
	words := filepath.Join(again.Out, cacheName, wordsName)
	before, err := os.Stat(words)
	if err != nil || before.Size() == 0 {
		t.Fatal(before, err)
	}
	got := train(t, again, Options{Device: device(t, 2)})
	if h := hashOf(t, got.Model); h != want {
		t.Error("a run that was interrupted has other bits")
	}
	all, err := os.Stat(words)
	if err != nil {
		t.Fatal(err)
	}
	train(t, again, Options{Restart: true})
	if after, err := os.Stat(words); err != nil || after.Size() != all.Size() {
		t.Errorf("what the teacher said is kept in %d bytes, after another run in %d (%v)", all.Size(), after.Size(), err)
	}
	if h := hashOf(t, got.Model); h != want {
		t.Error("with the teacher's words from the file there are other bits")
	}
	plain := *again
	plain.Distill = nil
	if h := hashOf(t, train(t, elsewhere(t, &plain), Options{}).Model); h == want {
		t.Error("the teacher has taught nothing")
	}
	// So is another mix, of which the graph alone knows.
	mixed, mix := *again, *again.Distill
	mix.Mix, mixed.Distill = 0.5, &mix
	if _, err := Run(t.Context(), &mixed, Options{Device: device(t, 1)}); err == nil || !strings.Contains(err.Error(), "settings: distill.mix was 0, now 0.5;") {
		t.Errorf("going on with another mix: %v", err)
	}
	// Another teacher is another run.
	other := elsewhere(t, r)
	other.Seed++
	p.Distill.Teacher = train(t, other, Options{}).Model
	again.Distill = p.Distill
	if _, err := Run(t.Context(), again, Options{Device: device(t, 1)}); err == nil || !strings.Contains(err.Error(), "teacher was") {
		t.Errorf("going on with another teacher: %v", err)
	}
}

// changed is a copy of a model's file with other metadata or tensors.
func changed(t *testing.T, path string, value func(key string, v any) any, tensor func(name string, data []byte)) string {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := &gguf.Writer{}
	for k, v := range f.Metadata() {
		if value != nil {
			v = value(k, v)
		}
		if err := w.Set(k, v); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range f.Tensors() {
		data := append([]byte(nil), x.Data...)
		if tensor != nil {
			tensor(x.Name, data)
		}
		if err := w.Add(x.Name, x.DType, x.Shape, data); err != nil {
			t.Fatal(err)
		}
	}
	to := filepath.Join(t.TempDir(), "changed.gguf")
	if err := w.Save(t.Context(), to, false); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestDistillRefused: a teacher with another tokenizer, or none, in one line.
func TestDistillRefused(t *testing.T) {
	r := numbers(t)
	r.Train.Steps = 1
	teacher := train(t, r, Options{}).Model
	swapped := changed(t, teacher, func(key string, v any) any {
		if tokens, ok := v.([]string); ok && key == "tokenizer.ggml.tokens" {
			tokens = append([]string(nil), tokens...)
			tokens[5], tokens[6] = tokens[6], tokens[5]
			v = tokens
		}
		return v
	}, nil)
	for path, want := range map[string]string{swapped: "token 5 is", teacher + "-not": "no such file"} {
		_, err := Run(t.Context(), pupil(t, r, path), Options{Device: device(t, 1)})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %q in one line", filepath.Base(path), err, want)
		}
	}
}

// TestLesson: a student learns from a file's model what was taken from it.
func TestLesson(t *testing.T) {
	r := numbers(t)
	teacher := train(t, r, Options{}).Model
	// The student is the teacher with one matrix made anew.
	student := changed(t, teacher, nil, func(name string, data []byte) {
		if name == "blk.0.ffn_down.weight" {
			clear(data)
		}
	})
	l := recipe.Lesson{Teacher: teacher, Student: student, Files: r.Data.Train, Valid: r.Data.Valid, Out: filepath.Join(t.TempDir(), "out"), Rate: 1e-2, Mix: -1, Epochs: 20}
	c, err := l.Recipe([]string{"train.tokens_per_step=48"})
	if err != nil {
		t.Fatal(err)
	}
	res := train(t, c, Options{})
	log, err := openLog(filepath.Join(c.Out, LogName), math.MaxInt, false)
	if err != nil {
		t.Fatal(err)
	}
	defer log.close()
	if first := log.all[0].Loss; len(log.all) < 20 || !(res.Loss < first/4) {
		t.Errorf("in %d steps the loss went from %g to %g", len(log.all), first, res.Loss)
	}
	if c, err = l.Recipe([]string{"train.steps=7"}); err != nil || c.Train.Steps != 7 || c.Train.Epochs != 0 {
		t.Errorf("%+v (%v)", c, err)
	}
}
