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
	pairs := layers * number("attention.head_count_kv", heads)
	if each, ok := f.Ints(arch + ".attention.head_count_kv"); ok { // a number for each layer
		pairs = 0
		for _, n := range each {
			pairs += n
		}
	}
	m.CacheBytes = pairs * (key + value) * 2
	m.Window = number("attention.sliding_window", 0)
	return m, nil
}

// bytesRead are the bytes that a generated token reads: the weights, shared by
// sequences that decode together, and the cache of as many positions.
func (m facts) bytesRead(sequences, positions int) float64 {
	return float64(m.TokenBytes)/float64(sequences) + float64(m.CacheBytes)*float64(positions)
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
