package main

import (
	"bytes"
	"fmt"
)

// generateBatch writes the kernels that quantise sixteen blocks at once, a lane for
// each: see batch.go in package cpu. They stand in files of their own, as those who
// run models never need them. AVX2 takes eight lanes after the other eight.
func generateBatch(files map[string][]byte) error {
	var asm, stubs, body, tables bytes.Buffer
	asm.WriteString(header + "#include \"textflag.h\"\n\n")
	stubs.WriteString(header + "package cpu\n\n")
	shared := &constants{names: map[string]bool{}}
	for _, e := range levels() {
		if !e.own() {
			continue
		}
		e.data = shared
		fmt.Fprintf(&tables, "var %sBatch = batchKernels{\n", e.prefix)
		both := func(field, typ, name string, f func(b *batch)) {
			for _, w := range []string{"", "Weighted"} {
				e.batch(name+w, w != "", f)
			}
			fmt.Fprintf(&tables, "%[1]s: [2]%[2]s{%[3]s%[4]s, %[3]s%[4]sWeighted},\n", field, typ, e.prefix, name)
		}
		both("spread", "batchFunc", "Spread", (*batch).spread)
		both("scale", "gridFunc", "Scale", func(b *batch) { b.scale(false) })
		both("fine", "fineFunc", "Fine", (*batch).fine)
		both("near", "gridFunc", "Near", func(b *batch) { b.near(false) })
		both("line", "lineFunc", "Line", (*batch).fitLine)
		both("lineNear", "stepFunc", "LineNear", (*batch).fitLineNear)
		if e.z {
			both("scaleCurve", "curveFunc", "ScaleCurve", func(b *batch) { b.scale(true) })
			both("nearCurve", "curveFunc", "NearCurve", func(b *batch) { b.near(true) })
			e.curveCodes()
			fmt.Fprintf(&tables, "curveCodes: %sCurveCodes,\n", e.prefix)
		}
		both("shift", "batchFunc", "Shift", (*batch).shift)
		e.codes()
		fmt.Fprintf(&tables, "codes: %sCodes,\n}\n", e.prefix)
		body.Write(e.text.Bytes())
		stubs.Write(e.stubs.Bytes())
	}
	asm.Write(shared.text.Bytes())
	asm.Write(body.Bytes())
	stubs.Write(tables.Bytes())
	files["batch_amd64.s"] = asm.Bytes()
	return addStubs(files, "batch_stubs_amd64.go", stubs.Bytes())
}

// Offsets in cpu.Batch, in bytes: rows of 16 float32.
const (
	lanesBytes  = 64
	batchW      = 32 * lanesBytes
	batchLo     = 64 * lanesBytes
	batchHi     = batchLo + lanesBytes
	batchTotal  = batchHi + lanesBytes
	batchSum    = batchTotal + lanesBytes
	batchEnergy = batchSum + lanesBytes
	batchA      = batchEnergy + lanesBytes
	batchB      = batchA + lanesBytes
	batchC      = batchB + lanesBytes
	batchD      = batchC + lanesBytes
	batchGain   = batchD + lanesBytes
	batchP      = batchGain + lanesBytes
	batchQ      = batchP + lanesBytes
	batchL      = batchQ + lanesBytes
	batchLL     = batchL + lanesBytes
	batchXL     = batchLL + lanesBytes
)

// batchTiny is cpu.BatchTiny.
const batchTiny = 1e-9

const (
	curveThresh, curveLow, curveHigh = 0, 128, 256
	curveLowCode, curveHighCode      = 384, 512
	curveMul, curveAdd               = 640, 644
)

// Predicates of comparisons.
const (
	less       = 1
	notEqual   = 4
	notLess    = 13
	notGreater = 10 // or one is no number
	greater    = 30
)

// batch writes a kernel on a register of lanes. The Batch is at DI, moved on by
// half a row for the second eight lanes.
type batch struct {
	*emitter
	weighted bool
	x, t     splat // a value of each block; a product
	curve    *curveRegs
}

func (e *emitter) batch(name string, weighted bool, f func(b *batch)) {
	b := &batch{emitter: e, weighted: weighted}
	e.fn = name
	f(b)
}

// one writes an instruction on a register of lanes.
func (b *batch) one(name string, args ...any) { b.half(0, name, args...) }

// field is a place in the Batch.
func field(off int) mem { return mem{base: "DI", off: off} }

func (b *batch) spreadTo(src string, v splat) { b.line("VBROADCASTSS %s, %s", src, b.operand(v, 0)) }

// lot is how many candidates are tried side by side.
func (b *batch) lot() int {
	if b.z {
		return 4
	}
	return 2
}

func (b *batch) splats(n int) []splat {
	s := make([]splat, n)
	for i := range s {
		s[i] = b.splat()
	}
	return s
}

// open begins the kernel, close ends it; what is between is written once and done
// for all lanes.
func (b *batch) open(params, doc string) {
	if b.weighted {
		doc += " With weights."
	}
	b.begin(b.fn, "b *Batch, n int"+params, "", 0, doc)
	b.x, b.t = b.splat(), b.splat()
	b.line("MOVQ %s, DI", b.args["b"])
}

func (b *batch) lanes(body func()) {
	if b.z {
		body()
	} else {
		top := b.newLabel("lanes")
		b.line("MOVQ $2, R13")
		b.at(top)
		body()
		b.line("ADDQ $32, DI")
		b.line("DECQ R13")
		b.line("JNZ %s", top)
	}
	b.ret()
}

// values runs body over the values of the blocks, x holding one of each, the
// weights being at SI, batchW on.
func (b *batch) values(body func()) {
	b.line("MOVQ DI, SI")
	b.line("MOVQ %s, CX", b.args["n"])
	b.times(func() {
		b.one("VMOVUPS", mem{base: "SI"}, b.x)
		body()
		b.line("ADDQ $%d, SI", lanesBytes)
	})
}

var weight = mem{base: "SI", off: batchW}

// candidates runs body over the candidates of a table at R9, stride bytes each.
func (b *batch) candidates(table string, stride int, body func()) {
	top := b.newLabel("lot")
	b.line("MOVQ %s, R9", b.args[table])
	b.line("MOVQ %s, R10", b.args["lots"])
	if b.lot() == 2 {
		b.line("SHLQ $1, R10")
	}
	b.at(top)
	body()
	b.line("ADDQ $%d, R9", stride*b.lot())
	b.line("DECQ R10")
	b.line("JNZ %s", top)
}

func (b *batch) spread() {
	b.open("", "FN finds the range and the sums of each block.")
	lo, hi, total, sum, energy := b.splat(), b.splat(), b.splat(), b.splat(), b.splat()
	b.lanes(func() {
		b.one("VMOVUPS", mem{base: "DI"}, lo)
		b.one("VMOVAPS", lo, hi)
		for _, v := range []splat{total, sum, energy} {
			b.one("VPXOR", v, v, v)
		}
		b.values(func() {
			b.one("VMINPS", lo, b.x, lo)
			b.one("VMAXPS", hi, b.x, hi)
			if !b.weighted {
				b.one("VADDPS", b.float(1), total, total)
				b.one("VADDPS", b.x, sum, sum)
				b.one("VFMADD231PS", b.x, b.x, energy)
				return
			}
			b.one("VADDPS", weight, total, total)
			b.one("VMULPS", weight, b.x, b.t)
			b.one("VADDPS", b.t, sum, sum)
			b.one("VFMADD231PS", b.x, b.t, energy)
		})
		for i, v := range []splat{lo, hi, total, sum, energy} {
			b.one("VMOVUPS", v, field(batchLo+i*lanesBytes))
		}
		// The inverse of the value of the largest magnitude.
		size, mask, one := total, sum, energy
		b.one("VPXOR", b.x, b.x, b.x)
		b.one("VSUBPS", lo, b.x, size)
		b.compare(greater, hi, size, mask)
		b.choose(mask, lo, hi, b.t)
		b.one("VMAXPS", hi, size, size)
		b.one("VMOVUPS", b.float(1), one)
		b.one("VDIVPS", b.t, one, one)
		b.one("VMOVUPS", b.float(batchTiny), lo)
		b.compare(notLess, lo, size, mask)
		b.choose(mask, one, b.x, one)
		b.one("VMOVUPS", one, field(batchA))
	})
}

func (b *batch) shift() {
	b.open("", "FN subtracts the least value of each block.")
	lo, hi, sum := b.splat(), b.splat(), b.splat()
	b.lanes(func() {
		b.one("VMOVUPS", field(batchLo), lo)
		b.one("VMOVUPS", field(batchHi), hi)
		b.one("VSUBPS", lo, hi, hi)
		b.one("VPXOR", sum, sum, sum)
		b.values(func() {
			b.one("VSUBPS", lo, b.x, b.x)
			b.one("VMOVUPS", b.x, mem{base: "SI"})
			if b.weighted {
				b.one("VFMADD231PS", weight, b.x, sum)
			} else {
				b.one("VADDPS", b.x, sum, sum)
			}
		})
		b.one("VPXOR", lo, lo, lo)
		b.one("VMOVUPS", lo, field(batchLo))
		b.one("VMOVUPS", hi, field(batchHi))
		b.one("VMOVUPS", sum, field(batchSum))
	})
}

// kept is a register that goes to a field if the candidate is the best.
type kept struct {
	off int
	v   splat
}

// keep stores what a candidate is where its gain is the best; mask and tmp are lost.
func (b *batch) keep(gain, mask, tmp splat, what ...kept) {
	for i, k := range append(what, kept{batchGain, gain}) {
		if i == 0 {
			b.compare(notGreater, field(batchGain), gain, mask)
		}
		b.choose(mask, field(k.off), k.v, tmp)
		b.one("VMOVUPS", tmp, field(k.off))
	}
}

// compare sets a mask where y has the relation to x.
func (b *batch) compare(predicate int, x any, y, mask splat) {
	if b.z {
		b.one("VCMPPS", predicate, x, y, "K1")
		return
	}
	b.one("VCMPPS", predicate, x, y, mask)
}

// choose takes yes where the mask is set, else no.
func (b *batch) choose(mask splat, yes any, no, dst splat) {
	if b.z {
		b.one("VBLENDMPS", yes, no, "K1", dst)
		return
	}
	b.one("VBLENDVPS", mask, yes, no, dst)
}

// divide is id = 1/d, 0 where d is; tmp is lost.
func (b *batch) divide(d, id, tmp splat) {
	b.one("VPXOR", tmp, tmp, tmp)
	b.compare(notEqual, tmp, d, tmp)
	b.one("VMOVUPS", b.float(1), id)
	if b.z {
		b.one("VDIVPS.Z", d, id, "K1", id)
		return
	}
	b.one("VDIVPS", d, id, id)
	b.one("VANDPS", tmp, id, id)
}

// round takes u to the whole number that it is nearest to.
func (b *batch) round(u splat) {
	if b.z {
		b.one("VRNDSCALEPS", 8, u, u)
	} else {
		b.one("VROUNDPS", 8, u, u)
	}
}

// nearest takes each of u to the whole number from lo to hi that it is nearest to.
func (b *batch) nearest(u []splat, lo, hi splat) {
	for _, v := range u {
		b.round(v)
	}
	for _, v := range u {
		b.one("VMAXPS", lo, v, v)
	}
	for _, v := range u {
		b.one("VMINPS", hi, v, v)
	}
}

// scales are the registers of fits of a scale alone.
type scales struct{ u, id, xl, ll []splat }

func (b *batch) scales(curve bool) scales {
	if curve {
		b.curve = b.newCurve()
	}
	n := b.lot()
	return scales{b.splats(n), b.splats(n), b.splats(n), b.splats(n)}
}

// sums adds up x v and v v over the values for each candidate, given id.
func (b *batch) sums(s scales, lo, hi splat) {
	for i := range s.u {
		b.one("VPXOR", s.xl[i], s.xl[i], s.xl[i])
		b.one("VPXOR", s.ll[i], s.ll[i], s.ll[i])
	}
	b.values(func() {
		for i := range s.u {
			b.one("VMULPS", s.id[i], b.x, s.u[i])
		}
		if b.curve != nil {
			for i := range s.u {
				b.curve.value(b, s.u[i])
			}
		} else {
			b.nearest(s.u, lo, hi)
		}
		for i := range s.u {
			if b.weighted {
				b.one("VMULPS", weight, s.u[i], b.t)
				b.one("VFMADD231PS", b.x, b.t, s.xl[i])
				b.one("VFMADD231PS", s.u[i], b.t, s.ll[i])
				continue
			}
			b.one("VFMADD231PS", b.x, s.u[i], s.xl[i])
			b.one("VFMADD231PS", s.u[i], s.u[i], s.ll[i])
		}
	})
}

func levelParams(curve bool) string {
	if curve {
		return ", grid *float32, lots int, c *Curve"
	}
	return ", grid *float32, lots int, lo, hi float32"
}

// bounds loads the arguments lo and hi, which a curve has none of.
func (b *batch) bounds(curve bool) (lo, hi splat) {
	if curve {
		return 0, 0
	}
	return b.argSplat("lo"), b.argSplat("hi")
}

// scale: the best scale of given codes is xl/ll, and takes xl²/ll off the error.
func (b *batch) scale(curve bool) {
	b.open(levelParams(curve), "FN tries the scales 1/(A grid), and the best for their codes.")
	lo, hi := b.bounds(curve)
	s := b.scales(curve)
	b.lanes(func() {
		b.candidates("grid", 4, func() {
			for i, id := range s.id {
				b.spreadTo(fmt.Sprintf("%d(R9)", 4*i), id)
				b.one("VMULPS", field(batchA), id, id)
			}
			b.sums(s, lo, hi)
			for i := range s.u {
				p, gain := s.u[i], s.id[i]
				b.one("VMAXPS", b.float(1e-30), s.ll[i], p)
				b.one("VDIVPS", p, s.xl[i], p)
				b.one("VMULPS", p, s.xl[i], gain)
				b.keep(gain, b.x, b.t, kept{batchP, p}, kept{batchLL, s.ll[i]}, kept{batchXL, s.xl[i]})
			}
		})
	})
}

// near: a scale d takes d (2 xl - d ll) off the error.
func (b *batch) near(curve bool) {
	b.open(levelParams(curve), "FN tries the scales A (B + grid) as they are.")
	lo, hi := b.bounds(curve)
	s := b.scales(curve)
	number := func(i int, v splat) { // B + grid
		b.spreadTo(fmt.Sprintf("%d(R9)", 4*i), v)
		b.one("VADDPS", field(batchB), v, v)
	}
	b.lanes(func() {
		b.candidates("grid", 4, func() {
			for i, id := range s.id {
				number(i, b.x)
				b.one("VMULPS", field(batchA), b.x, b.x)
				b.divide(b.x, id, b.t)
			}
			b.sums(s, lo, hi)
			for i := range s.u {
				p, gain := s.u[i], s.id[i]
				number(i, p)
				b.one("VMULPS", field(batchA), p, b.x)
				b.one("VADDPS", s.xl[i], s.xl[i], gain)
				b.one("VFNMADD231PS", b.x, s.ll[i], gain)
				b.one("VMULPS", b.x, gain, gain)
				b.keep(gain, b.x, b.t, kept{batchP, p}, kept{batchLL, s.ll[i]}, kept{batchXL, s.xl[i]})
			}
		})
	})
}

// fine sums up what is left, r = u - v, and its products, in units of the scale.
func (b *batch) fine() {
	b.open(", grid *float32, lots int", "FN tries the scales 1/(A grid) and sums up the errors themselves.")
	n := b.lot()
	u, v, id, rr, rv, vv := b.splats(n), b.splats(n), b.splats(n), b.splats(n), b.splats(n), b.splats(n)
	b.lanes(func() {
		b.candidates("grid", 4, func() {
			for i := range n {
				b.spreadTo(fmt.Sprintf("%d(R9)", 4*i), id[i])
				b.one("VMULPS", field(batchA), id[i], id[i])
				for _, s := range []splat{rr[i], rv[i], vv[i]} {
					b.one("VPXOR", s, s, s)
				}
			}
			b.values(func() {
				for i := range n {
					b.one("VMULPS", id[i], b.x, u[i])
				}
				for i := range n {
					b.one("VMOVAPS", u[i], v[i])
					b.round(v[i])
				}
				for i := range n {
					b.one("VSUBPS", v[i], u[i], u[i])
				}
				for i := range n {
					if !b.weighted {
						b.one("VFMADD231PS", u[i], u[i], rr[i])
						b.one("VFMADD231PS", u[i], v[i], rv[i])
						b.one("VFMADD231PS", v[i], v[i], vv[i])
						continue
					}
					b.one("VMULPS", weight, v[i], b.t)
					b.one("VFMADD231PS", v[i], b.t, vv[i])
					b.one("VFMADD231PS", u[i], b.t, rv[i])
					b.one("VMULPS", weight, u[i], b.t)
					b.one("VFMADD231PS", u[i], b.t, rr[i])
				}
			})
			for i := range n {
				a, gain := u[i], rr[i]
				b.one("VMAXPS", b.float(1e-30), vv[i], a)
				b.one("VDIVPS", a, rv[i], a)
				b.one("VFMSUB231PS", a, rv[i], gain) // a rv - rr
				b.one("VMULPS", id[i], id[i], b.t)
				b.one("VDIVPS", b.t, gain, gain)
				b.one("VADDPS", b.float(1), a, a)
				b.one("VDIVPS", id[i], a, a)
				b.keep(gain, b.x, b.t, kept{batchP, a})
			}
		})
	})
}

// lines are the registers of fits of a scale and a minimum.
type lines struct{ u, id, off, l, ll, xl []splat }

func (b *batch) lineRegs() lines {
	n := b.lot()
	return lines{b.splats(n), b.splats(n), b.splats(n), b.splats(n), b.splats(n), b.splats(n)}
}

// lineSums adds up v, v v and x v over the values for each candidate, given id and off.
func (b *batch) lineSums(s lines, zero, hi splat) {
	for i := range s.u {
		for _, v := range []splat{s.l[i], s.ll[i], s.xl[i]} {
			b.one("VPXOR", v, v, v)
		}
	}
	b.values(func() {
		for i := range s.u {
			b.one("VMOVAPS", s.id[i], s.u[i])
			b.one("VFMADD213PS", s.off[i], b.x, s.u[i])
		}
		b.nearest(s.u, zero, hi)
		for i, v := range s.u {
			w := v
			if b.weighted {
				w = b.t
				b.one("VMULPS", weight, v, w)
			}
			b.one("VADDPS", w, s.l[i], s.l[i])
			b.one("VFMADD231PS", v, w, s.ll[i])
			b.one("VFMADD231PS", b.x, w, s.xl[i])
		}
	})
}

// fitLine: the normal equations of two unknowns, p and q, for x = p v + q.
func (b *batch) fitLine() {
	b.open(", points *Point, lots int, levels, floor, roof float32", "FN tries lines, and the best for their codes.")
	zero, hi := b.splat(), b.argSplat("levels")
	s := b.lineRegs()
	b.one("VPXOR", zero, zero, zero)
	b.lanes(func() {
		b.candidates("points", 12, func() {
			for i := range s.u {
				b.spreadTo(fmt.Sprintf("%d(R9)", 12*i), s.id[i])
				b.one("VMULPS", field(batchA), s.id[i], s.id[i])
				b.spreadTo(fmt.Sprintf("%d(R9)", 12*i+4), s.off[i])
				b.one("VMULPS", field(batchB), s.off[i], s.off[i])
				b.spreadTo(fmt.Sprintf("%d(R9)", 12*i+8), b.t)
				b.one("VADDPS", b.t, s.off[i], s.off[i])
				b.spreadTo(b.args["floor"], b.t)
				b.one("VMAXPS", b.t, s.off[i], s.off[i])
			}
			b.lineSums(s, zero, hi)
			for i := range s.u {
				p, q, gain, sum, p0 := b.x, b.t, s.u[i], s.id[i], s.off[i]
				l, ll, xl := s.l[i], s.ll[i], s.xl[i]
				b.one("VMULPS", field(batchTotal), ll, q)
				b.one("VMULPS", b.float(1e-6), q, gain)
				b.one("VFNMADD231PS", l, l, q)
				b.one("VMAXPS", gain, q, q)
				b.one("VMAXPS", b.float(1e-30), q, q) // W ll - l²
				b.one("VMOVUPS", field(batchSum), sum)
				b.one("VMULPS", field(batchTotal), xl, p)
				b.one("VFNMADD231PS", sum, l, p) // W xl - X l
				b.one("VDIVPS", q, p, p)
				b.one("VMOVAPS", sum, q)
				b.one("VFNMADD231PS", p, l, q)
				b.one("VDIVPS", field(batchTotal), q, q) // (X - p l) / W
				b.one("VMULPS", p, xl, gain)
				b.one("VFMADD231PS", q, sum, gain)
				// Or without q.
				b.one("VMAXPS", b.float(1e-30), ll, p0)
				b.one("VDIVPS", p0, xl, p0)
				b.one("VMULPS", p0, xl, sum)
				b.spreadTo(b.args["roof"], xl)
				b.compare(greater, xl, q, xl)
				b.choose(xl, p0, p, p)
				b.choose(xl, sum, gain, gain)
				b.choose(xl, zero, q, q)
				b.keep(gain, sum, p0, kept{batchP, p}, kept{batchQ, q}, kept{batchL, l}, kept{batchLL, ll})
			}
		})
	})
}

// fitLineNear: x = d v - m takes d (2 (xl + m l) - d ll) - m (2 X + m W) off the error.
func (b *batch) fitLineNear() {
	b.open(", steps *Step, lots int, levels float32", "FN tries lines as they are.")
	zero, hi := b.splat(), b.argSplat("levels")
	s := b.lineRegs()
	b.one("VPXOR", zero, zero, zero)
	number := func(at, off int, v splat) {
		b.spreadTo(fmt.Sprintf("%d(R9)", at), v)
		b.one("VADDPS", field(off), v, v)
	}
	b.lanes(func() {
		b.candidates("steps", 8, func() {
			for i := range s.u {
				number(8*i, batchC, b.x)
				b.one("VMULPS", field(batchA), b.x, b.x)
				b.divide(b.x, s.id[i], b.t)
				number(8*i+4, batchD, s.off[i])
				b.one("VMULPS", field(batchB), s.off[i], s.off[i])
				b.one("VMULPS", s.id[i], s.off[i], s.off[i])
			}
			b.lineSums(s, zero, hi)
			for i := range s.u {
				p, q, gain, d, m := b.x, b.t, s.u[i], s.id[i], s.off[i]
				number(8*i, batchC, p)
				number(8*i+4, batchD, q)
				b.one("VMULPS", field(batchA), p, d)
				b.one("VMULPS", field(batchB), q, m)
				b.one("VMOVAPS", s.xl[i], gain)
				b.one("VFMADD231PS", m, s.l[i], gain)
				b.one("VADDPS", gain, gain, gain)
				b.one("VFNMADD231PS", d, s.ll[i], gain)
				b.one("VMULPS", d, gain, gain)
				b.one("VMOVUPS", field(batchSum), d)
				b.one("VADDPS", d, d, d)
				b.one("VFMADD231PS", field(batchTotal), m, d)
				b.one("VFNMADD231PS", m, d, gain)
				b.keep(gain, d, m, kept{batchP, p}, kept{batchQ, q}, kept{batchL, s.l[i]}, kept{batchLL, s.ll[i]}, kept{batchXL, s.xl[i]})
			}
		})
	})
}

// curveRegs find the value of a curve nearest to a number: see cpu.Curve.
type curveRegs struct {
	mul, add, zero, top splat
	tables              [3][2]splat
	t, low, high        splat
}

// newCurve loads the curve that is an argument; codes in place of values.
func (b *batch) newCurve() *curveRegs { return b.loadCurve(curveLow, curveHigh) }

func (e *emitter) loadCurve(low, high int) *curveRegs {
	c := &curveRegs{mul: e.splat(), add: e.splat(), zero: e.splat(), top: e.splat(), t: e.splat(), low: e.splat(), high: e.splat()}
	e.arg("c", "R8")
	e.line("VBROADCASTSS %d(R8), %s", curveMul, e.operand(c.mul, 0))
	e.line("VBROADCASTSS %d(R8), %s", curveAdd, e.operand(c.add, 0))
	e.half(0, "VPXOR", c.zero, c.zero, c.zero)
	e.half(0, "VMOVUPS", e.float(31), c.top)
	for i, at := range []int{curveThresh, low, high} {
		for j := range 2 {
			c.tables[i][j] = e.splat()
			e.half(0, "VMOVUPS", mem{base: "R8", off: at + 64*j}, c.tables[i][j])
		}
	}
	return c
}

// value replaces u by the value.
func (c *curveRegs) value(b *batch, u splat) { c.look(b.emitter, u, "VPERMI2PS", "VBLENDMPS") }

func (c *curveRegs) look(e *emitter, u splat, permute, blend string) {
	one := func(name string, args ...any) { e.half(0, name, args...) }
	one("VMOVAPS", u, c.t)
	one("VFMADD213PS", c.add, c.mul, c.t)
	one("VMAXPS", c.zero, c.t, c.t)
	one("VMINPS", c.top, c.t, c.t)
	one("VCVTTPS2DQ", c.t, c.t)
	one("VMOVDQA", c.t, c.low)
	one("VMOVDQA", c.t, c.high)
	one("VPERMI2PS", c.tables[0][1], c.tables[0][0], c.t)
	one(permute, c.tables[1][1], c.tables[1][0], c.low)
	one(permute, c.tables[2][1], c.tables[2][0], c.high)
	one("VCMPPS", less, c.t, u, "K1") // u < threshold
	one(blend, c.low, c.high, "K1", u)
}

func (e *emitter) codes() {
	e.begin("Codes", "dst *byte, x *float32, blocks, sixteens int, id, off *float32, lo, hi float32", "", 0,
		"FN writes round(x id + off), held within lo and hi, as int8, for blocks of 16 values each.")
	id, off := e.splat(), e.splat()
	lo, hi := e.argSplat("lo"), e.argSplat("hi")
	v := e.vec()
	e.blocksOf(func() {
		e.line("VBROADCASTSS (R9), %s", e.operand(id, 0))
		e.line("VBROADCASTSS (R10), %s", e.operand(off, 0))
	}, func() {
		e.op("VMOVUPS", at("SI", 0), v)
		e.op("VFMADD213PS", off, id, v)
		e.op("VMAXPS", lo, v, v)
		e.op("VMINPS", hi, v, v)
		e.op("VCVTPS2DQ", v, v)
		if e.z {
			e.op("VPMOVDB", v, mem{base: "DI"})
			return
		}
		// Packing takes from both halves in turn, so that words come in the order
		// 0-3, 8-11, 4-7, 12-15.
		a, b := int(v), int(v)+1
		e.line("VPACKSSDW Y%d, Y%d, Y%d", b, a, a)
		e.line("VPERMQ $0xd8, Y%d, Y%d", a, a)
		e.line("VEXTRACTI128 $1, Y%d, X%d", a, b)
		e.line("VPACKSSWB X%d, X%d, X%d", b, a, a)
		e.line("VMOVDQU X%d, (DI)", a)
	})
	e.ret()
}

func (e *emitter) curveCodes() {
	e.begin("CurveCodes", "dst *byte, x *float32, blocks, sixteens int, id *float32, c *Curve", "", 0,
		"FN writes the codes of the values of a curve nearest to x id, for blocks of 16 values each.")
	id, u := e.splat(), e.splat()
	c := e.loadCurve(curveLowCode, curveHighCode)
	e.blocksOf(func() {
		e.line("VBROADCASTSS (R9), %s", e.operand(id, 0))
	}, func() {
		e.half(0, "VMULPS", at("SI", 0), id, u)
		c.look(e, u, "VPERMI2D", "VPBLENDMD")
		e.half(0, "VPMOVDB", u, mem{base: "DI"})
	})
	e.ret()
}

// blocksOf runs begin for each block and body for each sixteen values of it: x at
// SI, the result at DI, the block's numbers at R9 and R10.
func (e *emitter) blocksOf(begin, body func()) {
	e.pointers("dst", "DI", "x", "SI", "blocks", "R11", "id", "R9")
	_, shifted := e.args["off"]
	if shifted {
		e.pointers("off", "R10")
	}
	top := e.newLabel("block")
	e.at(top)
	begin()
	e.line("MOVQ %s, CX", e.args["sixteens"])
	e.times(func() {
		body()
		e.line("ADDQ $64, SI")
		e.line("ADDQ $16, DI")
	})
	e.line("ADDQ $4, R9")
	if shifted {
		e.line("ADDQ $4, R10")
	}
	e.line("DECQ R11")
	e.line("JNZ %s", top)
}
