package main

// cacheKernels writes what attention needs beside products: the widening of a
// cache in Q8_0, and prefetching.
func (e *emitter) cacheKernels() {
	e.begin("WidenKeys", "dst *float32, src *byte, dim, panels int", "", 0,
		"FN writes panels of 16 keys in Q8_0, each of dim times 16 int8 and then the\nscales of each 32 of dim, as float32.")
	e.pointers("dst", "DI", "src", "SI", "dim", "R8", "panels", "CX")
	v, s := e.vec(), e.vec()
	panel, block, loop := e.newLabel("panel"), e.newLabel("block"), e.newLabel("loop")
	e.at(panel)
	e.line("MOVQ R8, R9") // dimensions left
	e.line("MOVQ R8, DX")
	e.line("SHLQ $4, DX")
	e.line("ADDQ SI, DX") // scales
	e.at(block)
	e.op("VCVTPH2PS", mem{base: "DX", step: 16}, s)
	e.line("ADDQ $32, DX")
	e.line("MOVQ $32, AX") // dimensions of this block
	e.line("CMPQ R9, AX")
	e.line("CMOVQLT R9, AX")
	e.line("SUBQ AX, R9")
	e.at(loop)
	e.op("VPMOVSXBD", mem{base: "SI", step: 8}, v)
	e.op("VCVTDQ2PS", v, v)
	e.op("VMULPS", s, v, v)
	e.op("VMOVUPS", v, at("DI", 0))
	e.line("ADDQ $16, SI")
	e.line("ADDQ $64, DI")
	e.line("DECQ AX")
	e.line("JNZ %s", loop)
	e.line("TESTQ R9, R9")
	e.line("JNZ %s", block)
	e.line("MOVQ DX, SI")
	e.line("DECQ CX")
	e.line("JNZ %s", panel)
	e.ret()

	e.begin("WidenValues", "dst *float32, rows, scales *byte, sixteens, n int", "", 0,
		"FN writes n values in Q8_0, each of so many times 16 int8, as float32.")
	e.pointers("dst", "DI", "rows", "SI", "scales", "DX", "sixteens", "R8", "n", "CX")
	v = e.vec()
	d := e.splat()
	value, pair, last := e.newLabel("value"), e.newLabel("pair"), e.newLabel("last")
	done := e.newLabel("done")
	widen := func() {
		e.op("VPMOVSXBD", mem{base: "SI", step: 8}, v)
		e.op("VCVTDQ2PS", v, v)
		e.op("VMULPS", d, v, v)
		e.op("VMOVUPS", v, at("DI", 0))
		e.line("ADDQ $16, SI")
		e.line("ADDQ $64, DI")
	}
	scale := func() {
		half := "X"
		if e.z {
			half = "Y"
		}
		e.line("VPBROADCASTW (DX), %s%d", half, int(d))
		e.line("VCVTPH2PS %s%d, %s", half, int(d), e.operand(d, 0))
		e.line("ADDQ $2, DX")
	}
	e.at(value)
	e.line("MOVQ R8, R9")
	e.at(pair)
	e.line("SUBQ $2, R9")
	e.line("JLT %s", last)
	scale()
	widen()
	widen()
	e.line("JMP %s", pair)
	e.at(last)
	e.line("INCQ R9")
	e.line("JNZ %s", done)
	scale()
	widen()
	e.at(done)
	e.line("DECQ CX")
	e.line("JNZ %s", value)
	e.ret()

	e.begin("Prefetch", "p *byte, lines int", "", 0, "FN asks for cache lines.")
	e.pointers("p", "SI", "lines", "CX")
	e.times(func() {
		e.line("PREFETCHT1 (SI)")
		e.line("ADDQ $64, SI")
	})
	e.line("RET")
}
