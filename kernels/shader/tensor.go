package shader

// The tensor layouts: how a matrix lies in the memory of a device with tensor cores
// (Features.Tensor). Tiles of 16 rows follow each other; one is planes, each 16 bytes
// aligned, of steps of 64 columns (K is filled up to whole steps with zeros), in the
// order of package cuda's documentation. With g = lane / 4, in uints of a lane (of 32)
// or of a row pair g, g + 8 (of 8), per step:
//
//	Q4_0    4 per lane quants               2 per pair scales (float16: g, g+8 of block 0, of block 1)
//	Q4_1    4 per lane quants               4 per pair: scale and minimum of g, g+8 of block 0, of block 1
//	Q5_0    as Q4_0, and 1 per lane high bits
//	Q5_1    as Q4_1, and 1 per lane high bits
//	Q8_0    8 per lane quants + 128         2 per pair scales
//	IQ4_NL  as Q4_0
//	MXFP4   4 per lane codes                1 per pair: the exponents' bytes
//	F16     16 per lane
//	BF16    as F16, times a power of two of the row: one float32 for each row of the tile
//	F32     two F16 planes, the value and what it lacks; as BF16
//
// and of types with blocks of 256 columns, per four steps (K is filled up to those):
//
//	Q4_K    16 per lane quants              4 per row: 8 bytes scales, 8 bytes minimums   1 per row: scale and minimum
//	Q5_K    as Q4_K, and 4 per lane high bits
//	Q6_K    16 per lane quants, 8 per lane high bits   4 per row: 16 bytes scales         1 per pair: scales of g, g+8
//	IQ4_XS  16 per lane codes               2 per row: 8 bytes scales                     1 per pair: scales of g, g+8
//	Q2_K, Q3_K  32 per lane bytes           16 per row: float16 scale and minimum of each 16 columns

// sliceMost is the most slices of a row's columns: as many as a block has warps.
const sliceMost = 8

// Slices is how many slices the columns of a matrix are cut into, of units of so many
// columns (64, or 256 for types with blocks of those): slice i has the units from
// i*units/Slices to (i+1)*units/Slices. Each is added up by itself.
func Slices(k, unit int) int { return min(sliceMost, (k+unit-1)/unit) }
