package bpetrain

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestSpeed trains 32,000 tokens on the text LEDGE_TEST_CORPUS names, here and with
// Hugging Face's tokenizers, in turns, with two threads each. docs/tokenizer.md has
// what it printed.
func TestSpeed(t *testing.T) {
	py, corpus := python(t), os.Getenv("LEDGE_TEST_CORPUS")
	if corpus == "" {
		t.Skip("LEDGE_TEST_CORPUS is not set: no large text to train on")
	}
	b, err := os.ReadFile(corpus)
	if err != nil {
		t.Fatal(err)
	}
	for _, preset := range []string{"gpt2", "qwen2"} {
		var here, there []float64
		for range 3 {
			start := time.Now()
			v := trainOn(t, string(b), Config{Size: 32000, Preset: preset, MinFrequency: 2, Threads: 2})
			here = append(here, time.Since(start).Seconds())
			cmd := exec.CommandContext(t.Context(), py, "testdata/make_goldens.py", "--time", corpus, "32000", "2", preset)
			cmd.Env = append(os.Environ(), "RAYON_NUM_THREADS=2", "TOKENIZERS_PARALLELISM=true")
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var r struct {
				Seconds float64
				Tokens  int
			}
			if err := json.Unmarshal(out, &r); err != nil {
				t.Fatal(err)
			}
			there = append(there, r.Seconds)
			if r.Tokens != len(v.Tokens) {
				t.Errorf("%d tokens, tokenizers %d", len(v.Tokens), r.Tokens)
			}
		}
		t.Logf("%s, %d bytes: here %.2f s, tokenizers %.2f s", preset, len(b), here, there)
	}
}
