package main

import "math"

// armExp are the registers of an exponential: p = exp(x). All others are lost.
type armExp struct {
	e             *arm
	x, t, p, u, q list4
	low, high     q
	magic, one    q
	inv, hi, lo   konst4 // 1/ln 2, and ln 2 in two parts
	coeffs        []konst4
}

// expWidth is the number of registers that functions take at once.
const expWidth = 2

func (e *arm) newExp(at x, w int) *armExp {
	words := []uint32{
		word32(expLow), word32(expHigh), word32(expMagic), word32(1),
		word32(1 / math.Ln2), word32(ln2High), word32(math.Ln2 - ln2High),
	}
	words = append(words, expCoeffs...)
	s := &armExp{e: e, x: e.regs(w), t: e.regs(w), p: e.regs(w), u: e.regs(w), q: e.regs(w)}
	k := e.constants("exp", at, words...)
	s.low, s.high, s.magic, s.one = e.all(k[0]), e.all(k[1]), e.all(k[2]), e.all(k[3])
	s.inv, s.hi, s.lo, s.coeffs = k[4], k[5], k[6], k[7:]
	return s
}

// emit writes p = exp(x): 0 below expLow, exp(expHigh) above it, NaN for NaN.
func (s *armExp) emit() {
	e, p, u := s.e, s.p, s.u
	// Clamp; the minimum and maximum of a NaN and a number are NaN.
	e.each("fmax", s.t, s.x, s.low)
	e.each("fmin", s.t, s.t, s.high)
	e.each("fcmgt", s.x, s.low, s.x) // what gives 0: not NaN
	// x = n ln 2 + r: adding 1.5 * 2^23 rounds and leaves n in the lowest bits.
	e.set(s.q, s.magic)
	e.eachElement("fmla", s.q, s.t, s.inv)
	e.each("fsub", p, s.q, s.magic)
	e.eachElement("fmls", s.t, p, s.hi)
	e.eachElement("fmls", s.t, p, s.lo)
	last := len(s.coeffs) - 1
	e.set(p, s.coeffs[last])
	for i := last - 1; i >= 0; i-- {
		e.set(u, s.coeffs[i])
		e.each("fmla", u, p, s.t)
		p, u = u, p
	}
	for range 2 {
		e.set(u, s.one)
		e.each("fmla", u, p, s.t)
		p, u = u, p
	}
	for i := range e.width {
		e.shift("shl", "4s", s.q[i], s.q[i], 23)
	}
	e.each("add", p, p, s.q)
	e.each("bic", s.p, p, s.x)
}

// armFunctions are the bodies of functions: from s.x to s.p, with v and s.t, s.u
// and s.q free. prepare loads constants.
var armFunctions = map[string]struct {
	prepare func(e *arm, at x) []q
	body    func(e *arm, s *armExp, v list4, k []q)
}{
	"Exp": {body: func(e *arm, s *armExp, v list4, k []q) { s.emit() }},
	"SiLU": {body: func(e *arm, s *armExp, v list4, k []q) {
		e.set(v, s.x)
		e.eachTwo("fneg", s.x, s.x)
		s.emit()
		e.each("fadd", s.p, s.p, s.one)
		e.each("fdiv", s.p, v, s.p)
	}},
	"GELU": {
		prepare: func(e *arm, at x) []q {
			k := e.constants("gelu", at, word32(geluScale), word32(geluScale*geluCube))
			return []q{k[0].reg}
		},
		body: func(e *arm, s *armExp, v list4, k []q) {
			e.set(v, s.x)
			e.each("fmul", s.t, v, v)
			e.set(s.p, konst4{k[0], 0})
			e.eachElement("fmla", s.p, s.t, konst4{k[0], 1})
			e.each("fmul", s.x, s.p, v)
			s.emit()
			e.each("fadd", s.p, s.p, s.one)
			e.each("fdiv", s.p, v, s.p)
		},
	},
	"GELUErf": {
		prepare: func(e *arm, at x) []q {
			words := []uint32{word32(-0.5), word32(erfScale / math.Sqrt2), word32(0.5)}
			for _, a := range erfCoeffs {
				words = append(words, word32(a/2))
			}
			k := e.constants("erf", at, words...)
			sign := e.reg()
			e.highBytes(sign, 0x80)
			return []q{k[0].reg, k[4].reg, sign}
		},
		body: func(e *arm, s *armExp, v list4, k []q) {
			e.set(v, s.x)
			e.each("fmul", s.x, v, v)
			e.eachElement("fmul", s.x, s.x, konst4{k[0], 0})
			s.emit() // p = exp(-x²/2)
			e.eachTwo("fabs", s.t, v)
			e.set(s.q, s.one)
			e.eachElement("fmla", s.q, s.t, konst4{k[0], 1})
			e.each("fdiv", s.t, s.one, s.q)
			q, u := s.q, s.u
			e.set(q, konst4{k[0], 3})
			for i := range erfCoeffs[1:] {
				e.set(u, konst4{k[1], i})
				e.each("fmla", u, q, s.t)
				q, u = u, q
			}
			e.each("fmul", q, q, s.t)
			e.set(s.t, konst4{k[0], 2})
			e.each("fmls", s.t, q, s.p) // 1/2 - erfc/2 = erf/2
			e.each("bit", s.t, v, k[2])
			e.set(q, konst4{k[0], 2})
			e.each("fadd", s.t, s.t, q)
			e.each("fmul", s.p, v, s.t)
		},
	},
}

func (e *arm) elementwise() {
	for _, f := range functions {
		for _, gated := range []bool{false, true} {
			name, params, doc := f.name, "dst, x *float32, n int", "FN computes "+f.doc+"."
			if gated {
				name, params, doc = name+"Gate", "dst, x, up *float32, n int", "FN computes "+f.doc+" times up."
			}
			e.begin(name, params, "", 0, doc)
			dst, src, up, n, at := x(0), x(1), x(2), x(3), x(4)
			e.pointers("dst", dst, "x", src, "n", n)
			if gated {
				e.arg("up", up)
			}
			s, v := e.newExp(at, expWidth), e.regs(expWidth)
			a := armFunctions[f.name]
			var k []q
			if a.prepare != nil {
				k = a.prepare(e, at)
			}
			e.loop(n, expWidth, func(l *strip) {
				l.load(s.x, src)
				a.body(e, s, v, k)
				if gated {
					l.load(v, up)
					e.each("fmul", s.p, s.p, v)
				}
				l.store(s.p, dst)
			})
			e.ret()
		}
	}

	e.begin("SoftCap", "dst, x *float32, limit, twice float32, n int", "", 0,
		"FN computes limit * tanh(x / limit), given twice = 2 / limit.")
	dst, src, n := x(0), x(1), x(2)
	e.pointers("dst", dst, "x", src, "n", n)
	s := e.newExp(3, expWidth)
	limit, twice := e.argAll("limit"), e.argAll("twice")
	e.loop(n, expWidth, func(l *strip) {
		l.load(s.x, src)
		e.each("fmul", s.x, s.x, twice)
		s.emit()
		// tanh(y) = 1 - 2/(exp(2y) + 1)
		e.each("fadd", s.p, s.p, s.one)
		for i := range e.width {
			e.three("fadd", "4s", s.t[i], limit, limit)
		}
		e.each("fdiv", s.t, s.t, s.p)
		e.each("fsub", s.p, limit, s.t)
		l.store(s.p, dst)
	})
	e.ret()
}
