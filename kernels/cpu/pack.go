package cpu

import (
	"encoding/binary"
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// Pack writes row groups [group0, group1) of the packed form of src, a matrix of
// rows x cols values of type dt as a GGUF file stores it, to their places in
// dst, which has room for the whole matrix (PackedSize).
func (l Layout) Pack(dst []byte, dt dtype.DType, src []byte, rows, cols, group0, group1 int) error {
	size, err := l.PackedSize(dt, rows, cols)
	if err != nil {
		return err
	}
	rowBytes, err := dt.RowBytes(cols)
	if err != nil {
		return fmt.Errorf("cpu: pack: %w", err)
	}
	if len(dst) < size || len(src) < rows*rowBytes {
		return fmt.Errorf("cpu: pack a %v matrix of %d rows of %d values: have %d bytes of it and room for %d, need %d and %d",
			dt, rows, cols, len(src), len(dst), rows*rowBytes, size)
	}
	if group0 < 0 || group0 > group1 || group1 > Groups(rows) {
		return fmt.Errorf("cpu: pack: row groups %d to %d of %d", group0, group1, Groups(rows))
	}
	p, _ := packingOf(dt)
	group := p.groupBytes(cols)
	for g := group0; g < group1; g++ {
		n := min(GroupRows, rows-g*GroupRows)
		at := g * GroupRows * rowBytes
		out, in := dst[g*group:(g+1)*group], src[at:at+n*rowBytes]
		if p.plain > 0 {
			packPlain(out, in, p.plain, cols, n)
			continue
		}
		if n < GroupRows || cols%p.format.Unit != 0 {
			clear(out) // what no row or column fills
		}
		p.pack(out, p.format, in, rowBytes, n)
	}
	return nil
}

// packFunc packs the n rows of src into the group dst, which is zero where rows
// or columns are missing.
type packFunc func(dst []byte, f *packed.Format, src []byte, rowBytes, n int)

// packPlain transposes n rows of cols values of size bytes, a few columns at a
// time so that what is written stays in the cache.
func packPlain(dst, src []byte, size, cols, n int) {
	if n < GroupRows {
		clear(dst)
	}
	const run = 64
	for c0 := 0; c0 < cols; c0 += run {
		c1 := min(c0+run, cols)
		out := dst[c0*GroupRows*size : c1*GroupRows*size]
		for r := range n {
			row := src[(r*cols+c0)*size : (r*cols+c1)*size]
			if size == 4 {
				for to := out[4*r:]; len(row) >= 4; row = row[4:] {
					binary.LittleEndian.PutUint32(to, binary.LittleEndian.Uint32(row))
					to = to[min(4*GroupRows, len(to)):]
				}
			} else {
				for to := out[2*r:]; len(row) >= 2; row = row[2:] {
					copyHalf(to, row)
					to = to[min(2*GroupRows, len(to)):]
				}
			}
		}
	}
}

// packQ4_0 packs blocks of an f16 scale and 16 bytes of nibbles (q4_0, iq4_nl),
// whose order is already that of the packed form.
func packQ4_0(dst []byte, f *packed.Format, src []byte, rowBytes, n int) {
	unit, values := f.UnitBytes(), f.ValuesAt()
	for r := range n {
		row := src[r*rowBytes : (r+1)*rowBytes]
		for b := 0; len(row) >= 18; b, row = b+1, row[18:] {
			out := dst[b/2*unit : (b/2+1)*unit]
			copyHalf(out[b%2*32+2*r:], row)
			copyWords4(out[values+b%2*256+4*r:], row[2:])
		}
	}
}

// packQ4_1 packs blocks of f16 scale and minimum and 16 bytes of nibbles.
func packQ4_1(dst []byte, f *packed.Format, src []byte, rowBytes, n int) {
	unit, values, mins := f.UnitBytes(), f.ValuesAt(), f.MinsAt()
	for r := range n {
		row := src[r*rowBytes : (r+1)*rowBytes]
		for b := 0; len(row) >= 20; b, row = b+1, row[20:] {
			out := dst[b/2*unit : (b/2+1)*unit]
			copyHalf(out[b%2*32+2*r:], row)
			copyHalf(out[mins+b%2*32+2*r:], row[2:])
			copyWords4(out[values+b%2*256+4*r:], row[4:])
		}
	}
}

// packQ8_0 packs blocks of an f16 scale and 32 int8.
func packQ8_0(dst []byte, f *packed.Format, src []byte, rowBytes, n int) {
	unit, values := f.UnitBytes(), f.ValuesAt()
	for r := range n {
		row := src[r*rowBytes : (r+1)*rowBytes]
		for b := 0; len(row) >= 34; b, row = b+1, row[34:] {
			out := dst[b/2*unit : (b/2+1)*unit]
			copyHalf(out[b%2*32+2*r:], row)
			copyWords4(out[values+b%2*512+4*r:], row[2:])
			copyWords4(out[values+b%2*512+256+4*r:], row[18:])
		}
	}
}

func copyHalf(dst, src []byte) {
	binary.LittleEndian.PutUint16(dst, binary.LittleEndian.Uint16(src))
}

// copyWords4 copies four words of 4 bytes to places 64 bytes apart.
func copyWords4(dst, src []byte) {
	dst, src = dst[:196], src[:16]
	lo, hi := binary.LittleEndian.Uint64(src), binary.LittleEndian.Uint64(src[8:])
	binary.LittleEndian.PutUint32(dst, uint32(lo))
	binary.LittleEndian.PutUint32(dst[64:], uint32(lo>>32))
	binary.LittleEndian.PutUint32(dst[128:], uint32(hi))
	binary.LittleEndian.PutUint32(dst[192:], uint32(hi>>32))
}

// block is 32 values on their way into the packed form. The first scale and
// minimum are for all values, or for the first 16, then the second for the rest,
// as they are stored: float16 or bytes.
type block struct {
	q          [32]uint8
	scale, min [2]uint16
}

// super is what the blocks of a unit share, as float16: see packed.Supers.
type super struct{ d, m uint16 }

// A placer stores blocks in a group.
type placer struct {
	*packed.Format
	unit, scales, mins, values, block, blocks, subs int // sizes, places and numbers in a unit
}

func newPlacer(f *packed.Format) placer {
	return placer{f, f.UnitBytes(), f.ScalesAt(), f.MinsAt(), f.ValuesAt(), f.BlockBytes(), f.Blocks(), f.Subs()}
}

// put stores block b of row r.
func (p *placer) put(dst []byte, r, b int, v *block) {
	unit := dst[b/p.blocks*p.unit : (b/p.blocks+1)*p.unit]
	b %= p.blocks
	for s := range p.subs {
		at := (b*p.subs+s)*GroupRows + r
		switch {
		case p.Scales == packed.Halves:
			putHalf(unit[p.scales+2*at:], v.scale[s])
			if p.Min {
				putHalf(unit[p.mins+2*at:], v.min[s])
			}
		case p.Scales == packed.SuperNibbles:
			unit[p.scales+at] = byte(v.scale[s] | v.min[s]<<4)
		default:
			unit[p.scales+at] = byte(v.scale[s])
			if p.Min {
				unit[p.mins+at] = byte(v.min[s])
			}
		}
	}
	var w [packed.Steps]uint32
	for j := range w {
		w[j] = binary.LittleEndian.Uint32(v.q[4*j:])
	}
	out := unit[p.values+b*p.block:][:p.block]
	putPlane(out[4*r:], &w, p.Low, 0)
	if p.High > 0 {
		putPlane(out[p.LowBytes()+4*r:], &w, p.High, p.Low)
	}
}

// putPlane stores the bits from bit on of a block's steps in a plane of so many
// bits, for one row.
func putPlane(dst []byte, w *[packed.Steps]uint32, bits, from int) {
	le := binary.LittleEndian
	switch bits {
	case 8:
		dst = dst[:452]
		for j, v := range w {
			le.PutUint32(dst[64*j:], v)
		}
	case 4:
		dst = dst[:196]
		for j := range 4 {
			le.PutUint32(dst[64*j:], w[j]&words15|w[j+4]&words15<<4)
		}
	case 2:
		for j := range 2 {
			var v uint32
			for i, x := range w[4*j : 4*j+4] {
				v |= x >> from & words3 << (2 * i)
			}
			le.PutUint32(dst[64*j:], v)
		}
	case 1:
		var v uint32
		for j, x := range w {
			v |= x >> from & words1 << j
		}
		le.PutUint32(dst, v)
	}
}

// Four bytes at a time: the lower bits of each.
const (
	words1  = 0x01010101
	words3  = 0x03030303
	words15 = 0x0f0f0f0f
)

// putSuper stores what the blocks of the unit that block b of row r is in share.
func (p *placer) putSuper(dst []byte, r, b int, s *super) {
	unit := dst[b/p.blocks*p.unit:]
	putHalf(unit[2*r:], s.d)
	putHalf(unit[2*GroupRows+2*r:], s.m)
}

// byBlock makes a packFunc of a function that takes a file's block of
// blockBytes apart into blocks of 32 values.
func byBlock(dst []byte, f *packed.Format, src []byte, rowBytes, n, blockBytes, perBlock int, unpack func(out *[8]block, s *super, src []byte)) {
	var out [8]block
	var s super
	p := newPlacer(f)
	for r := range n {
		row := src[r*rowBytes : (r+1)*rowBytes]
		for b := 0; len(row) >= blockBytes; b, row = b+perBlock, row[blockBytes:] {
			unpack(&out, &s, row[:blockBytes])
			for i := range perBlock {
				p.put(dst, r, b+i, &out[i])
			}
			if perBlock == 8 {
				p.putSuper(dst, r, b, &s)
			}
		}
	}
}
