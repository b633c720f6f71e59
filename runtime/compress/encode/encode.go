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
// the scale that suits these codes best (Lloyd's two steps). Sixteen candidates are
// tried at once (cpu.Fit). Types whose groups share a scale choose that from the
// groups' own optima, and then each group tries the neighbours of its rounded
// scale and minimum, with the codes they would have.
package encode

import (
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
)

const lanes = cpu.FitLanes

// Encoder encodes rows of one type. It is not for concurrent use.
type Encoder struct {
	dtype dtype.DType
	block func(e *Encoder, dst []byte, x, w []float32)
	k     *cpu.Kernels
	f     cpu.Fit
	ones  [256]float32
	q     [256]byte
	lost  bool // the errors of every candidate of a block overflowed
}

var blocks = map[dtype.DType]func(e *Encoder, dst []byte, x, w []float32){
	dtype.Q4_0: (*Encoder).q4_0, dtype.Q5_0: (*Encoder).q5_0, dtype.Q8_0: (*Encoder).q8_0,
	dtype.Q4_1: (*Encoder).q4_1, dtype.Q5_1: (*Encoder).q5_1,
	dtype.Q2_K: (*Encoder).q2_K, dtype.Q4_K: (*Encoder).q4_K, dtype.Q5_K: (*Encoder).q5_K,
	dtype.Q3_K: (*Encoder).q3_K, dtype.Q6_K: (*Encoder).q6_K,
	dtype.IQ4_NL: (*Encoder).iq4_NL, dtype.IQ4_XS: (*Encoder).iq4_XS, dtype.MXFP4: (*Encoder).mxfp4,
}

// Can tells whether there is an encoder for a type.
func Can(d dtype.DType) bool {
	switch d {
	case dtype.F32, dtype.F16, dtype.BF16:
		return true
	}
	return blocks[d] != nil
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
	e := &Encoder{dtype: d, block: blocks[d], k: k}
	for i := range e.ones {
		e.ones[i] = 1
	}
	return e, nil
}

// Row encodes a row, of whole blocks, into dst, which has just the room. w holds a
// weight for each column, none negative; nil stands for ones. Values that are no
// finite numbers are an error, and so are those whose errors cannot be summed up.
func (e *Encoder) Row(dst []byte, x, w []float32) error {
	n, err := e.dtype.RowBytes(len(x))
	if err != nil {
		return err
	}
	if len(dst) != n || w != nil && len(w) != len(x) {
		return fmt.Errorf("encode: a row of %d values with %d weights into %d bytes of %v", len(x), len(w), len(dst), e.dtype)
	}
	if !finite(x) {
		return ErrNotFinite
	}
	if e.block == nil {
		return dtype.Quantize(e.dtype, dst, x)
	}
	size, bytes := e.dtype.BlockLen(), e.dtype.BlockBytes()
	e.lost = false
	for at := 0; at < len(x); at += size {
		wb := e.ones[:size]
		if w != nil {
			wb = w[at : at+size]
		}
		e.block(e, dst[:bytes], x[at:at+size], wb)
		if e.lost {
			return ErrOverflow
		}
		dst = dst[bytes:]
	}
	return nil
}

// ErrNotFinite is returned for values that are no numbers or infinite.
var ErrNotFinite = fmt.Errorf("it has values that are infinite or no numbers (NaN)")

// ErrOverflow is returned for values that no candidate has a finite error for.
var ErrOverflow = fmt.Errorf("its values, or their importance, are so large that squared errors overflow: the file is damaged, or the tensor must keep its type")

// better is the lane with the least error, or -1 where they overflowed, which Row
// then tells. An error may be minus infinity: a rounding below zero in units of a
// step whose square overflows.
func (e *Encoder) better() int {
	k := e.f.Best(lanes)
	if k < 0 || e.f.Err[k]-e.f.Err[k] != 0 {
		e.lost = true
		return -1
	}
	return k
}

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

// weights are those of a block, with their sum. Where all are zero, the columns are never used, and count
// alike.
func (e *Encoder) weights(w []float32) ([]float32, float32) {
	var a, b float32
	for i := 0; i+1 < len(w); i += 2 {
		a += w[i]
		b += w[i+1]
	}
	if a+b > 1e-30 {
		return w, a + b
	}
	return e.ones[:len(w)], float32(len(w))
}

// extreme is the value of the largest magnitude.
func extreme(x []float32) float32 {
	lo, hi := bounds(x)
	if -lo > hi {
		return lo
	}
	return hi
}

// bounds are the smallest and the largest value.
func bounds(x []float32) (lo, hi float32) {
	lo, hi = x[0], x[0]
	low, high := lo, hi // two chains, for what the processor does at once
	for ; len(x) >= 2; x = x[2:] {
		a, b := x[0], x[1]
		if a < lo {
			lo = a
		}
		if a > hi {
			hi = a
		}
		if b < low {
			low = b
		}
		if b > high {
			high = b
		}
	}
	if low < lo {
		lo = low
	}
	if high > hi {
		hi = high
	}
	return lo, hi
}

// half rounds to what a float16 holds, and never to an infinity.
func half(v float32) (uint16, float32) {
	h := dtype.F32ToF16(min(max(v, -65504), 65504))
	return h, dtype.F16ToF32(h)
}

// tiny is the magnitude below which blocks are zeros: no float16 scale reaches it.
const tiny = 1e-9

// inverse is 1/d, and for 0 a number so small that every code becomes 0.
func inverse(d float32) float32 {
	if d == 0 {
		return 1e-6
	}
	return 1 / d
}
