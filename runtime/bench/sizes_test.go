package bench

import (
	"testing"

	"github.com/ledge-run/ledge/runtime/engine/goldentest"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func tiny(t *testing.T, name string) *gguf.File {
	t.Helper()
	return goldentest.Parse(t, "../model/testdata", name+".gguf.gz")
}

func TestSizes(t *testing.T) {
	for _, name := range []string{"llama-gqa", "llama-tied", "gemma3"} {
		f := tiny(t, name)
		m, err := sizesOf(f)
		if err != nil {
			t.Fatal(err)
		}
		var all int64
		for _, x := range f.Tensors() {
			all += int64(len(x.Data))
		}
		embedding, _ := f.Tensor("token_embd.weight")
		output, untied := f.Tensor("output.weight")
		if !untied {
			output = embedding
			if m.TokenBytes != all {
				t.Errorf("%s: %d bytes a token, all tensors have %d", name, m.TokenBytes, all)
			}
		} else if want := all - int64(len(embedding.Data)) + int64(len(embedding.Data)/embedding.NumRows()); m.TokenBytes != want {
			t.Errorf("%s: %d bytes a token, want %d", name, m.TokenBytes, want)
		}
		if m.TokenOps-m.PromptOps != 2*int64(output.NumElems()) || m.PromptOps <= 0 {
			t.Errorf("%s: %+v", name, m)
		}
		arch, _ := f.String("general.architecture")
		layers, _ := f.Int(arch + ".block_count")
		k, _ := f.Tensor("blk.0.attn_k.weight")
		v, _ := f.Tensor("blk.0.attn_v.weight")
		if want := layers * int64(k.NumRows()+v.NumRows()) * 2; m.CacheBytes != want {
			t.Errorf("%s: %d bytes of cache a position, want %d", name, m.CacheBytes, want)
		}
		local := int64(0) // all layers but every pattern-th
		if window, ok := f.Int(arch + ".attention.sliding_window"); ok {
			pattern, ok := f.Int(arch + ".attention.sliding_window_pattern")
			if !ok {
				pattern = 6
			}
			local = m.CacheBytes / layers * (layers - layers/pattern)
			if m.Window != window {
				t.Errorf("%s: a window of %d, want %d", name, m.Window, window)
			}
		}
		if m.LocalBytes != local {
			t.Errorf("%s: %d bytes of cache in layers with a window, want %d", name, m.LocalBytes, local)
		}
	}
	if _, err := sizesOf(new(gguf.File)); err == nil {
		t.Error("an empty file gave no error")
	}
}
