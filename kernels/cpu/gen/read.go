package main

import (
	"bytes"
	"fmt"
	"go/format"
)

// prefetchAhead is how far in front of the loads ReadAhead asks for lines.
const prefetchAhead = 2048

// ceilings are the loops that measure what the machine can do at most: how fast
// memory is read, and how many int8 products the level's dot product makes.
func (e *emitter) ceilings() {
	read := func(name, doc string, lineBytes int, setup func(), line func(i int, acc vec)) {
		e.begin(name, "dst, p *byte, n int", "", 0, doc)
		e.pointers("dst", "DI", "p", "SI", "n", "CX")
		acc := e.vecs(4)
		for _, v := range acc {
			e.zero(v)
		}
		setup()
		loop := e.newLabel("loop")
		e.at(loop)
		const lines = 8
		for i := range lines {
			line(i, acc[i%4])
		}
		e.line("ADDQ $%d, SI", lineBytes)
		e.line("SUBQ $512, CX")
		e.line("JNZ %s", loop)
		e.op("VPXOR", acc[1], acc[0], acc[0])
		e.op("VPXOR", acc[3], acc[2], acc[2])
		e.op("VPXOR", acc[2], acc[0], acc[0])
		e.op("VMOVUPS", acc[0], at("DI", 0))
		e.ret()
	}
	const rest = "\nthem at dst. n is a positive multiple of 512."
	read("Read", "FN reads the n bytes at p, a line of 64 bytes after the other, and puts the exclusive or of"+rest, 512,
		func() {}, func(i int, acc vec) {
			e.op("VPXOR", at("SI", 64*i), acc, acc)
		})
	read("ReadAhead", fmt.Sprintf("FN is Read that asks for each line %d bytes ahead: it puts the exclusive or of", prefetchAhead)+rest, 512,
		func() {}, func(i int, acc vec) {
			e.line("PREFETCHNTA %d(SI)", prefetchAhead+64*i)
			e.op("VPXOR", at("SI", 64*i), acc, acc)
		})
	read("ReadFour", "FN is Read of the four quarters side by side: it puts the exclusive or of"+rest, 128,
		func() {
			e.line("MOVQ CX, R8")
			e.line("SHRQ $2, R8")
			e.line("LEAQ (R8)(R8*2), R9")
		}, func(i int, acc vec) {
			from := []string{"SI", "SI)(R8*1", "SI)(R8*2", "SI)(R9*1"}[i%4]
			e.op("VPXOR", at(from, i/4*64), acc, acc)
		})

	e.begin("Dots", "n int", "", 0, fmt.Sprintf(
		"FN makes n times %d int8 dot products of four values in registers, as fast as the processor can.", e.dots()))
	e.pointers("n", "CX")
	chains := e.dotChains()
	acc := e.vecs(chains)
	x, w := e.vec(), e.vec()
	for _, v := range append(acc, x, w) {
		e.zero(v)
	}
	if !e.vnni {
		ones, t := e.vec(), e.vec()
		e.zero(ones)
		loop := e.newLabel("loop")
		e.at(loop)
		for _, v := range acc {
			e.op("VPMADDUBSW", x, w, t)
			e.op("VPMADDWD", ones, t, t)
			e.op("VPADDD", t, v, v)
		}
		e.line("DECQ CX")
		e.line("JNZ %s", loop)
		e.ret()
		return
	}
	loop := e.newLabel("loop")
	e.at(loop)
	for _, v := range acc {
		if e.z {
			e.op("VPDPBUSD", x, w, v)
			continue
		}
		for h := range 2 {
			e.dpbusd(int(x), int(w), int(v)+h)
		}
	}
	e.line("DECQ CX")
	e.line("JNZ %s", loop)
	e.ret()
}

// dotChains is the number of independent sums: enough that none waits for itself.
func (e *emitter) dotChains() int {
	if e.z {
		return 16
	}
	return 4
}

// dots is the number of 32-bit sums, each of four products, of a turn of Dots.
func (e *emitter) dots() int { return e.dotChains() * 16 }

// generateCeilings adds ceilings_amd64.s and its declarations.
func generateCeilings(files map[string][]byte) error {
	var asm, stubs bytes.Buffer
	asm.WriteString(header + "#include \"textflag.h\"\n")
	stubs.WriteString(header + "package cpu\n\n")
	tables := ""
	for _, e := range levels() {
		e.data = &constants{names: map[string]bool{}}
		e.ceilings()
		asm.Write(e.text.Bytes())
		stubs.Write(e.stubs.Bytes())
		tables += fmt.Sprintf("var %[1]sCeilings = ceilings{reads: [3]readFunc{%[1]sRead, %[1]sReadAhead, %[1]sReadFour}, dots: %[1]sDots, perDots: %[2]d}\n",
			e.prefix, e.dots())
	}
	stubs.WriteString(tables)
	text, err := format.Source(stubs.Bytes())
	if err != nil {
		return fmt.Errorf("stubs of the ceilings: %w", err)
	}
	files["ceilings_amd64.s"], files["ceilings_stubs_amd64.go"] = asm.Bytes(), text
	return nil
}
