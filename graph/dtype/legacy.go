package dtype

import (
	"encoding/binary"
	"math"
)

// The first family of ggml: blocks of 32 values with a float16 scale d, and for
// the _1 types a float16 minimum m.
//
//	q4_0  d, 16 bytes              v = d (q-8)
//	q4_1  d, m, 16 bytes           v = d q + m
//	q5_0  d, 32 high bits, 16 bytes  v = d (q-16)
//	q5_1  d, m, 32 high bits, 16 bytes  v = d q + m
//	q8_0  d, 32 int8               v = d q
//
// Byte j of the nibbles holds value j in its lower and value j+16 in its upper
// half; bit j of the high bits is the fifth bit of value j.

const legacyLen = 32

func dequantQ4_0(dst []float32, src []byte) {
	for ; len(src) > 0; dst, src = dst[legacyLen:], src[18:] {
		d := loadF16(src)
		for j, b := range src[2:18] {
			dst[j] = d * float32(int(b&15)-8)
			dst[j+16] = d * float32(int(b>>4)-8)
		}
	}
}

func dequantQ4_1(dst []float32, src []byte) {
	for ; len(src) > 0; dst, src = dst[legacyLen:], src[20:] {
		d, m := loadF16(src), loadF16(src[2:])
		for j, b := range src[4:20] {
			dst[j] = float32(d*float32(b&15)) + m
			dst[j+16] = float32(d*float32(b>>4)) + m
		}
	}
}

func dequantQ5_0(dst []float32, src []byte) {
	for ; len(src) > 0; dst, src = dst[legacyLen:], src[22:] {
		d, high := loadF16(src), binary.LittleEndian.Uint32(src[2:])
		for j, b := range src[6:22] {
			lo, hi := fiveBits(b, high, j)
			dst[j] = d * float32(lo-16)
			dst[j+16] = d * float32(hi-16)
		}
	}
}

func dequantQ5_1(dst []float32, src []byte) {
	for ; len(src) > 0; dst, src = dst[legacyLen:], src[24:] {
		d, m, high := loadF16(src), loadF16(src[2:]), binary.LittleEndian.Uint32(src[4:])
		for j, b := range src[8:24] {
			lo, hi := fiveBits(b, high, j)
			dst[j] = float32(d*float32(lo)) + m
			dst[j+16] = float32(d*float32(hi)) + m
		}
	}
}

// fiveBits joins the nibbles of byte j with their fifth bits: values j and j+16.
func fiveBits(b byte, high uint32, j int) (lo, hi int) {
	return int(b&15) | int(high>>j&1)<<4, int(b>>4) | int(high>>(j+16)&1)<<4
}

func dequantQ8_0(dst []float32, src []byte) {
	for ; len(src) > 0; dst, src = dst[legacyLen:], src[34:] {
		d := loadF16(src)
		for j, b := range src[2:34] {
			dst[j] = d * float32(int8(b))
		}
	}
}

// The encoders below round as ggml's *_ref functions do: the scale is divided
// in float32, the value multiplied by the inverse of the unrounded scale, and
// an offset added before truncation. For the _0 types the value of the largest
// magnitude lands on the most negative code.

func quantQ4_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[18:], src[legacyLen:] {
		d := signedMax(src[:legacyLen]) / -8
		id := inverse(d)
		storeF16(dst, d)
		for j := range 16 {
			lo := clampInt(float32(src[j]*id)+8.5, 0, 15)
			hi := clampInt(float32(src[j+16]*id)+8.5, 0, 15)
			dst[2+j] = byte(lo | hi<<4)
		}
	}
}

func quantQ4_1(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[20:], src[legacyLen:] {
		lowest, highest := minMax(src[:legacyLen])
		d := (highest - lowest) / 15
		id := inverse(d)
		storeF16(dst, d)
		storeF16(dst[2:], lowest)
		for j := range 16 {
			lo := clampInt(float32((src[j]-lowest)*id)+0.5, 0, 15)
			hi := clampInt(float32((src[j+16]-lowest)*id)+0.5, 0, 15)
			dst[4+j] = byte(lo | hi<<4)
		}
	}
}

func quantQ5_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[22:], src[legacyLen:] {
		d := signedMax(src[:legacyLen]) / -16
		id := inverse(d)
		storeF16(dst, d)
		var high uint32
		for j := range 16 {
			lo := clampInt(float32(src[j]*id)+16.5, 0, 31)
			hi := clampInt(float32(src[j+16]*id)+16.5, 0, 31)
			dst[6+j] = byte(lo&15 | hi<<4)
			high |= uint32(lo>>4)<<j | uint32(hi>>4)<<(j+16)
		}
		binary.LittleEndian.PutUint32(dst[2:], high)
	}
}

func quantQ5_1(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[24:], src[legacyLen:] {
		lowest, highest := minMax(src[:legacyLen])
		d := (highest - lowest) / 31
		id := inverse(d)
		storeF16(dst, d)
		storeF16(dst[2:], lowest)
		var high uint32
		for j := range 16 {
			lo := clampInt(float32((src[j]-lowest)*id)+0.5, 0, 31)
			hi := clampInt(float32((src[j+16]-lowest)*id)+0.5, 0, 31)
			dst[8+j] = byte(lo&15 | hi<<4)
			high |= uint32(lo>>4)<<j | uint32(hi>>4)<<(j+16)
		}
		binary.LittleEndian.PutUint32(dst[4:], high)
	}
}

func quantQ8_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[34:], src[legacyLen:] {
		d := abs32(signedMax(src[:legacyLen])) / 127
		id := inverse(d)
		storeF16(dst, d)
		for j, v := range src[:legacyLen] {
			// Round halves away from zero; -128 is never needed.
			q := float32(math.Round(float64(v * id)))
			dst[2+j] = byte(int8(clampInt(q, -127, 127)))
		}
	}
}
