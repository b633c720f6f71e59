package lora

import (
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Matrices are the change of one weight, to be written: A and B row by row.
type Matrices struct {
	Weight string
	Rank   int
	A, B   []float32
}

// Header is what a file says of itself.
type Header struct {
	Architecture string  // of the model
	Alpha        float32 // 0 stands for the rank
	Name         string  // of the adapter, for people; may be ""
	Base         string  // of the model, for people; may be ""
}

// NewWriter makes the file of an adapter, in F32, F16 or BF16: a gguf.Writer to save, or
// to set more metadata in.
func NewWriter(h Header, d dtype.DType, all []Matrices) (*gguf.Writer, error) {
	switch d {
	case dtype.F32, dtype.F16, dtype.BF16:
	default:
		return nil, fmt.Errorf("lora: an adapter is written in f32, f16 or bf16, not %v", d)
	}
	w := &gguf.Writer{}
	type pair struct {
		key   string
		value any
	}
	pairs := []pair{{keyArchitecture, h.Architecture}, {keyType, "adapter"}, {keyAdapter, "lora"}, {keyAlpha, h.Alpha}}
	if h.Name != "" {
		pairs = append(pairs, pair{"general.name", h.Name})
	}
	if h.Base != "" {
		pairs = append(pairs, pair{"general.base_model.count", uint32(1)}, pair{"general.base_model.0.name", h.Base})
	}
	for _, p := range pairs {
		if err := w.Set(p.key, p.value); err != nil {
			return nil, err
		}
	}
	for _, m := range all {
		if m.Rank < 1 || len(m.A) == 0 || len(m.B) == 0 || len(m.A)%m.Rank != 0 || len(m.B)%m.Rank != 0 {
			return nil, fmt.Errorf("lora: %s: %d and %d values are no matrices of rank %d", m.Weight, len(m.A), len(m.B), m.Rank)
		}
		a := []int{m.Rank, len(m.A) / m.Rank}
		if Turned(m.Weight) {
			a[0], a[1] = a[1], a[0]
		}
		if err := add(w, m.Weight+SuffixA, d, a, m.A); err != nil {
			return nil, err
		}
		if err := add(w, m.Weight+SuffixB, d, []int{len(m.B) / m.Rank, m.Rank}, m.B); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func add(w *gguf.Writer, name string, d dtype.DType, shape []int, x []float32) error {
	n, err := dtype.ByteSize(d, shape)
	if err != nil {
		return fmt.Errorf("lora: %s: %w", name, err)
	}
	data := make([]byte, n)
	if err := dtype.Quantize(d, data, x); err != nil {
		return fmt.Errorf("lora: %s: %w", name, err)
	}
	return w.Add(name, d, shape, data)
}
