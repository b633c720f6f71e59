// Package packed describes how weights of the quantised types lie in memory
// once they are packed, and the records of activations that they are multiplied
// with. The kernels of package cpu and the generator of their assembly read the
// same description.
//
// # Weights
//
// Sixteen rows of a matrix, a row group, lie interleaved. A group is a run of
// units; a unit holds Unit columns of all 16 rows:
//
//	the scales, then the minimums, if the type has any
//	for each block of 32 columns: the plane of low bits, then that of high bits
//
// A block is eight steps. A step is 64 bytes, one for each of 16 rows times 4
// columns: byte 4r+c is row r, column 4*step+c. Planes hold the bytes of several
// steps in one vector of 64 bytes, as many bits of each as the plane has:
//
//	8 bits: a vector a step
//	4 bits: 4 vectors; vector j has step j in the lower and step j+4 in the upper halves
//	2 bits: 2 vectors; vector j has steps 4j to 4j+3, the first in the lowest bits
//	1 bit:  1 vector; bit j is step j's
//
// So taking a step apart is a shift and a mask on any processor, whatever the
// width of its registers. Everything begins at a multiple of 64 bytes.
package packed

import (
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
)

const (
	Rows       = 16 // of a group
	BlockCols  = 32
	Steps      = 8 // of a block
	StepCols   = 4
	vector     = 64
	superBytes = vector // the float16 scale and minimum of 16 rows
)

// Scales says how a unit's scales and minimums are stored.
type Scales uint8

const (
	// Halves are [sub-block][16 rows] float16 scales, then likewise minimums.
	Halves Scales = iota
	// Supers are [16 rows] float16 d, [16 rows] float16 m, [sub-block][16 rows]
	// int8 scales, and if there are minimums the same of those: a scale is d times
	// its byte, a minimum is -m times its byte.
	Supers
	// SuperNibbles are d and m likewise, then [sub-block][16 rows] bytes with the
	// scale in the lower, the minimum in the upper half.
	SuperNibbles
	// Exponents are [block][16 rows] bytes e: the scale is 2^(e-128). An e of 255,
	// no number in MXFP4's specification, may make a product infinite or NaN.
	Exponents
)

// Format describes the packed form of a type.
type Format struct {
	DType  dtype.DType
	Unit   int // columns
	Sub    int // columns that share a scale: 32 or 16
	Low    int // bits of the plane of low bits
	High   int // bits of the plane of high bits, or 0
	Signed bool
	Curve  *[16]int8 // if not nil, values are indices into it
	Offset int       // subtracted from stored values
	Scales Scales
	Min    bool // there are minimums, added to scale times value
}

// The int8 values behind the codes of iq4_nl, iq4_xs and mxfp4: see the same
// tables in graph/dtype. They are parts of the file formats.
var (
	curveIQ4   = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	curveMXFP4 = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
)

// Formats are all of them. The number of a format is its index.
var Formats = []Format{
	{DType: dtype.Q4_0, Unit: 64, Sub: 32, Low: 4, Offset: 8},
	{DType: dtype.Q4_1, Unit: 64, Sub: 32, Low: 4, Min: true},
	{DType: dtype.Q5_0, Unit: 64, Sub: 32, Low: 4, High: 1, Offset: 16},
	{DType: dtype.Q5_1, Unit: 64, Sub: 32, Low: 4, High: 1, Min: true},
	{DType: dtype.Q8_0, Unit: 64, Sub: 32, Low: 8, Signed: true},
	{DType: dtype.IQ4_NL, Unit: 64, Sub: 32, Low: 4, Curve: &curveIQ4},
	{DType: dtype.MXFP4, Unit: 128, Sub: 32, Low: 4, Curve: &curveMXFP4, Scales: Exponents},
	{DType: dtype.IQ4_XS, Unit: 256, Sub: 32, Low: 4, Curve: &curveIQ4, Scales: Supers},
	{DType: dtype.Q2_K, Unit: 256, Sub: 16, Low: 2, Scales: SuperNibbles, Min: true},
	{DType: dtype.Q3_K, Unit: 256, Sub: 16, Low: 2, High: 1, Offset: 4, Scales: Supers},
	{DType: dtype.Q4_K, Unit: 256, Sub: 32, Low: 4, Scales: Supers, Min: true},
	{DType: dtype.Q5_K, Unit: 256, Sub: 32, Low: 4, High: 1, Scales: Supers, Min: true},
	{DType: dtype.Q6_K, Unit: 256, Sub: 16, Low: 4, High: 2, Offset: 32, Scales: Supers},
}

// Find returns the number of the type's format, or -1.
func Find(dt dtype.DType) int {
	for i := range Formats {
		if Formats[i].DType == dt {
			return i
		}
	}
	return -1
}

// Blocks is the number of blocks in a unit.
func (f *Format) Blocks() int { return f.Unit / BlockCols }

// Subs is the number of sub-blocks in a block.
func (f *Format) Subs() int { return BlockCols / f.Sub }

// Max is the largest stored value of an unsigned format.
func (f *Format) Max() int { return 1<<(f.Low+f.High) - 1 }

// ScalesAt is where in a unit the scales begin that there is one of for each
// sub-block; what is before them belongs to the whole unit.
func (f *Format) ScalesAt() int {
	if f.Scales == Supers || f.Scales == SuperNibbles {
		return superBytes
	}
	return 0
}

// ScaleBytes is the size of a sub-block's scales.
func (f *Format) ScaleBytes() int {
	if f.Scales == Halves {
		return 2 * Rows
	}
	return Rows
}

// MinsAt is where in a unit the minimums begin, laid out as the scales are.
// Those of SuperNibbles lie in the scales' bytes.
func (f *Format) MinsAt() int {
	if f.Scales == SuperNibbles {
		return f.ScalesAt()
	}
	return f.ScalesAt() + f.Unit/f.Sub*f.ScaleBytes()
}

// ValuesAt is where in a unit its blocks begin.
func (f *Format) ValuesAt() int {
	n := f.ScalesAt() + f.Unit/f.Sub*f.ScaleBytes()
	if f.Min && f.Scales != SuperNibbles {
		n += f.Unit / f.Sub * f.ScaleBytes()
	}
	return n
}

// LowBytes is the size of a block's plane of low bits, after which that of high
// bits begins.
func (f *Format) LowBytes() int { return f.Low * vector }

// BlockBytes is the size of a block.
func (f *Format) BlockBytes() int { return (f.Low + f.High) * vector }

// UnitBytes is the size of a unit.
func (f *Format) UnitBytes() int { return f.ValuesAt() + f.Blocks()*f.BlockBytes() }

// Units is the number of units in a row of cols columns.
func (f *Format) Units(cols int) int { return (cols + f.Unit - 1) / f.Unit }

// Place says where in a plane of so many bits step j of a block is: in which of
// the plane's vectors, and from which bit of each byte on.
func Place(bits, j int) (vector, shift int) {
	switch bits {
	case 8:
		return j, 0
	case 4:
		return j % 4, j / 4 * 4
	case 2:
		return j / 4, j % 4 * 2
	case 1:
		return 0, j
	}
	panic(fmt.Sprintf("packed: no plane has %d bits", bits))
}

// # Activations
//
// A quantised row of activations is a run of records, one for 64 columns, all
// fields little-endian. d*q is the value; the sums, of the values of a block or
// of half of one, are there in the forms in which products need them: what an
// offset of the weights takes off a dot product, and what a minimum is times.
const (
	ActCols    = 64
	ActBytes   = 128
	ActScale   = 64  // [2]float32  d of each block
	ActSum     = 72  // [2]float32  d times the sum of the block's q
	ActMinus8  = 80  // [2]int32    -8 times the sum
	ActMinus16 = 88  // [2]int32    -16 times the sum
	ActHigh    = 96  // [2]int32    -128 times the sum
	ActHalf32  = 104 // [4]int32    -32 times the sum of each half of a block
	ActEnd     = 120 // zeros from here on

	// ActAlign is what the number of columns of a row is rounded up to: no
	// format's unit reaches beyond, of rows that are whole blocks of its type.
	ActAlign = 128
)

// ActRowBytes is the size of a quantised row of cols activations.
func ActRowBytes(cols int) int {
	return (cols + ActAlign - 1) / ActAlign * (ActAlign / ActCols) * ActBytes
}

// Correction says where in a record the correction of sub-block sub of block b
// (0 or 1) is that an offset takes off the dot product of the values as they are
// stored: an int32, to be shifted left by shift, or right if that is negative. An
// offset of 128 is that of signed values taken as unsigned.
func Correction(offset, b, sub int) (at, shift int) {
	switch offset {
	case 8:
		return ActMinus8 + 4*b, 0
	case 16:
		return ActMinus16 + 4*b, 0
	case 128:
		return ActHigh + 4*b, 0
	case 32:
		return ActHalf32 + 8*b + 4*sub, 0
	case 4:
		return ActHalf32 + 8*b + 4*sub, -3
	}
	panic(fmt.Sprintf("packed: no correction for an offset of %d", offset))
}
