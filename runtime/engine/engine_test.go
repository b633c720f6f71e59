package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
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

// TestGreedyText continues prompts as llama.cpp does. The first has a near tie
// after " Paris.\n\nThe" (the best two tokens are 0.03 to 0.06 apart:
// build/golden/real_models.json), which the rounding of activations decides:
// llama.cpp itself goes one way with the file and the other with its weights in
// float32. Both are right; a third text would not be.
func TestGreedyText(t *testing.T) {
	m := realModel(t, "smollm2-135m-instruct-q4_1.gguf", engine.Options{})
	for _, c := range []struct {
		prompt string
		want   []string
	}{
		{"The capital of France is", []string{
			" Paris.\n\nThe answer is: 2018-01-22 12:1",
			" Paris.\n\nThe United States has a population of approximately 321 million people.\n\nThe United States",
		}},
		{"1, 2, 3, 4, 5, 6,", []string{" 7, 8, 9, 10, 11, 12, 13"}},
	} {
		s := m.NewSession()
		var text strings.Builder
		for p, err := range s.Generate(context.Background(), m.Encode(c.prompt, true, false), engine.Settings{Sampler: greedy(), MaxTokens: 24}) {
			if err != nil {
				t.Fatal(err)
			}
			text.WriteString(p.Text)
		}
		if !slices.Contains(c.want, text.String()) {
			t.Errorf("%q: got %q, want one of %q", c.prompt, text.String(), c.want)
		}
		t.Logf("load %v, %+v", m.LoadTime, s.Usage())
		s.Close()
	}
}
