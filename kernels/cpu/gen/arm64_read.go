package main

import "fmt"

// reads are the loops that measure how fast memory is read: see emitter.ceilings.
func (e *arm) reads() {
	dst, p, n := x(0), x(1), x(2)
	quarters := []x{3, 4, 5, 6}
	read := func(name, doc string, setup func(), line func(i int, v list4)) {
		e.begin(name, "dst, p *byte, n int", "", 0, doc)
		e.pointers("dst", dst, "p", p, "n", n)
		acc, v := e.regs(4), e.regs(4)
		e.width = 4
		for _, r := range acc {
			e.zero(r)
		}
		setup()
		loop := e.newLabel("loop")
		e.at(loop)
		for i := range 8 {
			line(i, v)
			e.each("eor", acc, acc, v)
		}
		e.line("SUBS $512, %v, %v", n, n)
		e.line("BNE %s", loop)
		e.stp(acc[0], acc[1], dst, 0)
		e.stp(acc[2], acc[3], dst, 32)
		e.ret()
	}
	load := func(v list4, from x) {
		e.ldpPost(v[0], v[1], from, 32)
		e.ldpPost(v[2], v[3], from, 32)
	}
	const rest = "\nthem at dst. n is a positive multiple of 512."
	read("Read", "FN reads the n bytes at p, a line of 64 bytes after the other, and puts the exclusive or of"+rest,
		func() {}, func(i int, v list4) { load(v, p) })
	read("ReadAhead", fmt.Sprintf("FN is Read that asks for each line %d bytes ahead: it puts the exclusive or of", prefetchAhead)+rest,
		func() {}, func(i int, v list4) {
			e.line("PRFM %d(%v), PLDL1STRM", prefetchAhead, p)
			load(v, p)
		})
	read("ReadFour", "FN is Read of the four quarters side by side: it puts the exclusive or of"+rest,
		func() {
			e.line("LSR $2, %v, %v", n, x(7))
			e.line("MOVD %v, %v", p, quarters[0])
			for i := 1; i < 4; i++ {
				e.line("ADD %v, %v, %v", x(7), quarters[i-1], quarters[i])
			}
		}, func(i int, v list4) { load(v, quarters[i%4]) })
}

// ceilings writes the level's loop of dot products, and its table.
func (e *arm) ceilings() {
	dots := map[string]int{armShared: 32, "dotprod": 64, "i8mm": 128}[e.prefix]
	e.begin("Dots", "n int", "", 0, fmt.Sprintf(
		"FN makes n times %d int8 dot products of four values in registers, as fast as the processor can.", dots))
	n := x(0)
	e.pointers("n", n)
	acc, a, w := e.regs(16), e.reg(), e.reg()
	for i := range q(18) {
		e.zero(i)
	}
	e.times(n, func() {
		for i, r := range acc {
			switch e.prefix {
			case "dotprod":
				e.dot("sdot", r, w, a)
			case "i8mm":
				e.dot("smmla", r, w, a)
			default: // 16 products a sum
				if i < 8 {
					e.longer("smull", "8h", "8b", acc[8+i], w, a)
					e.longer("smlal2", "8h", "16b", acc[8+i], w, a)
					e.resized("sadalp", "4s", "8h", r, acc[8+i])
				}
			}
		}
	})
	e.ret()
	fmt.Fprintf(&e.stubs, "var %[1]sCeilings = ceilings{reads: [3]readFunc{%[2]sRead, %[2]sReadAhead, %[2]sReadFour}, dots: %[1]sDots, perDots: %[3]d}\n",
		e.prefix, armShared, dots)
}
