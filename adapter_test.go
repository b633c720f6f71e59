package ledge_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// TestWithAdapter: an adapter changes the logits by its scale; one that cannot be read
// is an error.
func TestWithAdapter(t *testing.T) {
	path := tinyModel()
	defer os.RemoveAll(filepath.Dir(path))
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, ok := f.Tensor("blk.0.attn_v.weight")
	if !ok {
		t.Fatal("no such tensor")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	m := lora.Matrices{Weight: x.Name, Rank: 1}
	for range x.Shape[1] {
		m.A = append(m.A, float32(rng.NormFloat64()))
	}
	for range x.Shape[0] {
		m.B = append(m.B, float32(rng.NormFloat64()))
	}
	arch, _ := f.String("general.architecture")
	w, err := lora.NewWriter(lora.Header{Architecture: arch}, dtype.F32, []lora.Matrices{m})
	if err != nil {
		t.Fatal(err)
	}
	adapter := filepath.Join(t.TempDir(), "adapter.gguf")
	if err := w.Save(t.Context(), adapter, false); err != nil {
		t.Fatal(err)
	}
	first := func(opts ...ledge.Option) float32 {
		m := open(t, opts...)
		for row, err := range m.Logits(ctx, m.Tokenize("a text", ledge.TokenizeOptions{})) {
			if err != nil {
				t.Fatal(err)
			}
			return row[1]
		}
		t.Fatal("no logits")
		return 0
	}
	plain, whole := first(), first(ledge.WithAdapter(adapter, 1))
	if none := first(ledge.WithAdapter(adapter, 0)); none != plain || whole == plain {
		t.Errorf("a logit of %g, with an adapter %g, with it at scale 0 %g", plain, whole, none)
	}
	_, err = ledge.Open(ctx, path, ledge.WithAdapter(adapter, 1), ledge.WithAdapter(filepath.Join(t.TempDir(), "none.gguf"), 1))
	if err == nil || !strings.Contains(err.Error(), "none.gguf") {
		t.Errorf("an adapter that is not there: error %v", err)
	}
	if _, err = ledge.Open(ctx, path, ledge.WithAdapter(path, 1)); err == nil || !strings.Contains(err.Error(), "not an adapter") {
		t.Errorf("a model as an adapter: error %v", err)
	}
}
