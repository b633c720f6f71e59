package lora

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Use is an adapter in use, at a scale: 1 as it was trained, 0 without effect.
type Use struct {
	File  *File
	Scale float32
}

// Adapter is what a set does to a weight: it adds Scale B (A x).
type Adapter struct {
	Rank  int
	Scale float32
	A, B  dtype.DType
}

// Set is what several adapters do together to a model's weights. Where a weight has
// more than one, they are one of all their ranks, in float32:
// s B A + s' B' A' = [s B, s' B'] [A; A'].
type Set struct {
	uses     []Use
	adapters map[string]Adapter
	weights  []string
	tensors  map[string]*gguf.Tensor
	joined   bool // a tensor is in no file
}

// Join checks adapters against their model and puts them together. The files must stay
// open while the set is used.
func Join(base *gguf.File, uses ...Use) (*Set, error) {
	s := &Set{uses: uses, adapters: map[string]Adapter{}, tensors: map[string]*gguf.Tensor{}}
	all := map[string][]part{}
	for _, u := range uses {
		if f := float64(u.Scale); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("lora: %s: a scale of %g: want a finite number", u.File.name, u.Scale)
		}
		if err := u.File.Check(base); err != nil {
			return nil, err
		}
		for i := range u.File.Pairs {
			p := &u.File.Pairs[i]
			if all[p.Weight] == nil {
				s.weights = append(s.weights, p.Weight)
			}
			for _, t := range []*gguf.Tensor{p.A, p.B} {
				if ok, err := finite(t); err != nil {
					return nil, fmt.Errorf("lora: %s: %s: %w", u.File.name, t.Name, err)
				} else if !ok {
					return nil, u.File.errorf(nil, "train or convert it again: the file is damaged, or its training went astray", "tensor %.80q has values that are infinite or no numbers (NaN)", t.Name)
				}
			}
			scale := u.File.Scale(p, u.Scale)
			if math.IsInf(float64(scale), 0) {
				return nil, u.File.errorf(nil, "give a smaller scale", "at a scale of %g, with an alpha of %g, it counts infinitely much", u.Scale, u.File.Alpha)
			}
			all[p.Weight] = append(all[p.Weight], part{p, scale})
		}
	}
	for _, w := range s.weights {
		a, b, scale := all[w][0].A, all[w][0].B, all[w][0].scale
		if len(all[w]) > 1 {
			var err error
			if a, b, err = stack(all[w]); err != nil {
				return nil, fmt.Errorf("lora: %s: %w", w, err)
			}
			scale, s.joined = 1, true
		}
		s.tensors[w+SuffixA], s.tensors[w+SuffixB] = a, b
		s.adapters[w] = Adapter{Rank: b.Shape[1], Scale: scale, A: a.DType, B: b.DType}
	}
	return s, nil
}

// Adapter is that of a weight.
func (s *Set) Adapter(weight string) (Adapter, bool) {
	a, ok := s.adapters[weight]
	return a, ok
}

// Weights are those that have an adapter.
func (s *Set) Weights() []string { return s.weights }

// Tensor is one of the adapters' tensors, by its name.
func (s *Set) Tensor(name string) (*gguf.Tensor, bool) {
	t, ok := s.tensors[name]
	return t, ok
}

// OnDisk are the files that hold all of the set's tensors as they are; ok is false if
// there are none such.
func (s *Set) OnDisk() (files []gguf.OnDisk, ok bool) {
	for _, u := range s.uses {
		of := u.File.file.OnDisk()
		if len(of) == 0 || s.joined {
			return nil, false
		}
		files = append(files, of...)
	}
	return files, true
}

// CloseAll closes the adapters' files.
func CloseAll(uses []Use) error {
	var errs []error
	for _, u := range uses {
		errs = append(errs, u.File.Close())
	}
	return errors.Join(errs...)
}

// part is a pair and what its product counts.
type part struct {
	*Pair
	scale float32
}

// stack joins the pairs of one weight, whose scales go into their B.
func stack(parts []part) (a, b *gguf.Tensor, err error) {
	var as, bs []matrix
	for _, p := range parts {
		x, err := matrixOf(p.A, 1)
		if err != nil {
			return nil, nil, err
		}
		y, err := matrixOf(p.B, p.scale)
		if err != nil {
			return nil, nil, err
		}
		as, bs = append(as, x), append(bs, y)
	}
	left := below(as)
	if Turned(parts[0].Weight) {
		left = beside(as)
	}
	return left.tensor(parts[0].Weight + SuffixA), beside(bs).tensor(parts[0].Weight + SuffixB), nil
}

type matrix struct {
	rows, cols int
	x          []float32
}

func matrixOf(t *gguf.Tensor, scale float32) (matrix, error) {
	x, err := t.Dequantize()
	for i := range x {
		x[i] *= scale
	}
	return matrix{t.Shape[0], t.Shape[1], x}, err
}

func below(all []matrix) matrix {
	m := matrix{cols: all[0].cols}
	for _, a := range all {
		m.rows += a.rows
		m.x = append(m.x, a.x...)
	}
	return m
}

func beside(all []matrix) matrix {
	m := matrix{rows: all[0].rows}
	for _, a := range all {
		m.cols += a.cols
	}
	for r := range m.rows {
		for _, a := range all {
			m.x = append(m.x, a.x[r*a.cols:(r+1)*a.cols]...)
		}
	}
	return m
}

func (m matrix) tensor(name string) *gguf.Tensor {
	return &gguf.Tensor{Name: name, DType: dtype.F32, Shape: []int{m.rows, m.cols}, Data: bytesOf(m.x)}
}

func bytesOf(x []float32) []byte {
	data := make([]byte, 4*len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
	}
	return data
}

// finite tells whether all values of a tensor are: others make every answer of the model
// one of no words, without an error.
func finite(t *gguf.Tensor) (bool, error) {
	if t.DType == dtype.F32 {
		for i := 0; i+4 <= len(t.Data); i += 4 {
			if binary.LittleEndian.Uint32(t.Data[i:])&0x7f800000 == 0x7f800000 {
				return false, nil
			}
		}
		return true, nil
	}
	row := make([]float32, t.RowLen())
	for r := range t.NumRows() {
		if err := t.DequantizeRows(row, r, 1); err != nil {
			return false, err
		}
		for _, v := range row {
			if v-v != 0 {
				return false, nil
			}
		}
	}
	return true, nil
}
