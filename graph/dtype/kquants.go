package dtype

// The K-quants: super-blocks of 256 values with a float16 scale d (and for some
// a float16 scale of minimums m), cut into groups with small integer scales.
//
//	q2_k  16 scales (low 4 bits: scale, high: minimum), 64 bytes q, d, m
//	q3_k  32 bytes third bits, 64 bytes q, 12 bytes of 16 6-bit scales, d
//	q4_k  d, m, 12 bytes of 8 6-bit scales and minimums, 128 bytes q
//	q5_k  d, m, 12 bytes as q4_k, 32 bytes fifth bits, 128 bytes q
//	q6_k  128 bytes low 4 bits, 64 bytes high 2 bits, 16 int8 scales, d
//
// The values are interleaved so that a vector register of bytes holds values 32
// apart; position, not arithmetic, is what these types differ in most.

const superLen = 256

// Where the 2-bit parts of q2_k and q3_k lie: value i of a super-block is in
// byte 32*(i/128) + i%32, at bit 2*(i/32%4).
func twoBitsAt(i int) (index, shift int) { return i/128*32 + i%32, i / 32 % 4 * 2 }

// Where the nibbles of q4_k and q5_k lie: byte 32*(i/64) + i%32, lower half for
// the first 32 of 64 values.
func nibbleAt(i int) (index, shift int) { return i/64*32 + i%32, i / 32 % 2 * 4 }

// Where q6_k's lower 4 and upper 2 bits lie, in halves of 128 values.
func sixBitsAt(i int) (low, lowShift, high, highShift int) {
	half, r := i/128, i%128
	return 64*half + r%64, r / 64 * 4, 32*half + r%32, r / 32 * 2
}

func dequantQ2_K(dst []float32, src []byte) {
	for ; len(src) > 0; dst, src = dst[superLen:], src[84:] {
		scales, qs := src[:16], src[16:80]
		d, m := loadF16(src[80:]), loadF16(src[82:])
		for i := range superLen {
			s := scales[i/16]
			at, shift := twoBitsAt(i)
			q := qs[at] >> shift & 3
			dst[i] = float32(float32(d*float32(s&15))*float32(q)) - float32(m*float32(s>>4))
		}
	}
}

func dequantQ3_K(dst []float32, src []byte) {
	for ; len(src) > 0; dst, src = dst[superLen:], src[110:] {
		third, qs, d := src[:32], src[32:96], loadF16(src[108:])
		scales := unpackQ3Scales(src[96:108])
		for i := range superLen {
			at, shift := twoBitsAt(i)
			q := int(qs[at]>>shift&3) | int(third[i%32]>>(i/32)&1)<<2
			dst[i] = float32(d*float32(scales[i/16])) * float32(q-4)
		}
	}
}

// unpackQ3Scales reads sixteen 6-bit scales, stored with an offset of 32: the
// lower 4 bits of scales j and j+8 share byte j, the upper 2 bits of scales j,
// j+4, j+8 and j+12 share byte 8+j.
func unpackQ3Scales(b []byte) (scales [16]int) {
	for j := range scales {
		low := int(b[j%8] >> (j / 8 * 4) & 15)
		high := int(b[8+j%4] >> (j / 4 * 2) & 3)
		scales[j] = (low | high<<4) - 32
	}
	return scales
}

func packQ3Scales(b []byte, scales [16]int) {
	clear(b[:12])
	for j, s := range scales {
		u := byte(s + 32)
		b[j%8] |= u & 15 << (j / 8 * 4)
		b[8+j%4] |= u >> 4 << (j / 4 * 2)
	}
}

// unpackScaleMins reads the 12 bytes of q4_k and q5_k: eight 6-bit scales and
// eight 6-bit minimums. The first four of each are the lower 6 bits of bytes 0-3
// and 4-7, whose upper 2 bits belong to the last four, the rest of which are the
// lower (scale) and upper (minimum) halves of bytes 8-11.
func unpackScaleMins(b []byte) (scales, mins [8]byte) {
	for j := range 4 {
		scales[j], mins[j] = b[j]&63, b[4+j]&63
		scales[4+j] = b[8+j]&15 | b[j]>>6<<4
		mins[4+j] = b[8+j]>>4 | b[4+j]>>6<<4
	}
	return scales, mins
}

func packScaleMins(b []byte, scales, mins [8]byte) {
	for j := range 4 {
		b[j] = scales[j] | scales[4+j]>>4<<6
		b[4+j] = mins[j] | mins[4+j]>>4<<6
		b[8+j] = scales[4+j]&15 | mins[4+j]<<4
	}
}

func dequantQ4_K(dst []float32, src []byte) {
	for ; len(src) > 0; dst, src = dst[superLen:], src[144:] {
		d, m, qs := loadF16(src), loadF16(src[2:]), src[16:144]
		scales, mins := unpackScaleMins(src[4:16])
		for i := range superLen {
			g := i / 32
			at, shift := nibbleAt(i)
			q := qs[at] >> shift & 15
			dst[i] = float32(float32(d*float32(scales[g]))*float32(q)) - float32(m*float32(mins[g]))
		}
	}
}

func dequantQ5_K(dst []float32, src []byte) {
	for ; len(src) > 0; dst, src = dst[superLen:], src[176:] {
		d, m, fifth, qs := loadF16(src), loadF16(src[2:]), src[16:48], src[48:176]
		scales, mins := unpackScaleMins(src[4:16])
		for i := range superLen {
			g := i / 32
			at, shift := nibbleAt(i)
			q := qs[at]>>shift&15 | fifth[i%32]>>g&1<<4
			dst[i] = float32(float32(d*float32(scales[g]))*float32(q)) - float32(m*float32(mins[g]))
		}
	}
}

func dequantQ6_K(dst []float32, src []byte) {
	for ; len(src) > 0; dst, src = dst[superLen:], src[210:] {
		low, high, scales, d := src[:128], src[128:192], src[192:208], loadF16(src[208:])
		for i := range superLen {
			l, ls, h, hs := sixBitsAt(i)
			q := int(low[l]>>ls&15) | int(high[h]>>hs&3)<<4
			dst[i] = float32(d*float32(int8(scales[i/16]))) * float32(q-32)
		}
	}
}
