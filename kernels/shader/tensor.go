package shader

import "github.com/ledge-run/ledge/graph/dtype"

// The tensor layouts: how a matrix lies in the memory of a device with tensor cores
// (Features.Tensor). Tiles of 16 rows follow each other (the last one filled up with
// zeros); one is units of 64 or 256 columns one after the other (K is filled up to whole
// ones), each of which is steps of 64 columns in the order of package cuda's
// documentation, and then what belongs to all of them. With g = lane / 4, t = lane % 4,
// the planes of a step are, in uints, for each of 32 lanes or for each of 8 pairs of
// rows g, g + 8:
//
//	Q4_0    4 a lane                                2 a pair: scales of blocks 0 and 1 of row g, of row g + 8
//	Q4_1    4 a lane                                4 a pair: the same, and their minimums
//	Q5_0    4 a lane, 1 a lane of fifth bits        2 a pair, as Q4_0
//	Q5_1    4 a lane, 1 a lane of fifth bits        4 a pair, as Q4_1
//	Q8_0    4 a lane, 4 a lane: quants + 128        2 a pair, as Q4_0
//	IQ4_NL  4 a lane                                2 a pair, as Q4_0
//	MXFP4   4 a lane                                1 a pair: exponents less one of blocks 0 and 1 of row g, of row g + 8
//	F16     four times 4 a lane
//	BF16    as F16, times a power of two of the row
//	F32     as BF16, and the same again: what values lack
//
//	Q4_K    4 a lane                                1 a pair: scales of blocks 0 and 1 of row g, of row g + 8
//	Q5_K    4 a lane, 1 a lane of fifth bits        1 a pair, as Q4_K
//	Q6_K    4 a lane, 2 a lane of fifth and sixth   2 a pair: scales + 128 of rows g and g + 8 in blocks 0 and 1, in 2 and 3
//	IQ4_XS  4 a lane                                1 a pair: scales + 128 as Q4_K's
//	Q2_K    2 a lane                                1 a pair: nibble b of either half is block b's scale of row g, of row g + 8
//	Q3_K    2 a lane, 1 a lane of third bits        2 a pair, as Q6_K
//
// Those of the second group are in units of four steps, after which stand
//
//	Q4_K, Q5_K            1 a lane: minimums of blocks 0 and 1 of step t of row g, of row g + 8
//	Q2_K                  1 a lane: minimums of its blocks 0 and 2 of rows g and g + 8, of 1 and 3, as quants
//	Q4_K, Q5_K, Q2_K      2 a pair: scale and minimum of row g, of row g + 8
//	Q6_K, IQ4_XS, Q3_K    1 a pair: scales of rows g and g + 8
//
// BF16 and F32 have before a tile's first unit, for each of 16 rows, the float32 that
// its values are multiplied with.
//
// A lane's quants of columns 16 j are one word of its four (Q8_0: two). With pairs p = 0
// to 3 as the registers of fragment A, nibble p has a pair's first element and nibble p +
// 4 the second; fifth bits are where a mask and a rotation bring them beside these
// (weights.h). Codes of curves are nibbles 0 and 2, 1 and 3, 4 and 6, 5 and 7 of a pair.
// Q2_K and Q3_K have two bits of columns 16 j and 16 (j + 1) in one word.
//
// Values are those of dtype.Dequantize but for these: MXFP4 of scales below 2^-126 are
// zero; of BF16 and F32, what is below 2^-40 of the row's largest is lost, and of F32
// what is below 2^-22 of the value.
const (
	TensorF32 Layout = iota + LayoutI8M + 1
	TensorF16
	TensorBF16
	TensorQ4_0
	TensorQ4_1
	TensorQ5_0
	TensorQ5_1
	TensorQ8_0
	TensorIQ4_NL
	TensorMXFP4
	TensorQ4_K
	TensorQ5_K
	TensorQ6_K
	TensorIQ4_XS
	TensorQ2_K
	TensorQ3_K
	layouts // how many there are
)

// tensorLayout is what a tensor layout's tiles are made of, in uints.
type tensorLayout struct {
	dtype dtype.DType
	name  string
	steps int // of 64 columns in a unit
	step  int // uints of a step
	head  int // after a unit's steps
	tile  int // before a tile's units
}

var tensorLayouts = [...]tensorLayout{
	{dtype.F32, "f32", 1, 1024, 0, 16},
	{dtype.F16, "f16", 1, 512, 0, 0},
	{dtype.BF16, "bf16", 1, 512, 0, 16},
	{dtype.Q4_0, "q4_0", 1, 128 + 16, 0, 0},
	{dtype.Q4_1, "q4_1", 1, 128 + 32, 0, 0},
	{dtype.Q5_0, "q5_0", 1, 128 + 32 + 16, 0, 0},
	{dtype.Q5_1, "q5_1", 1, 128 + 32 + 32, 0, 0},
	{dtype.Q8_0, "q8_0", 1, 256 + 16, 0, 0},
	{dtype.IQ4_NL, "iq4_nl", 1, 128 + 16, 0, 0},
	{dtype.MXFP4, "mxfp4", 1, 128 + 8, 0, 0},
	{dtype.Q4_K, "q4_k", 4, 128 + 8, 32 + 16, 0},
	{dtype.Q5_K, "q5_k", 4, 128 + 32 + 8, 32 + 16, 0},
	{dtype.Q6_K, "q6_k", 4, 128 + 64 + 16, 8, 0},
	{dtype.IQ4_XS, "iq4_xs", 4, 128 + 8, 8, 0},
	{dtype.Q2_K, "q2_k", 4, 64 + 8, 32 + 16, 0},
	{dtype.Q3_K, "q3_k", 4, 64 + 32 + 16, 8, 0},
}

// Rows of a tile and columns of a step.
const (
	tensorRows = 16
	tensorStep = 64
)

// Tensor reports whether it is a tensor layout.
func (l Layout) Tensor() bool { return l >= TensorF32 && l < layouts }

// TensorNames are the names of the tensor layouts in order, from TensorF32 on: what
// kernels for one layout alone are called by.
func TensorNames() []string {
	var names []string
	for _, t := range tensorLayouts {
		names = append(names, t.name)
	}
	return names
}

func (l Layout) tensor() *tensorLayout { return &tensorLayouts[l-TensorF32] }

// Unit is the columns that a slice has whole ones of: see Slices.
func (l Layout) Unit() int {
	if !l.Tensor() {
		return unitLen
	}
	return tensorStep * l.tensor().steps
}

// tileUints is the length of a tile of rows of k columns.
func (t *tensorLayout) tileUints(k int) int {
	unit := tensorStep * t.steps
	return t.tile + (k+unit-1)/unit*(t.steps*t.step+t.head)
}

// LayoutOf is the layout of matrices of a type on a device with these features; false
// for types that cannot be computed with.
func (f Features) LayoutOf(d dtype.DType) (Layout, bool) {
	if !f.Tensor {
		return LayoutOf(d)
	}
	for i := range tensorLayouts {
		if tensorLayouts[i].dtype == d {
			return TensorF32 + Layout(i), true
		}
	}
	return 0, false
}

// TileRows is how many rows lie in one piece: matrices are cut between banks only at
// multiples of them, and packed in whole ones.
func (l Layout) TileRows() int {
	if l.Tensor() {
		return tensorRows
	}
	return 1
}

// TileUints is the length of a tile of rows of k columns, in uints; tiles follow each
// other without gaps.
func (l Layout) TileUints(k int) int {
	if l.Tensor() {
		return l.tensor().tileUints(k)
	}
	return l.RowUints(k)
}

// Uints is the length of rows of k columns: whole tiles.
func (l Layout) Uints(rows, k int) int {
	n := l.TileRows()
	return (rows + n - 1) / n * l.TileUints(k)
}

// sliceMost is the most slices of a row's columns: as many as a block has warps.
const sliceMost = 8

// Slices is how many slices the columns of a matrix are cut into, of units of so many
// columns (64, or 256 for types with blocks of those): slice i has the units from
// i*units/Slices to (i+1)*units/Slices. Each is added up by itself.
func Slices(k, unit int) int { return min(sliceMost, (k+unit-1)/unit) }
