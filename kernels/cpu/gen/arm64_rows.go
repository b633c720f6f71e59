package main

import "math"

func (e *arm) rowKernels() {
	e.binary("Add", "fadd", "a + b")
	e.binary("Mul", "fmul", "a * b")

	const wide = 4
	dst, src, w, n := x(0), x(1), x(2), x(3)

	e.begin("ShiftScale", "dst, x *float32, shift, scale float32, n int", "", 0, "FN computes (x - shift) * scale.")
	e.pointers("dst", dst, "x", src, "n", n)
	shift, scale := e.argAll("shift"), e.argAll("scale")
	v := e.regs(wide)
	e.loop(n, wide, func(s *strip) {
		s.load(v, src)
		e.each("fsub", v, v, shift)
		e.each("fmul", v, v, scale)
		s.store(v, dst)
	})
	e.ret()

	e.begin("ScaleRow", "dst, x, w *float32, shift, scale float32, n int", "", 0, "FN computes (x - shift) * scale * w.")
	e.pointers("dst", dst, "x", src, "w", w, "n", n)
	shift, scale = e.argAll("shift"), e.argAll("scale")
	v, y := e.regs(wide), e.regs(wide)
	e.loop(n, wide, func(s *strip) {
		s.load(v, src)
		s.load(y, w)
		e.each("fsub", v, v, shift)
		e.each("fmul", v, v, scale)
		e.each("fmul", v, v, y)
		s.store(v, dst)
	})
	e.ret()

	e.rope()
	e.reductions()
}

func (e *arm) binary(name, instr, what string) {
	e.begin(name, "dst, a, b *float32, n int", "", 0, "FN computes "+what+".")
	dst, a, b, n := x(0), x(1), x(2), x(3)
	e.pointers("dst", dst, "a", a, "b", b, "n", n)
	v, w := e.regs(4), e.regs(4)
	e.loop(n, 4, func(s *strip) {
		s.load(v, a)
		s.load(w, b)
		e.each(instr, v, v, w)
		s.store(v, dst)
	})
	e.ret()
}

// rope writes the two rotations.
func (e *arm) rope() {
	e.begin("RopeHalves", "a, b, cos, sin *float32, n int", "", 0,
		"FN rotates n pairs of a and b: a*cos - b*sin and b*cos + a*sin.")
	pa, pb, pc, ps, n := x(0), x(1), x(2), x(3), x(4)
	e.pointers("a", pa, "b", pb, "cos", pc, "sin", ps, "n", n)
	a, b, c, s, t, u := e.regs(4), e.regs(4), e.regs(4), e.regs(4), e.regs(4), e.regs(4)
	e.loop(n, 4, func(l *strip) {
		l.peek(a, pa)
		l.peek(b, pb)
		l.load(c, pc)
		l.load(s, ps)
		e.each("fmul", t, a, c)
		e.each("fmls", t, b, s)
		e.each("fmul", u, a, s)
		e.each("fmla", u, b, c)
		l.store(t, pa)
		l.store(u, pb)
	})
	e.ret()

	e.begin("RopePairs", "x, cos, sin *float32, eights int", "", 0,
		"FN rotates pairs x[2i], x[2i+1], eights times 8 of them.")
	px, to := x(0), x(1)
	e.pointers("x", px, "cos", pc, "sin", ps, "eights", n)
	e.line("MOVD %v, %v", px, to)
	in, out := e.regs(4), e.regs(4) // evens and odds of four pairs, twice
	c, s = e.regs(2), e.regs(2)
	e.times(n, func() {
		e.ld2Post(in[0], px)
		e.ld2Post(in[2], px)
		e.ldpPost(c[0], c[1], pc, 32)
		e.ldpPost(s[0], s[1], ps, 32)
		for i := range 2 {
			a, b := in[2*i], in[2*i+1]
			e.three("fmul", "4s", out[2*i], a, c[i])
			e.three("fmls", "4s", out[2*i], b, s[i])
			e.three("fmul", "4s", out[2*i+1], a, s[i])
			e.three("fmla", "4s", out[2*i+1], b, c[i])
		}
		e.st2Post(out[0], to)
		e.st2Post(out[2], to)
	})
	e.ret()
}

// A reduction takes 64 values at a time, value i into lane i of the accumulators,
// which are folded in a fixed tree. What is left at the end is copied behind
// fill, a value that changes no result, and taken like the rest.
type reduction struct {
	name, params, doc string
	fold              string
	width             int
	writes            bool     // dst gets values, too
	fromFill          bool     // accumulators begin as fill, not at zero
	prepare           func() q // takes what body needs, returns fill
	body              func(acc list4, s *strip, src, dst x)
}

// Registers of reductions.
const (
	redSrc, redN, redDst, redAt = x(0), x(1), x(2), x(3)
	redLeft, redTo, redTmp      = x(5), x(6), x(7)
)

func (e *arm) reduce(r reduction) {
	e.begin(r.name, r.params, "float32", 272, r.doc)
	acc := e.regs(16)
	e.pointers("x", redSrc, "n", redN)
	if r.writes {
		e.arg("dst", redDst)
	}
	fill := r.prepare()
	for _, a := range acc {
		if r.fromFill {
			e.mov(a, fill)
		} else {
			e.zero(a)
		}
	}
	top, rest, out, done := e.newLabel("loop"), e.newLabel("rest"), e.newLabel("out"), e.newLabel("done")
	e.line("MOVD $0, %v", redLeft)
	e.line("SUBS $64, %v, %v", redN, redN)
	e.line("BLT %s", rest)
	e.at(top)
	e.width = r.width
	for i := 0; i < 16; i += r.width {
		r.body(acc[i:i+r.width], &strip{e, false}, redSrc, redDst)
	}
	e.line("SUBS $64, %v, %v", redN, redN)
	e.line("BGE %s", top)
	e.line("CBNZ %v, %s", redLeft, out)
	e.at(rest)
	e.line("ADDS $64, %v, %v", redN, redLeft)
	e.line("BEQ %s", done)
	e.line("ADD $16, RSP, %v", redTo)
	for i := 0; i < 256; i += 32 {
		e.stp(fill, fill, redTo, i)
	}
	e.copyWords(redTo, redSrc, redLeft)
	e.line("ADD $16, RSP, %v", redSrc)
	e.line("MOVD %v, %v", redDst, redTo)
	e.line("MOVD %v, %v", redSrc, redDst)
	e.line("MOVD $0, %v", redN)
	e.line("B %s", top)
	e.at(out)
	if r.writes {
		e.line("ADD $16, RSP, %v", redSrc)
		e.copyWords(redTo, redSrc, redLeft)
	}
	e.at(done)
	e.foldLanes(r.fold, acc)
	e.line("FMOVS F%d, %s", acc[0], e.args["ret"])
	e.ret()
}

// copyWords copies n words of 32 bits from src to dst, which both move on; n
// stays.
func (e *arm) copyWords(dst, src, n x) {
	fours, ones, one, done := e.newLabel("copy"), e.newLabel("copyones"), e.newLabel("copyone"), e.newLabel("copied")
	v := q(31) // free in every reduction here
	e.line("SUBS $4, %v, %v", n, redTmp)
	e.line("BLT %s", ones)
	e.at(fours)
	e.ldrPost('q', v, src, 16)
	e.strPost('q', v, dst, 16)
	e.line("SUBS $4, %v, %v", redTmp, redTmp)
	e.line("BGE %s", fours)
	e.at(ones)
	e.line("ADDS $4, %v, %v", redTmp, redTmp)
	e.line("BEQ %s", done)
	e.at(one)
	e.ldrPost('s', v, src, 4)
	e.strPost('s', v, dst, 4)
	e.line("SUBS $1, %v, %v", redTmp, redTmp)
	e.line("BNE %s", one)
	e.at(done)
}

// foldLanes adds up the 64 lanes in the tree that all levels use: see foldLanes
// in package cpu.
func (e *arm) foldLanes(name string, acc list4) {
	add := func(d, n, m q) { e.three(name, "4s", d, n, m) }
	for i := range 4 {
		add(acc[i], acc[i], acc[4+i])
		add(acc[8+i], acc[8+i], acc[12+i])
		add(acc[i], acc[i], acc[8+i])
	}
	add(acc[0], acc[0], acc[2])
	add(acc[1], acc[1], acc[3])
	add(acc[0], acc[0], acc[1])
	for _, n := range []int{8, 4} {
		e.ext(acc[1], acc[0], acc[0], n)
		add(acc[0], acc[0], acc[1])
	}
}

func (e *arm) reductions() {
	var v, greater list4
	lowest := func() q {
		inf := word32(math.Inf(-1))
		return e.constants("lowest", redAt, inf, inf, inf, inf)[0].reg
	}
	e.reduce(reduction{
		name: "Sum", params: "x *float32, n int", doc: "FN returns the sum of n values.", fold: "fadd", width: 4,
		prepare: func() q {
			v = e.regs(4)
			r := e.reg()
			e.zero(r)
			return r
		},
		body: func(acc list4, s *strip, src, dst x) {
			s.load(v, src)
			e.each("fadd", acc, acc, v)
		},
	})
	var mean q
	e.reduce(reduction{
		name: "SumSquares", params: "x *float32, mean float32, n int",
		doc: "FN returns the sum of the squares of n values less the mean.", fold: "fadd", width: 4,
		prepare: func() q {
			v, mean = e.regs(4), e.argAll("mean")
			return mean
		},
		body: func(acc list4, s *strip, src, dst x) {
			s.load(v, src)
			e.each("fsub", v, v, mean)
			e.each("fmla", acc, v, v)
		},
	})
	e.reduce(reduction{
		name: "Max", params: "x *float32, n int", doc: "FN returns the largest of n values, passing NaN over.", fold: "fmaxnm", width: 4,
		fromFill: true,
		prepare: func() q {
			v, greater = e.regs(4), e.regs(4)
			return lowest()
		},
		body: func(acc list4, s *strip, src, dst x) {
			s.load(v, src)
			e.each("fcmgt", greater, v, acc) // not for a NaN
			e.each("bit", acc, v, greater)
		},
	})
	var ex *armExp
	var highest q
	e.reduce(reduction{
		name: "ExpSum", params: "dst, x *float32, top float32, n int", writes: true,
		doc: "FN writes exp(x - top) and returns the sum of that.", fold: "fadd", width: 1,
		prepare: func() q {
			ex, highest = e.newExp(redAt, 1), e.argAll("top")
			return lowest()
		},
		body: func(acc list4, s *strip, src, dst x) {
			s.load(ex.x, src)
			e.each("fsub", ex.x, ex.x, highest)
			ex.emit()
			s.store(ex.p, dst)
			e.each("fadd", acc, acc, ex.p)
		},
	})
}
