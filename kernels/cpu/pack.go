package cpu

import (
	"encoding/binary"
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
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
		f := &formats[p.id]
		if n < GroupRows || cols%pairCols != 0 {
			clear(out) // what no row or column fills
		}
		p.pack(out, f, in, rowBytes, n)
	}
	return nil
}

// packFunc packs the n rows of src into the group dst, which is zero where rows
// or columns are missing.
type packFunc func(dst []byte, f *format, src []byte, rowBytes, n int)

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
func packQ4_0(dst []byte, f *format, src []byte, rowBytes, n int) {
	pair, values := f.pairBytes(), f.valuesAt()
	for r := range n {
		row := src[r*rowBytes : (r+1)*rowBytes]
		for b := 0; len(row) >= 18; b, row = b+1, row[18:] {
			out := dst[b/2*pair : (b/2+1)*pair]
			copyHalf(out[b%2*32+2*r:], row)
			copyWords4(out[values+b%2*256+4*r:], row[2:])
		}
	}
}

// packQ4_1 packs blocks of f16 scale and minimum and 16 bytes of nibbles.
func packQ4_1(dst []byte, f *format, src []byte, rowBytes, n int) {
	pair, values, mins := f.pairBytes(), f.valuesAt(), f.scaleBytes()
	for r := range n {
		row := src[r*rowBytes : (r+1)*rowBytes]
		for b := 0; len(row) >= 20; b, row = b+1, row[20:] {
			out := dst[b/2*pair : (b/2+1)*pair]
			copyHalf(out[b%2*32+2*r:], row)
			copyHalf(out[mins+b%2*32+2*r:], row[2:])
			copyWords4(out[values+b%2*256+4*r:], row[4:])
		}
	}
}

// packQ8_0 packs blocks of an f16 scale and 32 int8.
func packQ8_0(dst []byte, f *format, src []byte, rowBytes, n int) {
	pair, values := f.pairBytes(), f.valuesAt()
	for r := range n {
		row := src[r*rowBytes : (r+1)*rowBytes]
		for b := 0; len(row) >= 34; b, row = b+1, row[34:] {
			out := dst[b/2*pair : (b/2+1)*pair]
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
// minimum are for all values, or for the first 16, then the second for the rest.
type block struct {
	q          [32]uint8 // as stored: with the format's offset
	scale, min [2]float32
}

// A placer stores blocks in a group.
type placer struct {
	f                         *format
	pair, mins, values, block int // sizes and places in a pair
	subs                      int // sub-blocks of a block
}

func (f *format) placer() placer {
	return placer{f, f.pairBytes(), f.scaleBytes(), f.valuesAt(), f.blockBytes(), 32 / f.subLen}
}

// put stores block b of row r.
func (p *placer) put(dst []byte, r, b int, v *block) {
	out := dst[b/2*p.pair : (b/2+1)*p.pair]
	for s := range p.subs {
		at := (b%2*p.subs+s)*GroupRows + r
		p.f.putScale(out, at, v.scale[s])
		if p.f.min {
			p.f.putScale(out[p.mins:], at, v.min[s])
		}
	}
	out = out[p.values+b%2*p.block+4*r:]
	le := binary.LittleEndian
	if p.f.kind <= indices {
		out = out[:196]
		for j := range 4 {
			le.PutUint32(out[64*j:], le.Uint32(v.q[4*j:])|le.Uint32(v.q[16+4*j:])<<4)
		}
		return
	}
	out = out[:452]
	for j := range 8 {
		le.PutUint32(out[64*j:], le.Uint32(v.q[4*j:]))
	}
}

func (f *format) putScale(dst []byte, at int, v float32) {
	if f.wide {
		putF32(dst[4*at:], v)
	} else {
		putHalf(dst[2*at:], halfOf(v))
	}
}

// byBlock makes a packFunc of a function that takes a file's block of
// blockBytes apart into blocks of 32 values.
func byBlock(dst []byte, f *format, src []byte, rowBytes, n, blockBytes, perBlock int, unpack func(out *[8]block, src []byte)) {
	var out [8]block
	p := f.placer()
	for r := range n {
		row := src[r*rowBytes : (r+1)*rowBytes]
		for b := 0; len(row) >= blockBytes; b, row = b+perBlock, row[blockBytes:] {
			unpack(&out, row[:blockBytes])
			for i := range perBlock {
				p.put(dst, r, b+i, &out[i])
			}
		}
	}
}
