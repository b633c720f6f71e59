package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	training "github.com/ledge-run/ledge/runtime/train/run"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// TestFinetune: the command writes a recipe and an adapter that lowers the loss of what
// it was trained on; the same command finds nothing left to do; other flags are refused.
func TestFinetune(t *testing.T) {
	model, dir := golden(t, "llama-gqa"), t.TempDir()
	data, out := filepath.Join(dir, "data.jsonl"), filepath.Join(dir, "tuned")
	var lines strings.Builder
	for i := range 12 {
		fmt.Fprintf(&lines, `{"prompt":"lamp %d","completion":"on %d"}`+"\n", i, i)
	}
	held := filepath.Join(dir, "held.jsonl") // the same lines: it is to be learnt by heart
	for _, name := range []string{data, held} {
		if err := os.WriteFile(name, []byte(lines.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"finetune", "-q", "-m", model, "-f", data, "--valid", held, "-o", out, "--rank", "4", "--rate", "2e-2", "--epochs", "10", "--raw", "-t", "1", "--set", "train.tokens_per_step=64", "--json"}
	read := func() (r training.Result) {
		t.Helper()
		if err := json.Unmarshal([]byte(must(t, args...)), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := read()
	if first.Valid == nil || *first.Valid > 3 || first.Steps != first.Total || first.Steps < 10 || first.Trained >= first.Parameters {
		t.Errorf("%+v", first)
	}
	if again := read(); again.Steps != first.Steps || *again.Valid != *first.Valid {
		t.Errorf("again: %+v, first %+v", again, first)
	}
	a, err := lora.Open(filepath.Join(out, "adapter.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if a.Alpha != 8 || a.Pairs[0].Rank != 4 || a.Architecture != "llama" {
		t.Errorf("alpha %g, rank %d, architecture %s", a.Alpha, a.Pairs[0].Rank, a.Architecture)
	}
	must(t, "run", "-q", "-m", model, "--lora", filepath.Join(out, "adapter.gguf"), "--raw", "-n", "3", "--temp", "0", "lamp 3")
	must(t, "train", "-q", filepath.Join(out, "recipe.yaml"), "--set", "train.tokens_per_step=64", "-t", "1")

	// The template is the model's own, or the stand-in that ledge run takes, too.
	framed := filepath.Join(dir, "framed")
	must(t, "finetune", "-q", "-m", model, "-f", data, "-o", framed, "--rank", "1", "--targets", "attn_q, attn_v", "--steps", "1", "-t", "1")
	recipe, err := os.ReadFile(filepath.Join(framed, "recipe.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if s := string(recipe); !strings.Contains(s, `{prompt}`) || !strings.Contains(s, `assistant`) || strings.Contains(s, `\u003c`) || !strings.Contains(s, `targets: ["attn_q", "attn_v"]`) {
		t.Errorf("the recipe is %s", s)
	}
	full := filepath.Join(dir, "full")
	must(t, "finetune", "-q", "-m", model, "-f", data, "-o", full, "--full", "--raw", "--steps", "1", "-t", "1", "--set", "train.tokens_per_step=64")
	must(t, "run", "-q", "-m", filepath.Join(full, "model.gguf"), "--raw", "-n", "2", "--temp", "0", "lamp")

	own := filepath.Join(dir, "own") // a recipe of the user's own stays
	if err := os.Mkdir(own, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(own, "recipe.yaml"), []byte("seed: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, 1, "has not written it", "finetune", "-m", model, "-f", data, "-o", own, "--raw", "--restart")
	adapter := filepath.Join(out, "adapter.gguf")
	refused(t, 2, `"half" is no scale`, "run", "-m", model, "--lora", adapter+":half", "hi")
	refused(t, 1, "infinitely much", "run", "-m", model, "--lora", adapter+":3e38", "hi")
	refused(t, 2, "builtin has no file", "finetune", "-m", "builtin", "-f", data, "-o", filepath.Join(dir, "builtin"))

	refused(t, 2, "no data", "finetune", "-m", model, "-o", out)
	// Nothing is fetched to be made something of unless it is named.
	refused(t, 2, "name it, -m MODEL", "finetune", "-f", data, "-o", filepath.Join(dir, "x"))
	refused(t, 2, "name it, -m MODEL", "imatrix", "-f", data, "-o", filepath.Join(dir, "x"))
	refused(t, 2, "name it, -m MODEL", "merge", "--lora", adapter, "-o", filepath.Join(dir, "x"))
	refused(t, 2, "no folder", "finetune", "-m", model, "-f", data)
	refused(t, 2, "--rank 0", "finetune", "-m", model, "-f", data, "-o", out, "--rank", "0")
	refused(t, 2, "leave --alpha away", "finetune", "-m", model, "-f", data, "-o", out, "--full", "--alpha", "3")
	refused(t, 2, `unknown key "rat"`, "finetune", "-m", model, "-f", data, "-o", filepath.Join(dir, "x"), "--raw", "--set", "train.rat=3")
	refused(t, 2, "train.rate=much: \"much\" is no number", "finetune", "-m", model, "-f", data, "-o", filepath.Join(dir, "x"), "--raw", "--set", "train.rate=much")
	refused(t, 2, "--epochs 0", "finetune", "-m", model, "-f", data, "-o", filepath.Join(dir, "x"), "--raw", "--epochs", "0")
	refused(t, 1, "of another fine-tuning", "finetune", "-m", model, "-f", data, "-o", out, "--raw", "--rank", "8")
	refused(t, 1, "of another fine-tuning", append(args, "--set", "train.dropout=0.1")...) // --set is of the recipe, too
	// What failed before its first step is no other fine-tuning; --set says steps in place of epochs.
	late := filepath.Join(dir, "late")
	refused(t, 1, "no such file", "finetune", "-q", "-m", model, "-f", data+"x", "-o", late, "--raw", "--rank", "1", "-t", "1")
	if s := must(t, "finetune", "-q", "-m", model, "-f", data, "-o", late, "--raw", "--rank", "1", "-t", "1", "--set", "train.steps=2"); !strings.Contains(s, "step 2 of 2") {
		t.Errorf("it says %s", s)
	}
	refused(t, 1, "--set data.bad=skip leaves such lines out", "finetune", "-q", "-m", model, "-f", writeFile(t, "bad.jsonl", `{"prompt":"a","completion":5}`), "-o", filepath.Join(dir, "z"), "--raw")
	// What is refused leaves no recipe.
	base, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(dir, "beside")
	if err := os.Mkdir(beside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(beside, "model.gguf"), base, 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, 1, "would be written over", "finetune", "-q", "-m", filepath.Join(beside, "model.gguf"), "-f", data, "-o", beside, "--raw", "--full")
	refused(t, 2, "learnt and validated on, too", "finetune", "-q", "-m", model, "-f", data, "--valid", data, "-o", beside, "--raw")
	if _, err := os.Stat(filepath.Join(beside, "recipe.yaml")); err == nil {
		t.Error("what was refused has left a recipe")
	}
	refused(t, 2, "is a file: name a folder", "finetune", "-q", "-m", model, "-f", data, "-o", data, "--raw")
	refused(t, 2, `no matrix "attn_z"; its layers have attn_q, attn_k, attn_v, `, "finetune", "-q", "-m", model, "-f", data, "-o", filepath.Join(dir, "y"), "--raw", "--targets", "attn_z")
}

// TestChatFrame: the template that is trained with makes the prompt that ledge run sends, white space at its ends included.
func TestChatFrame(t *testing.T) {
	read := func(template string) *gguf.File {
		t.Helper()
		m := goldentest.Named("../../runtime/model/testdata", "llama-gqa")
		g, err := gguf.Parse(m.FileWith(t, map[string]any{"tokenizer.chat_template": template}))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for _, c := range []struct{ content, want, said string }{
		{"m['content']", "[{prompt}]{completion}", ""},
		{"m['content'] | trim", "[{prompt|trim}]{completion}", ""},
		{"m.content.strip()", "[{prompt|trim}]{completion}", ""},
		{"m.content.rstrip()", "[{prompt}]{completion}", "changes white space"},
	} {
		f := read("{% for m in messages %}[{{ " + c.content + " }}]{% endfor %}")
		var said strings.Builder
		a := &app{stderr: &said}
		got, err := a.chatFrame(f)
		if err != nil || got != c.want || !strings.Contains(said.String(), c.said) || c.said == "" && said.Len() > 0 {
			t.Errorf("%s: %q, %v, it says %q", c.content, got, err, said.String())
		}
	}
	if _, err := (&app{stderr: io.Discard}).chatFrame(read("{% for m in messages %}{{ m['content'] | upper }}{% endfor %}")); err == nil || !strings.Contains(err.Error(), "as it is") {
		t.Errorf("%v", err)
	}
}
