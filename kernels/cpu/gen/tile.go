package main

import (
	"fmt"
	"math/bits"
)

// A tileFormat is a packed integer format as package cpu describes it (format in
// layout.go), in the order of its formatID.
type tileFormat struct {
	name   string
	kind   kind
	wide   bool // f32 scales
	min    bool
	offset int
	sub    int // columns that share a scale
	max    int // largest stored integer, for unsigned kinds
}

type kind int

const (
	nibbles kind = iota
	indices
	unsigned8
	signed8
)

var tileFormats = []tileFormat{
	{"Nib16", nibbles, false, false, 8, 32, 15},
	{"Nib16Min", nibbles, false, true, 0, 32, 15},
	{"Nib32Min", nibbles, true, true, 0, 32, 15},
	{"Nib32Sub", nibbles, true, false, 4, 16, 7},
	{"Nib32SubMin", nibbles, true, true, 0, 16, 3},
	{"Idx16", indices, false, false, 0, 32, 0},
	{"Idx32", indices, true, false, 0, 32, 0},
	{"Byte16", unsigned8, false, false, 16, 32, 31},
	{"Byte16Min", unsigned8, false, true, 0, 32, 31},
	{"Byte32Min", unsigned8, true, true, 0, 32, 31},
	{"Byte32Sub", unsigned8, true, false, 32, 16, 63},
	{"Int16", signed8, false, false, 0, 32, 0},
}

func (f tileFormat) halved() bool { return f.kind == nibbles || f.kind == indices }

// paired reports whether there is a kernel for one row and two row groups.
func (f tileFormat) paired() bool { return !f.halved() }

func (f tileFormat) scaleSize() int {
	if f.wide {
		return 4
	}
	return 2
}

func (f tileFormat) scaleBytes() int { return 64 / f.sub * 16 * f.scaleSize() }

func (f tileFormat) valuesAt() int {
	if f.min {
		return 2 * f.scaleBytes()
	}
	return f.scaleBytes()
}

func (f tileFormat) blockBytes() int {
	if f.halved() {
		return 256
	}
	return 512
}

func (f tileFormat) pairBytes() int { return f.valuesAt() + 2*f.blockBytes() }

// scale is the place of the scales of sub-block s of block b in a pair at base.
func (f tileFormat) scale(base string, b, s int) mem {
	return mem{base: base, off: (b*32/f.sub + s) * 16 * f.scaleSize(), step: 8 * f.scaleSize()}
}

// A step multiplies 16 rows x 4 columns: the values of a chunk of 64 bytes, or
// one half of each byte, with 4 activations.
type step struct {
	chunk int
	upper bool
	x     int // first of the columns in the block
}

// subBlocks lists the steps of a block, sub-block by sub-block.
func (f tileFormat) subBlocks() [][]step {
	var all []step
	switch {
	case !f.halved():
		for j := range 8 {
			all = append(all, step{j, false, 4 * j})
		}
	case f.sub == 32: // both halves of a chunk in turn
		for j := range 4 {
			all = append(all, step{j, false, 4 * j}, step{j, true, 16 + 4*j})
		}
	default:
		for i := range 8 {
			all = append(all, step{i % 4, i >= 4, 4 * i})
		}
	}
	if f.sub == 32 {
		return [][]step{all}
	}
	return [][]step{all[:4], all[4:]}
}

// Where things lie in a record of activations: see acts.go in package cpu.
const (
	actBytes = 96
	actScale = 64
	actSum32 = 72
	actSum16 = 80
)

func (f tileFormat) sumAt(b, s int) int {
	if f.sub == 16 {
		return actSum16 + 8*b + 4*s
	}
	return actSum32 + 4*b
}

// With one row of activations memory is the bound. Measured on Zen 3: formats of
// 4 bits run best if memory is fetched this far ahead, those of 8 bits, which do
// less with a byte, if they read two row groups at once, and nothing ahead. At
// AVX-512, which needs fewer instructions, fetching ahead did not help.
const ahead = 2048

const tileParams = "dst *float32, ldd int, x *byte, ldx int, w *byte, pairs, groups, tail int, curve *int8"

// tile writes the product of some rows of activations with row groups of weights.
type tile struct {
	*emitter
	f      tileFormat
	rows   int
	groups int // row groups that are taken at once
	row    func(i int) string
	ints   []vec   // dot products of a sub-block
	floats [][]vec // results by group; nil if they are in the frame
	w, w2  vec
	x, x2  splat
	m, m2  splat
	mask   splat // low halves of bytes
	curve  splat
	flip   splat // the sign bits of bytes
	zeros  splat
	tmp    vec
}

// tileRows are the numbers of activation rows for which there are kernels.
func (e *emitter) tileRows() []int {
	if e.z {
		return []int{1, 2, 4, 8}
	}
	return []int{1, 2, 4}
}

func (e *emitter) tiles() {
	for _, f := range tileFormats {
		for _, rows := range e.tileRows() {
			t := &tile{emitter: e, f: f, rows: rows, groups: 1}
			t.write()
		}
		if f.paired() {
			t := &tile{emitter: e, f: f, rows: 1, groups: 2}
			t.write()
		}
	}
}

// frame is where the results of row i are if they are not in registers.
func (t *tile) frame(i int) mem { return at("SP", 64*i) }

// base is the register with the address of group g.
func (t *tile) base(g int) string { return [2]string{"SI", "BX"}[g] }

func (t *tile) write() {
	frame := 0
	inRegisters := t.z || t.rows <= 2
	if !inRegisters {
		frame = 64 * t.rows
	}
	t.begin(fmt.Sprintf("%s%dx%d", t.f.name, t.rows, t.groups), tileParams, "", frame, fmt.Sprintf(
		"FN multiplies rows of activations, %d at once, with row groups, %d at once.", t.rows, t.groups))
	t.ints = t.vecs(t.rows)
	if inRegisters {
		for range t.groups {
			t.floats = append(t.floats, t.vecs(t.rows))
		}
	}
	t.registers()

	t.pointers("dst", "DI", "ldx", "R8", "w", "SI", "groups", "R13")
	t.line("LEAQ (R8)(R8*2), R9")
	t.row = rowAddress("DX", "R12", "R8", "R9")
	group, pair, last := t.newLabel("group"), t.newLabel("pair"), t.newLabel("last")
	t.at(group)
	t.pointers("x", "DX", "pairs", "CX")
	if t.rows > 4 {
		t.line("LEAQ (DX)(R8*4), R12")
	}
	if t.groups == 2 {
		t.line("IMUL3Q $%d, CX, BX", t.f.pairBytes())
		t.line("ADDQ SI, BX")
	}
	for _, group := range t.floats {
		for _, v := range group {
			t.zero(v)
		}
	}
	if t.floats == nil {
		t.zero(t.ints[0])
		for i := range t.rows {
			t.op("VMOVUPS", t.ints[0], t.frame(i))
		}
	}
	t.at(pair)
	if t.rows == 1 && !t.f.paired() && !t.z {
		for off := 0; off < t.f.pairBytes(); off += 64 {
			t.line("PREFETCHT0 %d(SI)", ahead+off)
		}
	}
	for b := range 2 {
		for s, steps := range t.f.subBlocks() {
			for g := range t.groups {
				if t.z {
					t.dot512(g, b, s, steps)
				} else {
					t.dot256(g, b, steps)
				}
				t.scaleInts(g, b, s)
			}
		}
	}
	for g := range t.groups {
		t.line("ADDQ $%d, %s", t.f.pairBytes(), t.base(g))
	}
	t.line("ADDQ $%d, DX", actBytes)
	if t.rows > 4 {
		t.line("ADDQ $%d, R12", actBytes)
	}
	t.line("DECQ CX")
	t.line("JNZ %s", pair)

	if t.groups == 2 {
		t.line("MOVQ BX, SI")
	}
	acc := make([][]vec, t.rows)
	for i := range acc {
		for _, group := range t.floats {
			acc[i] = append(acc[i], group[i])
		}
		if t.floats == nil {
			t.op("VMOVUPS", t.frame(i), t.ints[i])
			acc[i] = []vec{t.ints[i]}
		}
	}
	t.line("DECQ R13")
	t.line("JZ %s", last)
	t.eachRow(t.rows, func(i int) {
		for g, v := range acc[i] {
			t.op("VMOVUPS", v, at("AX", 64*g))
		}
	})
	t.line("ADDQ $%d, DI", 64*t.groups)
	t.line("JMP %s", group)
	t.at(last)
	t.storeRows(t.rows, acc, t.w)
	t.ret()
}

// registers takes what dot and scaleInts need.
func (t *tile) registers() {
	t.w = t.vec()
	t.x, t.m = t.splat(), t.splat()
	switch {
	case t.z:
		t.w2, t.tmp = t.vec(), t.vec()
		t.mask, t.flip, t.zeros, t.curve = t.splat(), t.splat(), t.splat(), t.splat()
		t.op("VMOVDQU", t.konst(0x80808080), t.flip)
		t.zero(t.zeros)
	case t.f.kind == nibbles:
		t.mask, t.w2, t.m2 = t.splat(), t.vec(), t.splat()
		t.x2 = t.m2
	case t.f.kind == unsigned8:
		t.w2, t.x2, t.m2 = t.vec(), t.splat(), t.splat()
	default: // w2: magnitudes
		t.w2, t.mask, t.curve = t.vec(), t.splat(), t.splat()
	}
	if t.f.halved() {
		t.op("VMOVDQU", t.konst(0x0f0f0f0f), t.mask)
	}
	if t.f.kind == indices {
		t.arg("curve", "AX")
		if t.z {
			t.line("VBROADCASTI32X4 (AX), Z%d", t.curve)
			t.op("VPXOR", t.flip, t.curve, t.curve)
		} else {
			t.line("VBROADCASTI128 (AX), Y%d", t.curve)
		}
	}
}

// load brings the values of a step into w.
func (t *tile) load(g, b int, s step, w vec) {
	src := at(t.base(g), t.f.valuesAt()+b*t.f.blockBytes()+64*s.chunk)
	switch {
	case !t.f.halved():
		t.op("VMOVDQU", src, w)
	case s.upper:
		t.op("VMOVDQU", src, w)
		t.op("VPSRLW", 4, w, w)
		t.op("VPAND", t.mask, w, w)
	default:
		t.op("VPAND", src, t.mask, w)
	}
	if t.f.kind == indices {
		t.op("VPSHUFB", w, t.curve, w)
	}
}

// dot512 sums a sub-block's products by VPDPBUSD, whose first factors are
// unsigned: signed weights get 128 added, which scaleInts' offset takes off.
func (t *tile) dot512(g, b, s int, steps []step) {
	offset := t.f.offset
	if t.f.kind == indices || t.f.kind == signed8 {
		offset = 128
	}
	for i := range t.rows {
		if offset == 0 {
			t.zero(t.ints[i])
			continue
		}
		t.op("VPBROADCASTD", at(t.row(i), t.f.sumAt(b, s)), t.m)
		t.op("VPSLLD", bits.TrailingZeros(uint(offset)), t.m, t.m)
		t.op("VPSUBD", t.m, t.zeros, t.ints[i])
	}
	for _, st := range steps {
		t.load(g, b, st, t.w)
		if t.f.kind == signed8 {
			t.op("VPXOR", t.flip, t.w, t.w)
		}
		for i := range t.rows {
			t.op("VPDPBUSD.BCST", at(t.row(i), 32*b+st.x), t.w, t.ints[i])
		}
	}
}

// dot256 sums a sub-block's products by VPMADDUBSW: unsigned times signed bytes,
// two products added with saturation to 16 bits.
func (t *tile) dot256(g, b int, steps []step) {
	ones := t.konst(0x00010001)
	bcast := func(s step, i int, x splat) {
		t.line("VPBROADCASTD %s, Y%d", t.operand(at(t.row(i), 32*b+s.x), 0), x)
	}
	switch t.f.kind {
	case nibbles:
		// Sums of 16 bits hold 16 products of at most 15*127.
		for n, s := range steps {
			t.load(g, b, s, t.w)
			for i := range t.rows {
				bcast(s, i, t.x)
				for h := range 2 {
					if n == 0 {
						t.half(h, "VPMADDUBSW", t.x, t.w, t.ints[i])
						continue
					}
					t.half(h, "VPMADDUBSW", t.x, t.w, t.m)
					t.half(h, "VPADDW", t.m, t.ints[i], t.ints[i])
				}
			}
		}
		for i := range t.rows {
			t.op("VPMADDWD", ones, t.ints[i], t.ints[i])
		}
	case unsigned8:
		// Sums of 16 bits hold 4 products of at most 63*127.
		for n := 0; n < len(steps); n += 2 {
			t.load(g, b, steps[n], t.w)
			t.load(g, b, steps[n+1], t.w2)
			for i := range t.rows {
				bcast(steps[n], i, t.x)
				bcast(steps[n+1], i, t.x2)
				for h := range 2 {
					t.half(h, "VPMADDUBSW", t.x, t.w, t.m)
					t.half(h, "VPMADDUBSW", t.x2, t.w2, t.m2)
					t.half(h, "VPADDW", t.m2, t.m, t.m)
					t.widen(h, n == 0, ones, i)
				}
			}
		}
	default:
		// Magnitudes of the weights times activations that have taken their
		// signs: 2 products of at most 128*127 in 16 bits.
		for n, s := range steps {
			t.load(g, b, s, t.w)
			t.op("VPABSB", t.w, t.w2)
			for i := range t.rows {
				bcast(s, i, t.x)
				for h := range 2 {
					t.half(h, "VPSIGNB", t.w, t.x, t.m)
					t.half(h, "VPMADDUBSW", t.m, t.w2, t.m)
					t.widen(h, n == 0, ones, i)
				}
			}
		}
	}
}

// widen adds the 16-bit sums in m to the 32-bit ones of row i.
func (t *tile) widen(h int, first bool, ones mem, i int) {
	if first {
		t.half(h, "VPMADDWD", ones, t.m, t.ints[i])
		return
	}
	t.half(h, "VPMADDWD", ones, t.m, t.m)
	t.half(h, "VPADDD", t.m, t.ints[i], t.ints[i])
}

// scaleInts adds the dot products of a sub-block to the results, without a
// minimum as (scale*d) * dot, with one as d * (scale*dot + minimum*sum): the
// same at every level.
func (t *tile) scaleInts(g, b, s int) {
	scales := t.f.scale(t.base(g), b, s)
	mins := scales
	mins.off += t.f.scaleBytes()
	load := "VCVTPH2PS"
	if t.f.wide {
		load = "VMOVUPS"
	}
	t.op(load, scales, t.w)
	if t.f.min {
		t.op(load, mins, t.w2)
	}
	for i := range t.rows {
		row := t.row(i)
		sum := mem{base: row, off: t.f.sumAt(b, s), splat: true}
		d := mem{base: row, off: actScale + 4*b, splat: true}
		if t.f.offset > 0 && !t.z {
			t.op("VPBROADCASTD", sum, t.x2)
			t.op("VPSLLD", bits.TrailingZeros(uint(t.f.offset)), t.x2, t.x2)
			t.op("VPSUBD", t.x2, t.ints[i], t.ints[i])
		}
		t.op("VCVTDQ2PS", t.ints[i], t.ints[i])
		t.op("VBROADCASTSS", d, t.x)
		if t.f.min {
			sums := t.x2
			if t.z {
				sums = t.m
			}
			t.op("VPBROADCASTD", sum, sums)
			t.op("VCVTDQ2PS", sums, sums)
			for h := range t.halves() {
				tmp := t.scratch()
				t.half(h, "VMULPS", sums, t.w2, tmp)
				t.half(h, "VFMADD231PS", t.ints[i], t.w, tmp)
				if t.floats != nil {
					t.half(h, "VFMADD231PS", t.x, tmp, t.floats[g][i])
					continue
				}
				t.half(h, "VFMADD213PS", t.frame(i), t.x, tmp)
				t.half(h, "VMOVUPS", tmp, t.frame(i))
			}
			continue
		}
		for h := range t.halves() {
			tmp := t.scratch()
			t.half(h, "VMULPS", t.x, t.w, tmp)
			if t.floats != nil {
				t.half(h, "VFMADD231PS", t.ints[i], tmp, t.floats[g][i])
				continue
			}
			t.half(h, "VFMADD213PS", t.frame(i), tmp, t.ints[i])
			t.half(h, "VMOVUPS", t.ints[i], t.frame(i))
		}
	}
}

// scratch is a register of one half.
func (t *tile) scratch() any {
	if t.z {
		return t.tmp
	}
	return t.m
}
