package quantize

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/eval"
)

// The figures are those of ledge eval --reference and of ledge perplexity.
func TestCompareIsEval(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	g := goldentest.Named("../../model/testdata", "llama-gqa")
	source, small := filepath.Join(dir, "source.gguf"), filepath.Join(dir, "small.gguf")
	if err := os.WriteFile(source, g.File(t), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := plan(t, open(t, source), "Q4_0", PlanOptions{}).Write(ctx, small, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("The cat sat on the mat; 17 birds sang. Who knows why? ", 60)
	l, err := Compare(ctx, source, small, text, CompareOptions{Engine: engine.Options{Device: "cpu"}, Chunks: 5})
	if err != nil {
		t.Fatal(err)
	}
	var models []*engine.Model
	for _, path := range []string{source, small} {
		m, err := engine.Open(ctx, path, engine.Options{Device: "cpu", Context: l.ChunkSize})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		models = append(models, m)
	}
	cut, err := eval.NewText(models[0], text, l.ChunkSize, 5)
	if err != nil {
		t.Fatal(err)
	}
	want, err := eval.Compare(ctx, models[1], cut, eval.ModelReference{M: models[0]}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.KL != want.KL || l.KLError != want.KLErr || l.SameTop != want.SameTop || l.Tokens != want.Positions || l.Chunks != 5 || l.KL == 0 {
		t.Errorf("%+v, eval says %+v", l, want)
	}
	for i, got := range []float64{l.Before.Perplexity, l.After.Perplexity} {
		p, err := eval.MeasurePerplexity(ctx, models[i], text, l.ChunkSize, 5, nil)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(got/p.PPL-1) > 1e-5 || p.Tokens != l.Tokens {
			t.Errorf("perplexity %g of %d tokens, eval says %g of %d", got, l.Tokens, p.PPL, p.Tokens)
		}
	}
	if l.Before.TokensPerSecond <= 0 || l.After.TokensPerSecond <= 0 {
		t.Errorf("no speed: %+v", l)
	}
}

func TestHoldOut(t *testing.T) {
	for _, c := range []struct{ text, rest string }{
		{"", ""},
		{"one two three four five six", "four five six"},
		{"a line of ten\nand another\nthe last", "and another\nthe last"},
		{strings.Repeat("ä", 10), "ääää"},
	} {
		use, rest := HoldOut(c.text)
		if rest != c.rest || use+rest != c.text {
			t.Errorf("%q: %q and %q", c.text, use, rest)
		}
	}
}
