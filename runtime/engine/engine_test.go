package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/sampler"
)

// realModel opens one of the models that models/get.sh fetches.
func realModel(t *testing.T, name string, o engine.Options) *engine.Model {
	t.Helper()
	dir := os.Getenv("LEDGE_TEST_MODELS")
	if dir == "" {
		t.Skip("LEDGE_TEST_MODELS does not name a folder with " + name)
	}
	m, err := engine.Open(context.Background(), filepath.Join(dir, name), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func greedy() sampler.Params {
	p := sampler.DefaultParams()
	p.Temperature = 0
	p.RepeatPenalty = 1
	return p
}

// TestGreedyText continues prompts as llama.cpp does with the same weights in
// float32 (build/golden/real_models.json has both texts and how close the best
// two tokens came: quantised, different processors break near ties
// differently, llama.cpp's as well).
func TestGreedyText(t *testing.T) {
	m := realModel(t, "smollm2-135m-instruct-q4_1.gguf", engine.Options{})
	for _, c := range []struct{ prompt, want string }{
		{"The capital of France is", " Paris.\n\nThe answer is: 2018-01-22 12:1"},
		{"1, 2, 3, 4, 5, 6,", " 7, 8, 9, 10, 11, 12, 13"},
	} {
		s := m.NewSession()
		var text strings.Builder
		for p, err := range s.Generate(context.Background(), m.Encode(c.prompt, true, false), engine.Settings{Sampler: greedy(), MaxTokens: 24}) {
			if err != nil {
				t.Fatal(err)
			}
			text.WriteString(p.Text)
		}
		if text.String() != c.want {
			t.Errorf("%q: got %q, want %q", c.prompt, text.String(), c.want)
		}
		t.Logf("load %v, %+v", m.LoadTime, s.Usage())
		s.Close()
	}
}
