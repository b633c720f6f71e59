package shader

import (
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
)

// Packing of the K-quants; package dtype says how their blocks look.

func f16(b []byte) float32 { return dtype.F16ToF32(uint16(u16(b))) }

// scaleMin is 6-bit scale and minimum g of the 12 bytes of q4_k and q5_k.
func scaleMin(b []byte, g int) (scale, minimum uint32) {
	if g < 4 {
		return uint32(b[g] & 63), uint32(b[4+g] & 63)
	}
	return uint32(b[4+g]&15 | b[g-4]>>6<<4), uint32(b[4+g]>>4 | b[g]>>6<<4)
}

// nibblesK fills four planes with the 32 columns of group g: one half of 32 bytes.
func nibblesK(dst []uint32, u, n, g int, qs []byte) {
	for w := range 4 {
		dst[w*n+u] = nibbles(u64(qs[32*(g/2)+8*w:]) >> (4 * (g % 2)))
	}
}

func packQ4_K(dst []uint32, src []byte, n int) {
	for u := range n {
		b, g := src[u/8*144:], u%8
		nibblesK(dst, u, n, g, b[16:144])
		s, m := scaleMin(b[4:16], g)
		halves16(dst, 4*n, u, s|m<<8)
		dst[4*n+n/2+u/8] = u32(b)
	}
}

func packQ5_K(dst []uint32, src []byte, n int) {
	for u := range n {
		b, g := src[u/8*176:], u%8
		nibblesK(dst, u, n, g, b[48:176])
		for w := range 4 {
			dst[4*n+u] |= bits(u64(b[16+8*w:])>>g) << (8 * w)
		}
		s, m := scaleMin(b[4:16], g)
		halves16(dst, 5*n, u, s|m<<8)
		dst[5*n+n/2+u/8] = u32(b)
	}
}

func packQ6_K(dst []uint32, src []byte, n int) {
	for u := range n {
		b, g := src[u/8*210:], u%8
		low, high := b[64*(g/4)+32*(g%2):], b[128+32*(g/4):]
		for w := range 4 {
			dst[w*n+u] = nibbles(u64(low[8*w:]) >> (4 * (g % 4 / 2)))
			dst[(4+w/2)*n+u] |= pairs(u64(high[8*w:])>>(2*(g%4))) << (16 * (w % 2))
		}
		halves16(dst, 6*n, u, u16(b[192+2*g:]))
		if g == 0 {
			halves16(dst, 6*n+n/2, u/8, u16(b[208:]))
		}
	}
}

// groups16 fills the planes of scales and minimums of I8M.
func groups16(dst []uint32, u, n int, scale, minimum [2]float32) {
	for h := range 2 {
		dst[(8+h)*n+u] = math.Float32bits(scale[h])
		dst[(10+h)*n+u] = math.Float32bits(minimum[h])
	}
}

func packQ2_K(dst []uint32, src []byte, n int) {
	for u := range n {
		b, g := src[u/8*84:], u%8
		d, m := f16(b[80:]), f16(b[82:])
		for w := range 8 {
			dst[w*n+u] = u32(b[16+32*(g/4)+4*w:]) >> (2 * (g % 4)) & 0x03030303
		}
		var scale, minimum [2]float32
		for h := range 2 {
			s := b[2*g+h]
			scale[h], minimum[h] = d*float32(s&15), m*float32(s>>4)
		}
		groups16(dst, u, n, scale, minimum)
	}
}

func packQ3_K(dst []uint32, src []byte, n int) {
	for u := range n {
		b, g := src[u/8*110:], u%8
		d, packed := f16(b[108:]), b[96:108]
		for w := range 8 {
			// q-4 as int8: the third bit says whether 4 is taken off.
			q := u32(b[32+32*(g/4)+4*w:]) >> (2 * (g % 4)) & 0x03030303
			third := u32(b[4*w:]) >> g & 0x01010101
			dst[w*n+u] = q | (third^0x01010101)*0xfc
		}
		var scale [2]float32
		for h := range 2 {
			j := 2*g + h
			s := int(packed[j%8]>>(j/8*4)&15) | int(packed[8+j%4]>>(j/4*2)&3)<<4
			scale[h] = d * float32(s-32)
		}
		groups16(dst, u, n, scale, [2]float32{})
	}
}
