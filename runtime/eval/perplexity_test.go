package eval_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
)

// TestPerplexity compares with llama.cpp on the same file and text. Its own
// figures differ by up to 0.6 % with the rounding of activations that a
// processor's kernels use, so build/golden/real_models.json has two: the file
// as it is, and the same weights in float32. Ledge must come within 0.5 % of
// what lies between them.
func TestPerplexity(t *testing.T) {
	dir := os.Getenv("LEDGE_TEST_MODELS")
	if dir == "" {
		t.Skip("LEDGE_TEST_MODELS does not name a folder with the real models")
	}
	data, err := os.ReadFile("../../build/golden/real_models.json")
	if err != nil {
		t.Fatal(err)
	}
	type figure struct {
		PPL    float64
		Chunks int
	}
	var golden struct {
		Models map[string]struct {
			Perplexity map[string]struct {
				AsIs figure `json:"as_is"`
				F32  figure
			}
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	for file, g := range golden.Models {
		m, err := engine.Open(context.Background(), filepath.Join(dir, file), engine.Options{Context: 512})
		if err != nil {
			t.Fatal(err)
		}
		for what, want := range g.Perplexity {
			if testing.Short() && what != "GPL-3 -c 512" {
				continue
			}
			t.Run(file+" "+what, func(t *testing.T) {
				var name string
				var size int
				if _, err := fmt.Sscanf(what, "%s -c %d", &name, &size); err != nil {
					t.Fatal(err)
				}
				text, err := os.ReadFile("/usr/share/common-licenses/" + name)
				if err != nil {
					t.Skip("this system has no such text: ", err)
				}
				got, err := eval.MeasurePerplexity(context.Background(), m, string(text), size, want.AsIs.Chunks, nil)
				if err != nil {
					t.Fatal(err)
				}
				a, b := want.AsIs.PPL, want.F32.PPL
				t.Logf("%.4f ± %.4f; llama.cpp %.4f (%+.2f %%), in f32 %.4f (%+.2f %%)", got.PPL, got.Stderr, a, 100*(got.PPL/a-1), b, 100*(got.PPL/b-1))
				if got.PPL < min(a, b)*0.995 || got.PPL > max(a, b)*1.005 {
					t.Errorf("perplexity %.4f is more than 0.5 %% outside llama.cpp's %.4f to %.4f", got.PPL, a, b)
				}
			})
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}
