package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/home"
	"github.com/ledge-run/ledge/runtime/home/generate"
	training "github.com/ledge-run/ledge/runtime/train/run"
)

// homeLines writes lines of household commands in three forms: to train on, as texts
// for a vocabulary, and to evaluate.
func homeLines(t *testing.T, dir string, split generate.Split, n int) {
	t.Helper()
	g, err := generate.New(1, split)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*bytes.Buffer{"train": {}, "text": {}, "eval": {}}
	add := func(name string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out[name].Write(append(b, '\n'))
	}
	for range n {
		e, err := g.Next()
		if err != nil {
			t.Fatal(err)
		}
		line := e.Command.String()
		add("train", map[string]string{"prompt": home.Prompt(e.Text), "completion": line})
		add("text", map[string]string{"text": home.Prompt(e.Text) + line})
		add("eval", map[string]any{"text": home.Prompt(e.Text), "command": json.RawMessage(line)})
	}
	for name, b := range out {
		if err := os.WriteFile(filepath.Join(dir, string(split)+"-"+name+".jsonl"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const homeRecipe = `seed: 3
data: {train: train-train.jsonl, valid: test-train.jsonl, prompt_loss: 0.1}
tokenizer: tokens/tokenizer.gguf
model: {name: miniature, layers: 2, embedding: 64, heads: 2, feed_forward: 128, context: 192, deviation: 0.05}
train: {tokens_per_step: 1024, steps: 120, rate: 1e-2, decay: 0.01}
checkpoint: {every: 20}
validate: {every: 30, tokens: 3000}
out: out
`

// TestMiniature is the life of a model, small: data, vocabulary, training, quantising,
// evaluation, by the commands that the default model is made with.
func TestMiniature(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	homeLines(t, dir, generate.Train, 1500)
	homeLines(t, dir, generate.Test, 40)
	must(t, "tokenizer", "train", "-q", "-o", in("tokens"), "--size", "512", "--pre", "qwen2", in("train-text.jsonl"))
	if err := os.WriteFile(in("home.yaml"), []byte(homeRecipe), 0o644); err != nil {
		t.Fatal(err)
	}
	// In two calls, with other numbers of threads; the second goes on.
	first := decode[training.Result](t, must(t, "train", in("home.yaml"), "--steps", "25", "-t", "1", "--json"))
	r := ledge("train", in("home.yaml"), "-t", "2")
	if r.code != 0 || !strings.Contains(r.err, "going on after step 25 of 120") || !strings.Contains(r.out, "step 120 of 120") || !strings.Contains(r.out, ", validation ") {
		t.Fatalf("%d %s %s", r.code, r.out, r.err)
	}
	last := decode[training.Result](t, must(t, "train", in("home.yaml"), "-t", "2", "--json"))
	if first.Steps != 25 || last.Steps != 120 || last.Model != in("out/model.gguf") || last.Valid == nil || *last.Valid > 2.5 || first.Loss < last.Loss+.5 {
		t.Errorf("%+v\n%+v", first, last)
	}
	small := in("small.gguf")
	must(t, "quantize", last.Model, small, "Q8_0")
	if err := os.WriteFile(in("schema.json"), home.Schema, 0o644); err != nil {
		t.Fatal(err)
	}
	e := decode[evalReport](t, must(t, "eval", "-m", last.Model, "-m", small, "-f", in("test-eval.jsonl"), "--raw", "--json-schema", in("schema.json"), "--json"))
	if len(e.Models) != 2 {
		t.Fatalf("%+v", e)
	}
	for _, m := range e.Models {
		// So little training teaches the form, and the likeliest words.
		if s := m.Task.Slots; m.Task.Items != 40 || s.Valid != 1 || s.Micro.F1 < .08 {
			t.Errorf("%s: %+v", m.Model, s)
		}
	}
	if a, b := e.Models[0].Bytes, e.Models[1].Bytes; b > a/2 {
		t.Errorf("%d bytes, quantised %d", a, b)
	}
}

func TestTrainUsage(t *testing.T) {
	dir := t.TempDir()
	recipe := filepath.Join(dir, "r.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(recipe, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(homeRecipe)
	refused(t, exitUsage, "no recipe: name a YAML file", "train")
	refused(t, exitUsage, "there is no such file", "train", filepath.Join(dir, "none.yaml"))
	refused(t, exitUsage, "one recipe", "train", recipe, recipe)
	refused(t, exitUsage, "give one of them", "train", recipe, "--resume", "--restart")
	refused(t, exitUsage, "--steps -1", "train", recipe, "--steps", "-1")
	refused(t, exitUsage, "-t -1", "train", recipe, "-t", "-1")
	refused(t, exitUsage, `train.rtae=1: unknown key "rtae" in train, did you mean rate?`, "train", recipe, "--set", "train.rtae=1")
	refused(t, exitModel, "r.yaml: tokenizer: no file "+filepath.Join(dir, "tokens", "tokenizer.gguf"), "train", recipe)
	refused(t, exitUsage, "r.yaml is a file: name a folder", "train", recipe, "-o", recipe)
	if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
		t.Error("a recipe without its files made a folder")
	}
	// What is learnt is not validated on, by whatever name.
	if err := os.WriteFile(filepath.Join(dir, "train-train.jsonl"), []byte(`{"text":"a"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokens", "tokenizer.gguf"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, valid := range []string{"train-train.jsonl", "./*.jsonl"} {
		write(strings.Replace(homeRecipe, "test-train.jsonl", valid, 1))
		refused(t, exitUsage, "learnt and validated on, too", "train", recipe)
	}
	write(strings.Replace(homeRecipe, "steps:", "stpes:", 1))
	refused(t, exitUsage, `r.yaml, line 5, column 32: unknown key "stpes" in train, did you mean steps?`, "train", recipe)
}

// TestTrainInterrupted: Ctrl-C makes a checkpoint and ends with its code; the same
// command goes on.
func TestTrainInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows sends no signals to another process")
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	homeLines(t, dir, generate.Train, 200)
	homeLines(t, dir, generate.Test, 5)
	must(t, "tokenizer", "train", "-q", "-o", in("tokens"), "--size", "300", in("train-text.jsonl"))
	if err := os.WriteFile(in("home.yaml"), []byte(strings.Replace(homeRecipe, "steps: 120", "steps: 1000000", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		signal syscall.Signal
		code   int
	}{{syscall.SIGINT, exitInterrupted}, {syscall.SIGTERM, exitTerminated}} {
		cmd := program(t, "train", in("home.yaml"), "-t", "1")
		var said bytes.Buffer
		cmd.Stderr = &said
		before := logLines(t, in("out/log.jsonl"))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		// It is told to end once there is a checkpoint of this call.
		for made := false; !made; {
			select {
			case err := <-done:
				t.Fatalf("it ended by itself: %v %s", err, &said)
			case <-time.After(5 * time.Millisecond):
				made = logLines(t, in("out/log.jsonl")) > before
			}
		}
		if err := cmd.Process.Signal(c.signal); err != nil {
			t.Fatal(err)
		}
		if code := exitOf(<-done); code != c.code || !strings.Contains(said.String(), "which is kept: the same command goes on") || !strings.HasSuffix(said.String(), "ledge: interrupted\n") {
			t.Errorf("%v: exit code %d: %s", c.signal, code, &said)
		}
	}
}

// logLines is how many whole lines a log has.
func logLines(t *testing.T, path string) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}
