package main

import "math"

// GELU(x) = x / (1 + exp(geluScale (x + geluCube x³))).
var geluScale = -2 * math.Sqrt(2/math.Pi)

const geluCube = 0.044715

// Abramowitz and Stegun, 7.1.26: erfc(z) = t (a1 + … + a5 t⁴) exp(-z²) with
// t = 1 / (1 + erfScale z), to 1.5e-7. The coefficients are from a5 down.
const erfScale = 0.3275911

var erfCoeffs = []float64{1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592}

// expRegs are the registers of an exponential: p = exp(x). x stays, t and q are
// lost.
type expRegs struct {
	e          *emitter
	x, t, p, q vec
	kept       map[uint32]splat // constants that have a register
}

// newExp takes the registers. At AVX-512 there are enough for the constants, too,
// which are loaded here; else they are operands in memory.
func (e *emitter) newExp() *expRegs {
	r := &expRegs{e, e.vec(), e.vec(), e.vec(), e.vec(), map[uint32]splat{}}
	if e.z {
		for _, word := range append(expWords(), expCoeffs...) {
			s := e.splat()
			e.op("VMOVUPS", e.konst(word), s)
			r.kept[word] = s
		}
	}
	return r
}

func (r *expRegs) konst(word uint32) any {
	if s, ok := r.kept[word]; ok {
		return s
	}
	return r.e.konst(word)
}

func (r *expRegs) float(v float64) any { return r.konst(math.Float32bits(float32(v))) }

// expWords are the constants of an exponential but for the coefficients.
func expWords() []uint32 {
	var words []uint32
	for _, v := range []float64{expLow, expHigh, expMagic, 1 / math.Ln2, ln2High, math.Ln2 - ln2High, 1} {
		words = append(words, math.Float32bits(float32(v)))
	}
	return words
}

// Between these exp is a normal number.
const (
	expLow  = -87.33654
	expHigh = 88.72283

	expMagic = 3 << 22
	ln2High  = 0.693359375 // few bits, so that n times it is exact
)

// exp(r) = 1 + r + r² (c0 + c1 r + …) for |r| at most half the logarithm of 2,
// with a relative error of at most 3.1e-9 before rounding (fitted by weighted
// least squares towards the smallest maximum).
var expCoeffs = []uint32{0x3efffffe, 0x3e2aaa49, 0x3d2aac79, 0x3c091d10, 0x3ab511e7}

// emit writes p = exp(x): 0 below expLow, exp(expHigh) above it, NaN for NaN.
func (r *expRegs) emit() {
	e, x, t, p, q := r.e, r.x, r.t, r.p, r.q
	low := r.float(expLow)
	// Clamp; of a NaN and a number VMAXPS and VMINPS give their first operand.
	if e.z {
		e.op("VMAXPS", x, low, t)
		e.op("VMINPS", t, r.float(expHigh), t)
	} else {
		e.op("VMOVUPS", low, q)
		e.op("VMAXPS", x, q, t)
		e.op("VMOVUPS", r.float(expHigh), q)
		e.op("VMINPS", t, q, t)
	}
	// x = n ln 2 + r: adding 1.5 * 2^23 rounds and leaves n in the lowest bits.
	magic := r.float(expMagic)
	e.op("VMOVUPS", magic, q)
	e.op("VFMADD231PS", r.float(1/math.Ln2), t, q)
	e.op("VSUBPS", magic, q, p)
	e.op("VFNMADD231PS", r.float(ln2High), p, t)
	e.op("VFNMADD231PS", r.float(math.Ln2-ln2High), p, t)
	e.op("VMOVUPS", r.konst(expCoeffs[len(expCoeffs)-1]), p)
	for i := len(expCoeffs) - 2; i >= 0; i-- {
		e.op("VFMADD213PS", r.konst(expCoeffs[i]), t, p)
	}
	e.op("VFMADD213PS", r.float(1), t, p)
	e.op("VFMADD213PS", r.float(1), t, p)
	e.op("VPSLLD", 23, q, q)
	e.op("VPADDD", q, p, p)
	if e.z {
		e.op("VCMPPS", 21, low, x, "K2") // not less, or NaN
		e.op("VMOVAPS.Z", p, "K2", p)
	} else {
		e.op("VCMPPS", 21, low, x, q)
		e.op("VANDPS", q, p, p)
	}
}

// function is an elementwise function: body takes x from s.x to s.p, using s.t
// and s.q.
type function struct {
	name, doc string
	body      func(e *emitter, s *expRegs, v vec)
}

const signBit = 1 << 31

var functions = []function{
	{"Exp", "exp(x)", func(e *emitter, s *expRegs, v vec) {
		s.emit()
	}},
	{"SiLU", "x / (1 + exp(-x))", func(e *emitter, s *expRegs, v vec) {
		e.op("VMOVAPS", s.x, v)
		e.op("VXORPS", e.konst(signBit), s.x, s.x)
		s.emit()
		e.op("VADDPS", e.float(1), s.p, s.p)
		e.op("VDIVPS", s.p, v, s.p)
	}},
	{"GELU", "x / (1 + exp(-2 sqrt(2/pi) (x + 0.044715 x³)))", func(e *emitter, s *expRegs, v vec) {
		e.op("VMOVAPS", s.x, v)
		e.op("VMULPS", v, v, s.t)
		e.op("VMOVUPS", e.float(geluScale), s.p)
		e.op("VFMADD231PS", e.float(geluScale*geluCube), s.t, s.p)
		e.op("VMULPS", s.p, v, s.x)
		s.emit()
		e.op("VADDPS", e.float(1), s.p, s.p)
		e.op("VDIVPS", s.p, v, s.p)
	}},
	// By erfc(z) with z = |x|/sqrt(2).
	{"GELUErf", "x/2 (1 + erf(x / sqrt(2)))", func(e *emitter, s *expRegs, v vec) {
		e.op("VMOVAPS", s.x, v)
		e.op("VMULPS", v, v, s.x)
		e.op("VMULPS", e.float(-0.5), s.x, s.x)
		s.emit() // p = exp(-x²/2)
		e.op("VANDPS", e.konst(signBit-1), v, s.t)
		e.op("VMOVUPS", e.float(1), s.x)
		e.op("VMOVAPS", s.x, s.q)
		e.op("VFMADD231PS", e.float(erfScale/math.Sqrt2), s.t, s.q)
		e.op("VDIVPS", s.q, s.x, s.t)
		e.op("VMOVUPS", e.float(erfCoeffs[0]/2), s.q)
		for _, a := range erfCoeffs[1:] {
			e.op("VFMADD213PS", e.float(a/2), s.t, s.q)
		}
		e.op("VMULPS", s.t, s.q, s.q)
		e.op("VMOVUPS", e.float(0.5), s.t)
		e.op("VFNMADD231PS", s.p, s.q, s.t) // 1/2 - erfc/2 = erf/2
		e.op("VANDPS", e.konst(signBit), v, s.q)
		e.op("VORPS", s.q, s.t, s.t)
		e.op("VADDPS", e.float(0.5), s.t, s.t)
		e.op("VMULPS", v, s.t, s.p)
	}},
}

func (e *emitter) elementwise() {
	for _, f := range append(functions, derivatives...) {
		for _, gated := range []bool{false, true} {
			name, params, doc := f.name, "dst, x *float32, n int", "FN computes "+f.doc+"."
			if gated {
				name, params, doc = name+"Gate", "dst, x, up *float32, n int", "FN computes "+f.doc+" times up."
			}
			e.begin(name, params, "", 0, doc)
			s, v := e.newExp(), e.vec()
			e.pointers("dst", "DI", "x", "SI", "n", "CX")
			regs := []string{"SI", "DI"}
			if gated {
				e.pointers("up", "DX")
				regs = append(regs, "DX")
			}
			e.loop(regs, func(m *masked) {
				m.load(at("SI", 0), s.x)
				f.body(e, s, v)
				if gated {
					m.load(at("DX", 0), v)
					e.op("VMULPS", v, s.p, s.p)
				}
				m.store(s.p, at("DI", 0), s.t)
			})
			e.ret()
		}
	}

	e.begin("SoftCap", "dst, x *float32, limit, twice float32, n int", "", 0,
		"FN computes limit * tanh(x / limit), given twice = 2 / limit.")
	s := e.newExp()
	limit, twice := e.argSplat("limit"), e.argSplat("twice")
	e.pointers("dst", "DI", "x", "SI", "n", "CX")
	e.loop([]string{"SI", "DI"}, func(m *masked) {
		m.load(at("SI", 0), s.x)
		e.op("VMULPS", twice, s.x, s.x)
		s.emit()
		// tanh(y) = 1 - 2/(exp(2y) + 1)
		e.op("VADDPS", e.float(1), s.p, s.p)
		e.op("VADDPS", limit, limit, s.t)
		e.op("VDIVPS", s.p, s.t, s.t)
		e.op("VSUBPS", s.t, limit, s.p)
		m.store(s.p, at("DI", 0), s.t)
	})
	e.ret()
}

// rope writes the two rotations.
func (e *emitter) rope() {
	e.begin("RopeHalves", "a, b, cos, sin *float32, n int", "", 0,
		"FN rotates n pairs of a and b: a*cos - b*sin and b*cos + a*sin.")
	a, b, c, s, t := e.vec(), e.vec(), e.vec(), e.vec(), e.vec()
	e.pointers("a", "DI", "b", "SI", "cos", "DX", "sin", "R8", "n", "CX")
	e.loop([]string{"DI", "SI", "DX", "R8"}, func(m *masked) {
		m.load(at("DI", 0), a)
		m.load(at("SI", 0), b)
		m.load(at("DX", 0), c)
		m.load(at("R8", 0), s)
		e.op("VMULPS", s, b, t)
		e.op("VFMSUB231PS", a, c, t)
		e.op("VMULPS", s, a, a)
		e.op("VFMADD231PS", b, c, a)
		m.store(t, at("DI", 0), b)
		m.store(a, at("SI", 0), b)
	})
	e.ret()

	e.begin("RopePairs", "x, cos, sin *float32, eights int", "", 0,
		"FN rotates pairs x[2i], x[2i+1], eights times 8 of them.")
	a, b, c, s = e.vec(), e.vec(), e.vec(), e.vec()
	e.pointers("x", "DI", "cos", "DX", "sin", "R8", "eights", "CX")
	top := e.newLabel("loop")
	e.at(top)
	for _, t := range []struct {
		reg string
		v   vec
	}{{"DX", c}, {"R8", s}} {
		// Each value twice: widened to 64 bits, then copied to the upper half.
		e.op("VPMOVZXDQ", mem{base: t.reg, step: 16}, t.v)
		e.op("VMOVSLDUP", t.v, t.v)
	}
	e.op("VMOVUPS", at("DI", 0), a)
	e.op("VPERMILPS", 0xb1, a, b)
	e.op("VMULPS", s, b, b)
	e.op("VFMADDSUB231PS", a, c, b) // even lanes minus, odd lanes plus
	e.op("VMOVUPS", b, at("DI", 0))
	e.line("ADDQ $64, DI")
	e.line("ADDQ $32, DX")
	e.line("ADDQ $32, R8")
	e.line("DECQ CX")
	e.line("JNZ %s", top)
	e.ret()
}
