package main

import (
	"fmt"

	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// How a level of arm64 multiplies bytes.
//
//	NEON     SMULL and SMLAL, whose sums are 16 bits wide
//	dotprod  SDOT by element: four activations for all rows of weights
//	i8mm     SMMLA with four or eight rows of activations, else as dotprod (see arm64_arranged.go)
//
// Stored values are below 64, or signed: all are good as signed bytes, and what
// an offset takes off is the first value of sums, or added at the end.

// armTile writes the product of some rows of activations with row groups of
// weights.
//
// With one row, results stay in registers and the 16 rows of weights are taken
// together; the bytes of two registers (8 rows) at a time. With several, results
// are in the frame, and everything is done for 8 rows of weights, then for the
// other 8.
type armTile struct {
	*arm
	f      *packed.Format
	rows   int
	dots   bool // SDOT
	read   *weightReader
	record []x // where the rows' records of activations are

	part   int     // registers of weights that are scaled together
	ints   []list4 // by row: dot products of a sub-block
	wide   []list4 // NEON: by row, the sums of two registers' lower and upper halves
	floats list4   // one row: results
	acts   []list4 // by row: 16 or 32 activations
	w      list4   // bytes of a step
	x, x2  q       // NEON: activations of a step
	sum    list4   // NEON: products of 16 bits that are added to wide

	d, m     list4 // Supers, one row: what scales and minimums are times
	dAt, mAt int   // where those are in the frame, if not in registers
	free     list4 // registers for scaling
}

// General registers of tiles.
const (
	tileDst, tileLdd = x(0), x(1)
	tileX            = x(2) // and the rows after it
	tileValues       = x(10)
	tileScales       = x(11)
	tileMins         = x(12)
	tileUnits        = x(13)
	tileRecords      = x(14)
	tileGroups       = x(15)
	tileTmp, tileLdx = x(16), x(17)
	tileTail         = x(19)
)

// frameAt is where the frame begins that is ours: behind the link register, and a
// multiple of 16. It has the results, then d and m.
const frameAt = 16

// short reports whether a unit is a record of activations.
func (t *armTile) short() bool { return t.f.Unit == packed.ActCols }

// large reports whether 16 bits hold the sum of only two products.
func large(f *packed.Format) bool { return f.Low == 8 || f.Curve != nil && f.Curve[0] < -100 }

func (t *armTile) write() {
	frame := 0
	t.dAt = frameAt + 64*t.rows
	t.mAt = t.dAt + 64
	if t.rows > 1 || t.f.ScalesAt() > 0 && !t.dots {
		frame = t.mAt + 64 - 8
	}
	t.begin(fmt.Sprintf("%s%dx1", formatName(t.f), t.rows), tileParams, "", frame, fmt.Sprintf(
		"FN multiplies rows of activations, %d at once, with row groups.", t.rows))
	t.registers()
	t.pointers("dst", tileDst, "ldd", tileLdd, "w", tileValues, "groups", tileGroups)
	if t.rows > 1 {
		t.arg("ldx", tileLdx)
	}
	group, unit, record, last := t.newLabel("group"), t.newLabel("unit"), t.newLabel("record"), t.newLabel("last")
	if t.short() {
		t.line("ADD $%d, %v, %v", t.f.ValuesAt(), tileValues, tileValues)
	}
	t.at(group)
	t.pointers("x", tileX, "units", tileUnits)
	for i := 1; i < t.rows; i++ {
		t.line("ADD %v, %v, %v", tileLdx, tileX+x(i-1), tileX+x(i))
	}
	for i := range t.rows {
		t.record = append(t.record, tileX+x(i))
	}
	if t.rows == 1 {
		for _, r := range t.floats {
			t.zero(r)
		}
	} else {
		z := t.free[0]
		t.zero(z)
		for i := range 2 * t.rows {
			t.stp(z, z, rsp, frameAt+32*i)
		}
	}
	t.at(unit)
	if !t.short() {
		t.openUnit()
		t.at(record)
	}
	for b := range 2 {
		t.block(b)
	}
	for _, r := range t.record {
		t.line("ADD $%d, %v, %v", packed.ActBytes, r, r)
	}
	if t.short() {
		t.line("ADD $%d, %v, %v", t.f.UnitBytes(), tileValues, tileValues)
	} else {
		t.line("ADD $%d, %v, %v", 2*t.f.BlockBytes(), tileValues, tileValues)
		t.line("SUBS $1, %v, %v", tileRecords, tileRecords)
		t.line("BNE %s", record)
	}
	t.line("SUBS $1, %v, %v", tileUnits, tileUnits)
	t.line("BNE %s", unit)
	t.storeGroups(group, last, t.row)
	t.ret()
}

// row gives the registers with a row's results.
func (t *armTile) row(i int) list4 {
	if t.rows == 1 {
		return t.floats
	}
	v := t.free[:4]
	t.ldp(v[0], v[1], rsp, frameAt+64*i)
	t.ldp(v[2], v[3], rsp, frameAt+64*i+32)
	return v
}

// storeGroups stores the results of a group, moves dst on and goes to group; of
// the last group it stores what the argument tail says.
func (t *armTile) storeGroups(group, last string, row func(i int) list4) {
	t.line("SUBS $1, %v, %v", tileGroups, tileGroups)
	t.line("BEQ %s", last)
	t.line("MOVD %v, %v", tileDst, tileTmp)
	for i := range t.rows {
		v := row(i)
		t.stp(v[0], v[1], tileTmp, 0)
		t.stp(v[2], v[3], tileTmp, 32)
		if i < t.rows-1 {
			t.line("ADD %v, %v, %v", tileLdd, tileTmp, tileTmp)
		}
	}
	t.line("ADD $64, %v, %v", tileDst, tileDst)
	t.line("B %s", group)
	t.at(last)
	t.storeRows(t.rows, row, tileDst, tileLdd, tileTail, tileTmp)
}

// registers takes all vector registers.
func (t *armTile) registers() {
	t.part = 2
	if t.rows == 1 {
		t.part = 4
		t.floats = t.regs(4)
		if t.f.ScalesAt() > 0 && t.dots {
			t.d = t.regs(4)
			if t.f.Min {
				t.m = t.regs(4)
			}
		}
	}
	t.read = t.newReader(t.f, tileValues, tileTmp, 2)
	if t.dots {
		for range t.rows {
			t.ints = append(t.ints, t.regs(t.part))
		}
	} else {
		t.neonSums()
	}
	scratch := t.taken
	for range t.rows {
		n := 1
		if t.whole() {
			n = 2
		}
		t.acts = append(t.acts, t.regs(n))
	}
	if t.whole() || t.f.Low == 2 || large(t.f) {
		t.w = t.regs(2)
	}
	if !t.dots {
		t.x = t.reg()
		if large(t.f) {
			t.x2 = t.reg()
		}
	}
	t.freeFrom(scratch)
}

// freeFrom makes all registers from one on free for scaling, and those of the
// reader that are no constants.
func (t *armTile) freeFrom(scratch int) {
	t.taken = scratch
	t.free = t.regs(32 - scratch)
	for _, l := range []list4{t.read.raw, t.read.high, t.read.tmp} {
		t.free = append(t.free, l...)
	}
}

// whole reports whether both halves of a block are taken at once, so that a
// vector with low bits of both is loaded once.
func (t *armTile) whole() bool {
	return t.f.Sub == packed.BlockCols && t.f.High == 0 && (t.dots || t.rows == 1)
}

// halves lists the runs of steps for which dot is called, of a sub-block.
func (t *armTile) halves(s int) [][]int {
	first, second := []int{0, 1, 2, 3}, []int{4, 5, 6, 7}
	switch {
	case t.whole():
		return [][]int{append(first, second...)}
	case t.f.Sub == packed.BlockCols:
		return [][]int{first, second}
	}
	return [][]int{first, second}[s : s+1]
}

// openUnit begins a unit of several records.
func (t *armTile) openUnit() {
	t.line("ADD $%d, %v, %v", t.f.ScalesAt(), tileValues, tileScales)
	if t.f.Min && t.f.Scales != packed.SuperNibbles {
		t.line("ADD $%d, %v, %v", t.f.MinsAt(), tileValues, tileMins)
	}
	t.openSupers()
	t.line("ADD $%d, %v, %v", t.f.ValuesAt(), tileValues, tileValues)
	t.line("MOVD $%d, %v", t.f.Unit/packed.ActCols, tileRecords)
}

// openSupers converts what the unit's scales and minimums are times, into
// registers or the frame.
func (t *armTile) openSupers() {
	if t.f.ScalesAt() == 0 {
		return
	}
	convert := func(to list4, off int) {
		t.ldp(to[0], to[2], tileValues, off)
		for i := range 2 {
			t.resized("fcvtl2", "4s", "8h", to[2*i+1], to[2*i])
			t.resized("fcvtl", "4s", "4h", to[2*i], to[2*i])
		}
	}
	d, m := t.d, t.m
	if t.d == nil {
		d, m = t.free[:4], t.free[:4]
	}
	convert(d, 0)
	if t.d == nil {
		t.stp(d[0], d[1], rsp, t.dAt)
		t.stp(d[2], d[3], rsp, t.dAt+32)
	}
	if !t.f.Min {
		return
	}
	convert(m, 2*packed.Rows)
	if t.f.Scales == packed.SuperNibbles {
		// What is times the minimums is 32 times too large.
		k := t.free[4]
		t.splat(k, word32(1.0/32), tileTmp)
		for _, r := range m {
			t.three("fmul", "4s", r, r, k)
		}
	}
	if t.d == nil {
		t.stp(m[0], m[1], rsp, t.mAt)
		t.stp(m[2], m[3], rsp, t.mAt+32)
	}
}

// block multiplies a block of weights.
func (t *armTile) block(b int) {
	for s := range t.f.Subs() {
		for p := 0; p < 4; p += t.part {
			t.start(b, s)
			if t.dots {
				for _, steps := range t.halves(s) {
					t.loadActs(b, steps)
					for pair := 0; pair < t.part; pair += 2 {
						t.dotSteps(b, (p+pair)/2, pair, steps)
					}
				}
			} else { // whose sums are of one pair of registers
				for pair := 0; pair < t.part; pair += 2 {
					for _, steps := range t.halves(s) {
						t.loadActs(b, steps)
						t.neonSteps(b, (p+pair)/2, pair, steps)
					}
				}
			}
			t.finish(b, s)
			t.scaleInts(b, s, p)
		}
	}
}

// start gives the sums their first values: by SDOT, those that take the offset
// off.
func (t *armTile) start(b, s int) {
	if !t.dots {
		return
	}
	for i, ints := range t.ints {
		if t.f.Offset == 0 {
			for _, r := range ints {
				t.zero(r)
			}
			continue
		}
		c, lane := t.correction(i, b, s)
		for _, r := range ints {
			t.dup(r, "4s", c, lane)
		}
	}
}

// correction loads what row i's offset takes off a sub-block: a lane of a register.
func (t *armTile) correction(i, b, s int) (q, int) {
	c := t.acts[0][0] // the activations come later, or are used
	at, shift := packed.Correction(t.f.Offset, b, s)
	t.ldr('s', c, t.record[i], at)
	if shift < 0 {
		t.shift("sshr", "4s", c, c, -shift)
	}
	return c, 0
}

// loadActs loads the rows' activations for a run of steps.
func (t *armTile) loadActs(b int, steps []int) {
	for i, a := range t.acts {
		if t.whole() {
			t.ldp(a[0], a[1], t.record[i], packed.BlockCols*b)
		} else {
			t.ldr('q', a[0], t.record[i], packed.BlockCols*b+packed.StepCols*steps[0])
		}
	}
}

// act is where the activations of step j are: a lane of a register.
func (t *armTile) act(i, j int) (q, int) { return t.acts[i][j/4%len(t.acts[i])], j % 4 }

// eachStep extracts the steps for a pair of registers, and calls dot for each.
func (t *armTile) eachStep(b, pair int, steps []int, dot func(j int, w list4)) {
	r := t.read
	r.loadHigh(b, steps[0], pair)
	for _, in := range r.vectorsOf(steps) {
		v, _ := packed.Place(t.f.Low, in[0])
		r.loadLow(r.raw, b, v, pair)
		for n, j := range in {
			w := t.w
			if n == len(in)-1 {
				w = r.raw
			}
			r.extract(j, w, r.raw)
			dot(j, w)
		}
	}
}

// dotSteps adds the products of steps with the bytes of a pair of registers, by
// SDOT, to the sums from register first on.
func (t *armTile) dotSteps(b, pair, first int, steps []int) {
	t.eachStep(b, pair, steps, func(j int, w list4) {
		for i, ints := range t.ints {
			a, lane := t.act(i, j)
			for k := range w {
				t.dotElement("sdot", ints[first+k], w[k], a, lane)
			}
		}
	})
}

// finish completes the sums of a sub-block.
func (t *armTile) finish(b, s int) {
	if t.dots || t.f.Offset == 0 {
		return
	}
	for i, ints := range t.ints {
		c, lane := t.correction(i, b, s)
		t.dup(c, "4s", c, lane)
		for _, r := range ints {
			t.three("add", "4s", r, r, c)
		}
	}
}

// innerMin reports whether minimums are added before d multiplies all, outerMin
// whether they are times d*sum.
func (t *armTile) innerMin() bool { return t.f.Min && t.f.Scales == packed.SuperNibbles }
func (t *armTile) outerMin() bool { return t.f.Min && !t.innerMin() }

// addMin is how minimums are added: see packed.Scales.
func (t *armTile) addMin() string {
	if t.f.Scales == packed.Supers {
		return "fmls"
	}
	return "fmla"
}

// scaleInts adds the dot products of a sub-block to the results, from register p
// of a row on: scale*dot times d, then the minimum times d*sum; or, with minimums
// for each 16 columns, scale*dot + minimum*sum, times d. It is the same at every
// level.
func (t *armTile) scaleInts(b, s, p int) {
	free := t.free
	next := func(n int) list4 {
		l := free[:n]
		free = free[n:]
		return l
	}
	scale := next(t.part)
	var least list4
	if t.f.Min {
		least = next(t.part)
	}
	t.scales(b, s, p, scale, least, free)
	field := next(1)[0]
	for i, v := range t.ints {
		for _, r := range v {
			t.two("scvtf", "4s", r, r)
		}
		for k, r := range v {
			t.three("fmul", "4s", r, r, scale[k])
		}
		if t.innerMin() {
			t.ldr('s', field, t.record[i], packed.ActHalf32+8*b+4*s)
			t.two("scvtf", "4s", field, field)
			for k, r := range v {
				t.element("fmla", r, least[k], field, 0)
			}
		}
		to := t.floats
		if t.rows > 1 {
			to = free[1:3]
			t.ldp(to[0], to[1], rsp, frameAt+64*i+16*p)
		}
		t.ldr('q', field, t.record[i], packed.ActScale) // d of both blocks, then d*sum
		for k, r := range v {
			t.element("fmla", to[k], r, field, b)
		}
		if t.outerMin() {
			for k := range v {
				t.element(t.addMin(), to[k], least[k], field, 2+b)
			}
		}
		if t.rows > 1 {
			t.stp(to[0], to[1], rsp, frameAt+64*i+16*p)
		}
	}
}

// scales brings the scales of a sub-block, from register p on, into scale, its
// minimums into least: see tile.scales.
func (t *armTile) scales(b, s, p int, scale, least, free list4) {
	n := len(scale)
	halves := func(to list4, ptr x, off int) {
		switch {
		case n == 4 && t.short():
			t.ldp(to[0], to[2], ptr, off)
		case n == 4:
			t.ldpPost(to[0], to[2], ptr, 32)
		case t.short():
			t.ldrUnscaled('q', to[0], ptr, off)
		default:
			t.ldrPost('q', to[0], ptr, 16)
		}
		for i := 0; i < n; i += 2 {
			t.resized("fcvtl2", "4s", "8h", to[i+1], to[i])
			t.resized("fcvtl", "4s", "4h", to[i], to[i])
		}
	}
	load := func(to q, ptr x) { // bytes
		if n == 4 {
			t.ldrPost('q', to, ptr, 16)
		} else {
			t.ldrPost('d', to, ptr, 8)
		}
	}
	widen := func(name string, to list4, from q) { // bytes to lanes of 32 bits
		if n == 4 {
			t.widen(name+"2", "8h", "16b", to[2], from)
		}
		t.widen(name, "8h", "8b", to[0], from)
		for i := 0; i < n; i += 2 {
			t.widen(name+"2", "4s", "8h", to[i+1], to[i])
			t.widen(name, "4s", "4h", to[i], to[i])
		}
	}
	times := func(to, d list4, frame int) {
		if t.d == nil {
			d = free[:n]
			for k := 0; k < n; k += 2 {
				t.ldp(d[k], d[k+1], rsp, frame+16*(p+k))
			}
		}
		for _, r := range to {
			t.two("scvtf", "4s", r, r)
		}
		for k, r := range to {
			t.three("fmul", "4s", r, r, d[k])
		}
	}
	at := 16*2*(b*t.f.Subs()+s) + 8*p
	switch t.f.Scales {
	case packed.Halves:
		halves(scale, tileValues, at+t.f.ScalesAt()-t.f.ValuesAt())
		if t.f.Min {
			halves(least, tileValues, at+t.f.MinsAt()-t.f.ValuesAt())
		}
	case packed.Exponents:
		byte8 := free[0]
		load(byte8, tileScales)
		// e shifted by 23: 2^(e-127); or, of e = 0, that as a subnormal.
		if n == 4 {
			t.shiftLeftLong("ushll2", "8h", "16b", scale[2], byte8, 7)
		}
		t.shiftLeftLong("ushll", "8h", "8b", scale[0], byte8, 7)
		for i := 0; i < n; i += 2 {
			t.shiftLeftFull("shll2", "4s", "8h", scale[i+1], scale[i])
			t.shiftLeftFull("shll", "4s", "4h", scale[i], scale[i])
		}
		tiny, half := free[0], free[1]
		t.thirdBytes(tiny, 0x40)
		t.half(half)
		for _, r := range scale {
			t.three("umax", "4s", r, r, tiny)
			t.three("fmul", "4s", r, r, half)
		}
	case packed.Supers:
		load(free[0], tileScales)
		widen("sxtl", scale, free[0])
		times(scale, t.d, t.dAt)
		if t.f.Min {
			load(free[0], tileMins)
			widen("sxtl", least, free[0])
			times(least, t.m, t.mAt)
		}
	case packed.SuperNibbles:
		both, low := free[0], free[1]
		load(both, tileScales)
		t.bytes(low, 15)
		t.three("and", "16b", low, both, low)
		t.shift("ushr", "16b", both, both, 4)
		widen("uxtl", scale, low)
		widen("uxtl", least, both)
		times(scale, t.d, t.dAt)
		times(least, t.m, t.mAt)
	}
}
