package cpu

import (
	"encoding/binary"
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
)

// A quantised row of activations is ceil(cols/64) records of actBytes bytes, all
// fields little-endian:
//
//	 0  [64]int8    q, in -127..127
//	64  [2]float32  d, one for each 32 values: value = d*q
//	72  [2]int32    sums of q over each 32
//	80  [4]int32    sums of q over each 16
//
// A block with a NaN has a NaN for d, one with an infinity has an infinity;
// both make the product's output NaN or infinite. Values beyond cols are 0.
const (
	actBytes = 96
	actScale = 64
	actSum32 = 72
	actSum16 = 80
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
func Q8RowBytes(cols int) int { return (cols + pairCols - 1) / pairCols * actBytes }

// QuantizeRows quantises rows [row0, row1) of src, of cols values each, row i
// beginning at src[i*lds], into dst, row i beginning at dst[i*Q8RowBytes(cols)].
// cols need not be a multiple of 32.
func (k *Kernels) QuantizeRows(dst []byte, src []float32, lds, cols, row0, row1 int) {
	size := Q8RowBytes(cols)
	full := cols / pairCols
	for i := row0; i < row1; i++ {
		d, s := dst[i*size:(i+1)*size], src[i*lds:i*lds+cols]
		if k.asm != nil && full > 0 {
			k.asm.quantize(&d[0], &s[0], full)
		} else {
			for j := range full {
				quantizePair(d[j*actBytes:], s[j*pairCols:])
			}
		}
		if rest := s[full*pairCols:]; len(rest) > 0 {
			var padded [pairCols]float32
			copy(padded[:], rest)
			// Plain Go is exact here: every level gives the same bytes.
			quantizePair(d[full*actBytes:], padded[:])
		}
	}
}

// quantizePair writes one record.
func quantizePair(dst []byte, src []float32) {
	dst, src = dst[:actBytes], src[:pairCols]
	for b := range 2 {
		x := src[32*b : 32*b+32]
		// As integers, magnitudes order like the numbers, and NaN comes last.
		top := math.Float32bits(tiniest)
		for _, v := range x {
			top = max(top, math.Float32bits(v)&^(1<<31))
		}
		amax := math.Float32frombits(top)
		inv := 127 / amax
		var sums [2]int32
		for i, v := range x {
			q := roundInt8(float32(v * inv))
			dst[32*b+i] = byte(q)
			sums[i/16] += int32(q)
		}
		binary.LittleEndian.PutUint32(dst[actScale+4*b:], math.Float32bits(amax/127))
		binary.LittleEndian.PutUint32(dst[actSum32+4*b:], uint32(sums[0]+sums[1]))
		binary.LittleEndian.PutUint32(dst[actSum16+8*b:], uint32(sums[0]))
		binary.LittleEndian.PutUint32(dst[actSum16+8*b+4:], uint32(sums[1]))
	}
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
