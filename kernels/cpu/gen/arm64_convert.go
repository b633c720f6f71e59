package main

import "github.com/ledge-run/ledge/kernels/cpu/internal/packed"

// conversions writes the conversions between float32 and float16.
func (e *arm) conversions() {
	dst, src, n := x(0), x(1), x(2)
	e.begin("ToF16", "dst *byte, x *float32, sixteens int", "", 0, "FN writes 16 float16 at a time.")
	e.pointers("dst", dst, "x", src, "sixteens", n)
	v := e.regs(4)
	e.times(n, func() {
		e.ldpPost(v[0], v[1], src, 32)
		e.ldpPost(v[2], v[3], src, 32)
		for i := range 2 {
			e.resized("fcvtn", "4h", "4s", v[2*i], v[2*i])
			e.resized("fcvtn2", "8h", "4s", v[2*i], v[2*i+1])
		}
		e.stpPost(v[0], v[2], dst, 32)
	})
	e.ret()

	e.begin("FromF16", "dst *float32, x *byte, sixteens int", "", 0, "FN reads 16 float16 at a time.")
	e.pointers("dst", dst, "x", src, "sixteens", n)
	v = e.regs(4)
	e.times(n, func() {
		e.ldpPost(v[0], v[2], src, 32)
		for i := range 2 {
			e.resized("fcvtl2", "4s", "8h", v[2*i+1], v[2*i])
			e.resized("fcvtl", "4s", "4h", v[2*i], v[2*i])
		}
		e.stpPost(v[0], v[1], dst, 32)
		e.stpPost(v[2], v[3], dst, 32)
	})
	e.ret()

	e.begin("ScatterF16", "dst *byte, x *float32, eights int", "", 0,
		"FN writes float16 32 bytes apart, 8 at a time.")
	e.pointers("dst", dst, "x", src, "eights", n)
	stride := x(3)
	e.line("MOVD $32, %v", stride)
	v = e.regs(2)
	e.times(n, func() {
		e.ldpPost(v[0], v[1], src, 32)
		e.resized("fcvtn", "4h", "4s", v[0], v[0])
		e.resized("fcvtn2", "8h", "4s", v[0], v[1])
		for i := range 8 {
			e.st1HalfPost(v[0], i, dst, stride)
		}
	})
	e.ret()
}

// quantize writes records of activations: see quantizeRecord in package cpu.
func (e *arm) quantize() {
	e.begin("Quantize", "dst *byte, x *float32, records int", "", 0,
		"FN quantises 64 values at a time into records of activations.")
	dst, src, n, at := x(0), x(1), x(2), x(3)
	e.pointers("dst", dst, "x", src, "records", n)
	k := e.constants("quantize", at, word32(1e-30), word32(127), word32(-128))
	tiny, lowest, max127 := e.all(k[0]), e.all(k[2]), e.all(k[1])
	v, a, bytes := e.regs(8), e.regs(4), e.regs(4)
	top, d := e.reg(), e.regs(2)
	sums, zero := e.reg(), e.reg()
	e.zero(zero)
	e.times(n, func() {
		for b := range 2 {
			for i := 0; i < 8; i += 2 {
				e.ldpPost(v[i], v[i+1], src, 32)
			}
			// As integers, magnitudes order like the numbers, and NaN comes last.
			for i := range 8 {
				if i < 4 {
					e.two("fabs", "4s", a[i], v[i])
					continue
				}
				e.two("fabs", "4s", top, v[i])
				e.three("umax", "4s", a[i-4], a[i-4], top)
			}
			e.three("umax", "4s", a[0], a[0], a[1])
			e.three("umax", "4s", a[2], a[2], a[3])
			e.three("umax", "4s", a[0], a[0], tiny)
			e.three("umax", "4s", a[0], a[0], a[2])
			e.across("umaxv", 's', "4s", top, a[0])
			e.scalar("fdiv", d[b], top, max127)
			e.scalar("fdiv", top, max127, top)
			for i := range v {
				e.element("fmul", v[i], v[i], top, 0)
			}
			for i := range v { // a NaN becomes -128
				e.three("fmaxnm", "4s", v[i], v[i], lowest)
			}
			for i := range v {
				e.two("fcvtns", "4s", v[i], v[i])
			}
			for i := 0; i < 8; i += 2 {
				e.resized("sqxtn", "4h", "4s", v[i], v[i])
				e.resized("sqxtn2", "8h", "4s", v[i], v[i+1])
			}
			for i := range 2 {
				q := bytes[2*b+i]
				e.resized("sqxtn", "8b", "8h", q, v[4*i])
				e.resized("sqxtn2", "16b", "8h", q, v[4*i+2])
			}
			e.stp(bytes[2*b], bytes[2*b+1], dst, 32*b)
		}
		// The sums of the four halves of blocks.
		for _, q := range bytes {
			e.resized("saddlp", "8h", "16b", q, q)
		}
		e.three("addp", "8h", bytes[0], bytes[0], bytes[1])
		e.three("addp", "8h", bytes[2], bytes[2], bytes[3])
		e.three("addp", "8h", bytes[0], bytes[0], bytes[2])
		e.resized("saddlp", "4s", "8h", sums, bytes[0])
		e.two("neg", "4s", sums, sums)
		e.shift("shl", "4s", a[0], sums, 5)
		e.strUnscaled('q', a[0], dst, packed.ActHalf32)
		e.three("addp", "4s", sums, sums, sums)
		e.two("neg", "4s", a[0], sums)
		e.two("scvtf", "4s", a[0], a[0])
		e.ins(d[0], 's', 1, d[1], 0)
		e.three("fmul", "4s", a[0], a[0], d[0])
		e.str('d', d[0], dst, packed.ActScale)
		e.str('d', a[0], dst, packed.ActSum)
		for _, c := range []struct{ shift, at int }{{3, packed.ActMinus8}, {1, packed.ActMinus16}, {3, packed.ActHigh}} {
			e.shift("shl", "4s", sums, sums, c.shift)
			e.str('d', sums, dst, c.at)
		}
		e.str('d', zero, dst, packed.ActEnd)
		e.line("ADD $%d, %v, %v", packed.ActBytes, dst, dst)
	})
	e.ret()
}
