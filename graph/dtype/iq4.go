package dtype

import "encoding/binary"

// IQ4_NL and IQ4_XS: 4-bit indices into a fixed non-linear curve of int8
// values, denser near zero.
//
//	iq4_nl   32 values: f16 d, 16 bytes of indices (value j low, j+16 high)
//	iq4_xs  256 values: f16 d, u16 with the upper 2 bits of eight scales,
//	        4 bytes with their lower 4 bits, 8 groups of 16 bytes of indices
//	        laid out as in iq4_nl; a group's scale is d (s-32)

// iq4Curve is part of the format (ggml: kvalues_iq4nl).
var iq4Curve = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func iq4Group(dst []float32, d float32, indices []byte) {
	for j, b := range indices[:16] {
		dst[j] = d * float32(iq4Curve[b&15])
		dst[j+16] = d * float32(iq4Curve[b>>4])
	}
}

func dequantIQ4_NL(dst []float32, src []byte) {
	for ; len(src) > 0; dst, src = dst[32:], src[18:] {
		iq4Group(dst, loadF16(src), src[2:])
	}
}

func dequantIQ4_XS(dst []float32, src []byte) {
	for ; len(src) > 0; dst, src = dst[256:], src[136:] {
		d, high := loadF16(src), binary.LittleEndian.Uint16(src[2:])
		for g := range 8 {
			s := int(src[4+g/2]>>(4*(g%2))&15) | int(high>>(2*g)&3)<<4
			iq4Group(dst[32*g:], d*float32(s-32), src[8+16*g:])
		}
	}
}

// iq4Nearest is the index of the value of the curve nearest to v, the upper one
// if two are equally near.
func iq4Nearest(v float32) byte {
	for i := range 15 {
		if v-float32(iq4Curve[i]) < float32(iq4Curve[i+1])-v {
			return byte(i)
		}
	}
	return 15
}

// iq4Indices encodes 32 values with the scale d into 16 bytes.
func iq4Indices(dst []byte, src []float32, d float32) {
	id := inverse(d)
	for j := range 16 {
		dst[j] = iq4Nearest(id*src[j]) | iq4Nearest(id*src[j+16])<<4
	}
}

// iq4Scale is the scale that fits 32 values best in the least-squares sense,
// weighted by their squares, once indices are chosen with the scale that puts
// the value of the largest magnitude on -127. It returns both.
func iq4Scale(src []float32) (initial, fitted float32) {
	biggest := signedMax(src[:32])
	if abs32(biggest) < 1e-15 {
		return 0, 0
	}
	initial = biggest / float32(iq4Curve[0])
	id := 1 / initial
	var qx, qq float32
	for _, v := range src[:32] {
		q := float32(iq4Curve[iq4Nearest(id*v)])
		w := v * v
		qx += float32(float32(w*q) * v)
		qq += float32(float32(w*q) * q)
	}
	if qq > 0 {
		fitted = qx / qq
	}
	return initial, fitted
}

// quantIQ4_NL follows ggml's quantize_row_iq4_nl_ref.
func quantIQ4_NL(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[18:], src[32:] {
		initial, fitted := iq4Scale(src)
		storeF16(dst, fitted)
		if initial == 0 {
			clear(dst[2:18])
			continue
		}
		iq4Indices(dst[2:], src, initial)
	}
}

// quantIQ4_XS fits a scale per group and rounds it to 6 bits of the largest.
func quantIQ4_XS(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[136:], src[256:] {
		var scales [8]float32
		for g := range scales {
			_, scales[g] = iq4Scale(src[32*g:])
		}
		storeF16(dst, signedMax(scales[:])/-32)
		d := loadF16(dst)
		id := inverse(d)
		clear(dst[2:8])
		var high uint16
		for g, s := range scales {
			q := nearest(s*id, -32, 31)
			dst[4+g/2] |= byte((q+32)&15) << (4 * (g % 2))
			high |= uint16((q+32)>>4) << (2 * g)
			iq4Indices(dst[8+16*g:], src[32*g:], d*float32(q))
		}
		binary.LittleEndian.PutUint16(dst[2:], high)
	}
}
