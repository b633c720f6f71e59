package eval_test

import (
	"context"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/runtime/eval"
)

// A reference that is kept gives the same figures as the model itself, and is
// refused for another text.
func TestKeep(t *testing.T) {
	ctx := context.Background()
	ref, m := tiny(t, func([]byte) {}), tiny(t, twist)
	text := newText(t, m)
	want, err := eval.Compare(ctx, m, text, eval.ModelReference{M: ref}, nil)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := eval.Keep(ctx, ref, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := eval.Compare(ctx, m, text, kept, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.KL != want.KL || got.Model != want.Model || got.Reference != want.Reference || got.KL == 0 {
		t.Errorf("kept: %+v\nthe model: %+v", got, want)
	}
	longer, err := eval.NewText(m, prose, 32, 4)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eval.Compare(ctx, m, longer, kept, nil); err == nil || !strings.Contains(err.Error(), "another text") {
		t.Errorf("a longer text: %v", err)
	}
}
