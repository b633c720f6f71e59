package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDistill: what pruning has left of a model learns from the whole, comes nearer to
// it, and neither file is changed.
func TestDistill(t *testing.T) {
	model, text, dir := golden(t, "llama-gqa"), calibration(t), t.TempDir()
	student, out := filepath.Join(dir, "student.gguf"), filepath.Join(dir, "out")
	must(t, "prune", "-q", "--layers", "1", "-f", text, model, student)
	before := map[string][]byte{}
	for _, f := range []string{model, student} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		before[f] = b
	}
	args := []string{"distill", "--teacher", model, "--student", student, "-f", text, "--eval-file", calibration(t), "-o", out, "--no-speed", "--rate", "1e-3", "--mix", "0", "--top-k", "64",
		"--set", "train.steps=30", "--set", "train.tokens_per_step=512"}
	s := must(t, append(args, "-q")...)
	for _, want := range []string{"step 30 of 30", "the student, before (student.gguf) and after", "the teacher (", "KL to the source", "perplexity"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q in %s", want, s)
		}
	}
	r := decode[distilledJSON](t, must(t, append(args, "-q", "--json")...)) // is there already
	if r.Result == nil || r.Steps != 30 || r.Student == nil || r.Teacher == nil || r.Teacher.Quality == nil {
		t.Fatalf("%+v", r)
	}
	pruned := decode[pruneJSON](t, must(t, "prune", "-q", "--json", "--force", "--layers", "1", "-f", text, "--eval-file", calibration(t), "--no-speed", model, filepath.Join(dir, "again.gguf")))
	if was, is := pruned.Quality.KL, r.Teacher.Quality.KL; !(is < 0.75*was) {
		t.Errorf("the divergence from the teacher was %g and is %g", was, is)
	}
	for f, b := range before {
		if now, err := os.ReadFile(f); err != nil || string(now) != string(b) {
			t.Errorf("%s has changed (%v)", f, err)
		}
	}
	recipe := filepath.Join(dir, "recipe.yaml")
	yaml := "from: " + student + "\ndata: {train: " + text + "l}\ntrain: {steps: 2, tokens_per_step: 64}\nout: again\n"
	if err := os.WriteFile(recipe, []byte(yaml), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(text+"l", []byte(`{"text":"Turn on the 2 lamps in the kitchen, please."}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if s := must(t, "distill", recipe, "--teacher", model, "--mix", "1", "--no-speed", "-q"); !strings.Contains(s, "step 2 of 2") {
		t.Errorf("by a recipe: %s", s)
	}
	for _, c := range []struct {
		say  string
		args []string
	}{
		{"no recipe and no --teacher", []string{}},
		{"no recipe and no --student", []string{"--teacher", model}},
		{"nothing to learn on", []string{"--teacher", model, "--student", student, "-o", out}},
		{"there is no such file", []string{"--teacher", model, "--student", student, "-o", out, "-f", text + "-not"}},
		{"has no teacher", []string{recipe}},
		{"the recipe says that", []string{recipe, "--teacher", model, "--student", student}},
		{"--mix 2", []string{"--teacher", model, "--student", student, "-f", text, "-o", out, "--mix", "2"}},
		{"--temperature 0: it must be from 0.01 to 100", []string{"--teacher", model, "--student", student, "-f", text, "-o", out, "--temperature", "0"}},
		{"--temperature +Inf: it must be from 0.01 to 100", []string{"--teacher", model, "--student", student, "-f", text, "-o", out, "--temperature", "inf"}},
		{"--rate NaN: it must be from", []string{"--teacher", model, "--student", student, "-f", text, "-o", out, "--rate", "NaN"}},
		{"--top-k 0: it must be from 1 to 4096", []string{"--teacher", model, "--student", student, "-f", text, "-o", out, "--top-k", "0"}},
		{"--top-k 5000: it must be from 1 to 4096", []string{"--teacher", model, "--student", student, "-f", text, "-o", out, "--top-k", "5000"}},
		{"unknown", []string{"--teacher", model, "--student", student, "-f", text, "-o", out, "--set", "train.rat=1"}},
		{"is a text that the student learns", []string{"--teacher", model, "--student", student, "-f", text, "--eval-file", text, "-o", out}},
		{"is a text that the student learns", []string{recipe, "--teacher", model, "--eval-file", text + "l"}},
		{"--chunks goes with a text", []string{"--teacher", model, "--student", student, "-f", text, "-o", out, "--chunks", "2"}},
		{"is a file: name a folder", []string{"--teacher", model, "--student", student, "-f", text, "-o", student}},
		{"is read, and would be written over", []string{"--teacher", filepath.Join(out, "model.gguf"), "--student", student, "-f", text, "-o", out}},
	} {
		refused(t, 2, c.say, append([]string{"distill"}, c.args...)...)
	}
}
