package prune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
	"github.com/ledge-run/ledge/runtime/compress/encode"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// mask says which weights of a tensor become zero.
type mask struct {
	limit  uint32    // bits of the score below which all do
	ties   int64     // how many of those that are equal to it do, too, the first ones
	row    int       // how many of each row do; or
	n, m   int       // n of every m
	scale  []float32 // by column: what |w| is multiplied by; nil: 1
	scores []uint32  // room for a row
}

// exact are the types that hold a zero as it is, and where their values lie.
var exact = map[dtype.DType]func(block []byte, i int){
	dtype.F32: func(b []byte, i int) { clear(b[4*i : 4*i+4]) }, dtype.F16: func(b []byte, i int) { clear(b[2*i : 2*i+2]) },
	dtype.BF16: func(b []byte, i int) { clear(b[2*i : 2*i+2]) }, dtype.Q8_0: func(b []byte, i int) { b[2+i] = 0 },
	dtype.Q4_0: func(b []byte, i int) { setNibble(b[2:], i, 8) },
	dtype.Q5_0: func(b []byte, i int) {
		setNibble(b[6:], i, 0)
		b[2+i/8] |= 1 << (i % 8)
	},
}

// setNibble sets one of 32 values of four bits: the first half are the low ones.
func setNibble(b []byte, i int, v byte) {
	if i < 16 {
		b[i] = b[i]&0xf0 | v
	} else {
		b[i-16] = b[i-16]&0x0f | v<<4
	}
}

// each visits a tensor's rows as bits of their scores.
func (m *mask) each(ctx context.Context, t *gguf.Tensor, see func(row int, scores []uint32)) error {
	x := make([]float32, t.RowLen())
	for r := range t.NumRows() {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := t.DequantizeRows(x, r, 1); err != nil {
			return err
		}
		scores, err := m.score(x)
		if err != nil {
			return fmt.Errorf("tensor %s, row %d: %w", t.Name, r, err)
		}
		see(r, scores)
	}
	return nil
}

// score gives the bits of each weight's score.
func (m *mask) score(x []float32) ([]uint32, error) {
	if len(m.scores) < len(x) {
		m.scores = make([]uint32, len(x))
	}
	for i, v := range x {
		if m.scale != nil {
			v *= m.scale[i]
		}
		if v-v != 0 {
			return nil, encode.ErrNotFinite
		}
		m.scores[i] = math.Float32bits(v) &^ (1 << 31)
	}
	return m.scores[:len(x)], nil
}

// zeroed is the tensor with its zeros. Where it keeps its type, the other weights keep
// their bits.
func (t *tensor) zeroed(ctx context.Context, k *cpu.Kernels) ([]byte, error) {
	size, err := t.dtype.RowBytes(t.from.RowLen())
	if err != nil {
		return nil, err
	}
	e, err := encode.With(k, t.dtype)
	if err != nil {
		return nil, err
	}
	data := make([]byte, t.from.NumRows()*size)
	if t.dtype == t.from.DType {
		copy(data, t.from.Data)
	}
	set, length, bytes := exact[t.dtype], t.dtype.BlockLen(), t.dtype.BlockBytes()
	x := make([]float32, t.from.RowLen())
	ties := t.zeros.ties
	order := make([]int, t.from.RowLen())
	var failed error
	err = t.zeros.each(ctx, t.from, func(r int, scores []uint32) {
		row := data[r*size : (r+1)*size]
		gone := t.zeros.gone(scores, order, &ties)
		if t.dtype != t.from.DType && failed == nil {
			if failed = t.from.DequantizeRows(x, r, 1); failed != nil {
				return
			}
			for _, i := range gone {
				x[i] = 0
			}
			if err := e.Row(row, x, nil); err != nil {
				failed = fmt.Errorf("tensor %s, row %d: %w", t.name, r, err)
			}
		}
		for _, i := range gone {
			set(row[i/length*bytes:(i/length+1)*bytes], i%length)
		}
	})
	return data, errors.Join(err, failed)
}

// gone are the columns of a row that become zero; they are in order's memory.
func (m *mask) gone(scores []uint32, order []int, ties *int64) []int {
	list := order[:0]
	smallest := func(from, to, n int) {
		at := len(list)
		for i := from; i < to; i++ {
			list = append(list, i)
		}
		slices.SortStableFunc(list[at:], func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
		list = list[:at+n]
	}
	switch {
	case m.m > 0:
		for from := 0; from < len(scores); from += m.m {
			smallest(from, from+m.m, m.n)
		}
	case m.row > 0:
		smallest(0, len(scores), m.row)
	default:
		for i, s := range scores {
			if s < m.limit {
				list = append(list, i)
			} else if s == m.limit && *ties > 0 {
				*ties--
				list = append(list, i)
			}
		}
	}
	return list
}
