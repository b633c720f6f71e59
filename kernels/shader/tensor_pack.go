package shader

import (
	"encoding/binary"
	rotate "math/bits"

	"github.com/ledge-run/ledge/graph/dtype"
)

// tensorPacker packs the units of a type of blocks: first the quants of 16 rows as
// bytes, then these as the lanes have them.
type tensorPacker struct {
	// quants brings a row's unit to bytes, in groups of four columns in the order of
	// swapped, or in the order of columns. There may be no second block of a unit of 64.
	quants func(q *[256]byte, src []byte)
	// step makes the planes of quants of a step of 64 columns, which begins at from.
	step func(dst []uint32, q *[tensorRows][256]byte, from int)
	// scales adds those of a row to a unit.
	scales func(unit []uint32, t *tensorLayout, row int, src []byte)
}

var tensorPackers = map[dtype.DType]tensorPacker{
	dtype.Q4_0:   {quantsLegacy(18, 2, 0), stepNibbles, scalesLegacy(18, 128)},
	dtype.Q4_1:   {quantsLegacy(20, 4, 0), stepNibbles, scalesLegacy(20, 128)},
	dtype.Q5_0:   {quantsLegacy(22, 6, 2), stepFive, scalesLegacy(22, 160)},
	dtype.Q5_1:   {quantsLegacy(24, 8, 4), stepFive, scalesLegacy(24, 160)},
	dtype.Q8_0:   {quantsQ8_0, stepBytes, scalesLegacy(34, 256)},
	dtype.IQ4_NL: {codes(18, 2), stepNibbles, scalesLegacy(18, 128)},
	dtype.MXFP4:  {codes(17, 1), stepNibbles, scalesMXFP4},
	dtype.Q4_K:   {quantsQ4_K, stepNibbles, scalesQ4_K},
	dtype.Q5_K:   {quantsQ5_K, stepFive, scalesQ4_K},
	dtype.Q6_K:   {quantsQ6_K, stepSix, scalesQ6_K},
	dtype.IQ4_XS: {func(q *[256]byte, src []byte) { codes(16, 0)(q, src[8:136]) }, stepNibbles, scalesIQ4_XS},
	dtype.Q2_K:   {quantsQ2_K, stepTwo, scalesQ2_K},
	dtype.Q3_K:   {quantsQ3_K, stepThree, scalesQ3_K},
}

// packTensor packs whole tiles. dst is cleared.
func (l Layout) packTensor(dst []uint32, d dtype.DType, src []byte, rows, k int) {
	t, bytes := l.tensor(), len(src)/max(1, rows)
	tile := t.tileUints(k)
	pack := packFloats
	if p, ok := tensorPackers[d]; ok {
		pack = p.tile
	}
	for r := 0; r < rows; r += tensorRows {
		n := min(tensorRows, rows-r)
		pack(t, dst[:tile], src[r*bytes:(r+n)*bytes], n, k)
		dst = dst[tile:]
	}
}

// tile packs the rows of one, which are at most 16.
func (p tensorPacker) tile(t *tensorLayout, dst []uint32, src []byte, rows, k int) {
	var q [tensorRows][256]byte
	bytes, columns := len(src)/rows, tensorStep*t.steps
	unitBytes := bytes * columns / k // of whole units
	for u := 0; u*columns < k; u++ {
		unit := dst[u*(t.steps*t.step+t.head):][:t.steps*t.step+t.head]
		for r := range rows {
			row := src[r*bytes:][:bytes][u*unitBytes:]
			row = row[:min(len(row), unitBytes)]
			p.quants(&q[r], row)
			p.scales(unit, t, r, row)
		}
		for s := range t.steps {
			p.step(unit[s*t.step:][:t.step], &q, s*tensorStep)
		}
	}
}

// Columns 0, 1, 2, 3 of bytes come as 0, 2, 1, 3: the halves of a word are then the
// first and the second elements of pairs.
func swapped(x uint64) uint64 {
	return x&0xff0000ffff0000ff | x>>8&0x0000ff000000ff00 | x<<8&0x00ff000000ff0000
}

func put64(b []byte, x uint64) { binary.LittleEndian.PutUint64(b, x) }

const (
	ones  = 0x0101010101010101
	fours = 0x0f0f0f0f0f0f0f0f // four bits of each byte
)

// spread is bit i of its index as byte i.
var spread = func() (table [256]uint64) {
	for i := range table {
		for b := range 8 {
			table[i] |= uint64(i>>b&1) << (8 * b)
		}
	}
	return table
}()

// blank is no second block: quants of zero under a scale of zero.
func blank(q []byte) { clear(q[32:64]) }

// quantsLegacy is for two blocks of 32 columns, with nibbles and, if high is not 0,
// fifth bits at these bytes.
func quantsLegacy(size, nibbles, high int) func(q *[256]byte, src []byte) {
	return func(q *[256]byte, src []byte) {
		if len(src) < 2*size {
			blank(q[:])
		}
		for at := q[:]; len(src) >= size; at, src = at[32:], src[size:] {
			for w := range 2 {
				x := u64(src[nibbles+8*w:])
				low, upper := x&fours, x>>4&fours
				if high != 0 {
					low |= spread[src[high+w]] << 4
					upper |= spread[src[high+2+w]] << 4
				}
				put64(at[8*w:], swapped(low))
				put64(at[16+8*w:], swapped(upper))
			}
		}
	}
}

// codes is quantsLegacy for curves: in the order of columns.
func codes(size, nibbles int) func(q *[256]byte, src []byte) {
	return func(q *[256]byte, src []byte) {
		if len(src) < 2*size {
			blank(q[:])
		}
		for at := q[:]; len(src) >= size; at, src = at[32:], src[size:] {
			for w := range 2 {
				x := u64(src[nibbles+8*w:])
				put64(at[8*w:], x&fours)
				put64(at[16+8*w:], x>>4&fours)
			}
		}
	}
}

func quantsQ8_0(q *[256]byte, src []byte) {
	if len(src) < 68 {
		blank(q[:])
	}
	for at := q[:]; len(src) >= 34; at, src = at[32:], src[34:] {
		for w := range 4 {
			put64(at[8*w:], swapped(u64(src[2+8*w:])^128*ones))
		}
	}
}

func quantsQ4_K(q *[256]byte, src []byte) {
	for i := range 16 {
		x, at := swapped(u64(src[16+8*i:])), i/4*64+i%4*8
		put64(q[at:], x&fours)
		put64(q[at+32:], x>>4&fours)
	}
}

func quantsQ5_K(q *[256]byte, src []byte) {
	for i := range 16 {
		x, at := u64(src[48+8*i:]), i/4*64+i%4*8
		h := u64(src[16+i%4*8:]) >> (i / 4 * 2)
		put64(q[at:], swapped(x&fours|h&ones<<4))
		put64(q[at+32:], swapped(x>>4&fours|h>>1&ones<<4))
	}
}

func quantsQ6_K(q *[256]byte, src []byte) {
	for i := range 32 { // of eight columns
		half, c := i/16, i%16
		low := u64(src[64*half+c%8*8:]) >> (c / 8 * 4) & fours
		high := u64(src[128+32*half+c%4*8:]) >> (c / 4 * 2) & (3 * ones)
		put64(q[8*i:], swapped(low|high<<4))
	}
}

func quantsQ2_K(q *[256]byte, src []byte) {
	for i := range 32 {
		put64(q[8*i:], swapped(u64(src[16+32*(i/16)+i%4*8:])>>(i%16/4*2)&(3*ones)))
	}
}

func quantsQ3_K(q *[256]byte, src []byte) {
	for i := range 32 {
		low := u64(src[32+32*(i/16)+i%4*8:]) >> (i % 16 / 4 * 2) & (3 * ones)
		high := u64(src[i%4*8:]) >> (i / 4) & ones
		put64(q[8*i:], swapped(low|high<<2))
	}
}

// pairOf are the quants of eight columns of rows g and g + 8: those of lanes 4 g + 2 h
// and the next for columns 16 j.
func pairOf(q *[tensorRows][256]byte, g, from, j, h int) (x, y uint64) {
	at := from + 16*j + 8*h
	return u64(q[g][at:]), u64(q[g+8][at:])
}

func stepNibbles(dst []uint32, q *[tensorRows][256]byte, from int) {
	lanes := (*[128]uint32)(dst)
	for g := range 8 {
		for i := range 8 {
			j, h := i%4, i/4
			x, y := pairOf(q, g, from, j, h)
			w := x&fours | y&fours<<4
			lanes[16*g+8*h+j], lanes[16*g+8*h+4+j] = uint32(w), uint32(w>>32)
		}
	}
}

func stepFive(dst []uint32, q *[tensorRows][256]byte, from int) {
	stepNibbles(dst, q, from)
	stepBit(dst[128:], q, from, 4, &[4]int{4, 5, 6, 7}, 4)
}

// stepBit makes a plane of words of one bit of each quant: bit, which comes to place
// at[j] for row g and so much higher for row g + 8.
func stepBit(dst []uint32, q *[tensorRows][256]byte, from, bit int, at *[4]int, higher int) {
	words := (*[32]uint32)(dst)
	for g := range 8 {
		for h := range 2 {
			var a, b uint32
			for j := range 4 {
				x, y := pairOf(q, g, from, j, h)
				x, y = x>>bit&ones, y>>bit&ones
				a |= rotate.RotateLeft32(uint32(x), at[j]) | rotate.RotateLeft32(uint32(y), at[j]+higher)
				b |= rotate.RotateLeft32(uint32(x>>32), at[j]) | rotate.RotateLeft32(uint32(y>>32), at[j]+higher)
			}
			words[4*g+2*h], words[4*g+2*h+1] = a, b
		}
	}
}

func stepSix(dst []uint32, q *[tensorRows][256]byte, from int) {
	stepNibbles(dst, q, from)
	high := (*[64]uint32)(dst[128:])
	for g := range 8 {
		for i := range 4 {
			h, v := i/2, i%2
			var a, b uint32
			for j := range 2 {
				x, y := pairOf(q, g, from, 2*v+j, h)
				x, y = x>>4&(3*ones), y>>4&(3*ones)
				a |= rotate.RotateLeft32(uint32(x), 4+2*j) | rotate.RotateLeft32(uint32(y), 8+2*j)
				b |= rotate.RotateLeft32(uint32(x>>32), 4+2*j) | rotate.RotateLeft32(uint32(y>>32), 8+2*j)
			}
			high[8*g+4*h+v], high[8*g+4*h+2+v] = a, b
		}
	}
}

func stepBytes(dst []uint32, q *[tensorRows][256]byte, from int) {
	const even = 0x00ff00ff00ff00ff
	for g := range 8 {
		for i := range 8 {
			j, h := i%4, i/4
			x, y := pairOf(q, g, from, j, h)
			first, second := x&even|y&even<<8, x>>8&even|y&^even
			at := j/2*128 + 16*g + 8*h + j%2*2
			dst[at], dst[at+1] = uint32(first), uint32(second)
			dst[at+4], dst[at+5] = uint32(first>>32), uint32(second>>32)
		}
	}
}

// stepTwo makes two planes of words of two bits.
func stepTwo(dst []uint32, q *[tensorRows][256]byte, from int) {
	lanes := (*[64]uint32)(dst)
	for g := range 8 {
		for i := range 4 {
			h, v := i/2, i%2
			var w uint64
			for j := range 2 {
				x, y := pairOf(q, g, from, 2*v+j, h)
				w |= (x&(3*ones) | y&(3*ones)<<2) << (4 * j)
			}
			lanes[8*g+4*h+v], lanes[8*g+4*h+2+v] = uint32(w), uint32(w>>32)
		}
	}
}

func stepThree(dst []uint32, q *[tensorRows][256]byte, from int) {
	stepTwo(dst, q, from)
	stepBit(dst[64:], q, from, 2, &[4]int{2, 6, 3, 7}, 2)
}
