package cpu

import (
	"encoding/binary"
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// The file formats that Pack takes apart block by block; graph/dtype describes
// them.

func loadF16(b []byte) float32   { return dtype.F16ToF32(binary.LittleEndian.Uint16(b)) }
func loadF32(b []byte) float32   { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
func putF32(b []byte, v float32) { binary.LittleEndian.PutUint32(b, math.Float32bits(v)) }
func loadHalf(b []byte) uint16   { return binary.LittleEndian.Uint16(b) }
func loadBF16(b []byte) float32  { return dtype.BF16ToF32(binary.LittleEndian.Uint16(b)) }
func halfOf(v float32) uint16    { return dtype.F32ToF16(v) }
func putHalf(b []byte, h uint16) { binary.LittleEndian.PutUint16(b, h) }

// Eight bytes at a time: the lower bits of each.
const (
	bytes1  = 0x0101010101010101
	bytes3  = 0x0303030303030303
	bytes15 = 0x0f0f0f0f0f0f0f0f
)

func load64(b []byte) uint64   { return binary.LittleEndian.Uint64(b) }
func put64(b []byte, v uint64) { binary.LittleEndian.PutUint64(b, v) }

// splitNibbles takes values 0-15 from the lower and 16-31 from the upper halves.
func splitNibbles(q *[32]uint8, src []byte) {
	lo, hi := load64(src), load64(src[8:])
	put64(q[0:], lo&bytes15)
	put64(q[8:], hi&bytes15)
	put64(q[16:], lo>>4&bytes15)
	put64(q[24:], hi>>4&bytes15)
}

// fifthBits has for each byte its bits as bit 4 of eight bytes.
var fifthBits = func() (t [256]uint64) {
	for i := range t {
		for j := range 8 {
			t[i] |= uint64(i>>j&1) << (8*j + 4)
		}
	}
	return t
}()

// addFifthBits adds bit j of high to value j as its bit 4.
func addFifthBits(q *[32]uint8, high uint32) {
	for j := range 4 {
		put64(q[8*j:], load64(q[8*j:])|fifthBits[byte(high>>(8*j))])
	}
}

func packQ5_0(dst []byte, f *packed.Format, src []byte, rowBytes, n int) {
	byBlock(dst, f, src, rowBytes, n, 22, 1, func(out *[8]block, _ *super, b []byte) {
		out[0].scale[0] = loadHalf(b)
		splitNibbles(&out[0].q, b[6:])
		addFifthBits(&out[0].q, binary.LittleEndian.Uint32(b[2:]))
	})
}

func packQ5_1(dst []byte, f *packed.Format, src []byte, rowBytes, n int) {
	byBlock(dst, f, src, rowBytes, n, 24, 1, func(out *[8]block, _ *super, b []byte) {
		out[0].scale[0], out[0].min[0] = loadHalf(b), loadHalf(b[2:])
		splitNibbles(&out[0].q, b[8:])
		addFifthBits(&out[0].q, binary.LittleEndian.Uint32(b[4:]))
	})
}

func packMXFP4(dst []byte, f *packed.Format, src []byte, rowBytes, n int) {
	byBlock(dst, f, src, rowBytes, n, 17, 1, func(out *[8]block, _ *super, b []byte) {
		out[0].scale[0] = uint16(b[0])
		splitNibbles(&out[0].q, b[1:])
	})
}

func packIQ4_XS(dst []byte, f *packed.Format, src []byte, rowBytes, n int) {
	byBlock(dst, f, src, rowBytes, n, 136, 8, func(out *[8]block, sup *super, b []byte) {
		high := loadHalf(b[2:])
		sup.d = loadHalf(b)
		for g := range out {
			s := int(b[4+g/2]>>(4*(g%2))&15) | int(high>>(2*g)&3)<<4
			out[g].scale[0] = uint16(s - 32)
			splitNibbles(&out[g].q, b[8+16*g:])
		}
	})
}

// scaleMin returns scale and minimum j of the 12 bytes of q4_k and q5_k: 6 bits
// each, the last four of either spread over two places.
func scaleMin(b []byte, j int) (s, m uint16) {
	if j < 4 {
		return uint16(b[j] & 63), uint16(b[4+j] & 63)
	}
	return uint16(b[4+j]&15 | b[j-4]>>6<<4), uint16(b[4+j]>>4 | b[j]>>6<<4)
}

// affineBlocks fills the scales and minimums, and the nibbles of q4_k and q5_k:
// groups 2i and 2i+1 share 32 bytes.
func affineBlocks(out *[8]block, sup *super, b, qs []byte) {
	sup.d, sup.m = loadHalf(b), loadHalf(b[2:])
	for g := range out {
		o := &out[g]
		o.scale[0], o.min[0] = scaleMin(b[4:16], g)
		for j := 0; j < 32; j += 8 {
			put64(o.q[j:], load64(qs[g/2*32+j:])>>(4*(g%2))&bytes15)
		}
	}
}

func packQ4_K(dst []byte, f *packed.Format, src []byte, rowBytes, n int) {
	byBlock(dst, f, src, rowBytes, n, 144, 8, func(out *[8]block, sup *super, b []byte) {
		affineBlocks(out, sup, b, b[16:])
	})
}

func packQ5_K(dst []byte, f *packed.Format, src []byte, rowBytes, n int) {
	byBlock(dst, f, src, rowBytes, n, 176, 8, func(out *[8]block, sup *super, b []byte) {
		affineBlocks(out, sup, b, b[48:])
		for g := range out {
			for j := 0; j < 32; j += 8 {
				q := out[g].q[j:]
				put64(q, load64(q)|load64(b[16+j:])>>g&bytes1<<4)
			}
		}
	})
}

func packQ2_K(dst []byte, f *packed.Format, src []byte, rowBytes, n int) {
	byBlock(dst, f, src, rowBytes, n, 84, 8, func(out *[8]block, sup *super, b []byte) {
		sup.d, sup.m = loadHalf(b[80:]), loadHalf(b[82:])
		for g := range out {
			o := &out[g]
			for s := range 2 {
				sm := uint16(b[2*g+s])
				o.scale[s], o.min[s] = sm&15, sm>>4
			}
			for j := 0; j < 32; j += 8 {
				put64(o.q[j:], load64(b[16+g/4*32+j:])>>(2*(g%4))&bytes3)
			}
		}
	})
}

func packQ3_K(dst []byte, f *packed.Format, src []byte, rowBytes, n int) {
	byBlock(dst, f, src, rowBytes, n, 110, 8, func(out *[8]block, sup *super, b []byte) {
		scales := b[96:108]
		sup.d = loadHalf(b[108:])
		for g := range out {
			o := &out[g]
			for s := range 2 {
				j := 2*g + s
				low, high := scales[j%8]>>(j/8*4)&15, scales[8+j%4]>>(j/4*2)&3
				o.scale[s] = uint16(int(low|high<<4) - 32)
			}
			for j := 0; j < 32; j += 8 {
				low, third := load64(b[32+g/4*32+j:]), load64(b[j:])
				put64(o.q[j:], low>>(2*(g%4))&bytes3|third>>g&bytes1<<2)
			}
		}
	})
}

func packQ6_K(dst []byte, f *packed.Format, src []byte, rowBytes, n int) {
	byBlock(dst, f, src, rowBytes, n, 210, 8, func(out *[8]block, sup *super, b []byte) {
		sup.d = loadHalf(b[208:])
		for g := range out {
			o := &out[g]
			for s := range 2 {
				o.scale[s] = uint16(b[192+2*g+s])
			}
			low := b[64*(g/4)+32*(g%2):]
			high := b[128+32*(g/4):]
			for j := 0; j < 32; j += 8 {
				put64(o.q[j:], load64(low[j:])>>(g%4/2*4)&bytes15|load64(high[j:])>>(2*(g%4))&bytes3<<4)
			}
		}
	})
}
