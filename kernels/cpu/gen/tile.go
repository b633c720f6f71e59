package main

import (
	"fmt"
	"strings"

	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// How a level multiplies bytes.
//
//	AVX-512   VPDPBUSD on ZMM registers, activations broadcast from memory
//	AVX-VNNI  VPDPBUSD on YMM registers
//	AVX2      VPMADDUBSW, whose sums of two products are 16 bits wide
//
// The first factor is unsigned: by VPDPBUSD signed weights get 128 added, and
// offsets come in as the sums' first value (packed.Correction); AVX2 multiplies the
// magnitudes of signed weights, and takes offsets off at the end.

// With one row of activations memory is the bound. The processor's own prefetching
// stops at each page of 4 KB, and a window of instructions that is full of
// arithmetic does not reach far enough to make up for it: so memory is fetched this
// far ahead. Measured on Zen 5 for distances of 1 to 24 KB, 8 KB is the best for
// nearly every format and level; q8_0 at AVX2 goes from 18 to 48 GB/s.
const ahead = 8192

const tileParams = "dst *float32, ldd int, x *byte, ldx int, w *byte, units, groups, tail int"

// formatName is a format's part of the names of kernels.
func formatName(f *packed.Format) string { return exported(f.DType.String()) }

// twoRows is the number of activation rows that two row groups are multiplied
// with at once, or 0 for never. AVX-512 has the registers for it: what is broadcast
// serves both groups, where with one group the loads of activations are the bound.
func (e *emitter) twoRows() int {
	if e.z {
		return 4
	}
	return 0
}

// tile writes the product of some rows of activations with row groups of weights.
//
// Registers: DI results, DX activations, R8 and R9 one and three of their rows, SI
// the weights' values, CX units to go, R13 groups or lots to go, R12 the activations of
// row 4, or, where two groups are taken at once, the size of a group. Where units
// are longer than a record of activations: R10 the scales, R11 records to go, BX
// the unit.
type tile struct {
	*emitter
	f      *packed.Format
	rows   int
	groups int // row groups that are taken at once
	row    func(i int) string
	ints   [][]vec // dot products of a sub-block, by group
	part   [][]vec // AVX-512: what the first of two sub-blocks comes to; else that is in the frame
	floats [][]vec // results by group; nil if they are in the frame
	w, w2  vec
	h, tmp vec   // AVX-512: a vector of the plane of high bits, and scratch
	d, m   []vec // AVX-512: what the unit's scales and minimums are times, by group, if there is room
	x, x2  splat
	y, y2  splat // scratch of one half
	mask   splat // low bits of bytes
	top    splat // AVX-512: the high bits' places
	curve  splat
	flip   splat // AVX-512: the sign bits of bytes
	wg     []vec // a step's weights, by group
	inW2   int   // AVX-512: the vector of low bits that is in w2, or -1
	inH    int
}

// tileRows are the numbers of activation rows for which there are kernels.
func (e *emitter) tileRows() []int {
	if e.z {
		return []int{1, 2, 4, 8}
	}
	return []int{1, 2, 4}
}

func (e *emitter) tiles() {
	for i := range packed.Formats {
		f := &packed.Formats[i]
		for _, rows := range e.tileRows() {
			t := &tile{emitter: e, f: f, rows: rows, groups: 1}
			t.write()
		}
		if n := e.twoRows(); n > 0 {
			t := &tile{emitter: e, f: f, rows: n, groups: 2}
			t.write()
		}
	}
}

// frame is where the results of row i are if they are not in registers.
func (t *tile) frame(i int) mem { return at("SP", 64*i) }

// partFrame is where row i's part of the first of two sub-blocks is, at AVX2.
func (t *tile) partFrame(i int) mem {
	if t.floats == nil {
		i += t.rows
	}
	return at("SP", 64*i)
}

// in is an address in group g, given the register with that in the first one.
func in(g int, register string) string {
	if g > 0 {
		return register + ")(R12*1"
	}
	return register
}

// short reports whether a unit is a record of activations.
func (t *tile) short() bool { return t.f.Unit == packed.ActCols }

// values is where step vectors of block b (0 or 1) of the current record are.
func (t *tile) values(g, b, off int) mem {
	off += b * t.f.BlockBytes()
	if t.short() {
		off += t.f.ValuesAt()
	}
	return at(in(g, "SI"), off)
}

// scale is where the scales of sub-block s of block b are: 16 elements of which
// each half of a vector takes eight.
func (t *tile) scale(g, b, s int) mem {
	n := t.f.ScaleBytes()
	m := mem{base: in(g, "R10"), off: (b*t.f.Subs() + s) * n, step: n / 2}
	if t.short() {
		m.base, m.off = in(g, "SI"), m.off+t.f.ScalesAt()
	}
	return m
}

// least is likewise where the minimums are.
func (t *tile) least(g, b, s int) mem {
	m := t.scale(g, b, s)
	m.off += t.f.MinsAt() - t.f.ScalesAt()
	return m
}

func (t *tile) write() {
	frame := 0
	inRegisters := t.z || t.rows <= 2
	if !inRegisters {
		frame = 64 * t.rows
	}
	if !t.z && t.f.Subs() == 2 {
		frame += 64 * t.rows
	}
	doc, params := fmt.Sprintf("FN multiplies %d rows of activations with row groups.", t.rows), tileParams
	if t.groups == 2 {
		doc, params = fmt.Sprintf("FN multiplies lots of %d rows of activations with two row groups.", t.rows), strings.Replace(params, "groups", "lots", 1)
	}
	t.begin(fmt.Sprintf("%s%dx%d", formatName(t.f), t.rows, t.groups), params, "", frame, doc)
	for range t.groups {
		t.ints = append(t.ints, t.vecs(t.rows))
		if inRegisters {
			t.floats = append(t.floats, t.vecs(t.rows))
		}
		if t.z && t.f.Subs() == 2 {
			t.part = append(t.part, t.vecs(t.rows))
		}
	}
	t.registers()

	t.pointers("dst", "DI", "ldx", "R8", "w", "SI")
	if t.groups == 2 {
		t.arg("lots", "R13")
		t.line("MOVQ $1, AX")
	} else {
		t.arg("groups", "R13")
	}
	t.line("LEAQ (R8)(R8*2), R9")
	t.row = rowAddress("DX", "R12", "R8", "R9")
	group, unit, record, last := t.newLabel("group"), t.newLabel("unit"), t.newLabel("record"), t.newLabel("last")
	t.at(group)
	t.pointers("x", "DX", "units", "CX")
	if t.groups == 2 {
		t.arg("w", "SI")
	}
	if t.rows > 4 {
		t.line("LEAQ (DX)(R8*4), R12")
	}
	if t.groups == 2 {
		t.line("IMUL3Q $%d, CX, R12", t.f.UnitBytes())
	}
	for _, group := range t.floats {
		for _, v := range group {
			t.zero(v)
		}
	}
	if t.floats == nil {
		t.zero(t.ints[0][0])
		for i := range t.rows {
			t.op("VMOVUPS", t.ints[0][0], t.frame(i))
		}
	}
	t.at(unit)
	if !t.short() {
		t.openUnit()
		t.at(record)
	}
	t.record()
	if !t.short() {
		t.line("ADDQ $%d, R10", 2*t.f.Subs()*t.f.ScaleBytes())
		t.line("DECQ R11")
		t.line("JNZ %s", record)
	}
	t.line("DECQ CX")
	t.line("JNZ %s", unit)

	acc := make([][]vec, t.rows)
	for i := range acc {
		for _, group := range t.floats {
			acc[i] = append(acc[i], group[i])
		}
		if t.floats == nil {
			t.op("VMOVUPS", t.frame(i), t.ints[0][i])
			acc[i] = []vec{t.ints[0][i]}
		}
	}
	if t.groups == 2 {
		// The next lot of rows.
		t.storeRows(t.rows, acc, t.w)
		t.line("MOVQ %s, AX", t.args["ldd"])
		t.line("LEAQ (DI)(AX*%d), DI", t.rows)
		t.arg("x", "DX")
		t.line("LEAQ (DX)(R8*%d), DX", t.rows)
		t.line("MOVQ DX, %s", t.args["x"])
		t.line("MOVQ $0, AX")
		t.line("DECQ R13")
		t.line("JNZ %s", group)
		t.ret()
		return
	}
	t.line("DECQ R13")
	t.line("JZ %s", last)
	t.eachRow(t.rows, func(i int) {
		for g, v := range acc[i] {
			t.op("VMOVUPS", v, at("AX", 64*g))
		}
	})
	t.line("ADDQ $64, DI")
	t.line("JMP %s", group)
	t.at(last)
	t.storeRows(t.rows, acc, t.w)
	t.ret()
}

// openUnit begins a unit of several records.
func (t *tile) openUnit() {
	t.prefetch(0, t.f.ValuesAt())
	t.line("LEAQ %d(SI), R10", t.f.ScalesAt())
	for g, d := range t.d {
		t.op("VCVTPH2PS", mem{base: in(g, "SI"), step: 16}, d)
	}
	for g, m := range t.m {
		t.op("VCVTPH2PS", mem{base: in(g, "SI"), off: 2 * packed.Rows, step: 16}, m)
	}
	t.line("MOVQ SI, BX")
	t.line("ADDQ $%d, SI", t.f.ValuesAt())
	t.line("MOVQ $%d, R11", t.f.Unit/packed.ActCols)
}

// prefetch fetches bytes [from, to) of what is ahead in each group, if the
// kernel is one that meets weights first: of lots of rows, the first one does.
func (t *tile) prefetch(from, to int) {
	if t.rows > 1 && t.groups == 1 {
		return
	}
	there := t.newLabel("there")
	if t.groups == 2 {
		t.line("TESTQ AX, AX")
		t.line("JZ %s", there)
	}
	for off := from; off < to; off += 64 {
		for g := range t.groups {
			t.line("PREFETCHT0 %d(%s)", ahead+off, in(g, "SI"))
		}
	}
	if t.groups == 2 {
		t.at(there)
	}
}

// record multiplies the 64 columns of a record of activations.
func (t *tile) record() {
	size := 2 * t.f.BlockBytes()
	if t.short() {
		size = t.f.UnitBytes()
	}
	t.inH = -1
	parts := 2 * t.f.Subs() // fetching ahead is spread over these
	if t.groups == 2 {
		t.prefetch(0, size)
		parts = 0
	}
	for b := range 2 {
		for s := range t.f.Subs() {
			if i := b*t.f.Subs() + s; i < parts {
				t.prefetch(size*i/parts/64*64, size*(i+1)/parts/64*64)
			}
			t.inW2 = -1 // scales overwrite it
			if t.vnni {
				t.dotVNNI(b, s)
			} else {
				t.dotAVX2(b, s)
			}
			for g := range t.groups {
				t.scaleInts(g, b, s)
			}
		}
		t.inH = -1
	}
	t.line("ADDQ $%d, SI", size)
	t.line("ADDQ $%d, DX", packed.ActBytes)
	if t.rows > 4 {
		t.line("ADDQ $%d, R12", packed.ActBytes)
	}
}

// steps lists the steps of a sub-block: those that share a vector of low bits
// together, where they can be.
func (t *tile) steps(s int) []int {
	switch {
	case t.f.Sub == 16:
		return []int{4 * s, 4*s + 1, 4*s + 2, 4*s + 3}
	case t.f.Low == 4:
		return []int{0, 4, 1, 5, 2, 6, 3, 7}
	}
	return []int{0, 1, 2, 3, 4, 5, 6, 7}
}

// registers takes what extract, dot and scaleInts need.
func (t *tile) registers() {
	t.w, t.w2 = t.vec(), t.vec()
	t.wg = []vec{t.w}
	if t.z {
		t.tmp = t.vec()
		if t.f.High > 0 {
			t.h, t.top = t.vec(), t.splat()
			t.op("VMOVDQU", t.highMask(), t.top)
		}
		if t.f.ScalesAt() > 0 && t.f.Subs() == 1 {
			t.d = t.vecs(t.groups)
			if t.f.Min {
				t.m = t.vecs(t.groups)
			}
		}
		if t.groups == 2 {
			t.x = t.splat()
			t.wg = append(t.wg, t.vec())
		}
	} else {
		t.x, t.y = t.splat(), t.splat()
		if !t.vnni && t.pairs() {
			t.x2, t.y2 = t.splat(), t.splat()
		} else {
			t.x2 = t.y
		}
	}
	if t.masked() {
		t.mask = t.splat()
		t.op("VMOVDQU", t.lowMask(), t.mask)
	}
	if t.f.Curve != nil {
		t.curve = t.splat()
		t.op("VMOVDQU", t.curveTable(), t.curve)
	}
	if t.z && t.f.Signed {
		t.flip = t.splat()
		t.op("VMOVDQU", t.konst(0x80808080), t.flip)
	}
}

// masked reports whether the mask of low bits is in a register; without one it
// is taken from memory.
func (t *tile) masked() bool { return t.f.Low < 8 && (t.z || t.vnni || !t.pairs()) }

// pairs reports whether AVX2 takes steps in pairs: see dotAVX2.
func (t *tile) pairs() bool { return !t.f.Signed && t.f.Curve == nil && t.f.Max() > 15 }

func (t *tile) lowMask() mem  { return t.konst(0x01010101 * (1<<t.f.Low - 1)) }
func (t *tile) highMask() mem { return t.konst(0x01010101 * (1<<t.f.High - 1) << t.f.Low) }

// curveTable is the place of the format's curve, four times over, for VPSHUFB;
// with 128 added for VPDPBUSD.
func (t *tile) curveTable() mem {
	var words [16]uint32
	for i, v := range t.f.Curve {
		b := uint32(uint8(v))
		if t.vnni {
			b ^= 0x80
		}
		for lane := range 4 {
			words[4*lane+i/4] |= b << (8 * (i % 4))
		}
	}
	name := "curve" + formatName(t.f)
	t.data.add(name, words)
	return mem{base: "·" + name + "<>(SB)", splat: true}
}

// extract brings the bytes of step j of a block into w.
func (t *tile) extract(g, b, j int, w vec) {
	v, shift := packed.Place(t.f.Low, j)
	src := t.values(g, b, 64*v)
	switch {
	case t.f.Low == 8:
		t.op("VMOVDQU", src, w)
	case t.z:
		if t.inW2 != v || t.groups > 1 {
			t.op("VMOVDQU", src, t.w2)
			t.inW2 = v
		}
		if shift > 0 {
			t.op("VPSRLW", shift, t.w2, w)
			t.op("VPAND", t.mask, w, w)
		} else {
			t.op("VPAND", t.mask, t.w2, w)
		}
	case shift == 0 && t.masked():
		t.op("VPAND", src, t.mask, w)
	default:
		t.op("VMOVDQU", src, w)
		if shift > 0 {
			t.op("VPSRLW", shift, w, w)
		}
		if t.masked() {
			t.op("VPAND", t.mask, w, w)
		} else {
			t.op("VPAND", t.lowMask(), w, w)
		}
	}
	if t.f.High > 0 {
		t.addHigh(g, b, j, w)
	}
	if t.f.Curve != nil {
		t.op("VPSHUFB", w, t.curve, w)
	}
}

// addHigh adds a step's high bits to w.
func (t *tile) addHigh(g, b, j int, w vec) {
	v, from := packed.Place(t.f.High, j)
	src := t.values(g, b, t.f.LowBytes()+64*v)
	name, n := "VPSLLW", t.f.Low-from // bits may cross into the next byte: the mask takes them off
	if n < 0 {
		name, n = "VPSRLW", -n
	}
	if t.z {
		if t.inH != v || t.groups > 1 {
			t.op("VMOVDQU", src, t.h)
			t.inH = v
		}
		high := t.h
		if n > 0 {
			t.op(name, n, t.h, t.tmp)
			high = t.tmp
		}
		t.op("VPTERNLOGD", 0xf8, t.top, high, w) // w | high & top
		return
	}
	for h := range t.halves() {
		t.half(h, "VMOVDQU", src, t.y)
		if n > 0 {
			t.line("%s $%d, Y%d, Y%d", name, n, t.y, t.y)
		}
		t.half(h, "VPAND", t.highMask(), t.y, t.y)
		t.half(h, "VPOR", t.y, w, w)
	}
}

// offset is what the stored values have too much, in the eyes of the level's
// instruction.
func (t *tile) offset() int {
	if t.vnni && (t.f.Signed || t.f.Curve != nil) {
		return 128
	}
	return t.f.Offset
}

// correction brings the correction of row i's dot product into v.
func (t *tile) correction(i, b, s int, v any) {
	at, shift := packed.Correction(t.offset(), b, s)
	t.op("VPBROADCASTD", mem{base: t.row(i), off: at, splat: true}, v)
	switch {
	case shift > 0:
		t.op("VPSLLD", shift, v, v)
	case shift < 0:
		t.op("VPSRAD", -shift, v, v)
	}
}

// bcst broadcasts the activations of a step.
func (t *tile) bcst(i, b, j int, x splat) {
	t.op("VPBROADCASTD", t.step(i, b, j), x)
}

func (t *tile) step(i, b, j int) mem {
	return mem{base: t.row(i), off: packed.BlockCols*b + packed.StepCols*j, splat: true}
}

// dotVNNI sums a sub-block's products by VPDPBUSD.
func (t *tile) dotVNNI(b, s int) {
	for i := range t.rows {
		for g := range t.groups {
			switch {
			case t.offset() == 0:
				t.zero(t.ints[g][i])
			case g > 0:
				t.op("VMOVDQA", t.ints[0][i], t.ints[g][i])
			default:
				t.correction(i, b, s, t.ints[g][i])
			}
		}
	}
	for _, j := range t.steps(s) {
		for g := range t.groups {
			t.extract(g, b, j, t.wg[g])
			switch {
			case t.f.Signed && t.z:
				t.op("VPXOR", t.flip, t.wg[g], t.wg[g])
			case t.f.Signed:
				t.op("VPXOR", t.konst(0x80808080), t.wg[g], t.wg[g])
			}
		}
		for i := range t.rows {
			if t.z && t.groups == 1 {
				t.op("VPDPBUSD.BCST", t.step(i, b, j), t.w, t.ints[0][i])
				continue
			}
			t.bcst(i, b, j, t.x)
			for g := range t.groups {
				if t.z {
					t.op("VPDPBUSD", t.x, t.wg[g], t.ints[g][i])
					continue
				}
				for h := range 2 {
					t.dpbusd(int(t.x), int(t.wg[g])+h, int(t.ints[g][i])+h)
				}
			}
		}
	}
}

// dpbusd writes VPDPBUSD x, w, acc on YMM registers in its VEX form, which Go's
// assembler does not write.
func (e *emitter) dpbusd(x, w, acc int) {
	high := func(r, bit int) int { return (r>>3&1 ^ 1) << bit } // the inverted fourth bit of a register
	e.line("BYTE $0xc4; BYTE $%#x; BYTE $%#x; BYTE $0x50; BYTE $%#x // VPDPBUSD Y%d, Y%d, Y%d",
		high(acc, 7)|1<<6|high(x, 5)|2, (^w&15)<<3|1<<2|1, 3<<6|acc&7<<3|x&7, x, w, acc)
}

// dotAVX2 sums a sub-block's products by VPMADDUBSW: unsigned times signed bytes,
// two products added with saturation to 16 bits.
func (t *tile) dotAVX2(b, s int) {
	ones := t.konst(0x00010001)
	steps := t.steps(s)
	switch {
	case t.f.Signed || t.f.Curve != nil:
		// Magnitudes of the weights times activations that have taken their
		// signs: 2 products of at most 128*127 in 16 bits.
		for n, j := range steps {
			t.extract(0, b, j, t.w)
			t.op("VPABSB", t.w, t.w2)
			for i := range t.rows {
				t.bcst(i, b, j, t.x)
				for h := range 2 {
					t.half(h, "VPSIGNB", t.w, t.x, t.y)
					t.half(h, "VPMADDUBSW", t.y, t.w2, t.y)
					t.widen(h, n == 0, ones, i)
				}
			}
		}
	case t.pairs():
		// Sums of 16 bits hold 4 products of at most 63*127.
		for n := 0; n < len(steps); n += 2 {
			t.extract(0, b, steps[n], t.w)
			t.extract(0, b, steps[n+1], t.w2)
			for i := range t.rows {
				t.bcst(i, b, steps[n], t.x)
				t.bcst(i, b, steps[n+1], t.x2)
				for h := range 2 {
					t.half(h, "VPMADDUBSW", t.x, t.w, t.y)
					t.half(h, "VPMADDUBSW", t.x2, t.w2, t.y2)
					t.half(h, "VPADDW", t.y2, t.y, t.y)
					t.widen(h, n == 0, ones, i)
				}
			}
		}
	default:
		// Sums of 16 bits hold 16 products of at most 15*127.
		for n, j := range steps {
			t.extract(0, b, j, t.w)
			for i := range t.rows {
				t.bcst(i, b, j, t.x)
				for h := range 2 {
					if n == 0 {
						t.half(h, "VPMADDUBSW", t.x, t.w, t.ints[0][i])
						continue
					}
					t.half(h, "VPMADDUBSW", t.x, t.w, t.y)
					t.half(h, "VPADDW", t.y, t.ints[0][i], t.ints[0][i])
				}
			}
		}
		for i := range t.rows {
			t.op("VPMADDWD", ones, t.ints[0][i], t.ints[0][i])
		}
	}
	if t.offset() == 0 {
		return
	}
	for i := range t.rows {
		t.correction(i, b, s, t.x)
		t.op("VPADDD", t.x, t.ints[0][i], t.ints[0][i])
	}
}

// widen adds the 16-bit sums in y to the 32-bit ones of row i.
func (t *tile) widen(h int, first bool, ones mem, i int) {
	if first {
		t.half(h, "VPMADDWD", ones, t.y, t.ints[0][i])
		return
	}
	t.half(h, "VPMADDWD", ones, t.y, t.y)
	t.half(h, "VPADDD", t.y, t.ints[0][i], t.ints[0][i])
}

// scales brings the scales of a sub-block into w, its minimums into w2; those of
// Supers without their sign, those of SuperNibbles divided by 32, too.
func (t *tile) scales(g, b, s int) {
	src := t.scale(g, b, s)
	switch t.f.Scales {
	case packed.Halves:
		t.op("VCVTPH2PS", src, t.w)
		if t.f.Min {
			t.op("VCVTPH2PS", t.least(g, b, s), t.w2)
		}
	case packed.Exponents:
		t.op("VPMOVZXBD", src, t.w)
		t.op("VPSLLD", 23, t.w, t.w)                   // 2^(e-127)
		t.op("VPMAXUD", t.konst(0x00400000), t.w, t.w) // or, of e = 0, that as a subnormal
		t.op("VMULPS", t.float(0.5), t.w, t.w)
	case packed.Supers:
		t.op("VPMOVSXBD", src, t.w)
		t.op("VCVTDQ2PS", t.w, t.w)
		t.times2(g, t.w, 0)
		if t.f.Min {
			t.op("VPMOVSXBD", t.least(g, b, s), t.w2)
			t.op("VCVTDQ2PS", t.w2, t.w2)
			t.times2(g, t.w2, 2*packed.Rows)
		}
	case packed.SuperNibbles:
		t.op("VPMOVZXBD", src, t.w)
		t.op("VPSRLD", 4, t.w, t.w2)
		t.op("VPAND", t.konst(15), t.w, t.w)
		t.op("VCVTDQ2PS", t.w, t.w)
		t.op("VCVTDQ2PS", t.w2, t.w2)
		t.times2(g, t.w, 0)
		t.times2(g, t.w2, 2*packed.Rows)
		t.op("VMULPS", t.float(1.0/32), t.w2, t.w2)
	}
}

// times2 multiplies v by the unit's d, at 0 of it, or by its m.
func (t *tile) times2(g int, v vec, off int) {
	switch {
	case t.d != nil && off == 0:
		t.op("VMULPS", t.d[g], v, v)
		return
	case t.d != nil:
		t.op("VMULPS", t.m[g], v, v)
		return
	case t.z:
		t.op("VCVTPH2PS", mem{base: in(g, "BX"), off: off, step: 16}, t.tmp)
		t.op("VMULPS", t.tmp, v, v)
		return
	}
	for h := range t.halves() {
		t.half(h, "VCVTPH2PS", mem{base: "BX", off: off, step: 16}, t.y)
		t.half(h, "VMULPS", t.y, v, v)
	}
}

// scaleInts adds the dot products of a sub-block to the results: scale*dot times
// d, then the minimum times d*sum; of two sub-blocks, the sum of both scale*dot,
// with minimums plus minimum*sum, times d. It is the same at every level.
func (t *tile) scaleInts(g, b, s int) {
	t.scales(g, b, s)
	two := t.f.Subs() == 2
	inner := t.f.Min && two
	outer := t.f.Min && !two
	addMin := "VFMADD231PS"
	if t.f.Scales == packed.Supers {
		addMin = "VFNMADD231PS"
	}
	for i := range t.rows {
		field := func(off int) mem { return mem{base: t.row(i), off: off, splat: true} }
		d, sum := field(packed.ActScale+4*b), field(packed.ActSum+4*b)
		sub := field(packed.ActHalf32 + 8*b + 4*s)
		v := t.ints[g][i]
		t.op("VCVTDQ2PS", v, v)
		switch {
		case s == 1 && t.z:
			t.op("VFMADD213PS", t.part[g][i], t.w, v)
		case s == 1:
			t.op("VFMADD213PS", t.partFrame(i), t.w, v)
		case two && t.z:
			t.op("VMULPS", t.w, v, t.part[g][i])
			v = t.part[g][i]
		default:
			t.op("VMULPS", t.w, v, v)
		}
		if inner && t.z {
			t.op("VCVTDQ2PS.BCST", sub, t.tmp)
			t.op("VFMADD231PS", t.tmp, t.w2, v)
		} else if inner {
			t.op("VPBROADCASTD", sub, t.x)
			t.op("VCVTDQ2PS", t.x, t.x)
			t.op("VFMADD231PS", t.x, t.w2, v)
		}
		if two && s == 0 {
			if !t.z {
				t.op("VMOVUPS", v, t.partFrame(i))
			}
			continue
		}
		if t.z {
			t.op("VFMADD231PS.BCST", d, v, t.floats[g][i])
			if outer {
				t.op(addMin+".BCST", sum, t.w2, t.floats[g][i])
			}
			continue
		}
		t.op("VBROADCASTSS", d, t.x)
		to := v
		if t.floats != nil {
			to = t.floats[g][i]
			t.op("VFMADD231PS", t.x, v, to)
		} else {
			t.op("VFMADD213PS", t.frame(i), t.x, v)
		}
		if outer {
			t.op("VBROADCASTSS", sum, t.x)
			t.op(addMin, t.x, t.w2, to)
		}
		if t.floats == nil {
			t.op("VMOVUPS", v, t.frame(i))
		}
	}
}
