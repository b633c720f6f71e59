// Package imatrix measures and keeps importance matrices: for each weight matrix
// of a model the sums of the squares of its inputs, column by column, over a
// calibration text. An encoder that weights the columns by their mean squares
// minimises what the products lose, rather than the weights.
//
// Files are those of llama.cpp: GGUF since 2025 (two or three tensors for each
// entry: NAME.in_sum2, NAME.counts, NAME.in_sum) and the binary format before it.
package imatrix

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Matrix is an importance matrix.
type Matrix struct {
	Entries   map[string]*Entry // by the weight's name
	Datasets  []string          // names of the texts
	Chunks    int               // of the texts
	ChunkSize int               // tokens of a chunk
}

// Entry are the sums for one weight. One that is several matrices (experts) has
// them one after the other, each with a count of its own.
type Entry struct {
	Squares []float32 // sums of squared inputs
	Sums    []float32 // sums of inputs; nil if the file had none
	Counts  []int64   // rows that were summed, by matrix
}

// Names are the weights that have an entry, in order.
func (m *Matrix) Names() []string { return slices.Sorted(maps.Keys(m.Entries)) }

// Weights are the mean squares of the inputs of a weight's columns, matrices
// times columns of them; ok is false if there is no entry. A matrix that has no
// rows (an expert that the text never reached) counts all columns alike.
func (m *Matrix) Weights(name string, columns, matrices int) (w []float32, ok bool, err error) {
	e := m.Entries[name]
	if e == nil {
		return nil, false, nil
	}
	n := columns * matrices
	if len(e.Squares) != n {
		return nil, false, fmt.Errorf("the importance matrix has %d columns for %s, the model %d: it was made for another model", len(e.Squares), name, n)
	}
	w = make([]float32, n)
	for i := range w {
		count := e.Counts[i/(n/len(e.Counts))]
		if count == 0 {
			w[i] = 1
			continue
		}
		w[i] = e.Squares[i] / float32(count)
	}
	return w, true, nil
}

// check refuses what no measurement gives. The lengths are read from a file.
func (e *Entry) check(name string) error {
	bad := func(what string) error { return fmt.Errorf("the entry for %q has %s", clip(name), what) }
	if len(e.Squares) == 0 || len(e.Counts) == 0 || len(e.Squares)%len(e.Counts) != 0 {
		return bad(fmt.Sprintf("%d sums for %d matrices", len(e.Squares), len(e.Counts)))
	}
	if e.Sums != nil && len(e.Sums) != len(e.Squares) {
		return bad(fmt.Sprintf("%d sums, %d sums of squares", len(e.Sums), len(e.Squares)))
	}
	for _, n := range e.Counts {
		if n < 0 {
			return bad("a negative count")
		}
	}
	for _, v := range e.Squares {
		if !(v >= 0) || math.IsInf(float64(v), 0) {
			return bad(fmt.Sprintf("a sum of squares of %g", v))
		}
	}
	return nil
}

// clip shortens outside text for an error message.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
