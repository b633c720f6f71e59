package shader

import (
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
)

// Layout is how a matrix lies in a device's memory. A row stands for itself: its
// columns are cut into units of 32 (the last one filled up with zeros), and what
// a unit has of quants, high bits and scales lies in planes of one uint per
// unit, so that neighbouring invocations, which take neighbouring units, read
// neighbouring uints. With U units of a row, in this order and in uints:
//
//	Q4_0  4U quants                  U/2 scales
//	Q4_1  4U quants                  U   scale and minimum
//	Q5_0  4U quants  U high bits     U/2 scales
//	Q5_1  4U quants  U high bits     U   scale and minimum
//	Q8_0  8U quants                  U/2 scales
//	Q4_K  4U quants                  U/2 scales and minimums   U/8  scale and minimum of 256
//	Q5_K  4U quants  U high bits     U/2 scales and minimums   U/8  scale and minimum of 256
//	Q6_K  4U quants  2U high bits    U/2 scales                U/16 scale of 256
//	F16   16U pairs
//	F32   32U
//	I8    8U quants                  U  float32 scales
//	I8M   8U quants                  2U float32 scales  2U minimums, of 16 columns each
//
// Parts of a uint are rounded up to one. Columns are in order in the bits of a
// unit's quants, low bits first. A value is computed by the same float32
// operations as dtype.Dequantize, so it has the same bits.
//
// Devices with tensor cores have layouts of their own: see TensorF32.
type Layout uint8

const (
	LayoutF32 Layout = iota
	LayoutF16
	LayoutQ4_0
	LayoutQ4_1
	LayoutQ5_0
	LayoutQ5_1
	LayoutQ8_0
	LayoutQ4_K
	LayoutQ5_K
	LayoutQ6_K
	LayoutI8  // q·scale, a scale per 32 columns
	LayoutI8M // q·scale - minimum, both per 16 columns
)

// unitLen is the columns of a unit.
const unitLen = 32

func units(k int) int { return (k + unitLen - 1) / unitLen }

// LayoutOf is the layout that holds the values of a type exactly; false for
// types that cannot be computed with.
func LayoutOf(d dtype.DType) (Layout, bool) {
	switch d {
	case dtype.F32, dtype.BF16:
		return LayoutF32, true
	case dtype.F16:
		return LayoutF16, true
	case dtype.Q4_0:
		return LayoutQ4_0, true
	case dtype.Q4_1:
		return LayoutQ4_1, true
	case dtype.Q5_0:
		return LayoutQ5_0, true
	case dtype.Q5_1:
		return LayoutQ5_1, true
	case dtype.Q8_0, dtype.IQ4_NL:
		return LayoutQ8_0, true
	case dtype.Q4_K:
		return LayoutQ4_K, true
	case dtype.Q5_K:
		return LayoutQ5_K, true
	case dtype.Q6_K:
		return LayoutQ6_K, true
	case dtype.IQ4_XS, dtype.MXFP4:
		return LayoutI8, true
	case dtype.Q2_K, dtype.Q3_K:
		return LayoutI8M, true
	}
	return 0, false
}

func (l Layout) String() string {
	switch {
	case int(l) < len(layoutNames):
		return layoutNames[l]
	case l.Tensor():
		return "tensor_" + l.tensor().name
	}
	return fmt.Sprintf("layout(%d)", uint8(l))
}

var layoutNames = [...]string{"f32", "f16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k", "i8", "i8m"}

// RowUints is the length of a row of k columns, in uints. Rows follow each other
// without gaps. Tensor layouts have no rows by themselves: see TileUints.
func (l Layout) RowUints(k int) int {
	u := units(k)
	switch l {
	case LayoutF32:
		return 32 * u
	case LayoutF16:
		return 16 * u
	case LayoutQ4_0:
		return 4*u + (u+1)/2
	case LayoutQ4_1:
		return 5 * u
	case LayoutQ5_0:
		return 5*u + (u+1)/2
	case LayoutQ5_1:
		return 6 * u
	case LayoutQ8_0:
		return 8*u + (u+1)/2
	case LayoutQ4_K:
		return 4*u + (u+1)/2 + (u+7)/8
	case LayoutQ5_K:
		return 5*u + (u+1)/2 + (u+7)/8
	case LayoutQ6_K:
		return 6*u + (u+1)/2 + (u+15)/16
	case LayoutI8:
		return 9 * u
	case LayoutI8M:
		return 12 * u
	}
	return 0
}
