package prune

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

// TestWriteHealed: the file has the pruned one's tensors in their types, the values being
// those that were learnt; what was not learnt from this plan's file is refused.
func TestWriteHealed(t *testing.T) {
	f := tiny(t, "llama-gqa", nil)
	p, pruned := pruneFile(t, f, Options{Layers: 1, Channels: 32, Text: sample, Threads: 2})
	if err := p.Healable(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "healed.gguf")
	if err := p.WriteHealed(t.Context(), pruned, path, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	same := open(t, path) // nothing was learnt
	if len(same.Tensors()) != len(pruned.Tensors()) {
		t.Errorf("%d tensors of %d", len(same.Tensors()), len(pruned.Tensors()))
	}
	for _, x := range pruned.Tensors() {
		y, ok := same.Tensor(x.Name)
		if !ok || y.DType != x.DType || !bytes.Equal(x.Data, y.Data) {
			t.Errorf("%s is another", x.Name)
		}
	}
	if err := p.WriteHealed(t.Context(), f, path, WriteOptions{Replace: true}); err == nil || !strings.Contains(err.Error(), "there is no tensor") || strings.Contains(err.Error(), "\n") {
		t.Errorf("the source as what was healed: %v", err)
	}
	if err := p.WriteHealed(t.Context(), pruned, path, WriteOptions{}); err == nil {
		t.Error("a file that is there was written over")
	}
	p.tensors[0].dtype = dtype.IQ2_XXS
	if err := p.Healable(); err == nil || !strings.Contains(err.Error(), "which nothing encodes") {
		t.Errorf("a type that is only read: %v", err)
	}
}
