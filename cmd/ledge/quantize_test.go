package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func calibration(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("Turn on the 2 lamps in the kitchen, please. ", 90)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func short(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "short.txt")
	if err := os.WriteFile(path, []byte("Turn on the 2 lamps."), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestQuantize(t *testing.T) {
	model, text, dir := golden(t, "llama-gqa"), calibration(t), t.TempDir()
	matrix, out := filepath.Join(dir, "im.gguf"), filepath.Join(dir, "out.gguf")
	if s := must(t, "imatrix", "-m", model, "-f", text, "-c", "64", "-o", matrix); !strings.Contains(s, "chunks of 64 tokens") {
		t.Errorf("imatrix says %q", s)
	}
	old := filepath.Join(dir, "im.dat")
	must(t, "imatrix", "-m", model, "-f", text, "-c", "64", "--chunks", "2", "-o", old)
	if b, err := os.ReadFile(old); err != nil || bytes.HasPrefix(b, []byte("GGUF")) {
		t.Errorf("im.dat: %v", err)
	}
	s := must(t, "quantize", model, out, "Q4_0", "--imatrix", matrix, "-f", text)
	for _, want := range []string{"bits per weight", "perplexity", "KL to the source", "q4_0", "written in",
		"measured on text.txt; the importance matrix was made with a text of this name: ", "the second half of each"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q in %s", want, s)
		}
	}
	f, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if v, _ := f.Uint("general.file_type"); v != 2 {
		t.Errorf("file type %d", v)
	}
	must(t, "run", "-m", out, "-n", "3", "--temp", "0", "Hi")

	// What is there stays, and so does the model itself, whatever is given.
	refused(t, 1, "--force", "quantize", model, out, "Q8_0")
	refused(t, 1, "--force", "imatrix", "-m", model, "-f", text, "-c", "64", "-o", matrix)
	refused(t, 2, "the model that is read", "quantize", "--force", model, model, "Q8_0")
	link := filepath.Join(dir, "link.gguf")
	if err := os.Symlink(model, link); err == nil || runtime.GOOS != "windows" {
		refused(t, 2, "the model that is read", "quantize", "--force", model, link, "Q8_0")
	}
	must(t, "quantize", "--force", "-q", model, out, "Q5_0", "--imatrix", old)

	small := filepath.Join(dir, "small.gguf")
	r := decode[planJSON](t, must(t, "quantize", "--json", "-q", "--imatrix", matrix, "-f", text, "--target-bpw", "6", model, small))
	if r.After.BitsPerWeight > 6 || r.Quality == nil || r.Quality.Tokens == 0 || r.Quality.On != "text.txt, its last third, which no type was chosen by; the importance matrix was made with a text of this name" || r.File != small || len(r.Tensors) == 0 {
		t.Errorf("%+v", r)
	}
	// The figures are those of ledge perplexity on the text that is named.
	other := filepath.Join(dir, "other.txt")
	if err := os.WriteFile(other, []byte(strings.Repeat("What is the weather like in the garden at 7? ", 40)), 0o644); err != nil {
		t.Fatal(err)
	}
	r = decode[planJSON](t, must(t, "quantize", "--force", "--json", "-q", "-f", text, "--eval-file", other, "--chunks", "3", "--target-bpw", "6", model, small))
	if r.Quality == nil || r.Quality.On != "other.txt" || r.Quality.Chunks != 3 {
		t.Fatalf("%+v", r.Quality)
	}
	p := decode[eval.Perplexity](t, must(t, "perplexity", "--json", "-m", small, "-f", other, "-c", fmt.Sprint(r.Quality.ChunkSize), "--chunks", "3"))
	if math.Abs(p.PPL / *r.After.Perplexity - 1) > 1e-5 || p.Tokens != r.Quality.Tokens {
		t.Errorf("%+v, ledge perplexity says %+v", r.Quality, p)
	}
	refused(t, 2, "chosen by", "quantize", "--force", "-f", text, "--eval-file", text, "--target-bpw", "6", model, small)
	refused(t, 1, "at least twice", "quantize", "--force", "--eval-file", short(t), model, small, "Q4_0")
	if r := ledge("quantize", "--force", "--imatrix", matrix, "-f", short(t), "--target-bpw", "6", model, small); r.code == 0 || !strings.Contains(r.err, "too short to measure on") {
		t.Errorf("%d, %q", r.code, r.err)
	}
	refused(t, 1, "at least", "quantize", "--imatrix", matrix, "-f", text, "--target-size", "10kB", model, filepath.Join(dir, "none.gguf"))
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), "part") || e.Name() == "none.gguf" {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

func TestQuantizeDryRun(t *testing.T) {
	model := golden(t, "llama-gqa")
	s := must(t, "quantize", "--dry-run", model, "q4_k_m", "--tensor", `ffn_up=keep`)
	for _, want := range []string{"blk.0.ffn_up.weight", "kept, as asked", "no whole blocks", "bits per weight"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q in %s", want, s)
		}
	}
	r := ledge("quantize", "--dry-run", model, "Q4_K_M")
	if r.code != 0 || !strings.Contains(r.err, "do not fit the blocks") {
		t.Errorf("%d, %q", r.code, r.err)
	}
}

// TestQuantizeNoModel: files with a part of a model, or what belongs to one, are none; one
// of an architecture that Ledge does not run is.
func TestQuantizeNoModel(t *testing.T) {
	model, dir := golden(t, "llama-gqa"), t.TempDir()
	matrix, out := filepath.Join(dir, "im.gguf"), filepath.Join(dir, "out.gguf")
	must(t, "imatrix", "-m", model, "-f", calibration(t), "-c", "64", "-o", matrix)
	in := texts(t)
	must(t, "tokenizer", "train", "-q", "-o", filepath.Join(dir, "tokens"), "--size", "300", in)
	refused(t, exitFailed, "im.gguf: model: the file has no general.architecture", "quantize", matrix, out, "Q8_0")
	refused(t, exitFailed, "tokenizer.gguf: model llama: metadata key", "quantize", filepath.Join(dir, "tokens", "tokenizer.gguf"), out, "Q8_0")
	if _, err := os.Stat(out); err == nil {
		t.Error("it was written")
	}
	data, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	must(t, "quantize", "-q", "--no-speed", writeFile(t, "alien.gguf", strings.ReplaceAll(string(data), "llama", "alien")), out, "Q8_0")
}

func TestQuantizeUsage(t *testing.T) {
	model, text := golden(t, "llama-gqa"), calibration(t)
	for _, c := range []struct {
		code int
		say  string
		args []string
	}{
		{2, "name a model", []string{model}},
		{2, "no quantisation", []string{model, "out.gguf", "Q7_X"}},
		{2, "no file to write", []string{model, "Q4_0"}},
		{2, "4 arguments", []string{model, "a", "b", "Q4_0"}},
		{2, "needs a text", []string{"--target-bpw", "5", model, "out.gguf"}},
		{2, "is not a size", []string{"--target-size", "many", "-f", text, model, "out.gguf"}},
		{2, "is not a size", []string{"--target-size", "-5MB", "-f", text, model, "out.gguf"}},
		{2, "more than 0", []string{"--target-bpw", "0", "-f", text, model, "out.gguf"}},
		{2, "one of them", []string{"--target-bpw", "5", "--target-size", "1MB", "-f", text, model, "out.gguf"}},
		{2, "--chunks goes with a text", []string{"--chunks", "2", model, "out.gguf", "Q4_0"}},
		{2, "Q4_0 and a target", []string{"--target-size", "1MB", model, "out.gguf", "Q4_0"}},
		{2, "Q4_0 and a target", []string{"--target-bpw", "5", "--dry-run", model, "q4_0"}},
		{2, "REGEXP=TYPE", []string{"--tensor", "x", model, "out.gguf", "Q4_0"}},
		{2, "give one of them", []string{"-f", text, "--eval-file", text, model, "out.gguf", "Q4_0"}},
		{2, "--chunks -1", []string{"--chunks", "-1", "-f", text, model, "out.gguf", "Q4_0"}},
		{2, "-t -1", []string{"-t", "-1", model, "out.gguf", "Q4_0"}},
		{1, "no tensor's name matches", []string{"--tensor", "nobody=q4_0", "--dry-run", model, "Q4_0"}},
		{1, "imatrix: ", []string{"--imatrix", text, "--dry-run", model, "Q4_0"}},
		{3, "nothing.gguf", []string{"nothing.gguf", "out.gguf", "Q4_0"}},
	} {
		refused(t, c.code, c.say, append([]string{"quantize"}, c.args...)...)
	}
	for _, c := range []struct {
		say  string
		args []string
	}{
		{"no text", []string{"-m", model}},
		{"must be gguf or dat", []string{"-m", model, "-f", text, "--output-format", "x"}},
		{"--ctx 3", []string{"-m", model, "-f", text, "-c", "3"}},
	} {
		refused(t, 2, c.say, append([]string{"imatrix"}, c.args...)...)
	}
}

func TestParseBytes(t *testing.T) {
	for s, want := range map[string]int64{"80MB": 80e6, "1.5GiB": 3 << 29, "123": 123, "2k": 2000, "7 mb": 7e6, "1e3": 1000} {
		if n, err := parseBytes(s); err != nil || n != want {
			t.Errorf("%s: %d, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "MB", "0", "-1", "1XB", "1e30", "NaN", "5MB5"} {
		if n, err := parseBytes(s); err == nil {
			t.Errorf("%q: %d", s, n)
		}
	}
}
