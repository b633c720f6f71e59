package dtype

import "encoding/binary"

// Blocks put together from codes that an encoder has chosen: where each bit goes
// and nothing else. Dequantize takes them apart again. Scales are float16 (bits),
// codes are as stored: never negative but for q8_0. Each function writes one whole
// block to dst.

// PackQ4_0 packs 32 codes of 0 to 15; a value is d (q-8).
func PackQ4_0(dst []byte, d uint16, q []byte) {
	binary.LittleEndian.PutUint16(dst, d)
	packHalves(dst[2:18], q)
}

// PackQ4_1 packs 32 codes of 0 to 15; a value is d q + m.
func PackQ4_1(dst []byte, d, m uint16, q []byte) {
	binary.LittleEndian.PutUint16(dst, d)
	binary.LittleEndian.PutUint16(dst[2:], m)
	packHalves(dst[4:20], q)
}

// PackQ5_0 packs 32 codes of 0 to 31; a value is d (q-16).
func PackQ5_0(dst []byte, d uint16, q []byte) {
	binary.LittleEndian.PutUint16(dst, d)
	packFive(dst[2:22], q)
}

// PackQ5_1 packs 32 codes of 0 to 31; a value is d q + m.
func PackQ5_1(dst []byte, d, m uint16, q []byte) {
	binary.LittleEndian.PutUint16(dst, d)
	binary.LittleEndian.PutUint16(dst[2:], m)
	packFive(dst[4:24], q)
}

// PackQ8_0 packs 32 codes, int8 as bytes; a value is d q.
func PackQ8_0(dst []byte, d uint16, q []byte) {
	binary.LittleEndian.PutUint16(dst, d)
	copy(dst[2:34], q)
}

// PackIQ4_NL packs 32 indices into the curve (IQ4Curve).
func PackIQ4_NL(dst []byte, d uint16, q []byte) { PackQ4_0(dst, d, q) }

// PackMXFP4 packs 32 codes under the scale byte e (see MXFP4Curve).
func PackMXFP4(dst []byte, e byte, q []byte) {
	dst[0] = e
	packHalves(dst[1:17], q)
}

// Codes are packed eight at a time, as the bytes of a word.
const (
	low4 = 0x0f0f0f0f0f0f0f0f
	low2 = 0x0303030303030303
	low1 = 0x0101010101010101
)

func word(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8]) }

func putWord(b []byte, i int, v uint64) { binary.LittleEndian.PutUint64(b[i:i+8], v) }

// packHalves puts values j and j+16 into byte j.
func packHalves(dst, q []byte) {
	dst, q = dst[:16], q[:32]
	putWord(dst, 0, word(q, 0)|word(q, 16)<<4)
	putWord(dst, 8, word(q, 8)|word(q, 24)<<4)
}

func packFive(dst, q []byte) {
	dst, q = dst[:20], q[:32]
	var high uint32
	for j := 0; j < 32; j += 8 {
		// The product brings bit 0 of byte k to bit 56 + k.
		high |= uint32((word(q, j)>>4&low1)*0x0102040810204080>>56) << j
	}
	binary.LittleEndian.PutUint32(dst, high)
	putWord(dst, 4, word(q, 0)&low4|word(q, 16)&low4<<4)
	putWord(dst, 12, word(q, 8)&low4|word(q, 24)&low4<<4)
}

// PackQ4_K packs 256 codes of 0 to 15 in eight groups; a value is
// d scale q - m min, scales and minimums being 0 to 63.
func PackQ4_K(dst []byte, d, m uint16, scales, mins [8]byte, q []byte) {
	binary.LittleEndian.PutUint16(dst, d)
	binary.LittleEndian.PutUint16(dst[2:], m)
	packScaleMins(dst[4:16], scales, mins)
	packNibbles(dst[16:144], q)
}

// PackQ5_K is PackQ4_K for codes of 0 to 31.
func PackQ5_K(dst []byte, d, m uint16, scales, mins [8]byte, q []byte) {
	binary.LittleEndian.PutUint16(dst, d)
	binary.LittleEndian.PutUint16(dst[2:], m)
	packScaleMins(dst[4:16], scales, mins)
	packNibbles(dst[48:176], q)
	fifth, q := dst[16:48], q[:superLen]
	packBits(fifth, q, 4)
}

// packBits puts one bit of 256 codes, bit at of code 32g+i, into bit g of byte i.
func packBits(dst, q []byte, at int) {
	dst, q = dst[:32], q[:superLen]
	for i := 0; i < 32; i += 8 {
		var b uint64
		for g := range 8 {
			b |= word(q, 32*g+i) >> at & low1 << g
		}
		putWord(dst, i, b)
	}
}

// packNibbles puts the lower 4 bits of 256 codes where nibbleAt says.
func packNibbles(dst, q []byte) {
	for p := range 4 {
		lo, hi, d := q[64*p:64*p+32], q[64*p+32:64*p+64], dst[32*p:32*p+32]
		for i := 0; i < 32; i += 8 {
			putWord(d, i, word(lo, i)&low4|word(hi, i)&low4<<4)
		}
	}
}

// packPairs puts the lower 2 bits of 256 codes where twoBitsAt says.
func packPairs(dst, q []byte) {
	for h := range 2 {
		d, q := dst[32*h:32*h+32], q[128*h:128*h+128]
		for i := 0; i < 32; i += 8 {
			putWord(d, i, word(q, i)&low2|word(q, i+32)&low2<<2|word(q, i+64)&low2<<4|word(q, i+96)&low2<<6)
		}
	}
}

// PackQ2_K packs 256 codes of 0 to 3 in sixteen groups; a value is
// d scale q - m min, scales and minimums being 0 to 15.
func PackQ2_K(dst []byte, d, m uint16, scales, mins [16]byte, q []byte) {
	for g := range scales {
		dst[g] = scales[g] | mins[g]<<4
	}
	packPairs(dst[16:80], q)
	binary.LittleEndian.PutUint16(dst[80:], d)
	binary.LittleEndian.PutUint16(dst[82:], m)
}

// PackQ3_K packs 256 codes of 0 to 7 in sixteen groups; a value is
// d scale (q-4), scales being -32 to 31.
func PackQ3_K(dst []byte, d uint16, scales [16]int, q []byte) {
	third, q := dst[:32], q[:superLen]
	packBits(third, q, 2)
	packPairs(dst[32:96], q)
	packQ3Scales(dst[96:108], scales)
	binary.LittleEndian.PutUint16(dst[108:], d)
}

// PackQ6_K packs 256 codes of 0 to 63 in sixteen groups; a value is
// d scale (q-32), scales being -128 to 127.
func PackQ6_K(dst []byte, d uint16, scales [16]int, q []byte) {
	for h := range 2 {
		low, high, q := dst[64*h:64*h+64], dst[128+32*h:160+32*h], q[128*h:128*h+128]
		for i := 0; i < 64; i += 8 {
			putWord(low, i, word(q, i)&low4|word(q, i+64)&low4<<4)
		}
		for i := 0; i < 32; i += 8 {
			putWord(high, i, word(q, i)>>4&low2|word(q, i+32)>>4&low2<<2|word(q, i+64)>>4&low2<<4|word(q, i+96)>>4&low2<<6)
		}
	}
	for g, s := range scales {
		dst[192+g] = byte(int8(s))
	}
	binary.LittleEndian.PutUint16(dst[208:], d)
}

// PackIQ4_XS packs 256 indices into the curve in eight groups; a value is
// d scale curve[q], scales being -32 to 31.
func PackIQ4_XS(dst []byte, d uint16, scales [8]int, q []byte) {
	clear(dst[:8])
	binary.LittleEndian.PutUint16(dst, d)
	var high uint16
	for g, s := range scales {
		u := s + 32
		dst[4+g/2] |= byte(u&15) << (4 * (g % 2))
		high |= uint16(u>>4) << (2 * g)
		packHalves(dst[8+16*g:24+16*g], q[32*g:32*g+32])
	}
	binary.LittleEndian.PutUint16(dst[2:], high)
}

// IQ4Curve are the values that the codes of iq4_nl and iq4_xs stand for.
func IQ4Curve() [16]int8 { return iq4Curve }

// MXFP4Curve are the values that the codes of mxfp4 stand for, and MXFP4Scale what
// one is worth under the scale byte e.
func MXFP4Curve() [16]int8 { return mxfp4Curve }

// MXFP4Scale is 2^(e-128).
func MXFP4Scale(e byte) float32 { return halfE8M0(e) }
