package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/ledge-run/ledge/build/internal/synthmodel"
	"github.com/ledge-run/ledge/runtime/bench"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// TestSynth: a synthetic model is a whole file, the same each time, that says
// what it was asked to be.
func TestSynth(t *testing.T) {
	dir := t.TempDir()
	var files [][]byte
	for _, name := range []string{"a.gguf", "b.gguf"} {
		path := filepath.Join(dir, name)
		if err := writeSynth(path, synthmodel.Shape{Layers: 2, Dim: 64, Heads: 4, KVHeads: 2, FFN: 96, Vocab: 300, Context: 128, Tied: true}); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, data)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two files differ")
	}
	m, err := bench.Sizes(filepath.Join(dir, "a.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	const matrices = 300*64 + 2*(64*64+2*32*64+64*64+3*64*96)
	if m.Bytes != int64(len(files[0])) || m.TokenBytes != 2*matrices+4*64*5 || m.TokenOps != 2*matrices || m.PromptOps != 2*(matrices-300*64) ||
		m.CacheBytes != 2*2*32*2 || m.TrainedLength != 128 {
		t.Errorf("sizes %+v", m)
	}
	f, err := gguf.Open(filepath.Join(dir, "a.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	up, _ := f.Tensor("blk.1.ffn_up.weight")
	x, err := up.Dequantize()
	if err != nil {
		t.Fatal(err)
	}
	var squares float64
	for _, v := range x {
		squares += float64(v) * float64(v)
	}
	if v := squares / float64(len(x)) * 64; v < 0.9 || v > 1.1 { // the variance that keeps the scale
		t.Errorf("the variance times the inputs is %v, want 1", v)
	}
	if err := lengthen(filepath.Join(dir, "a.gguf"), filepath.Join(dir, "long.gguf"), 4096); err != nil {
		t.Fatal(err)
	}
	long, err := gguf.Open(filepath.Join(dir, "long.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer long.Close()
	if n, _ := long.Int("llama.context_length"); n != 4096 || len(long.Tensors()) != len(f.Tensors()) {
		t.Errorf("the copy has a context of %d and %d tensors", n, len(long.Tensors()))
	}
}
