package main

// cacheKernels writes the widening of a cache in Q8_0.
func (e *arm) cacheKernels() {
	dst, src, scales, left, n, row := x(0), x(1), x(2), x(3), x(4), x(5)
	// widen writes 16 int8 times scales as float32.
	widen := func(v list4, scale any) {
		e.ldrPost('q', v[0], src, 16)
		e.widen("sxtl2", "8h", "16b", v[2], v[0])
		e.widen("sxtl", "8h", "8b", v[0], v[0])
		for i := 0; i < 4; i += 2 {
			e.widen("sxtl2", "4s", "8h", v[i+1], v[i])
			e.widen("sxtl", "4s", "4h", v[i], v[i])
		}
		e.width = 4
		e.eachTwo("scvtf", v, v)
		e.each("fmul", v, v, scale)
		e.stpPost(v[0], v[1], dst, 32)
		e.stpPost(v[2], v[3], dst, 32)
	}

	e.begin("WidenKeys", "dst *float32, src *byte, dim, panels int", "", 0,
		"FN writes panels of 16 keys in Q8_0, each of dim times 16 int8 and then the\nscales of each 32 of dim, as float32.")
	dim, panels := x(6), x(7)
	e.pointers("dst", dst, "src", src, "dim", dim, "panels", panels)
	v, s := e.regs(4), e.regs(4)
	panel, block := e.newLabel("panel"), e.newLabel("block")
	e.at(panel)
	e.line("MOVD %v, %v", dim, left)
	e.line("ADD %v<<4, %v, %v", dim, src, scales)
	e.at(block)
	e.ldpPost(s[0], s[2], scales, 32)
	for i := 0; i < 4; i += 2 {
		e.resized("fcvtl2", "4s", "8h", s[i+1], s[i])
		e.resized("fcvtl", "4s", "4h", s[i], s[i])
	}
	e.line("MOVD $32, %v", n) // dimensions of this block
	e.line("CMP %v, %v", n, left)
	e.line("CSEL LT, %v, %v, %v", left, n, n)
	e.line("SUB %v, %v, %v", n, left, left)
	e.times(n, func() { widen(v, s) })
	e.line("CBNZ %v, %s", left, block)
	e.line("MOVD %v, %v", scales, src)
	e.line("SUBS $1, %v, %v", panels, panels)
	e.line("BNE %s", panel)
	e.ret()

	e.begin("WidenValues", "dst *float32, rows, scales *byte, sixteens, n int", "", 0,
		"FN writes n values in Q8_0, each of so many times 16 int8, as float32.")
	e.pointers("dst", dst, "rows", src, "scales", scales, "sixteens", row, "n", n)
	v = e.regs(4)
	d := e.reg()
	scale := func() {
		e.ldrPost('h', d, scales, 2)
		e.resized("fcvtl", "4s", "4h", d, d)
		e.dup(d, "4s", d, 0)
	}
	value, pair, last, done := e.newLabel("value"), e.newLabel("pair"), e.newLabel("last"), e.newLabel("done")
	e.at(value)
	e.line("MOVD %v, %v", row, left)
	e.at(pair)
	e.line("SUBS $2, %v, %v", left, left)
	e.line("BLT %s", last)
	scale()
	widen(v, d)
	widen(v, d)
	e.line("B %s", pair)
	e.at(last)
	e.line("ADDS $1, %v, %v", left, left)
	e.line("BNE %s", done)
	scale()
	widen(v, d)
	e.at(done)
	e.line("SUBS $1, %v, %v", n, n)
	e.line("BNE %s", value)
	e.ret()
}
