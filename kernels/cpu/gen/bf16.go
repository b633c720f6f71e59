package main

import (
	"bytes"
	"fmt"
)

// generatePairs writes the kernels that multiply bfloat16 by AVX512_BF16: see
// gemm_bf16.go in package cpu. They stand in a file of their own, as a processor with
// AVX-512 need not have them, and Go's assembler does not know their instructions.
func generatePairs(files map[string][]byte) error {
	var asm, stubs bytes.Buffer
	e := &emitter{prefix: "avx512", z: true, data: &constants{names: map[string]bool{}}}
	for _, s := range e.panelShapes() {
		e.panel(panelKernel{typ: "Pairs", rows: s[0], groups: s[1]})
	}
	e.narrowRow()
	e.pairRows()
	e.turnBy("TurnNarrow", "FN turns squares of pairs: 16 rows of src, lds bytes apart, of which 32 columns are a square.\nRows of dst are ldd bytes apart.", 2*64,
		func(i int) {
			e.line("VMOVUPS (AX), Z30")
			e.line("VMOVUPS 64(AX), Z31")
			e.narrow(31, 30, i)
			e.line("VPROLD $16, Z%d, Z%d", i, i)
			if i < 15 {
				e.line("ADDQ R9, AX")
			}
		})
	e.turnBy("TurnPairs", "FN turns squares of pairs: 32 rows of src, lds bytes apart, two of which are pairs, of which 16\ncolumns are a square.\nRows of dst are ldd bytes apart.", 64,
		func(i int) {
			if i == 0 {
				e.zipWords(29)
			}
			e.line("VMOVUPS (AX), Z30")
			e.line("VMOVUPS (AX)(R9*1), Z31")
			e.narrow(31, 30, i)
			e.line("VPERMW Z%d, Z29, Z%d", i, i)
			if i < 15 {
				e.line("LEAQ (AX)(R9*2), AX")
			}
		})
	asm.WriteString(header + "#include \"textflag.h\"\n\n")
	asm.Write(e.data.text.Bytes())
	asm.Write(e.text.Bytes())
	files["avx512bf16_amd64.s"] = asm.Bytes()

	stubs.WriteString(header + "package cpu\n\n")
	stubs.Write(e.stubs.Bytes())
	p := func(f string, args ...any) { fmt.Fprintf(&stubs, f+"\n", args...) }
	_, groups := e.blockShape()
	p("var avx512Pairs = pairs{")
	p("products: table{\npanelRows: []int{%s},\n%s\nblockGroups: %d,\n},", list(e.panelRows()), e.panelTable("F32", "Pairs"), groups)
	p("narrowRow: avx512NarrowRow, pairRows: avx512PairRows, turnNarrow: avx512TurnNarrow, turnPairs: avx512TurnPairs, turnSize: 16,")
	p("}")
	return addStubs(files, "avx512bf16_stubs_amd64.go", stubs.Bytes())
}

// encoded writes an instruction of three 512-bit registers of map 0F38 with W0, by its
// prefix (2 for F3, 3 for F2) and opcode: "Intel 64 and IA-32 Architectures Software
// Developer's Manual", volume 2, 2.7.1. Operands are in the manual's order.
func (e *emitter) encoded(name string, prefix, opcode, dst, a, b int) {
	not := func(n, bit int) int { return ^n >> bit & 1 }
	p0 := not(dst, 3)<<7 | not(b, 4)<<6 | not(b, 3)<<5 | not(dst, 4)<<4 | 2
	p1 := (^a&15)<<3 | 4 | prefix
	p2 := 2<<5 | not(a, 4)<<3
	last := 0xc0 | dst&7<<3 | b&7
	e.line("LONG $0x%08x; WORD $0x%04x // %s Z%d, Z%d, Z%d", 0x62|p0<<8|p1<<16|p2<<24, opcode|last<<8, name, b, a, dst)
}

// pairProduct adds to acc the products of the pairs of x and w: VDPBF16PS.
func (e *emitter) pairProduct(x splat, w, acc vec) {
	e.encoded("VDPBF16PS", 2, 0x52, int(acc), int(x), int(w))
}

// narrow rounds 16 values of each of two registers: the first's become the upper half.
func (e *emitter) narrow(high, low, dst int) { e.encoded("VCVTNE2PS2BF16", 3, 0x72, dst, high, low) }

// narrowRow writes the conversion of a row: pairs of neighbours.
func (e *emitter) narrowRow() {
	e.begin("NarrowRow", "dst, x *float32, n int", "", 0,
		"FN rounds n values to bfloat16, two in the place of one of dst. Of an odd number the last has zero\nbeside it.")
	e.pointers("dst", "DI", "x", "SI", "n", "CX")
	top, rest, done := e.newLabel("loop"), e.newLabel("rest"), e.newLabel("done")
	e.line("CMPQ CX, $32")
	e.line("JLT %s", rest)
	e.at(top)
	e.line("VMOVUPS (SI), Z0")
	e.line("VMOVUPS 64(SI), Z1")
	e.narrow(1, 0, 2)
	e.line("VPROLD $16, Z2, Z2")
	e.line("VMOVUPS Z2, (DI)")
	e.line("ADDQ $128, SI")
	e.line("ADDQ $64, DI")
	e.line("SUBQ $32, CX")
	e.line("CMPQ CX, $32")
	e.line("JGE %s", top)
	e.at(rest)
	e.line("TESTQ CX, CX")
	e.line("JZ %s", done)
	// Bit i of the mask is value i; two of them become one.
	e.line("MOVQ $1, AX")
	e.line("SHLQ CX, AX")
	e.line("DECQ AX")
	e.line("KMOVW AX, K1")
	e.line("SHRQ $16, AX")
	e.line("KMOVW AX, K2")
	e.line("INCQ CX")
	e.line("SHRQ $1, CX")
	e.line("MOVQ $1, AX")
	e.line("SHLQ CX, AX")
	e.line("DECQ AX")
	e.line("KMOVW AX, K3")
	e.line("VMOVUPS.Z (SI), K1, Z0")
	e.line("VMOVUPS.Z 64(SI), K2, Z1")
	e.narrow(1, 0, 2)
	e.line("VPROLD $16, Z2, Z2")
	e.line("VMOVUPS Z2, K3, (DI)")
	e.at(done)
	e.ret()
}

// zipWords loads what interleaves the halves of a register, words of 16 bits, of which
// the lower half's go to the upper ones.
func (e *emitter) zipWords(reg int) {
	var w [16]uint32
	for i := range w {
		w[i] = uint32(i)<<16 | uint32(16+i)
	}
	e.data.add("zipWords", w)
	e.line("VMOVUPS ·zipWords<>(SB), Z%d", reg)
}

// pairRows writes the conversion of two rows: pairs of what stands below each other.
func (e *emitter) pairRows() {
	e.begin("PairRows", "dst, a, b *float32, n int", "", 0, "FN rounds n values of a and of b to bfloat16 and writes pairs of one of each.")
	e.pointers("dst", "DI", "a", "SI", "b", "DX", "n", "CX")
	e.zipWords(29)
	e.loop([]string{"SI", "DX", "DI"}, func(m *masked) {
		m.load(at("SI", 0), 0)
		m.load(at("DX", 0), 1)
		e.narrow(1, 0, 2)
		e.line("VPERMW Z2, Z29, Z2")
		m.store(2, at("DI", 0), 3)
	})
	e.ret()
}
