package main

import "github.com/ledge-run/ledge/kernels/cpu/internal/packed"

// conversions writes the functions that all levels with AVX2 share.
func (e *emitter) conversions() {
	e.begin("ToF16", "dst *byte, x *float32, sixteens int", "", 0, "FN writes 16 float16 at a time.")
	v := e.vec()
	e.pointers("dst", "DI", "x", "SI", "sixteens", "CX")
	e.times(func() {
		e.op("VMOVUPS", at("SI", 0), v)
		e.op("VCVTPS2PH", 0, v, mem{base: "DI", step: 16})
		e.line("ADDQ $64, SI")
		e.line("ADDQ $32, DI")
	})
	e.ret()

	e.begin("FromF16", "dst *float32, x *byte, sixteens int", "", 0, "FN reads 16 float16 at a time.")
	v = e.vec()
	e.pointers("dst", "DI", "x", "SI", "sixteens", "CX")
	e.times(func() {
		e.op("VCVTPH2PS", mem{base: "SI", step: 16}, v)
		e.op("VMOVUPS", v, at("DI", 0))
		e.line("ADDQ $32, SI")
		e.line("ADDQ $64, DI")
	})
	e.ret()

	e.begin("ScatterF16", "dst *byte, x *float32, eights int", "", 0,
		"FN writes float16 32 bytes apart, 8 at a time.")
	e.pointers("dst", "DI", "x", "SI", "eights", "CX")
	e.times(func() {
		e.line("VMOVUPS (SI), Y0")
		e.line("VCVTPS2PH $0, Y0, X0")
		for i := range 8 {
			e.line("VPEXTRW $%d, X0, %d(DI)", i, 32*i)
		}
		e.line("ADDQ $32, SI")
		e.line("ADDQ $256, DI")
	})
	e.ret()

	e.quantize()
}

// times runs body CX times, at least once.
func (e *emitter) times(body func()) {
	top := e.newLabel("loop")
	e.at(top)
	body()
	e.line("DECQ CX")
	e.line("JNZ %s", top)
}

// quantize writes records of activations: see quantizeRecord in package cpu.
func (e *emitter) quantize() {
	e.begin("Quantize", "dst *byte, x *float32, records int", "", 0,
		"FN quantises 64 values at a time into records of activations.")
	e.pointers("dst", "DI", "x", "SI", "records", "CX")
	// Blocks of 32: the values in Y0-Y3, magnitudes above.
	abs, tiny, max127, order := splat(15), splat(14), splat(13), splat(12)
	e.op("VMOVUPS", e.konst(signBit-1), abs)
	e.op("VMOVUPS", e.float(1e-30), tiny)
	e.op("VMOVUPS", e.float(127), max127)
	e.data.add("packOrder", [16]uint32{0, 4, 1, 5, 2, 6, 3, 7, 0, 4, 1, 5, 2, 6, 3, 7})
	e.op("VMOVDQU", mem{base: "·packOrder<>(SB)"}, order)
	e.line("VPXOR X11, X11, X11")
	e.times(func() {
		for b := range 2 {
			for i := range 4 {
				e.line("VMOVUPS %d(SI), Y%d", 128*b+32*i, i)
			}
			// As integers, magnitudes order like the numbers, and NaN comes last.
			for i := range 4 {
				e.line("VPAND Y%d, Y15, Y%d", i, 4+i)
			}
			e.line("VPMAXSD Y5, Y4, Y4")
			e.line("VPMAXSD Y7, Y6, Y6")
			e.line("VPMAXSD Y6, Y4, Y4")
			e.line("VEXTRACTI128 $1, Y4, X5")
			e.line("VPMAXSD X5, X4, X4")
			e.line("VPSHUFD $0x4e, X4, X5")
			e.line("VPMAXSD X5, X4, X4")
			e.line("VPSHUFD $0xb1, X4, X5")
			e.line("VPMAXSD X5, X4, X4")
			e.line("VPMAXSD X14, X4, X4")
			e.line("VDIVSS X13, X4, X10") // d
			e.line("VMOVSS X10, %d(DI)", packed.ActScale+4*b)
			e.line("VDIVSS X4, X13, X5")
			e.line("VBROADCASTSS X5, Y5")
			for i := range 4 {
				e.line("VMULPS Y%d, Y5, Y%d", i, i)
			}
			for i := range 4 {
				e.line("VCVTPS2DQ Y%d, Y%d", i, i)
			}
			e.line("VPACKSSDW Y1, Y0, Y0")
			e.line("VPACKSSDW Y3, Y2, Y2")
			e.line("VPACKSSWB Y2, Y0, Y0")
			e.line("VPERMD Y0, Y12, Y0")
			e.line("VMOVDQU Y0, %d(DI)", 32*b)
			// Sums of the bytes: by twos, by fours, then the 4 words of each 16.
			e.line("VMOVDQU %s, Y1", e.operand(e.konst(0x01010101), 0))
			e.line("VPMADDUBSW Y0, Y1, Y0")
			e.line("VPMADDWD %s, Y0, Y0", e.operand(e.konst(0x00010001), 0))
			e.line("VPHADDD Y0, Y0, Y0")
			e.line("VPHADDD Y0, Y0, Y0")
			e.line("VEXTRACTI128 $1, Y0, X1")
			e.line("VPUNPCKLDQ X1, X0, X2") // the sums of both halves
			e.line("VPSUBD X2, X11, X2")
			e.line("VPSLLD $5, X2, X2")
			e.line("VMOVQ X2, %d(DI)", packed.ActHalf32+8*b)
			e.line("VPADDD X1, X0, X0")
			e.line("VCVTDQ2PS X0, X1")
			e.line("VMULSS X10, X1, X1")
			e.line("VMOVSS X1, %d(DI)", packed.ActSum+4*b)
			e.line("VPSUBD X0, X11, X0")
			for _, c := range []struct{ shift, at int }{{3, packed.ActMinus8}, {1, packed.ActMinus16}, {3, packed.ActHigh}} {
				e.line("VPSLLD $%d, X0, X0", c.shift)
				e.line("VMOVD X0, %d(DI)", c.at+4*b)
			}
		}
		e.line("VMOVQ X11, %d(DI)", packed.ActEnd)
		e.line("ADDQ $%d, SI", 4*packed.ActCols)
		e.line("ADDQ $%d, DI", packed.ActBytes)
	})
	e.ret()
}

// quantize512 is quantize with ZMM registers: both blocks of a record at once.
func (e *emitter) quantize512() {
	e.begin("Quantize", "dst *byte, x *float32, records int", "", 0,
		"FN quantises 64 values at a time into records of activations.")
	e.pointers("dst", "DI", "x", "SI", "records", "CX")
	e.data.add("everyFourth", [16]uint32{0, 4, 8, 12})
	for i, c := range []mem{e.konst(signBit - 1), e.float(1e-30), e.float(127), e.konst(0x01010101), {base: "·everyFourth<>(SB)"}} {
		e.line("VMOVDQU32 %s, Z%d", e.operand(c, 0), 20+i)
	}
	e.line("VPXORD Z25, Z25, Z25")
	e.times(func() {
		for i := range 4 {
			e.line("VMOVUPS %d(SI), Z%d", 64*i, i)
		}
		// As integers, magnitudes order like the numbers, and NaN comes last.
		for i := range 4 {
			e.line("VPANDD Z%d, Z20, Z%d", i, 4+i)
		}
		e.line("VPMAXSD Z5, Z4, Z4")
		e.line("VPMAXSD Z7, Z6, Z6")
		for _, r := range []int{4, 6} {
			e.line("VEXTRACTI64X4 $1, Z%d, Y8", r)
			e.line("VPMAXSD Y8, Y%d, Y%d", r, r)
			e.line("VEXTRACTI128 $1, Y%d, X8", r)
			e.line("VPMAXSD X8, X%d, X%d", r, r)
		}
		e.line("VPUNPCKLDQ X6, X4, X8")
		e.line("VPUNPCKHDQ X6, X4, X9")
		e.line("VPMAXSD X9, X8, X8")
		e.line("VPSHUFD $0x4e, X8, X9")
		e.line("VPMAXSD X9, X8, X8")
		e.line("VPMAXSD X21, X8, X8")
		e.line("VDIVPS X22, X8, X10") // d of both blocks
		e.line("VMOVQ X10, %d(DI)", packed.ActScale)
		e.line("VDIVPS X8, X22, X11")
		e.line("VBROADCASTSS X11, Z12")
		e.line("VPSHUFD $0x55, X11, X13")
		e.line("VBROADCASTSS X13, Z13")
		for i := range 4 {
			e.line("VMULPS Z%d, Z%d, Z%d", i, 12+i/2, i)
			e.line("VCVTPS2DQ Z%d, Z%d", i, i)
			e.line("VPMOVSDB Z%d, X%d", i, i)
		}
		e.line("VINSERTI128 $1, X1, Y0, Y0")
		e.line("VINSERTI128 $1, X3, Y2, Y2")
		e.line("VINSERTI64X4 $1, Y2, Z0, Z0")
		e.line("VMOVDQU32 Z0, (DI)")
		// Sums of the bytes by fours, then of each 16.
		e.line("VPXORD Z4, Z4, Z4")
		e.line("VPDPBUSD Z0, Z23, Z4")
		for _, swap := range []string{"$0x4e", "$0xb1"} {
			e.line("VPSHUFD %s, Z4, Z5", swap)
			e.line("VPADDD Z5, Z4, Z4")
		}
		e.line("VPERMD Z4, Z24, Z5")
		e.line("VPSUBD X5, X25, X6")
		e.line("VPSLLD $5, X6, X6")
		e.line("VMOVDQU X6, %d(DI)", packed.ActHalf32)
		e.line("VPSHUFD $0xb1, X5, X7")
		e.line("VPADDD X5, X7, X7")
		e.line("VPSHUFD $0x08, X7, X7") // the sums of both blocks
		e.line("VCVTDQ2PS X7, X8")
		e.line("VMULPS X10, X8, X8")
		e.line("VMOVQ X8, %d(DI)", packed.ActSum)
		e.line("VPSUBD X7, X25, X7")
		for _, c := range []struct{ shift, at int }{{3, packed.ActMinus8}, {1, packed.ActMinus16}, {3, packed.ActHigh}} {
			e.line("VPSLLD $%d, X7, X7", c.shift)
			e.line("VMOVQ X7, %d(DI)", c.at)
		}
		e.line("VMOVQ X25, %d(DI)", packed.ActEnd)
		e.line("ADDQ $%d, SI", 4*packed.ActCols)
		e.line("ADDQ $%d, DI", packed.ActBytes)
	})
	e.ret()
}
