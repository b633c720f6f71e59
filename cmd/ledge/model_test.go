package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench"
	"github.com/ledge-run/ledge/runtime/compress/imatrix"
)

// alteredModel is a golden model with other bytes in place of some.
func alteredModel(t *testing.T, name, old, new string) string {
	t.Helper()
	data, err := os.ReadFile(golden(t, "llama-gqa"))
	if err != nil || !strings.Contains(string(data), old) {
		t.Fatalf("there is no %q: %v", old, err)
	}
	return writeFile(t, name, strings.ReplaceAll(string(data), old, new))
}

// TestUsualContext: what nobody asks for is as small as the model's context; what is asked
// for and too large is refused.
func TestUsualContext(t *testing.T) {
	m, dir := golden(t, "llama-gqa"), t.TempDir() // trained for 128
	text := writeFile(t, "t.txt", strings.Repeat("the other thin thing in the rain ", 60))
	matrix := filepath.Join(dir, "imatrix.gguf")
	if out := must(t, "perplexity", "-m", m, "-f", text); !strings.Contains(out, "chunks of 128)") {
		t.Errorf("perplexity: %s", out)
	}
	must(t, "imatrix", "-m", m, "-f", text, "-o", matrix)
	if r, err := imatrix.Read(matrix); err != nil || r.ChunkSize != 128 {
		t.Errorf("imatrix: %+v, %v", r, err)
	}
	at := func(args ...string) evalReport {
		return decode[evalReport](t, must(t, append([]string{"eval", "-f", text, "--json"}, args...)...))
	}
	if usual, asked := at("-m", m), at("-m", m, "-c", "128"); *usual.Models[0].Text != *asked.Models[0].Text {
		t.Errorf("eval: %+v, and with -c 128 %+v", usual.Models[0].Text, asked.Models[0].Text)
	}
	large := alteredModel(t, "large.gguf", "llama.context_length\x04\x00\x00\x00\x80\x00", "llama.context_length\x04\x00\x00\x00\x00\x04")
	if both := at("-m", large, "-m", m); *both.Models[0].Text != *both.Models[1].Text {
		t.Errorf("eval of two: %+v, %+v", both.Models[0].Text, both.Models[1].Text)
	}
	base := filepath.Join(dir, "base")
	must(t, "eval", "-m", large, "-f", text, "-c", "256", "--chunks", "1", "--save-logits", base)
	for _, c := range []struct{ tests, args string }{
		{"pp128 tg128", ""}, {"pp28 @ d100 tg28 @ d100", "-d 100"}, {"pp128 tg4", "-n 4"}, {"pp128 tg128", "-p 128"},
	} {
		args := append([]string{"bench", "-m", m, "-r", "1", "--json"}, strings.Fields(c.args)...)
		var tests []string
		for _, r := range decode[[]bench.Result](t, must(t, args...)) {
			tests = append(tests, r.Test().String())
		}
		if got := strings.Join(tests, " "); got != c.tests {
			t.Errorf("bench %s: %s, want %s", c.args, got, c.tests)
		}
	}
	for _, c := range []struct {
		say  string
		args []string
	}{
		{"for 128: ask for no more", []string{"perplexity", "-m", m, "-f", text, "-c", "512"}},
		{"for 128: ask for no more", []string{"eval", "-m", m, "-f", text, "-c", "512"}},
		{"for 128: ask for no more", []string{"imatrix", "-m", m, "-f", text, "-o", filepath.Join(dir, "none.gguf"), "-c", "512"}},
		{"for 128: ask for no more", []string{"run", "-m", m, "-c", "512", "hi"}},
		{"for 128: make it anew with -c 128", []string{"eval", "-m", m, "--reference", base}},
		{"for 128: give less with -p, -n or -d", []string{"bench", "-m", m, "-p", "512", "-r", "1"}},
		{"for 128: give less with -p, -n or -d", []string{"bench", "-m", m, "-p", "0", "-n", "129", "-r", "1"}},
		{"for 128: give less with -p, -n or -d", []string{"bench", "-m", m, "-d", "128", "-r", "1"}},
	} {
		refused(t, exitFailed, c.say, c.args...)
	}
}

// TestErrorNamesFile: what is wrong in a model is said of its file, once.
func TestErrorNamesFile(t *testing.T) {
	text := writeFile(t, "t.txt", strings.Repeat("the other thin thing in the rain ", 60))
	folder := filepath.Join(t.TempDir(), "tokens")
	must(t, "tokenizer", "train", "-o", folder, "--size", "300", text)
	vocabulary := filepath.Join(folder, "tokenizer.gguf")
	tensor, merge := alteredModel(t, "tensor.gguf", "blk.1.ffn_down", "blk.1.ffn_dowx"), alteredModel(t, "merge.gguf", "\x03\x00\x00\x00\x00\x00\x00\x00h e", "\x03\x00\x00\x00\x00\x00\x00\x00h-e")
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		file, say string
		args      string
	}{
		{vocabulary, "metadata key", "run hi"}, {vocabulary, "metadata key", "logits -o " + out + " hi"}, {vocabulary, "metadata key", "graph"},
		{vocabulary, "metadata key", "bench"}, {vocabulary, "metadata key", "imatrix -f " + text + " -o " + out},
		{tensor, "ffn_down", "run hi"}, {tensor, "ffn_down", "perplexity -f " + text}, {tensor, "ffn_down", "eval -f " + text}, {tensor, "ffn_down", "graph"},
		{tensor, "ffn_down", "imatrix -f " + text + " -o " + out},
		{vocabulary, "metadata key", "prune --layers 1 -f " + text + " MODEL " + out}, {vocabulary, "metadata key", "prune --zeros 50% -f " + text + " MODEL " + out},
		{vocabulary, "metadata key", "quantize -f " + text + " MODEL " + out + " Q8_0"}, {tensor, "ffn_down", "quantize -f " + text + " --target-bpw 6 MODEL " + out},
		{merge, "merge ", "prune --layers 1 -f " + text + " MODEL " + out},
		{merge, "merge ", "run hi"}, {merge, "merge ", "tokenize hi"}, {merge, "merge ", "chat"},
		{alteredModel(t, "array.gguf", "GGUF", "GGUX"), "", "run hi"},
	} {
		args := strings.Fields(c.args)
		if at := slices.Index(args, "MODEL"); at >= 0 {
			args[at] = c.file
		} else {
			args = slices.Insert(args, 1, "-m", c.file)
		}
		r := ledge(args...)
		checkRefusal(t, r, exitFailed, c.say, args)
		if n := strings.Count(r.err, c.file); n != 1 || strings.Contains(r.err, text) {
			t.Errorf("ledge %q names the file %d times: %s", args, n, r.err)
		}
	}
}
