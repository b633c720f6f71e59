package main

import (
	"bytes"
	"fmt"
)

// generateFits writes the kernels that try sixteen quantisations of a block at
// once, a lane for each: see fit.go in package cpu. They stand in files of their
// own, as those who run models never need them.
func generateFits(files map[string][]byte) error {
	var asm, stubs bytes.Buffer
	asm.WriteString(header + "#include \"textflag.h\"\n\n")
	stubs.WriteString(header + "package cpu\n\n")
	var body, tables bytes.Buffer
	shared := &constants{names: map[string]bool{}}
	for _, e := range levels() {
		if !e.own() {
			continue
		}
		e.data = shared
		e.fitUniform()
		if e.z {
			e.fitCurve()
			e.codes()
			e.curveCodes()
			fmt.Fprintf(&tables, "var %[1]sFits = fits{uniform: %[1]sFitUniform, curve: %[1]sFitCurve, codes: %[1]sCodes, curveCodes: %[1]sCurveCodes}\n", e.prefix)
		} else {
			fmt.Fprintf(&tables, "var %[1]sFits = fits{uniform: %[1]sFitUniform}\n", e.prefix)
		}
		body.Write(e.text.Bytes())
		stubs.Write(e.stubs.Bytes())
	}
	asm.Write(shared.text.Bytes())
	asm.Write(body.Bytes())
	stubs.Write(tables.Bytes())
	files["fit_amd64.s"] = asm.Bytes()
	return addStubs(files, "fit_stubs_amd64.go", stubs.Bytes())
}

// Offsets in Fit, in bytes: arrays of 16 float32.
const (
	fitID, fitOff                      = 0, 64
	fitErr, fitScale, fitShift         = 128, 192, 256
	fitL, fitLL                        = 320, 384
	curveThresh, curveLow, curveHigh   = 0, 128, 256
	curveLowCode, curveHighCode        = 384, 512
	curveMul, curveAdd                 = 640, 644
	fitModeScale, fitModeScaleAndShift = 1, 2
)

// fitRegs are the registers of the loop over a block's values. What belongs to a
// lane is a vec, what lives for half a vector only a splat.
type fitRegs struct {
	l, ll, r, rr, rl vec   // sums
	x, w, u, v, t    splat // one value and its weight, in units of the scale; its code; a product
}

func (e *emitter) fitBegin() fitRegs {
	s := fitRegs{l: e.vec(), ll: e.vec(), r: e.vec(), rr: e.vec(), rl: e.vec()}
	s.x, s.w, s.u, s.v, s.t = e.splat(), e.splat(), e.splat(), e.splat(), e.splat()
	e.pointers("f", "DI", "x", "SI", "w", "DX", "n", "CX", "mode", "R8")
	for _, v := range []vec{s.l, s.ll, s.r, s.rr, s.rl} {
		e.zero(v)
	}
	return s
}

// sums adds a value, of which u holds what is left beside the code v, to half h
// of the sums.
func (s fitRegs) sums(e *emitter, h int) {
	e.half(h, "VMULPS", s.w, s.u, s.t)
	e.half(h, "VADDPS", s.t, s.r, s.r)
	e.half(h, "VFMADD231PS", s.t, s.u, s.rr)
	e.half(h, "VFMADD231PS", s.t, s.v, s.rl)
	e.half(h, "VMULPS", s.w, s.v, s.t)
	e.half(h, "VADDPS", s.t, s.l, s.l)
	e.half(h, "VFMADD231PS", s.t, s.v, s.ll)
}

// values runs body over the values of a block.
func (s fitRegs) values(e *emitter, body func()) {
	e.times(func() {
		e.line("VBROADCASTSS (SI), %s", e.operand(s.x, 0))
		e.line("VBROADCASTSS (DX), %s", e.operand(s.w, 0))
		body()
		e.line("ADDQ $4, SI")
		e.line("ADDQ $4, DX")
	})
}

// solve turns the sums into errors and the best scale and shift of each lane.
// The general registers hold: DI the Fit, R8 the mode; total the sum of weights.
func (s fitRegs) solve(e *emitter, total string) {
	shift, scale, done := e.newLabel("shift"), e.newLabel("scale"), e.newLabel("done")
	t, u, v, w := s.t, s.u, s.v, s.w
	store := func(h int, from any, at int) { e.half(h, "VMOVUPS", from, mem{base: "DI", off: at}) }
	loss := func(h int) { // in units of x
		e.half(h, "VMOVUPS", mem{base: "DI", off: fitID}, t)
		e.half(h, "VMULPS", t, t, t)
		e.half(h, "VDIVPS", t, s.rr, s.rr)
		store(h, s.rr, fitErr)
	}
	e.line("CMPQ R8, $%d", fitModeScale)
	e.line("JEQ %s", scale)
	e.line("CMPQ R8, $%d", fitModeScaleAndShift)
	e.line("JEQ %s", shift)
	for h := range e.halves() {
		loss(h)
	}
	e.line("JMP %s", done)

	e.at(scale) // a-1 = rl/ll, and rr falls by (a-1) rl
	for h := range e.halves() {
		e.half(h, "VMAXPS", e.float(1e-30), s.ll, t)
		e.half(h, "VDIVPS", t, s.rl, t)
		e.half(h, "VFNMADD231PS", t, s.rl, s.rr)
		store(h, t, fitScale)
		loss(h)
	}
	e.line("JMP %s", done)

	e.at(shift) // the normal equations of two unknowns, a-1 and b
	e.line("VBROADCASTSS %s, %s", total, e.operand(s.x, 0))
	for h := range e.halves() {
		e.half(h, "VMULPS", s.l, s.l, t)
		e.half(h, "VFMSUB231PS", s.x, s.ll, t) // W ll - l l
		e.half(h, "VMULPS", s.x, s.ll, v)
		e.half(h, "VMULPS", e.float(1e-6), v, v)
		e.half(h, "VMAXPS", e.float(1e-30), v, v)
		e.half(h, "VMAXPS", v, t, t)
		e.half(h, "VMULPS", s.l, s.r, u)
		e.half(h, "VFMSUB231PS", s.x, s.rl, u) // W rl - r l
		e.half(h, "VDIVPS", t, u, u)           // a-1
		e.half(h, "VMOVAPS", s.r, w)
		e.half(h, "VFNMADD231PS", u, s.l, w)
		e.half(h, "VDIVPS", s.x, w, w) // b
		e.half(h, "VFNMADD231PS", u, s.rl, s.rr)
		e.half(h, "VFNMADD231PS", w, s.r, s.rr)
		store(h, u, fitScale)
		store(h, w, fitShift)
		loss(h)
	}
	e.at(done)
	for h := range e.halves() {
		store(h, s.l, fitL)
		store(h, s.ll, fitLL)
	}
	e.ret()
}

func (e *emitter) fitUniform() {
	e.begin("FitUniform", "f *Fit, x, w *float32, n int, mode int, lo, hi, total float32", "", 0,
		"FN tries a block of n values with codes that are whole numbers from lo to hi.")
	s := e.fitBegin()
	var lo, hi any
	var id, off any = mem{base: "DI", off: fitID}, mem{base: "DI", off: fitOff}
	if e.z {
		lo, hi = e.argSplat("lo"), e.argSplat("hi")
		a, b := e.vec(), e.vec()
		e.op("VMOVUPS", id, a)
		e.op("VMOVUPS", off, b)
		id, off = a, b
	} else {
		// One register is left; it holds both bounds by turns.
		lo, hi = e.splat(), nil
	}
	round := "VROUNDPS"
	if e.z {
		round = "VRNDSCALEPS"
	}
	s.values(e, func() {
		for h := range e.halves() {
			e.half(h, "VMOVUPS", id, s.u)
			e.half(h, "VFMADD213PS", off, s.x, s.u)
			e.half(h, round, 8, s.u, s.v)
			if !e.z {
				e.line("VBROADCASTSS %s, %s", e.args["lo"], e.operand(lo, 0))
			}
			e.half(h, "VMAXPS", lo, s.v, s.v)
			if !e.z {
				e.line("VBROADCASTSS %s, %s", e.args["hi"], e.operand(lo, 0))
				e.half(h, "VMINPS", lo, s.v, s.v)
			} else {
				e.half(h, "VMINPS", hi, s.v, s.v)
			}
			e.half(h, "VSUBPS", s.v, s.u, s.u)
			s.sums(e, h)
		}
	})
	s.solve(e, e.args["total"])
}

func (e *emitter) fitCurve() {
	e.begin("FitCurve", "f *Fit, x, w *float32, n int, mode int, c *Curve, total float32", "", 0,
		"FN tries a block of n values with codes that stand for the values of a curve.")
	s := e.fitBegin()
	e.arg("c", "R9")
	id, mul, add, zero, top := e.vec(), e.splat(), e.splat(), e.splat(), e.splat()
	e.op("VMOVUPS", mem{base: "DI", off: fitID}, id)
	e.line("VBROADCASTSS %d(R9), %s", curveMul, e.operand(mul, 0))
	e.line("VBROADCASTSS %d(R9), %s", curveAdd, e.operand(add, 0))
	e.zero(zero)
	e.op("VMOVUPS", e.float(31), top)
	var tables [3][2]vec
	for i, at := range []int{curveThresh, curveLow, curveHigh} {
		for j := range 2 {
			tables[i][j] = e.vec()
			e.op("VMOVUPS", mem{base: "R9", off: at + 64*j}, tables[i][j])
		}
	}
	low, high := e.vec(), e.vec()
	s.values(e, func() {
		e.op("VMULPS", id, s.x, s.u)
		e.op("VMOVAPS", s.u, s.t)
		e.op("VFMADD213PS", add, mul, s.t)
		e.op("VMAXPS", zero, s.t, s.t)
		e.op("VMINPS", top, s.t, s.t)
		e.op("VCVTTPS2DQ", s.t, s.t)
		e.op("VMOVDQA", s.t, low)
		e.op("VMOVDQA", s.t, high)
		e.op("VPERMI2PS", tables[0][1], tables[0][0], s.t)
		e.op("VPERMI2PS", tables[1][1], tables[1][0], low)
		e.op("VPERMI2PS", tables[2][1], tables[2][0], high)
		e.op("VCMPPS", 1, s.t, s.u, "K1") // u < threshold
		e.op("VBLENDMPS", low, high, "K1", s.v)
		e.op("VSUBPS", s.v, s.u, s.u)
		s.sums(e, 0)
	})
	s.solve(e, e.args["total"])
}

func (e *emitter) codes() {
	e.begin("Codes", "dst *byte, x *float32, sixteens int, id, off, lo, hi float32", "", 0,
		"FN writes round(x id + off), held within lo and hi, as int8, 16 at a time.")
	id, off, lo, hi := e.argSplat("id"), e.argSplat("off"), e.argSplat("lo"), e.argSplat("hi")
	v := e.vec()
	e.pointers("dst", "DI", "x", "SI", "sixteens", "CX")
	e.times(func() {
		e.op("VMOVUPS", at("SI", 0), v)
		e.op("VFMADD213PS", off, id, v)
		e.op("VMAXPS", lo, v, v)
		e.op("VMINPS", hi, v, v)
		e.op("VCVTPS2DQ", v, v)
		e.op("VPMOVDB", v, mem{base: "DI"})
		e.line("ADDQ $64, SI")
		e.line("ADDQ $16, DI")
	})
	e.ret()
}

func (e *emitter) curveCodes() {
	e.begin("CurveCodes", "dst *byte, x *float32, sixteens int, c *Curve, id float32", "", 0,
		"FN writes the codes of the values of a curve nearest to x id, 16 at a time.")
	id := e.argSplat("id")
	e.pointers("dst", "DI", "x", "SI", "sixteens", "CX", "c", "R9")
	mul, add, zero, top := e.splat(), e.splat(), e.splat(), e.splat()
	e.line("VBROADCASTSS %d(R9), %s", curveMul, e.operand(mul, 0))
	e.line("VBROADCASTSS %d(R9), %s", curveAdd, e.operand(add, 0))
	e.zero(zero)
	e.op("VMOVUPS", e.float(31), top)
	var tables [3][2]vec
	for i, at := range []int{curveThresh, curveLowCode, curveHighCode} {
		for j := range 2 {
			tables[i][j] = e.vec()
			e.op("VMOVUPS", mem{base: "R9", off: at + 64*j}, tables[i][j])
		}
	}
	u, t, low, high := e.vec(), e.vec(), e.vec(), e.vec()
	e.times(func() {
		e.op("VMULPS", at("SI", 0), id, u)
		e.op("VMOVAPS", u, t)
		e.op("VFMADD213PS", add, mul, t)
		e.op("VMAXPS", zero, t, t)
		e.op("VMINPS", top, t, t)
		e.op("VCVTTPS2DQ", t, t)
		e.op("VMOVDQA", t, low)
		e.op("VMOVDQA", t, high)
		e.op("VPERMI2PS", tables[0][1], tables[0][0], t)
		e.op("VPERMI2D", tables[1][1], tables[1][0], low)
		e.op("VPERMI2D", tables[2][1], tables[2][0], high)
		e.op("VCMPPS", 1, t, u, "K1")
		e.op("VPBLENDMD", low, high, "K1", t)
		e.op("VPMOVDB", t, mem{base: "DI"})
		e.line("ADDQ $64, SI")
		e.line("ADDQ $16, DI")
	})
	e.ret()
}
