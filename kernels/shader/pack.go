package shader

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
)

// Pack brings rows x k values of type d into the layout: dst has Uints(rows, k)
// uints, src the rows as the file has them. It is safe to pack parts of a matrix in
// several goroutines; all but the last have whole tiles.
func (l Layout) Pack(dst []uint32, d dtype.DType, src []byte, rows, k int) error {
	if of, ok := (Features{Tensor: l.Tensor()}).LayoutOf(d); !ok || of != l {
		return fmt.Errorf("shader: pack: a matrix of type %v has no layout %v", d, l)
	}
	from, err := d.RowBytes(k)
	if err != nil {
		return fmt.Errorf("shader: pack: %w", err)
	}
	if rows < 0 || len(src) != rows*from || len(dst) != l.Uints(rows, k) {
		return fmt.Errorf("shader: pack: %d rows of %d %v values take %d bytes and %d uints, not %d and %d",
			rows, k, d, rows*from, l.Uints(rows, k), len(src), len(dst))
	}
	clear(dst)
	if l.Tensor() {
		l.packTensor(dst, d, src, rows, k)
		return nil
	}
	pack, to := packers[d], l.RowUints(k)
	for r := range rows {
		pack(dst[r*to:(r+1)*to], src[r*from:(r+1)*from], units(k))
	}
	return nil
}

// packers fill one row of n units, which is cleared before.
var packers = map[dtype.DType]func(dst []uint32, src []byte, n int){
	dtype.F32: packF32, dtype.F16: packF16, dtype.BF16: packBF16,
	dtype.Q4_0: packQ4_0, dtype.Q4_1: packQ4_1, dtype.Q5_0: packQ5_0, dtype.Q5_1: packQ5_1, dtype.Q8_0: packQ8_0,
	dtype.Q2_K: packQ2_K, dtype.Q3_K: packQ3_K, dtype.Q4_K: packQ4_K, dtype.Q5_K: packQ5_K, dtype.Q6_K: packQ6_K,
	dtype.IQ4_NL: packIQ4_NL, dtype.IQ4_XS: packIQ4_XS, dtype.MXFP4: packMXFP4,
}

func u16(b []byte) uint32 { return uint32(binary.LittleEndian.Uint16(b)) }
func u32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
func u64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// nibbles, pairs and bits join the lowest 4, 2 and 1 bits of eight bytes.
func nibbles(x uint64) uint32 {
	x &= 0x0f0f0f0f0f0f0f0f
	x = (x | x>>4) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x | x>>16)
}

func pairs(x uint64) uint32 {
	x &= 0x0303030303030303
	x = (x | x>>6) & 0x000f000f000f000f
	x = (x | x>>12) & 0x000000ff000000ff
	return uint32(x|x>>24) & 0xffff
}

func bits(x uint64) uint32 {
	return uint32((x & 0x0101010101010101) * 0x0102040810204080 >> 56)
}

// halves16 puts 16 bits of unit u into a plane that begins at p.
func halves16(dst []uint32, p, u int, v uint32) { dst[p+u/2] |= v << (16 * (u % 2)) }

// nibbleUnit fills four planes from 16 bytes whose lower halves are columns 0-15
// and whose upper halves are columns 16-31.
func nibbleUnit(dst []uint32, u, n int, b []byte) {
	lo, hi := u64(b), u64(b[8:])
	dst[u], dst[n+u], dst[2*n+u], dst[3*n+u] = nibbles(lo), nibbles(hi), nibbles(lo>>4), nibbles(hi>>4)
}

func packF32(dst []uint32, src []byte, n int) {
	for i := range len(src) / 4 {
		dst[i%32*n+i/32] = u32(src[4*i:])
	}
}

func packBF16(dst []uint32, src []byte, n int) {
	for i := range len(src) / 2 {
		dst[i%32*n+i/32] = u16(src[2*i:]) << 16
	}
}

func packF16(dst []uint32, src []byte, n int) {
	for i := range len(src) / 2 {
		dst[i%32/2*n+i/32] |= u16(src[2*i:]) << (16 * (i % 2))
	}
}

func packQ4_0(dst []uint32, src []byte, n int) {
	for u := range n {
		b := src[18*u:]
		nibbleUnit(dst, u, n, b[2:18])
		halves16(dst, 4*n, u, u16(b))
	}
}

func packQ4_1(dst []uint32, src []byte, n int) {
	for u := range n {
		b := src[20*u:]
		nibbleUnit(dst, u, n, b[4:20])
		dst[4*n+u] = u32(b)
	}
}

func packQ5_0(dst []uint32, src []byte, n int) {
	for u := range n {
		b := src[22*u:]
		nibbleUnit(dst, u, n, b[6:22])
		dst[4*n+u] = u32(b[2:])
		halves16(dst, 5*n, u, u16(b))
	}
}

func packQ5_1(dst []uint32, src []byte, n int) {
	for u := range n {
		b := src[24*u:]
		nibbleUnit(dst, u, n, b[8:24])
		dst[4*n+u] = u32(b[4:])
		dst[5*n+u] = u32(b)
	}
}

func packQ8_0(dst []uint32, src []byte, n int) {
	for u := range n {
		b := src[34*u:]
		for w := range 8 {
			dst[w*n+u] = u32(b[2+4*w:])
		}
		halves16(dst, 8*n, u, u16(b))
	}
}

// curve is what the codes of a type of 4-bit codes stand for: the values of a
// block with scale 1.
func curve(d dtype.DType, block ...byte) (c [16]int8) {
	for i := range byte(16) {
		block = append(block, i)
	}
	var v [32]float32
	if dtype.Dequantize(d, v[:], block) == nil {
		for i := range c {
			c[i] = int8(v[i])
		}
	}
	return c
}

var (
	iq4Curve   = curve(dtype.IQ4_NL, 0x00, 0x3c)
	mxfp4Curve = curve(dtype.MXFP4, 128)
)

// curveUnit fills eight planes with the bytes that 16 bytes of codes stand for.
func curveUnit(dst []uint32, u, n int, c *[16]int8, b []byte) {
	for j := range 16 {
		dst[j/4*n+u] |= uint32(uint8(c[b[j]&15])) << (8 * (j % 4))
		dst[(4+j/4)*n+u] |= uint32(uint8(c[b[j]>>4])) << (8 * (j % 4))
	}
}

func packIQ4_NL(dst []uint32, src []byte, n int) {
	for u := range n {
		b := src[18*u:]
		curveUnit(dst, u, n, &iq4Curve, b[2:18])
		halves16(dst, 8*n, u, u16(b))
	}
}

func packIQ4_XS(dst []uint32, src []byte, n int) {
	for u := range n {
		b, g := src[u/8*136:], u%8
		s := int(b[4+g/2]>>(4*(g%2))&15) | int(u16(b[2:])>>(2*g)&3)<<4
		curveUnit(dst, u, n, &iq4Curve, b[8+16*g:])
		dst[8*n+u] = math.Float32bits(dtype.F16ToF32(uint16(u16(b))) * float32(s-32))
	}
}

func packMXFP4(dst []uint32, src []byte, n int) {
	for u := range n {
		b := src[17*u:]
		curveUnit(dst, u, n, &mxfp4Curve, b[1:17])
		scale := uint32(0x00200000) << b[0] // 2^(e-128), the first two subnormal
		if b[0] >= 2 {
			scale = uint32(b[0]-1) << 23
		}
		dst[8*n+u] = scale
	}
}
