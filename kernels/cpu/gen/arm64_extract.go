package main

import "github.com/ledge-run/ledge/kernels/cpu/internal/packed"

// A weightReader takes the planes of a format's blocks apart: bytes of a step for
// two registers, that is, eight rows of weights, at a time.
//
// High bits are set in two ways, whichever takes fewer instructions: SLI inserts
// them above the low bits, of which it keeps only so many, so that those need no
// mask; or BIT copies them from where a shift has put them.
type weightReader struct {
	e    *arm
	f    *packed.Format
	at   x     // the values of the record's first block
	raw  list4 // a vector of the plane of low bits
	high list4 // of high bits
	tmp  list4

	lowMask, highMask, place, curve q // place: the high bits where they belong
}

// newReader takes registers, one or two of them for high bits on their way, and
// loads constants.
func (e *arm) newReader(f *packed.Format, at, scratch x, temporaries int) *weightReader {
	r := &weightReader{e: e, f: f, at: at, raw: e.regs(2)}
	if f.Low < 8 {
		r.lowMask = e.reg()
		e.bytes(r.lowMask, 1<<f.Low-1)
	}
	if f.High > 0 {
		r.high, r.tmp = e.regs(2), e.regs(temporaries)
		r.highMask, r.place = e.reg(), e.reg()
		e.bytes(r.highMask, 1<<f.High-1)
		e.bytes(r.place, (1<<f.High-1)<<f.Low)
	}
	if f.Curve != nil {
		r.curve = e.loadCurve(f, scratch)
	}
	return r
}

// loadCurve loads the format's curve, a table for TBL.
func (e *arm) loadCurve(f *packed.Format, at x) q {
	var words [4]uint32
	for i, v := range f.Curve {
		words[i/4] |= uint32(uint8(v)) << (8 * (i % 4))
	}
	return e.constants("curve"+formatName(f), at, words[:]...)[0].reg
}

// vectorAt is where vector v of a plane is: of block b, for registers 2*pair and
// 2*pair+1.
func (r *weightReader) vectorAt(b, plane, v, pair int) int {
	return b*r.f.BlockBytes() + plane + 64*v + 32*pair
}

// loadLow loads a vector of the plane of low bits into w.
func (r *weightReader) loadLow(w list4, b, v, pair int) {
	r.e.ldp(w[0], w[1], r.at, r.vectorAt(b, 0, v, pair))
}

// loadHigh loads the vector of the plane of high bits with step j.
func (r *weightReader) loadHigh(b, j, pair int) {
	if r.f.High > 0 {
		v, _ := packed.Place(r.f.High, j)
		r.e.ldp(r.high[0], r.high[1], r.at, r.vectorAt(b, r.f.LowBytes(), v, pair))
	}
}

// vectorsOf groups steps by the vector of low bits that they are in, the steps
// of the highest bits first, so that what is in the lowest can be taken in place.
func (r *weightReader) vectorsOf(steps []int) [][]int {
	var all [][]int
	at := map[int]int{}
	for _, j := range steps {
		v, _ := packed.Place(r.f.Low, j)
		if _, ok := at[v]; !ok {
			at[v] = len(all)
			all = append(all, nil)
		}
		all[at[v]] = append([]int{j}, all[at[v]]...)
	}
	return all
}

// extract brings the bytes of step j into w, which may be raw: that is lost then.
func (r *weightReader) extract(j int, w, raw list4) {
	e, f := r.e, r.f
	if f.Low == 8 {
		if w[0] != raw[0] {
			panic("8 bits are there as they are")
		}
		return
	}
	_, shift := packed.Place(f.Low, j)
	if f.High > 0 && r.insert(j, shift, w, raw) {
		return
	}
	for i := range w {
		r.bits(w[i], raw[i], shift, f.Low, r.lowMask)
	}
	if f.High > 0 {
		_, from := packed.Place(f.High, j)
		for i := range w {
			high := r.high[i]
			switch n := f.Low - from; {
			case n > 0:
				e.shift("shl", "16b", r.tmp[i%len(r.tmp)], high, n)
				high = r.tmp[i%len(r.tmp)]
			case n < 0:
				e.shift("ushr", "16b", r.tmp[i%len(r.tmp)], high, -n)
				high = r.tmp[i%len(r.tmp)]
			}
			e.three("bit", "16b", w[i], high, r.place)
		}
	}
	if f.Curve != nil {
		for i := range w {
			e.lookup(w[i], r.curve, w[i])
		}
	}
}

// insert is extract by SLI, if that is the shorter way.
func (r *weightReader) insert(j, shift int, w, raw list4) bool {
	_, from := packed.Place(r.f.High, j)
	inPlace := w[0] == raw[0]
	if !inPlace && shift == 0 {
		return false
	}
	byInsert := cost(from, r.f.High) + min(shift, 1)
	byBit := cost(shift, r.f.Low) + min(1, abs(r.f.Low-from))
	if byInsert > byBit {
		return false
	}
	for i := range w {
		if shift > 0 {
			r.e.shift("ushr", "16b", w[i], raw[i], shift)
		}
		r.bits(r.tmp[i%len(r.tmp)], r.high[i], from, r.f.High, r.highMask)
		r.e.shift("sli", "16b", w[i], r.tmp[i%len(r.tmp)], r.f.Low)
	}
	return true
}

// bits takes bits of each byte, from a bit on, to the bottom.
func (r *weightReader) bits(d, n q, from, bits int, mask q) {
	if from > 0 {
		r.e.shift("ushr", "16b", d, n, from)
		n = d
	}
	if from+bits < 8 {
		r.e.three("and", "16b", d, n, mask)
	}
}

// cost is the number of instructions of bits.
func cost(from, bits int) int {
	n := min(from, 1)
	if from+bits < 8 {
		n++
	}
	return n
}

func abs(n int) int { return max(n, -n) }
