// Package encode turns rows of float32 into quantised blocks of the least error.
//
// An error is the sum of w (x - y)^2 over a block, x being the values, y what is
// read back and w the weights of the columns: an importance matrix says how large
// the inputs are that a column is multiplied with, so that the weighted error is
// what a product loses (Frantar and Alistarh 2022, "Optimal Brain Compression",
// take the same objective with the inputs' full covariance). Without one all
// columns count the same.
//
// Every type is searched in the same way. A candidate is a scale (and a minimum,
// where a type has one); the codes are the values' nearest, and least squares give
// the scale that suits these codes best (Lloyd's two steps). Sixteen blocks are
// searched at once, or groups of blocks, a lane of each vector for each (cpu.Batch).
// Types whose groups share a scale choose that from the groups' own optima, and then
// each group tries the neighbours of its rounded scale and minimum, with the codes
// they would have. What becomes of a block does not depend on those beside it.
package encode

import (
	"fmt"
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
)

// Encoder encodes rows of one type. It is not for concurrent use.
type Encoder struct {
	dtype    dtype.DType
	size     int // values that a lane of a batch has: a block, or a group of one
	batch    func(e *Encoder, dst []byte, x []float32, blocks int)
	k        *cpu.Kernels
	b        cpu.Batch
	weighted bool

	x, w  [512]float32 // a batch that is not whole, or whose weights are not in one piece
	q     [512]byte    // codes
	id    cpu.Lanes    // what values are multiplied with, and what is added, to become codes
	off   cpu.Lanes
	scale cpu.Lanes // of groups: what their scales are multiples of
	mul   [cpu.BatchLanes]int
	h     [2 * cpu.BatchLanes]byte
	t     cpu.Lanes
}

// kind is how a type is encoded: sixteen lanes of size values at a time.
type kind struct {
	size  int
	batch func(e *Encoder, dst []byte, x []float32, blocks int)
}

var kinds = map[dtype.DType]kind{
	dtype.Q4_0: {32, (*Encoder).q4_0}, dtype.Q5_0: {32, (*Encoder).q5_0}, dtype.Q8_0: {32, (*Encoder).q8_0},
	dtype.Q4_1: {32, (*Encoder).q4_1}, dtype.Q5_1: {32, (*Encoder).q5_1},
	dtype.Q2_K: {16, (*Encoder).q2_K}, dtype.Q4_K: {32, (*Encoder).q4_K}, dtype.Q5_K: {32, (*Encoder).q5_K},
	dtype.Q3_K: {16, (*Encoder).q3_K}, dtype.Q6_K: {16, (*Encoder).q6_K},
	dtype.IQ4_NL: {32, (*Encoder).iq4_NL}, dtype.IQ4_XS: {32, (*Encoder).iq4_XS}, dtype.MXFP4: {32, (*Encoder).mxfp4},
}

// Can tells whether there is an encoder for a type.
func Can(d dtype.DType) bool {
	switch d {
	case dtype.F32, dtype.F16, dtype.BF16:
		return true
	}
	return kinds[d].batch != nil
}

// New makes an encoder, on the best kernels of this processor.
func New(d dtype.DType) (*Encoder, error) {
	k, err := cpu.Select("")
	if err != nil {
		return nil, err
	}
	return With(k, d)
}

// With makes an encoder on given kernels.
func With(k *cpu.Kernels, d dtype.DType) (*Encoder, error) {
	if !Can(d) {
		return nil, fmt.Errorf("encode: there is no encoder for type %v", d)
	}
	return &Encoder{dtype: d, size: kinds[d].size, batch: kinds[d].batch, k: k}, nil
}

// Row is Rows for one row.
func (e *Encoder) Row(dst []byte, x, w []float32) error { return e.Rows(dst, x, len(x), w) }

// Rows encodes rows of the given number of columns, of whole blocks, into dst, which
// has just the room. w holds a weight for each column, none negative; nil stands for
// ones. Values that are no finite numbers are an error, and so are those whose errors
// cannot be summed up.
func (e *Encoder) Rows(dst []byte, x []float32, columns int, w []float32) error {
	n, err := e.dtype.RowBytes(columns)
	if err != nil {
		return err
	}
	if columns <= 0 || len(x)%columns != 0 || len(dst) != n*(len(x)/columns) || w != nil && len(w) != columns {
		return fmt.Errorf("encode: %d values in rows of %d with %d weights into %d bytes of %v", len(x), columns, len(w), len(dst), e.dtype)
	}
	if e.batch == nil {
		switch most := largest[e.dtype]; {
		case !finite(x):
			return ErrNotFinite
		case most != 0 && beyond(x, most):
			return ErrTooLarge
		}
		return dtype.Quantize(e.dtype, dst, x)
	}
	block, bytes := e.dtype.BlockLen(), e.dtype.BlockBytes()
	e.weighted = w != nil
	for at, per := 0, cpu.BatchLanes*e.size; at < len(x); at += per {
		xs := x[at:min(at+per, len(x))]
		blocks := len(xs) / block
		if len(xs) < per {
			clear(e.x[copy(e.x[:], xs):])
			xs = e.x[:per]
		}
		e.k.Load(&e.b, xs, e.size)
		if e.weighted {
			e.k.LoadWeights(&e.b, e.window(w, at%columns, per), e.size)
		}
		e.k.Range(&e.b, e.size)
		if err := e.check(xs); err != nil {
			return err
		}
		e.batch(e, dst[:blocks*bytes], xs, blocks)
		if e.b.Lost() {
			return ErrOverflow
		}
		dst = dst[blocks*bytes:]
	}
	return nil
}

// window are n weights from a column on, those of the first after those of the last.
func (e *Encoder) window(w []float32, from, n int) []float32 {
	if from+n <= len(w) {
		return w[from : from+n]
	}
	for at := 0; at < n; from = 0 {
		at += copy(e.w[at:n], w[from:])
	}
	return e.w[:n]
}

// check finds values that are no numbers, and what overflows. Sums of weights go with
// the squares of codes, at most 128.
func (e *Encoder) check(x []float32) error {
	var sum float32
	for i, v := range &e.b.Energy {
		sum += v*0 + e.b.Total[i]*(128*128)*0
	}
	switch {
	case sum == 0:
		return nil
	case !finite(x):
		return ErrNotFinite
	}
	return ErrOverflow
}

// ErrNotFinite is returned for values that are no numbers or infinite.
var ErrNotFinite = fmt.Errorf("it has values that are infinite or no numbers (NaN)")

// ErrTooLarge is returned for values that the type would turn into infinities.
var ErrTooLarge = fmt.Errorf("it has values that are too large for the type: choose bf16 or f32 for this tensor")

// largest are the magnitudes that round to infinity: half a step above the largest number.
var largest = map[dtype.DType]float32{dtype.F16: 65520, dtype.BF16: math.Float32frombits(0x7f7f8000)}

// beyond tells whether a magnitude reaches the limit.
func beyond(x []float32, limit float32) bool {
	for _, v := range x {
		if v >= limit || v <= -limit {
			return true
		}
	}
	return false
}

// ErrOverflow is returned for values that no candidate has a finite error for.
var ErrOverflow = fmt.Errorf("its values, or their importance, are so large that squared errors overflow: the file is damaged, or the tensor must keep its type")

// finite tells whether all values are finite: anything else times zero is NaN.
func finite(x []float32) bool {
	var a, b, c, d float32
	for ; len(x) >= 4; x = x[4:] {
		a += x[0] * 0
		b += x[1] * 0
		c += x[2] * 0
		d += x[3] * 0
	}
	for _, v := range x {
		a += v * 0
	}
	return a+b+c+d == 0
}

// half rounds to what a float16 holds, and never to an infinity.
func half(v float32) (uint16, float32) {
	h := dtype.F32ToF16(min(max(v, -65504), 65504))
	return h, dtype.F16ToF32(h)
}

// inverse is 1/d, and 0 for 0, which makes every code 0.
func inverse(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}
