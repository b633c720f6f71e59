package cpu

import (
	"encoding/binary"
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// The records of quantised activations are those of package packed.
const (
	actCols  = packed.ActCols
	actBytes = packed.ActBytes
)

// tiniest is the least magnitude that a block's largest value is taken to have,
// so that its reciprocal is finite.
const tiniest = 1e-30

// ActFormat is a form of activations that products read.
type ActFormat uint8

const (
	ActF32 ActFormat = iota // rows of float32, for plain weights
	ActQ8                   // rows of int8 blocks as QuantizeRows writes them
)

// ActFormatOf is the form that a product with weights of the type reads its
// activations in.
func ActFormatOf(dt dtype.DType) ActFormat {
	if p, ok := packingOf(dt); ok && p.plain == 0 {
		return ActQ8
	}
	return ActF32
}

// Acts are the activations of a product, rows of Cols values: the form that the
// weights need must be there, the other may be nil. A buffer may serve several
// products, with weights of different types.
type Acts struct {
	Cols int
	F32  []float32 // row i begins at i*LD
	LD   int
	Q8   []byte // row i begins at i*Q8RowBytes(Cols)
}

// Q8RowBytes is the size of a quantised row of cols activations.
func Q8RowBytes(cols int) int { return packed.ActRowBytes(cols) }

// QuantizeRows quantises rows [row0, row1) of src, of cols values each, row i
// beginning at src[i*lds], into dst, row i beginning at dst[i*Q8RowBytes(cols)].
// cols need not be a multiple of 32.
func (k *Kernels) QuantizeRows(dst []byte, src []float32, lds, cols, row0, row1 int) {
	size := Q8RowBytes(cols)
	full := cols / actCols
	for i := row0; i < row1; i++ {
		d, s := dst[i*size:(i+1)*size], src[i*lds:i*lds+cols]
		if k.asm != nil && full > 0 {
			k.asm.quantize(&d[0], &s[0], full)
		} else {
			for j := range full {
				quantizeRecord(d[j*actBytes:], s[j*actCols:])
			}
		}
		// Plain Go gives the same bytes as every level.
		if rest := s[full*actCols:]; len(rest) > 0 {
			var padded [actCols]float32
			copy(padded[:], rest)
			quantizeRecord(d[full*actBytes:], padded[:])
		}
		clear(d[(cols+actCols-1)/actCols*actBytes:]) // what is there to the multiple of packed.ActAlign
	}
}

// quantizeRecord writes one record. A block with a NaN has a NaN for d, one with
// an infinity has an infinity; both make the product's output NaN or infinite.
func quantizeRecord(dst []byte, src []float32) {
	dst, src = dst[:actBytes], src[:actCols]
	le := binary.LittleEndian
	for b := range 2 {
		x := src[32*b : 32*b+32]
		// As integers, magnitudes order like the numbers, and NaN comes last.
		top := math.Float32bits(tiniest)
		for _, v := range x {
			top = max(top, math.Float32bits(v)&^(1<<31))
		}
		amax := math.Float32frombits(top)
		inv := 127 / amax
		var half [2]int32
		for i, v := range x {
			q := roundInt8(float32(v * inv))
			dst[32*b+i] = byte(q)
			half[i/16] += int32(q)
		}
		d, sum := amax/127, half[0]+half[1]
		putF32(dst[packed.ActScale+4*b:], d)
		putF32(dst[packed.ActSum+4*b:], d*float32(sum))
		le.PutUint32(dst[packed.ActMinus8+4*b:], uint32(-8*sum))
		le.PutUint32(dst[packed.ActMinus16+4*b:], uint32(-16*sum))
		le.PutUint32(dst[packed.ActHigh+4*b:], uint32(-128*sum))
		le.PutUint32(dst[packed.ActHalf32+8*b:], uint32(-32*half[0]))
		le.PutUint32(dst[packed.ActHalf32+8*b+4:], uint32(-32*half[1]))
	}
	clear(dst[packed.ActEnd:])
}

// roundInt8 rounds to the nearest integer, half to even. What is not a number of
// that range becomes -128, as by the processor's conversion followed by
// saturation; it only occurs under a scale that is not finite.
func roundInt8(v float32) int8 {
	if !(v >= -128 && v <= 127.5) {
		return -128
	}
	const magic = 3 << 22
	return int8(float32(v+magic) - magic)
}
