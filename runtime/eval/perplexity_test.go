package eval_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
)

// TestPerplexity compares with llama.cpp's figures for the same file and text
// (build/golden/real_models.json tells how they were made).
func TestPerplexity(t *testing.T) {
	dir := os.Getenv("LEDGE_TEST_MODELS")
	if dir == "" {
		t.Skip("LEDGE_TEST_MODELS does not name a folder with the real models")
	}
	text, err := os.ReadFile("/usr/share/common-licenses/GPL-3")
	if err != nil {
		t.Skip("this system has no GPL-3 text: ", err)
	}
	for _, c := range []struct {
		file string
		want float64
	}{
		{"smollm2-135m-instruct-q4_1.gguf", 18.494},
		{"gemma-3-270m-q4_k_m.gguf", 15.003},
	} {
		t.Run(c.file, func(t *testing.T) {
			m, err := engine.Open(context.Background(), filepath.Join(dir, c.file), engine.Options{Context: 512})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			got, err := eval.MeasurePerplexity(context.Background(), m, string(text), 512, 8, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%.4f ± %.4f, llama.cpp %.3f", got.PPL, got.Stderr, c.want)
			if math.Abs(got.PPL/c.want-1) > 0.005 {
				t.Errorf("perplexity %.4f, llama.cpp has %.3f: more than 0.5 %% apart", got.PPL, c.want)
			}
		})
	}
}
