package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/eval"
)

func TestPrune(t *testing.T) {
	model, text, dir := golden(t, "llama-gqa"), calibration(t), t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	s := must(t, "prune", "--layers", "1", "--heads", "1", "--channels", "34%", "-f", text, model, out)
	for _, want := range []string{"layers removed: ", "heads removed of each layer: 1 of 2 key-value heads, with 2 of 4 query heads", "channels removed of each layer: 32 of 96",
		"multiply-adds a token", "perplexity", "KL to the source", "tokens/s, generating", "its last third, which nothing was chosen by", "written in"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q in %s", want, s)
		}
	}
	must(t, "run", "-m", out, "-n", "3", "--temp", "0", "Hi")

	// What is there stays, and so does the model itself, whatever is given.
	refused(t, 1, "--force", "prune", "--layers", "1", "-f", text, model, out)
	refused(t, 2, "the model that is read", "prune", "--force", "--layers", "1", "-f", text, model, model)
	refused(t, 2, "is read, too (--file)", "prune", "--force", "--layers", "1", "-f", text, model, text)
	refused(t, 2, "is read, too (--eval-file)", "quantize", "--force", "--eval-file", text, model, text, "Q8_0")
	refused(t, 2, "is read, too (--file)", "imatrix", "--force", "-m", model, "-f", text, "-o", text)
	refused(t, 2, "the model that is read", "imatrix", "--force", "-m", model, "-f", text, "-o", model)
	refused(t, 1, "there is no folder", "prune", "--layers", "1", "-f", text, model, filepath.Join(dir, "none", "out.gguf"))
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestPruneFigures(t *testing.T) {
	model, text, dir := golden(t, "llama-f32"), calibration(t), t.TempDir()
	out, other := filepath.Join(dir, "out.gguf"), filepath.Join(dir, "other.txt")
	if err := os.WriteFile(other, []byte(strings.Repeat("What is the weather like in the garden at 7? ", 40)), 0o644); err != nil {
		t.Fatal(err)
	}
	r := decode[pruneJSON](t, must(t, "prune", "--json", "-q", "--layers", "1", "--layers-by", "perplexity", "-f", text, "--eval-file", other, "--chunks", "3", model, out))
	if len(r.Removed) != 1 || len(r.Losses) != 2 || len(r.Layers) != 1 || r.Quality == nil || r.Quality.On != "other.txt" || r.After.MultiplyAdds >= r.Before.MultiplyAdds || r.After.FileBytes >= r.Before.FileBytes {
		t.Fatalf("%+v", r)
	}
	p := decode[eval.Perplexity](t, must(t, "perplexity", "--json", "-m", out, "-f", other, "-c", "128", "--chunks", "3"))
	if math.Abs(p.PPL / *r.After.Perplexity - 1) > 1e-5 {
		t.Errorf("%+v, ledge perplexity says %+v", r.After, p)
	}
	// Zeros change what a model says, not what it takes.
	r = decode[pruneJSON](t, must(t, "prune", "--force", "--json", "-q", "--zeros", "50%", "--scope", "global", "--eval-file", other, model, out))
	if r.Zeros == nil || r.Zeros.Zeros*2 != r.Zeros.Weights || *r.After.Zeros < 0.3 || *r.Before.Zeros > 0.001 || r.After.MultiplyAdds != r.Before.MultiplyAdds || r.After.Bytes != r.Before.Bytes || r.Quality.KL == 0 {
		t.Errorf("%+v, shares of %g and %g, %+v", r.Zeros, *r.Before.Zeros, *r.After.Zeros, r.Quality)
	}
	s := must(t, "prune", "--force", "-q", "--zeros", "2:4", "--by", "activation", "-f", text, model, out)
	if !strings.Contains(s, "zeros are multiplied like other weights") || !strings.Contains(s, "zeros among them") {
		t.Error(s)
	}
	matrix := filepath.Join(dir, "im.gguf")
	must(t, "imatrix", "-m", model, "-f", text, "-c", "64", "-o", matrix)
	d := decode[pruneJSON](t, must(t, "prune", "--dry-run", "--json", "--imatrix", matrix, "--channels", "16", model))
	if d.Report != nil || d.File != "" || len(d.Layers) != 2 || len(d.Layers[1].Channels) != 16 {
		t.Errorf("%+v", d)
	}
}

func TestPruneUsage(t *testing.T) {
	model, text := golden(t, "llama-gqa"), calibration(t)
	k := filepath.Join(t.TempDir(), "q4_1.gguf") // has minima: no zero of it is exact
	must(t, "quantize", "-q", model, k, "Q4_1")
	for _, c := range []struct {
		code int
		say  string
		args []string
	}{
		{2, "no file to write", []string{model}},
		{2, "0 arguments", nil},
		{2, "nothing to remove", []string{model, "out.gguf"}},
		{2, "a text is needed", []string{"--layers", "1", model, "out.gguf"}},
		{2, "--layers -1", []string{"--layers", "-1", "-f", text, model, "out.gguf"}},
		{2, "--heads 0", []string{"--heads", "0", "-f", text, model, "out.gguf"}},
		{2, "no number of them", []string{"--channels", "many", "-f", text, model, "out.gguf"}},
		{2, "no number of them", []string{"--channels", "120%", "-f", text, model, "out.gguf"}},
		{2, "one of them", []string{"--channels", "32", "--target-size", "1MB", "-f", text, model, "out.gguf"}},
		{2, "is not a size", []string{"--target-size", "many", "-f", text, model, "out.gguf"}},
		{2, "is not a size", []string{"--target-size", "1MB x", "-f", text, model, "out.gguf"}},
		{2, "is not a size", []string{"--target-size", "-1MB", "-f", text, model, "out.gguf"}},
		{2, "must be angle", []string{"--layers", "1", "--layers-by", "x", "-f", text, model, "out.gguf"}},
		{2, "activation or gradient", []string{"--heads", "1", "--by", "magnitude", "-f", text, model, "out.gguf"}},
		{2, "goes with --zeros", []string{"--layers", "1", "--scope", "row", "-f", text, model, "out.gguf"}},
		{2, "one after the other", []string{"--zeros", "50%", "--layers", "1", model, "out.gguf"}},
		{2, "must be a share", []string{"--zeros", "0.5", model, "out.gguf"}},
		{2, "must be a share", []string{"--zeros", "101%", model, "out.gguf"}},
		{2, "a pattern is N:M", []string{"--zeros", "4:2", model, "out.gguf"}},
		{2, "not with a pattern", []string{"--zeros", "2:4", "--scope", "row", model, "out.gguf"}},
		{2, "magnitude or activation", []string{"--zeros", "50%", "--by", "gradient", model, "out.gguf"}},
		{2, "it must be f32,", []string{"--zeros", "50%", "--type", "zz", model, "out.gguf"}},
		{2, "must be tensor", []string{"--zeros", "50%", "--scope", "x", model, "out.gguf"}},
		{2, "give one of them", []string{"--zeros", "50%", "-f", text, "--eval-file", text, model, "out.gguf"}},
		{2, "that is chosen by", []string{"--layers", "1", "-f", text, "--eval-file", text, model, "out.gguf"}},
		{1, "at most", []string{"--dry-run", "--channels", "100%", "-f", text, model}},
		{1, "at least one must stay", []string{"--layers", "2", "-f", text, model, "out.gguf"}},
		{1, "cannot be reached", []string{"--target-size", "10kB", "-f", text, model, "out.gguf"}},
		{1, "as it is", []string{"--target-size", "1GB", "-f", text, model, "out.gguf"}},
		{1, "--type names one", []string{"--zeros", "50%", "--scope", "global", k, "out.gguf"}},
		{3, "nothing.gguf", []string{"--layers", "1", "-f", text, "nothing.gguf", "out.gguf"}},
	} {
		refused(t, c.code, c.say, append([]string{"prune"}, c.args...)...)
	}
}
