package engine_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/sched"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// TestEmbedIsWhatLogitsComeFrom: an embedding is the row after the final norm, so that
// the output matrix times it is the last token's logits, which others' logits confirm.
func TestEmbedIsWhatLogitsComeFrom(t *testing.T) {
	for _, name := range []string{"llama-f32", "llama-gqa", "llama-tied", "qwen2", "qwen3", "gemma3", "phi3"} {
		t.Run(name, func(t *testing.T) {
			f, err := gguf.Parse(goldenBytes(t, name))
			if err != nil {
				t.Fatal(err)
			}
			head, ok := f.Tensor("output.weight")
			if !ok {
				if head, ok = f.Tensor("token_embd.weight"); !ok { // tied
					t.Fatal("no output matrix")
				}
			}
			w, err := head.Dequantize()
			if err != nil {
				t.Fatal(err)
			}
			m := openGolden(t, golden(t, name), engine.Options{Threads: 2})
			for _, n := range []int{1, 9, 70} { // one row, one chunk, pages
				text := randomTokens(uint64(n), n)
				e, err := m.Embed(context.Background(), text)
				if err != nil || len(e) != head.RowLen() {
					t.Fatal(err, len(e), head.RowLen())
				}
				rows := logitsOf(t, m, text)
				want := rows[len(rows)-head.NumRows():]
				var dot, ww, gg float64
				for i, l := range want {
					var got float64
					for j, x := range e {
						got += float64(w[i*len(e)+j]) * float64(x)
					}
					dot, ww, gg = dot+got*float64(l), ww+float64(l)*float64(l), gg+got*got
				}
				// The product's own rounding of activations is what is left.
				if cos, scale := dot/math.Sqrt(ww*gg), math.Sqrt(gg/ww); !(cos > 0.999 && math.Abs(scale-1) < 0.01) {
					t.Errorf("%d tokens: the cosine with the logits is %.5f, the ratio of lengths %.5f", n, cos, scale)
				}
			}
		})
	}
}

// TestEmbedContext: a text may fill the context, since no answer comes after it.
func TestEmbedContext(t *testing.T) {
	m := openGolden(t, golden(t, "llama-gqa"), engine.Options{Threads: 1, Context: 100})
	for _, n := range []int{1, 99, 100} {
		if v, err := m.Embed(context.Background(), randomTokens(1, n)); err != nil || len(v) == 0 {
			t.Errorf("%d tokens: %d values, %v", n, len(v), err)
		}
	}
	for _, n := range []int{101, 5000} {
		var long *sched.ErrTooLong
		if _, err := m.Embed(context.Background(), randomTokens(1, n)); !errors.As(err, &long) || long.Tokens != n || long.Limit != 100 || strings.Contains(err.Error(), "answer") {
			t.Errorf("%d tokens: %v", n, err)
		}
	}
	if _, err := m.Embed(context.Background(), nil); !errors.Is(err, engine.ErrEmptyPrompt) {
		t.Errorf("no token: %v", err)
	}
}
