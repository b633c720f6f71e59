package shader

import (
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
)

// Scales and minimums of a row in a unit of a tensor layout, which is cleared before:
// row g is the first, row g + 8 the second of pair g.

// scalesLegacy is for two blocks that begin with a float16 scale (and a minimum, if
// there is room for them at plane).
func scalesLegacy(size, plane int) func(unit []uint32, t *tensorLayout, row int, src []byte) {
	return func(unit []uint32, t *tensorLayout, row int, src []byte) {
		g, second := row%8, row/8
		for b := 0; len(src) >= size; b, src = b+1, src[size:] {
			if t.step-plane == 16 {
				unit[plane+2*g+second] |= u16(src) << (16 * b)
			} else {
				unit[plane+4*g+second] |= u16(src) << (16 * b)
				unit[plane+4*g+2+second] |= u16(src[2:]) << (16 * b)
			}
		}
	}
}

func scalesMXFP4(unit []uint32, _ *tensorLayout, row int, src []byte) {
	for b := 0; len(src) >= 17; b, src = b+1, src[17:] {
		unit[128+row%8] |= uint32(max(src[0], 1)-1) << (8*b + 16*(row/8))
	}
}

// scaleBytes puts the scales of eight blocks of 32, which lie at plane of the steps.
func scaleBytes(unit []uint32, t *tensorLayout, plane, row int, scale func(b int) uint32) {
	for b := range 8 {
		unit[b/2*t.step+plane+row%8] |= scale(b) << (8*(b%2) + 16*(row/8))
	}
}

func scalesQ4_K(unit []uint32, t *tensorLayout, row int, src []byte) {
	scaleBytes(unit, t, t.step-8, row, func(b int) uint32 { s, _ := scaleMin(src[4:16], b); return s })
	head := unit[t.steps*t.step:]
	for b := range 8 {
		_, m := scaleMin(src[4:16], b)
		head[4*(row%8)+b/2] |= m << (8*(b%2) + 16*(row/8))
	}
	head[32+2*(row%8)+row/8] = u32(src)
}

// scales16 puts those of sixteen blocks of 16, plus 128, at the end of the steps, and
// the scale of 256.
func scales16(unit []uint32, t *tensorLayout, row int, d uint32, scale func(b int) int) {
	for b := range 16 {
		unit[b/4*t.step+t.step-16+2*(row%8)+b%4/2] |= uint32(scale(b)+128) << (16*(b%2) + 8*(row/8))
	}
	unit[t.steps*t.step+row%8] |= d << (16 * (row / 8))
}

func scalesQ6_K(unit []uint32, t *tensorLayout, row int, src []byte) {
	scales16(unit, t, row, u16(src[208:]), func(b int) int { return int(int8(src[192+b])) })
}

func scalesQ3_K(unit []uint32, t *tensorLayout, row int, src []byte) {
	packed := src[96:108]
	scales16(unit, t, row, u16(src[108:]), func(b int) int {
		return int(packed[b%8]>>(b/8*4)&15) + int(packed[8+b%4]>>(b/4*2)&3)<<4 - 32
	})
}

func scalesIQ4_XS(unit []uint32, t *tensorLayout, row int, src []byte) {
	scaleBytes(unit, t, 128, row, func(b int) uint32 {
		return uint32(src[4+b/2]>>(4*(b%2))&15) + u16(src[2:])>>(2*b)&3<<4 - 32 + 128
	})
	unit[t.steps*t.step+row%8] |= u16(src) << (16 * (row / 8))
}

func scalesQ2_K(unit []uint32, t *tensorLayout, row int, src []byte) {
	head := unit[t.steps*t.step:]
	g, second := row%8, row/8
	for b := range 16 {
		s := uint32(src[b])
		unit[b/4*t.step+64+g] |= s & 15 << (4*(b%4) + 16*second)
		// As quants: blocks 0 and 2 of a step are a pair, blocks 1 and 3 are 8 bits on.
		head[4*g+b/4] |= s >> 4 << (4*second + b%4/2*16 + b%2*8)
	}
	head[32+2*g+second] = u32(src[80:])
}

// packFloats packs the rows of a tile of F16, BF16 and F32.
func packFloats(t *tensorLayout, dst []uint32, src []byte, rows, k int) {
	row := make([]float32, k)
	bytes := len(src) / rows
	for r := range rows {
		raw := src[r*bytes:][:bytes]
		if t.dtype == dtype.F16 {
			for i := range k {
				putHalf(dst, t, r, i, 0, u16(raw[2*i:]))
			}
			continue
		}
		for i := range row {
			if t.dtype == dtype.BF16 {
				row[i] = math.Float32frombits(u16(raw[2*i:]) << 16)
			} else {
				row[i] = math.Float32frombits(u32(raw[4*i:]))
			}
		}
		packFloatRow(t, dst, r, row)
	}
}

// packFloatRow packs values divided by a power of two, so that the largest is at least
// 2^14 and below 2^15.
func packFloatRow(t *tensorLayout, dst []uint32, r int, row []float32) {
	largest := uint32(0)
	for _, v := range row {
		if u := math.Float32bits(v) &^ (1 << 31); u < 0x7f800000 {
			largest = max(largest, u)
		}
	}
	exponent := max(int(largest>>23)-14, 1) // of the power, biased
	dst[r] = uint32(exponent) << 23
	inverse := math.Float32frombits(uint32(254-exponent) << 23)
	for i, v := range row {
		v *= inverse
		h := dtype.F32ToF16(v)
		putHalf(dst, t, r, i, 0, uint32(h))
		if t.dtype == dtype.F32 && h&0x7c00 != 0x7c00 {
			putHalf(dst, t, r, i, 512, uint32(dtype.F32ToF16(v-dtype.F16ToF32(h))))
		}
	}
}

// putHalf puts column i of a row into the planes of values that begin at plane of a
// step.
func putHalf(dst []uint32, t *tensorLayout, row, i, plane int, h uint32) {
	step, j, lane, c := i/64, i/16%4, 4*(row%8)+i/4%4, i%4
	dst[t.tile+step*t.step+plane+128*j+4*lane+row/8+c/2*2] |= h << (16 * (c % 2))
}
