package main

import "fmt"

// cacheKernels writes what attention needs beside products: the widening of a
// cache in Q8_0.
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
	e.line("CMPQ R9, $-1") // one of a pair is left
	e.line("JNE %s", done)
	scale()
	widen()
	e.at(done)
	e.line("DECQ CX")
	e.line("JNZ %s", value)
	e.ret()
}

// q8Rows is the most rows, q8Groups the groups, of the kernels that read
// a cache in Q8_0 themselves; more rows share its widening.
const q8Rows = 5

func (e *emitter) q8Groups() int {
	if e.z {
		return 4
	}
	return 1
}

const q8Params = "dst *float32, ldd int, x *float32, ldx int, w *byte, step, group, k int, scales *byte, scaleStep, add int, ahead *byte"

// q8Panel writes a product like that of panel, with int8 and their scales. For
// keys a group has scales of 16 columns for each 32 steps, scales group bytes
// apart; for values each step has a scale for each two groups.
func (e *emitter) q8Panel(rows int, keys bool) {
	groups, name, doc := e.q8Groups(), "Q8Values", "FN multiplies %d rows of weights with values in Q8_0."
	if keys {
		name, doc = "Q8Keys", "FN multiplies %d rows of queries with panels of keys in Q8_0."
	}
	e.begin(fmt.Sprintf("%s%d", name, rows), q8Params, "", 0, fmt.Sprintf(doc, rows))
	e.pointers("dst", "DI", "x", "SI", "ldx", "R8", "w", "DX", "step", "R9", "group", "R10", "k", "CX", "add", "R13")
	e.line("LEAQ (R8)(R8*2), R11")
	e.line("LEAQ (SI)(R8*4), R12")
	e.line("LEAQ (R10)(R10*2), BX")
	rowAt := rowAddress("SI", "R12", "R8", "R11")
	groupAt := func(base string, g int) string {
		return base + []string{"", ")(R10*1", ")(R10*2", ")(BX*1"}[g]
	}
	acc := make([][]vec, rows)
	for i := range acc {
		acc[i] = e.vecs(groups)
	}
	ws, x := e.vecs(groups), e.splat()
	var keyScales []vec
	var valueScales []splat
	if keys {
		keyScales = e.vecs(groups)
	} else {
		for range (groups + 1) / 2 {
			valueScales = append(valueScales, e.splat())
		}
	}
	start, block, loop := e.newLabel("start"), e.newLabel("block"), e.newLabel("loop")
	for i := range acc {
		for _, a := range acc[i] {
			e.zero(a)
		}
	}
	e.line("TESTQ R13, R13")
	e.line("JZ %s", start)
	e.eachRow(rows, func(i int) {
		for g, a := range acc[i] {
			e.op("VMOVUPS", at("AX", 64*g), a)
		}
	})
	e.at(start)
	e.arg("ahead", "R13")
	e.arg("scales", "R14")
	if keys {
		e.at(block)
		for g, s := range keyScales {
			e.op("VCVTPH2PS", mem{base: groupAt("R14", g), step: 16}, s)
		}
		e.line("ADDQ $32, R14")
		e.line("MOVQ $32, AX") // steps of this block
		e.line("CMPQ CX, AX")
		e.line("CMOVQLT CX, AX")
		e.line("SUBQ AX, CX")
	} else {
		e.arg("scaleStep", "AX")
	}
	e.at(loop)
	if e.z {
		e.line("PREFETCHT0 (R13)")
		e.line("ADDQ $64, R13")
	}
	for i, s := range valueScales {
		half := "X"
		if e.z {
			half = "Y"
		}
		e.line("VPBROADCASTW %d(R14), %s%d", 2*i, half, int(s))
		e.line("VCVTPH2PS %s%d, %s", half, int(s), e.operand(s, 0))
	}
	for g, w := range ws {
		e.op("VPMOVSXBD", mem{base: groupAt("DX", g), step: 8}, w)
		e.op("VCVTDQ2PS", w, w)
		if keys {
			e.op("VMULPS", keyScales[g], w, w)
		} else {
			e.op("VMULPS", valueScales[g/2], w, w)
		}
	}
	for i := range rows {
		e.line("VBROADCASTSS (%s), %s", rowAt(i), e.operand(x, 0))
		for g, w := range ws {
			e.op("VFMADD231PS", x, w, acc[i][g])
		}
	}
	e.line("ADDQ $4, SI")
	e.line("ADDQ $4, R12")
	e.line("ADDQ R9, DX")
	if keys {
		e.line("DECQ AX")
		e.line("JNZ %s", loop)
		e.line("TESTQ CX, CX")
		e.line("JNZ %s", block)
	} else {
		e.line("ADDQ AX, R14")
		e.line("DECQ CX")
		e.line("JNZ %s", loop)
	}
	e.eachRow(rows, func(i int) {
		for g, a := range acc[i] {
			e.op("VMOVUPS", a, at("AX", 64*g))
		}
	})
	e.ret()
}

func (e *emitter) q8Panels() {
	for r := 1; r <= q8Rows; r++ {
		e.q8Panel(r, true)
		e.q8Panel(r, false)
	}
}
