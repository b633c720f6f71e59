package merge

import (
	"fmt"

	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// delta is scale B A, row by row.
type delta struct {
	left  []float32 // [rows, rank]
	right []float32 // [cols, rank], or [rank, cols] if across
	rank  int
	scale float32
	// across: row r is the sum of rows of right, left[r] of each; else a value is the
	// product of a row of left and one of right.
	across bool
}

func newDelta(s *lora.Set, weight string, a lora.Adapter) (*delta, error) {
	read := func(name string) ([]float32, error) {
		t, ok := s.Tensor(name)
		if !ok {
			return nil, fmt.Errorf("merge: the adapter has no tensor %q", name)
		}
		return t.Dequantize()
	}
	x, err := read(weight + lora.SuffixA)
	if err != nil {
		return nil, err
	}
	y, err := read(weight + lora.SuffixB)
	if err != nil {
		return nil, err
	}
	d := &delta{left: y, right: x, rank: a.Rank, scale: a.Scale, across: true}
	if lora.Turned(weight) { // A is [vocab, rank], B [size, rank]
		d.left, d.right, d.across = x, y, false
	}
	return d, nil
}

// row writes row r.
func (d *delta) row(dst []float32, r int) {
	left := d.left[r*d.rank : (r+1)*d.rank]
	if !d.across {
		for c := range dst {
			sum := float32(0)
			for k, v := range d.right[c*d.rank : (c+1)*d.rank] {
				sum += left[k] * v
			}
			dst[c] = d.scale * sum
		}
		return
	}
	clear(dst)
	for k, l := range left {
		l *= d.scale
		for c, v := range d.right[k*len(dst) : (k+1)*len(dst)] {
			dst[c] += l * v
		}
	}
}
