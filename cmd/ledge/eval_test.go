package main

import (
	"compress/gzip"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/eval"
)

const evalData = `{"text":"the","label":"in"}
{"text":"other ","label":"rain"}
{"text":"thin","label":"in"}
`

func TestEvalLabels(t *testing.T) {
	m, data := golden(t, "llama-gqa"), writeFile(t, "d.jsonl", evalData)
	dir := t.TempDir()
	svg, out := filepath.Join(dir, "c.svg"), filepath.Join(dir, "p.jsonl")
	text := must(t, "eval", "-m", m, "-m", m, "-f", data, "--raw", "--confusion", svg, "--predictions", out)
	for _, want := range []string{"| model ", "acc_norm", "F1 macro", "tok/s", "J/token", "llama-gqa.gguf", "(weighted)", `is \ predicted`, "energy "} {
		if !strings.Contains(strings.ReplaceAll(text, "  ", " "), want) && !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, name := range []string{svg, strings.Replace(svg, ".svg", "-2.svg", 1)} {
		if b, err := os.ReadFile(name); err != nil || !strings.HasPrefix(string(b), "<svg ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, err := os.ReadFile(out)
	if lines := strings.Split(strings.TrimSpace(string(b)), "\n"); err != nil || len(lines) != 3 {
		t.Errorf("%v: %s", err, b)
	} else if o := decode[eval.Outcome](t, lines[2]); o.Line != 3 || len(o.Scores) != 2 {
		t.Errorf("%+v", o)
	}
	r := decode[evalReport](t, must(t, "eval", "-m", m, "-f", data, "--raw", "--json", "--limit", "2"))
	if r.Partial || len(r.Models) != 1 || r.Models[0].Task.Items != 2 || r.Models[0].Task.By != eval.Likelihood || len(r.Models[0].Task.Classes.Classes) != 2 {
		t.Errorf("%+v", r)
	}
	drawn := decode[evalReport](t, must(t, "eval", "-m", m, "-f", data, "--raw", "--json", "--limit", "1", "--seed", "3", "--by", "generation", "-n", "2", "--regex", "(in|rain)"))
	if k := drawn.Models[0].Task; k.Items != 1 || k.By != eval.Generation || k.Unanswered == nil || k.Generated > 2 {
		t.Errorf("%+v", k)
	}
}

func TestEvalCommands(t *testing.T) {
	m := golden(t, "llama-gqa")
	data := writeFile(t, "d.jsonl", `{"text":"the","command":{"intent":"on"}}`+"\n"+`{"text":"in","command":{"intent":"off"}}`+"\n")
	schema := writeFile(t, "s.json", `{"type":"object","properties":{"intent":{"enum":["on","off"]}},"required":["intent"]}`)
	r := decode[evalReport](t, must(t, "eval", "-m", m, "-f", data, "--json-schema", schema, "--json"))
	if s := r.Models[0].Task.Slots; s.Valid != 1 || s.Micro.Recall != s.Exact {
		t.Errorf("%+v", s)
	}
	if text := must(t, "eval", "-m", m, "-f", data, "--json-schema", schema); !strings.Contains(text, "slot F1") || !strings.Contains(text, "| intent |") {
		t.Error(text)
	}
}

func TestEvalText(t *testing.T) {
	m := golden(t, "llama-gqa")
	text := writeFile(t, "t.txt", strings.Repeat("the other thin thing in the rain ", 30))
	plain := decode[evalReport](t, must(t, "eval", "-m", m, "-f", text, "-c", "32", "--chunks", "2", "--json"))
	old := decode[eval.Perplexity](t, must(t, "perplexity", "-m", m, "-f", text, "-c", "32", "--chunks", "2", "--json"))
	if *plain.Models[0].Text != old {
		t.Errorf("%+v, ledge perplexity says %+v", plain.Models[0].Text, old)
	}
	base := filepath.Join(t.TempDir(), "base")
	if out := must(t, "eval", "-m", m, "-f", text, "-c", "32", "--chunks", "2", "--save-logits", base); out != "" {
		t.Errorf("it wrote %q", out)
	}
	for _, args := range [][]string{{"--reference", base}, {"--reference", base, "-f", text}, {"--reference", m, "-f", text, "-c", "32", "--chunks", "2"}} {
		d := decode[evalReport](t, must(t, append([]string{"eval", "-m", m, "--json"}, args...)...)).Models[0].Divergence
		if d == nil || d.KL > 1e-5 || d.SameTop != 1 || d.Positions != 30 {
			t.Errorf("%s: %+v", args, d)
		}
	}
	if out := must(t, "eval", "-m", m, "--reference", base); !strings.Contains(out, "same top") {
		t.Error(out)
	}
	cut := writeFile(t, "cut", "_logits_x")
	// Found out before a model runs: nothing is shown of those that could be compared.
	file := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	other := writeFile(t, "other.gguf", strings.ReplaceAll(file(m), "gpt-2", "qwen2"))
	saved := file(base)
	wide := writeFile(t, "wide", saved[:12]+"\xff\x01"+saved[14:]) // of 511 tokens
	for _, c := range []struct {
		code int
		say  string
		args []string
	}{
		{exitFailed, "no file of log-probabilities", []string{"-m", m, "--reference", cut}},
		{exitUsage, "chunks of 32 tokens, on which models are compared", []string{"-m", m, "--reference", base, "-c", "64"}},
		{exitFailed, "the tokenizers differ", []string{"-m", m, "-m", other, "-f", text, "--reference", m}},
		{exitFailed, "they must have the same tokenizer", []string{"-m", m, "--reference", wide}},
		{exitFailed, "tokens are not those of this text", []string{"-m", m, "--reference", base, "-f", writeFile(t, "o.txt", strings.Repeat("quite another text ", 30))}},
		{exitUsage, "needs a text", []string{"-m", m, "--reference", m}},
		{exitUsage, "exclude", []string{"-m", m, "-f", text, "--reference", base, "--save-logits", base}},
		{exitUsage, "of one model", []string{"-m", m, "-m", m, "-f", text, "--save-logits", base}},
		{exitUsage, "goes with a data set", []string{"-m", m, "-f", text, "--norm"}},
	} {
		args := append([]string{"eval"}, c.args...)
		r := ledge(args...)
		checkRefusal(t, r, c.code, c.say, args)
		if r.out != "" {
			t.Errorf("ledge %q: %s", args, r.out)
		}
	}
}

func TestEvalErrors(t *testing.T) {
	m := golden(t, "llama-gqa")
	data := writeFile(t, "d.jsonl", evalData)
	bad := writeFile(t, "bad.jsonl", evalData+"{\"text\":\n"+evalData)
	for _, c := range []struct {
		code int
		say  string
		args []string
	}{
		{exitFailed, "line 4: ", []string{"-f", bad}},
		{exitFailed, "--skip-bad", []string{"-f", bad}},
		{exitUsage, "nothing to measure on", nil},
		{exitUsage, "--by", []string{"-f", data, "--by", "magic"}},
		{exitUsage, "must be 1 or more", []string{"-f", data, "--limit", "0"}},
		{exitUsage, "must be 1 or more", []string{"-f", data, "-n", "0"}},
		{exitUsage, "a file that ends in .svg", []string{"-f", data, "--confusion", "c.png"}},
		{exitUsage, "--parallel", []string{"-f", data, "--parallel", "99"}},
		{exitUsage, "--n-shots goes with", []string{"-f", data, "--n-shots", "1"}},
		{exitUsage, "--n-shots: 9 examples", []string{"-f", data, "--shots", data, "--n-shots", "9"}},
		{exitUsage, "{text}", []string{"-f", data, "--template", "x"}},
		{exitUsage, "no system message", []string{"-f", data, "--raw", "--system", "x"}},
		{exitUsage, "--regex", []string{"-f", data, "--regex", "("}},
		{exitUsage, "goes with a text", []string{"-f", data, "--chunks", "1"}},
		{exitUsage, `--labels: the label "in" is given twice`, []string{"-f", data, "--labels", "in,rain, in"}},
		{exitFailed, "line 1: the label", []string{"-f", data, "--labels", "a,b"}},
		{exitFailed, "--confusion", []string{"-f", writeFile(t, "a.jsonl", `{"text":"the","answer":"x"}`), "--confusion", "x.svg"}},
		{exitModel, "unknown model", []string{"-m", "nosuch:1b", "-f", data, "--offline"}},
	} {
		args := append([]string{"eval"}, c.args...)
		if c.code != exitModel {
			args = append(args, "-m", m)
		}
		refused(t, c.code, c.say, args...)
	}
	skipped := ledge("eval", "-m", m, "-f", bad, "--raw", "--skip-bad", "--json")
	r := decode[evalReport](t, skipped.out)
	if skipped.code != 0 || r.Models[0].Task.Skipped != 1 || r.Models[0].Task.Items != 6 || !strings.Contains(skipped.err, "1 bad lines are left out; the first: line 4") {
		t.Errorf("%+v", skipped)
	}
}

// TestEvalKeepsFinished: a model that cannot be measured does not take the others' results with it.
func TestEvalKeepsFinished(t *testing.T) {
	m, bad := golden(t, "llama-gqa"), writeFile(t, "bad.gguf", "no model")
	text := writeFile(t, "t.txt", strings.Repeat("the other thin thing in the rain ", 30))
	for _, args := range [][]string{{"-f", writeFile(t, "d.jsonl", evalData), "--raw"}, {"-f", text, "-c", "32", "--chunks", "1"}} {
		args = append([]string{"eval", "-m", m, "-m", bad}, args...)
		got := ledge(append(args, "--json")...)
		r := decode[evalReport](t, got.out)
		if got.code == 0 || !strings.Contains(got.err, "bad.gguf") || !r.Partial || len(r.Models) != 1 || r.Models[0].Task == nil && r.Models[0].Text == nil {
			t.Errorf("%q: %+v", args, got)
		}
		if got = ledge(args...); !strings.Contains(got.out, "PARTIAL: something failed") || !strings.Contains(got.out, "llama-gqa.gguf") {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

// TestEvalInterrupt: what was finished is shown, and said to be partial.
func TestEvalInterrupt(t *testing.T) {
	m, data := golden(t, "llama-gqa"), writeFile(t, "d.jsonl", strings.Repeat(evalData, 20000))
	for delay := 50 * time.Millisecond; delay < time.Minute; delay *= 2 { // until it comes in the middle
		var out, errs strings.Builder
		a := &app{out: console.NewOutput(&out), stderr: &errs, getenv: os.Getenv}
		ctx, cancel := context.WithCancelCause(t.Context())
		timer := time.AfterFunc(delay, func() { cancel(console.ErrInterrupted) })
		err := console.Execute(ctx, a.newCLI(), []string{"eval", "-m", m, "-f", data, "--raw", "--json"})
		timer.Stop()
		if exitCode(ctx, err) != exitInterrupted {
			t.Fatalf("%v: %s", err, errs.String())
		}
		if out.Len() == 0 {
			continue // before the first item
		}
		r := decode[evalReport](t, out.String())
		k := r.Models[0].Task
		if !r.Partial || !k.Partial || k.Items < 1 || k.Items >= k.Of || k.Of != 60000 {
			t.Errorf("%+v", k)
		}
		a.showEvalTable(r)
		if err := a.out.Flush(); err != nil || !strings.Contains(out.String(), "PARTIAL: interrupted") || !strings.Contains(out.String(), " of 60000") {
			t.Errorf("%v: %s", err, out.String())
		}
		return
	}
	t.Error("no interrupt came in the middle")
}

// TestEvalKinds: what is in a file says whether it is a data set or a text.
func TestEvalKinds(t *testing.T) {
	m := golden(t, "llama-gqa")
	text := strings.Repeat("the other thin thing in the rain ", 30)
	lines := strings.Repeat(`{"text":"the thing in the rain"}`+"\n", 30)
	packed := func(s string) string {
		var b strings.Builder
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(s)); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for _, c := range []struct {
		name, data string
		flags      string
		isData     bool
		fault      string
	}{
		{"a.jsonl", evalData, "--raw", true, ""}, {"a.json", evalData, "--raw", true, ""}, {"a.data", "\n" + evalData, "--raw", true, ""},
		{"a.jsonl.gz", packed(evalData), "--raw", true, ""}, {"a.gz", packed(evalData), "--raw", true, ""},
		{"t.txt", text, "-c 32", false, ""}, {"t.txt.gz", packed(text), "-c 32", false, ""}, {"t.raw", "{" + text, "-c 32", false, ""},
		{"t.txt", lines, "-c 32 --chunks 1", false, ""},
		{"l.json", "[\n" + `{"text":"the","label":"in"}` + "\n]", "--raw", false, "one JSON object on each line"},
		{"o.json", "{\n" + `"text": "the"` + "\n}", "--raw", false, "one JSON object on each line"},
		{"u.jsonl", text, "--raw", false, "line 1: it is no JSON object"},
	} {
		args := append([]string{"eval", "-m", m, "--json", "-f", writeFile(t, c.name, c.data)}, strings.Fields(c.flags)...)
		if c.fault != "" {
			refused(t, exitFailed, c.fault, args...)
			continue
		}
		r := decode[evalReport](t, must(t, args...))
		if got := r.Models[0]; (got.Task != nil) != c.isData || (got.Text != nil) == c.isData {
			t.Errorf("%s, %.20q: %+v", c.name, c.data, got)
		}
	}
}
