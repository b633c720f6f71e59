package main

import "math"

// loop writes a loop over n values, 16 at a time, then the rest of fewer than 16
// under a mask, with pointers in regs. body is written for either.
func (e *emitter) loop(regs []string, body func(m *masked)) {
	top, rest, done := e.newLabel("loop"), e.newLabel("rest"), e.newLabel("done")
	e.line("CMPQ CX, $16")
	e.line("JLT %s", rest)
	e.at(top)
	body(&masked{e: e})
	for _, r := range regs {
		e.line("ADDQ $64, %s", r)
	}
	e.line("SUBQ $16, CX")
	e.line("CMPQ CX, $16")
	e.line("JGE %s", top)
	e.at(rest)
	e.line("TESTQ CX, CX")
	e.line("JZ %s", done)
	body(e.mask())
	e.at(done)
}

// masked loads and stores vectors, all of one or only the first lanes. At AVX2
// the mask is in memory at BX, all ones in the lanes that count.
type masked struct {
	e    *emitter
	tail bool
}

// mask makes a mask of the first n lanes, n (1 to 16) in CX, which is lost.
func (e *emitter) mask() *masked {
	if e.z {
		e.line("MOVL $1, BX")
		e.line("SHLL CX, BX")
		e.line("SUBL $1, BX")
		e.line("KMOVW BX, K1")
	} else {
		e.data.addMasks()
		e.line("LEAQ ·laneMasks<>+64(SB), BX")
		e.line("SHLQ $2, CX")
		e.line("SUBQ CX, BX")
	}
	return &masked{e, true}
}

var lanes = at("BX", 0)

func (m *masked) load(src mem, v vec) {
	switch {
	case !m.tail:
		m.e.op("VMOVUPS", src, v)
	case m.e.z:
		m.e.op("VMOVUPS.Z", src, "K1", v)
	default:
		m.e.op("VMOVUPS", lanes, v)
		m.e.op("VMASKMOVPS", src, v, v)
	}
}

// store stores v; tmp is lost.
func (m *masked) store(v vec, dst mem, tmp vec) {
	switch {
	case !m.tail:
		m.e.op("VMOVUPS", v, dst)
	case m.e.z:
		m.e.op("VMOVUPS", v, "K1", dst)
	default:
		m.e.op("VMOVUPS", lanes, tmp)
		m.e.op("VMASKMOVPS", v, tmp, dst)
	}
}

// clear makes the lanes that don't count zero.
func (m *masked) clear(v vec) {
	switch {
	case !m.tail:
	case m.e.z:
		m.e.op("VMOVAPS.Z", v, "K1", v)
	default:
		m.e.op("VANDPS", lanes, v, v)
	}
}

// fill puts the lanes of other into those that don't count; tmp is lost.
func (m *masked) fill(v vec, other splat, tmp vec) {
	switch {
	case !m.tail:
	case m.e.z:
		m.e.op("VBLENDMPS", v, other, "K1", v)
	default:
		m.e.op("VMOVUPS", lanes, tmp)
		m.e.op("VBLENDVPS", tmp, v, other, v)
	}
}

func (e *emitter) rowKernels() {
	e.binary("Add", "VADDPS", "a + b")
	e.binary("Mul", "VMULPS", "a * b")

	e.begin("ShiftScale", "dst, x *float32, shift, scale float32, n int", "", 0, "FN computes (x - shift) * scale.")
	shift, scale := e.argSplat("shift"), e.argSplat("scale")
	e.pointers("dst", "DI", "x", "SI", "n", "CX")
	v, w := e.vec(), e.vec()
	e.loop([]string{"SI", "DI"}, func(m *masked) {
		m.load(at("SI", 0), v)
		e.op("VSUBPS", shift, v, v)
		e.op("VMULPS", scale, v, v)
		m.store(v, at("DI", 0), w)
	})
	e.ret()

	e.begin("ScaleRow", "dst, x, w *float32, shift, scale float32, n int", "", 0, "FN computes (x - shift) * scale * w.")
	shift, scale = e.argSplat("shift"), e.argSplat("scale")
	e.pointers("dst", "DI", "x", "SI", "w", "DX", "n", "CX")
	v, w = e.vec(), e.vec()
	e.loop([]string{"SI", "DX", "DI"}, func(m *masked) {
		m.load(at("SI", 0), v)
		m.load(at("DX", 0), w)
		e.op("VSUBPS", shift, v, v)
		e.op("VMULPS", scale, v, v)
		e.op("VMULPS", w, v, v)
		m.store(v, at("DI", 0), w)
	})
	e.ret()

	e.rope()
	e.reduce("Sum", "x *float32, n int", "FN returns the sum of n values.", "VADDPS", func(m *masked, acc, v vec) {
		m.load(at("SI", 0), v)
		e.op("VADDPS", v, acc, acc)
	})
	e.reduce("SumSquares", "x *float32, mean float32, n int", "FN returns the sum of the squares of n values less the mean.", "VADDPS", func(m *masked, acc, v vec) {
		m.load(at("SI", 0), v)
		e.op("VSUBPS", e.mean, v, v)
		m.clear(v)
		e.op("VFMADD231PS", v, v, acc)
	})
	e.reduce("Max", "x *float32, n int", "FN returns the largest of n values, passing NaN over.", "VMAXPS", func(m *masked, acc, v vec) {
		m.load(at("SI", 0), v)
		m.fill(v, e.low, e.tmp)
		e.op("VMAXPS", acc, v, acc) // of a NaN and a number, VMAXPS gives its first operand
	})
	e.expSum()
}

// pointers loads arguments into registers, given as pairs.
func (e *emitter) pointers(pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		e.arg(pairs[i], pairs[i+1])
	}
}

func (e *emitter) binary(name, instr, what string) {
	e.begin(name, "dst, a, b *float32, n int", "", 0, "FN computes "+what+".")
	e.pointers("dst", "DI", "a", "SI", "b", "DX", "n", "CX")
	a, b := e.vec(), e.vec()
	e.loop([]string{"SI", "DX", "DI"}, func(m *masked) {
		m.load(at("SI", 0), a)
		m.load(at("DX", 0), b)
		e.op(instr, b, a, a)
		m.store(a, at("DI", 0), b)
	})
	e.ret()
}

// reduce writes a reduction of x: 64 lanes, values taken round-robin, then a
// fixed tree. body takes 16 values at SI into an accumulator; v is free for it.
func (e *emitter) reduce(name, params, doc, fold string, body func(m *masked, acc, v vec)) {
	e.begin(name, params, "float32", 0, doc)
	acc, v := e.vecs(4), e.vec()
	switch name {
	case "SumSquares":
		e.mean = e.argSplat("mean")
	case "Max":
		e.low = e.splat()
		e.tmp = e.vec()
		e.op("VMOVUPS", e.float(math.Inf(-1)), e.low)
	}
	e.pointers("x", "SI", "n", "CX")
	for _, a := range acc {
		if name == "Max" {
			e.op("VMOVAPS", e.low, a)
		} else {
			e.zero(a)
		}
	}
	e.roundRobin(acc, []string{"SI"}, func(m *masked, a vec) { body(m, a, v) })
	e.fold(fold, acc, v)
	e.ret()
}

// roundRobin runs body over n (CX) values, 16 into each accumulator in turn.
func (e *emitter) roundRobin(acc []vec, regs []string, body func(m *masked, acc vec)) {
	top, rest, done := e.newLabel("loop"), e.newLabel("rest"), e.newLabel("done")
	advance := func() {
		for _, r := range regs {
			e.line("ADDQ $64, %s", r)
		}
	}
	e.line("SUBQ $64, CX")
	e.line("JLT %s", rest)
	e.at(top)
	for _, a := range acc {
		body(&masked{e: e}, a)
		advance()
	}
	e.line("SUBQ $64, CX")
	e.line("JGE %s", top)
	e.at(rest)
	e.line("ADDQ $64, CX")
	for i, a := range acc {
		if i < len(acc)-1 {
			part, next := e.newLabel("part"), e.newLabel("next")
			e.line("CMPQ CX, $16")
			e.line("JLT %s", part)
			body(&masked{e: e}, a)
			advance()
			e.line("SUBQ $16, CX")
			e.line("JMP %s", next)
			e.at(part)
			e.line("TESTQ CX, CX")
			e.line("JZ %s", done)
			body(e.mask(), a)
			e.line("JMP %s", done)
			e.at(next)
			continue
		}
		// Fewer than 16 are left for the last accumulator.
		e.line("TESTQ CX, CX")
		e.line("JZ %s", done)
		body(e.mask(), a)
	}
	e.at(done)
}

// fold combines four accumulators in a tree and returns the result.
func (e *emitter) fold(instr string, acc []vec, v vec) {
	e.op(instr, acc[1], acc[0], acc[0])
	e.op(instr, acc[3], acc[2], acc[2])
	e.op(instr, acc[2], acc[0], acc[0])
	lo, hi := int(acc[0]), int(v)
	if e.z {
		e.line("VEXTRACTF64X4 $1, Z%d, Y%d", lo, hi)
	} else {
		hi = lo + 1
	}
	e.line("%s Y%d, Y%d, Y%d", instr, hi, lo, lo)
	hi = int(v)
	e.line("VEXTRACTF128 $1, Y%d, X%d", lo, hi)
	e.line("%s X%d, X%d, X%d", instr, hi, lo, lo)
	for _, swap := range []string{"$0x4e", "$0xb1"} {
		e.line("VPERMILPS %s, X%d, X%d", swap, lo, hi)
		e.line("%s X%d, X%d, X%d", instr, hi, lo, lo)
	}
	e.line("VMOVSS X%d, %s", lo, e.args["ret"])
}

func (e *emitter) expSum() {
	e.begin("ExpSum", "dst, x *float32, top float32, n int", "float32", 0,
		"FN writes exp(x - top) and returns the sum of that.")
	acc := e.vecs(4)
	x := e.newExp()
	// Where registers are scarce, top is loaded again for each vector.
	top := func() {
		e.op("VBROADCASTSS", e.args["top"], x.t)
		e.op("VSUBPS", x.t, x.x, x.x)
	}
	if e.z {
		s := e.argSplat("top")
		top = func() { e.op("VSUBPS", s, x.x, x.x) }
	}
	e.pointers("dst", "DI", "x", "SI", "n", "CX")
	for _, a := range acc {
		e.zero(a)
	}
	e.roundRobin(acc, []string{"SI", "DI"}, func(m *masked, a vec) {
		m.load(at("SI", 0), x.x)
		top()
		x.emit()
		m.clear(x.p)
		m.store(x.p, at("DI", 0), x.t)
		e.op("VADDPS", x.p, a, a)
	})
	e.fold("VADDPS", acc, x.x)
	e.ret()
}
