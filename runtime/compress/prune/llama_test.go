package prune

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
)

// llama.cpp loads what is left and reads a text with the same perplexity.
func TestLlamaLoads(t *testing.T) {
	dir := os.Getenv("LEDGE_TEST_LLAMA")
	if dir == "" {
		t.Skip("LEDGE_TEST_LLAMA is not set: no folder with llama.cpp's bin/llama-perplexity")
	}
	bin := filepath.Join(dir, "bin")
	text := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(text, []byte(sample), 0o644); err != nil {
		t.Fatal(err)
	}
	const size = 32
	// The figures after each chunk; of the last ones the program may lose some as it ends.
	estimate := regexp.MustCompile(`\[(\d+)\]([0-9.]+),`)
	for _, c := range []struct {
		model string
		o     Options
	}{
		{"llama-gqa", Options{Layers: 1, Groups: 1, Channels: 32}},
		{"llama-rope-longrope", Options{Groups: 1}},
		{"mistral-headdim", Options{Groups: 1, Channels: 32}},
		{"qwen2", Options{Layers: 1, Channels: 32}},
		{"qwen3", Options{Groups: 1, Channels: 32}},
		{"gemma2", Options{Layers: 2, Groups: 1, Channels: 32}},
		{"gemma3", Options{Layers: 6, Channels: 3}},
		{"phi3", Options{Layers: 1, Channels: 32}},
	} {
		t.Run(c.model, func(t *testing.T) {
			f := tiny(t, c.model, nil)
			c.o.Text = sample
			_, small := pruneFile(t, f, c.o)
			path := small.Paths()[0]
			run := exec.Command(filepath.Join(bin, "llama-perplexity"), "-m", path, "-f", text, "-c", fmt.Sprint(size), "-b", fmt.Sprint(size), "--chunks", "12", "-t", "1")
			run.Env = append(os.Environ(), "LD_LIBRARY_PATH="+bin)
			said, err := run.CombinedOutput()
			m := estimate.FindAllSubmatch(said, -1)
			if err != nil || len(m) < 6 {
				t.Fatalf("%v: %s", err, said[max(0, len(said)-2000):])
			}
			chunks := len(m)
			theirs, err := strconv.ParseFloat(string(m[chunks-1][2]), 64)
			if err != nil || string(m[chunks-1][1]) != fmt.Sprint(chunks) {
				t.Fatalf("%s, %v", m[chunks-1], err)
			}
			model, err := engine.Open(t.Context(), path, engine.Options{Device: "cpu", Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer model.Close()
			ours, err := eval.MeasurePerplexity(t.Context(), model, sample, size, chunks, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := math.Abs(ours.PPL/theirs - 1); !(d < 5e-3) {
				t.Errorf("the perplexity is %.4f, llama.cpp's %.4f", ours.PPL, theirs)
			}
			t.Logf("%.4f, llama.cpp %.4f", ours.PPL, theirs)
		})
	}
}
