package main

import (
	"fmt"
	"os"

	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// facts are the sizes of a model that its speed is judged by.
type facts struct {
	FileBytes   int64 `json:"file_bytes"`
	TokenBytes  int64 `json:"token_bytes"`  // of weights, read for every token generated
	MatrixElems int64 `json:"matrix_elems"` // multiplied for every token generated
	OutputElems int64 `json:"output_elems"` // of these, of the output matrix
	CacheBytes  int64 `json:"cache_bytes"`  // of keys and values in f16, for every position
	Window      int64 `json:"window"`       // of sliding attention, 0 for none
	LocalBytes  int64 `json:"local_bytes"`  // of CacheBytes, those of layers that see the window only
	Context     int64 `json:"context"`      // positions that the model was trained for
}

// readFacts reads them from a file.
func readFacts(path string) (facts, error) {
	info, err := os.Stat(path)
	if err != nil {
		return facts{}, err
	}
	f, err := gguf.Open(path)
	if err != nil {
		return facts{}, err
	}
	defer f.Close()
	m, err := factsOf(f)
	m.FileBytes = info.Size()
	return m, err
}

// factsOf counts what a token reads: every tensor, but of an embedding that is
// not also the output matrix only a row.
func factsOf(f *gguf.File) (facts, error) {
	var m facts
	_, untied := f.Tensor("output.weight")
	for i := range f.Tensors() {
		t := &f.Tensors()[i]
		if t.Name == "token_embd.weight" && untied {
			m.TokenBytes += int64(len(t.Data) / t.NumRows())
			continue
		}
		m.TokenBytes += int64(len(t.Data))
		if len(t.Shape) == 2 {
			m.MatrixElems += int64(t.NumElems())
			if t.Name == "output.weight" || t.Name == "token_embd.weight" {
				m.OutputElems = int64(t.NumElems())
			}
		}
	}
	arch, _ := f.String("general.architecture")
	number := func(key string, otherwise int64) int64 {
		if n, ok := f.Int(arch + "." + key); ok && n > 0 {
			return n
		}
		return otherwise
	}
	layers, heads, width := number("block_count", 0), number("attention.head_count", 0), number("embedding_length", 0)
	if layers == 0 || heads == 0 || width == 0 {
		return m, fmt.Errorf("the file lacks the sizes of a decoder of architecture %q", arch)
	}
	key := number("attention.key_length", width/heads)
	value := number("attention.value_length", key)
	m.Window, m.Context = number("attention.sliding_window", 0), number("context_length", 0)
	pattern := number("attention.sliding_window_pattern", globalEvery[arch])
	pairs := number("attention.head_count_kv", heads)
	each, _ := f.Ints(arch + ".attention.head_count_kv") // a number for each layer
	for l := range layers {
		if l < int64(len(each)) {
			pairs = each[l]
		}
		bytes := pairs * (key + value) * 2
		m.CacheBytes += bytes
		if m.Window > 0 && (pattern == 0 || (l+1)%pattern != 0) {
			m.LocalBytes += bytes
		}
	}
	return m, nil
}

// globalEvery are the architectures whose layers see a window except for every
// n-th one, if the file does not say n; with a window, all layers of others have
// it.
var globalEvery = map[string]int64{"gemma2": 2, "gemma3": 6}

// bytesRead are the bytes that a generated token reads: the weights, shared by
// sequences that decode together, and the cache of as many positions, or of the
// window where a layer sees no more.
func (m facts) bytesRead(sequences, positions int) float64 {
	cache := float64(m.CacheBytes) * float64(positions)
	if beyond := int64(positions) - m.Window; m.Window > 0 && beyond > 0 {
		cache -= float64(m.LocalBytes) * float64(beyond)
	}
	return float64(m.TokenBytes)/float64(sequences) + cache
}

// operations are those of a token, a product and its addition being two: of
// decoding with all matrices, of a prompt without the output matrix, which is
// needed for the last token only.
func (m facts) operations(prompt bool) float64 {
	n := m.MatrixElems
	if prompt {
		n -= m.OutputElems
	}
	return 2 * float64(n)
}
