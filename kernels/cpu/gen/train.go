package main

import "fmt"

// trainKernels writes what training has of its own.
func (e *emitter) trainKernels() {
	e.turn()
	e.adamW()
	e.dot()
	e.roundBF16()
	e.begin("SubScale", "dst, x *float32, a, c, s float32, n int", "", 0, "FN computes (dst - (x*a + c)) * s.")
	a, c, s := e.argSplat("a"), e.argSplat("c"), e.argSplat("s")
	e.pointers("dst", "DI", "x", "SI", "n", "CX")
	v, w := e.vec(), e.vec()
	e.loop([]string{"SI", "DI"}, func(m *masked) {
		m.load(at("SI", 0), v)
		m.load(at("DI", 0), w)
		e.op("VFMADD213PS", c, a, v) // v*a + c
		e.op("VSUBPS", v, w, w)
		e.op("VMULPS", s, w, w)
		m.store(w, at("DI", 0), v)
	})
	e.ret()
}

// turnSize is the side of the square that is turned at once: a register's values.
func (e *emitter) turnSize() int {
	if e.z {
		return 16
	}
	return 8
}

// turn writes the transposition of rows of squares. In each of two steps rows are
// interleaved in pairs, which turns 4x4 squares within lanes of 128 bits; then the
// lanes are exchanged.
func (e *emitter) turn() {
	n := e.turnSize()
	e.turnBy("Turn", fmt.Sprintf(
		"FN transposes squares times %[1]d columns of %[1]d rows, lds bytes apart, to as many rows, ldd\nbytes apart.", n), 4*n,
		func(i int) {
			e.line("VMOVUPS (AX), %s%d", e.width(), i)
			if i < n-1 {
				e.line("ADDQ R9, AX")
			}
		})
}

// turnBy writes a transposition of squares; load makes row i of a square, in register
// i, from what lies at AX, and next is how far it is to the next square.
func (e *emitter) turnBy(name, doc string, next int, load func(i int)) {
	e.begin(name, "dst *float32, ldd int, src *float32, lds int, squares int", "", 0, doc)
	n := e.turnSize()
	e.take(2 * n)
	e.pointers("dst", "DI", "ldd", "R8", "src", "SI", "lds", "R9", "squares", "CX")
	top := e.newLabel("loop")
	e.at(top)
	e.line("MOVQ SI, AX")
	for i := range n {
		load(i)
	}
	e.turnSquare()
	e.line("ADDQ $%d, SI", next)
	e.line("DECQ CX")
	e.line("JNZ %s", top)
	e.ret()
}

// turnSquare turns the square whose rows are in the first registers, and stores its
// rows at DI, R8 bytes apart, which is moved on. As many registers more are lost.
func (e *emitter) turnSquare() {
	n := e.turnSize()
	reg := func(i int) string { return fmt.Sprintf("%s%d", e.width(), i) }
	two := func(name string, a, b, dst int) { e.line("%s %s, %s, %s", name, reg(b), reg(a), reg(dst)) }
	lanes := func(name string, imm, a, b, dst int) {
		e.line("%s $%d, %s, %s, %s", name, imm, reg(b), reg(a), reg(dst))
	}
	for i := 0; i < n; i += 2 {
		two("VUNPCKLPS", i, i+1, n+i)
		two("VUNPCKHPS", i, i+1, n+i+1)
	}
	for i := 0; i < n; i += 4 {
		two("VUNPCKLPD", n+i, n+i+2, i)
		two("VUNPCKHPD", n+i, n+i+2, i+1)
		two("VUNPCKLPD", n+i+1, n+i+3, i+2)
		two("VUNPCKHPD", n+i+1, n+i+3, i+3)
	}
	// Lane l of register 4i+c now has column 4l+c of rows 4i to 4i+3.
	for c := range 4 {
		if !e.z {
			lanes("VPERM2F128", 0x20, c, 4+c, n+c)
			lanes("VPERM2F128", 0x31, c, 4+c, n+4+c)
			continue
		}
		lanes("VSHUFF32X4", 0x88, c, 4+c, n+4*c) // lanes 0 and 2 of both
		lanes("VSHUFF32X4", 0xdd, c, 4+c, n+4*c+1)
		lanes("VSHUFF32X4", 0x88, 8+c, 12+c, n+4*c+2)
		lanes("VSHUFF32X4", 0xdd, 8+c, 12+c, n+4*c+3)
	}
	if e.z {
		for c := range 4 {
			lanes("VSHUFF32X4", 0x88, n+4*c, n+4*c+2, c)
			lanes("VSHUFF32X4", 0xdd, n+4*c, n+4*c+2, 8+c)
			lanes("VSHUFF32X4", 0x88, n+4*c+1, n+4*c+3, 4+c)
			lanes("VSHUFF32X4", 0xdd, n+4*c+1, n+4*c+3, 12+c)
		}
	}
	first := n
	if e.z {
		first = 0
	}
	for i := range n {
		e.line("VMOVUPS %s, (DI)", reg(first+i))
		e.line("ADDQ R8, DI")
	}
}

// adamW writes the optimizer's step. Its numbers come as vectors of 16 equal values,
// since there are more than AVX2 has registers for.
func (e *emitter) adamW() {
	e.begin("AdamW", "p, grad, m, v, numbers *float32, n int", "", 0,
		"FN updates p, m and v, and clears grad. numbers are, 16 times each: the factor of grad, beta1,\n"+
			"1-beta1, beta2, 1-beta2, 1/bias2, eps, the factor of p, rate/bias1.")
	e.pointers("p", "DI", "grad", "SI", "m", "DX", "v", "R8", "numbers", "R9", "n", "CX")
	p, g, m1, v, t := e.vec(), e.vec(), e.vec(), e.vec(), e.vec()
	number := func(i int) mem { return at("R9", 64*i) }
	e.loop([]string{"DI", "SI", "DX", "R8"}, func(m *masked) {
		m.load(at("SI", 0), g)
		m.load(at("DX", 0), m1)
		m.load(at("R8", 0), v)
		m.load(at("DI", 0), p)
		e.op("VMULPS", number(0), g, g)
		e.op("VMULPS", number(1), m1, m1)
		e.op("VMULPS", number(2), g, t)
		e.op("VADDPS", t, m1, m1)
		e.op("VMULPS", number(3), v, v)
		e.op("VMULPS", number(4), g, t)
		e.op("VMULPS", g, t, t)
		e.op("VADDPS", t, v, v)
		m.store(m1, at("DX", 0), t)
		m.store(v, at("R8", 0), t)
		e.op("VMULPS", number(5), v, v)
		e.op("VSQRTPS", v, v)
		e.op("VADDPS", number(6), v, v)
		e.op("VMULPS", number(8), m1, m1)
		e.op("VDIVPS", v, m1, m1)
		e.op("VMULPS", number(7), p, p)
		e.op("VSUBPS", m1, p, p)
		m.store(p, at("DI", 0), t)
		e.zero(g)
		m.store(g, at("SI", 0), t)
	})
	e.ret()
}

// dot writes the sum of products, in the shape of the other sums over a row.
func (e *emitter) dot() {
	e.begin("Dot", "a, b *float32, n int", "float32", 0, "FN returns the sum of a*b.")
	acc, v, w := e.vecs(4), e.vec(), e.vec()
	e.pointers("a", "SI", "b", "DX", "n", "CX")
	for _, a := range acc {
		e.zero(a)
	}
	e.roundRobin(acc, []string{"SI", "DX"}, func(m *masked, a vec) {
		m.load(at("SI", 0), v)
		m.load(at("DX", 0), w)
		e.op("VFMADD231PS", v, w, a)
	})
	e.fold("VADDPS", acc, v)
	e.ret()
}

// roundBF16 writes the rounding to bfloat16, to nearest and ties to even, which is
// that of integers but for NaNs: adding -0 makes them quiet, and magnitudes are bounded
// by the first quiet one, so that they stay what they are.
func (e *emitter) roundBF16() {
	e.begin("RoundBF16", "dst, x *float32, n int", "", 0, "FN rounds values to bfloat16.")
	e.pointers("dst", "DI", "x", "SI", "n", "CX")
	v, sign, t := e.vec(), e.vec(), e.vec()
	e.loop([]string{"SI", "DI"}, func(m *masked) {
		m.load(at("SI", 0), v)
		e.op("VADDPS", e.konst(signBit), v, v)
		e.op("VPAND", e.konst(signBit), v, sign)
		e.op("VPAND", e.konst(signBit-1), v, v)
		e.op("VPMINUD", e.konst(0x7fc00000), v, v)
		e.op("VPSRLD", 16, v, t)
		e.op("VPAND", e.konst(1), t, t)
		e.op("VPADDD", t, v, v)
		e.op("VPADDD", e.konst(0x7fff), v, v)
		e.op("VPAND", e.konst(0xffff0000), v, v)
		e.op("VPOR", sign, v, v)
		m.store(v, at("DI", 0), t)
	})
	e.ret()
}

// derivatives are those of functions that models have in their feed-forward parts.
var derivatives = []function{
	{"SiLUDerivative", "the derivative of x / (1 + exp(-x))", func(e *emitter, s *expRegs, v vec) {
		e.op("VMOVAPS", s.x, v)
		e.op("VXORPS", e.konst(signBit), s.x, s.x)
		s.emit()
		e.op("VADDPS", e.float(1), s.p, s.p)
		e.op("VMOVUPS", e.float(1), s.t)
		e.op("VDIVPS", s.p, s.t, s.p) // the sigmoid, s
		e.op("VSUBPS", s.p, s.t, s.q)
		e.op("VFMADD213PS", e.float(1), v, s.q) // 1 + x (1-s)
		e.op("VMULPS", s.q, s.p, s.p)
	}},
	{"GELUDerivative", "the derivative of x / (1 + exp(-2 sqrt(2/pi) (x + 0.044715 x³)))", func(e *emitter, s *expRegs, v vec) {
		e.op("VMOVAPS", s.x, v)
		e.op("VMULPS", v, v, s.t)
		e.op("VMOVUPS", e.float(geluScale), s.p)
		e.op("VFMADD231PS", e.float(geluScale*geluCube), s.t, s.p)
		e.op("VMULPS", s.p, v, s.x)
		s.emit()
		e.op("VADDPS", e.float(1), s.p, s.p)
		e.op("VMOVUPS", e.float(1), s.t)
		e.op("VDIVPS", s.p, s.t, s.p) // the sigmoid, s
		e.op("VSUBPS", s.p, s.t, s.q)
		e.op("VMULPS", v, v, s.t)
		e.op("VMULPS", s.q, v, v) // x (1-s)
		e.op("VMOVUPS", e.float(-geluScale), s.q)
		e.op("VFMADD231PS", e.float(-3*geluScale*geluCube), s.t, s.q)
		e.op("VMULPS", s.q, v, v)
		e.op("VADDPS", e.float(1), v, v)
		e.op("VMULPS", v, s.p, s.p)
	}},
}
