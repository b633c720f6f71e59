package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"unicode"
)

// An emitter writes the functions of one level. Kernels are described on vectors
// of 16 float32: one ZMM register at AVX-512, two YMM registers (the halves) at
// AVX2. An instruction on vectors is written once per half.
type emitter struct {
	prefix string // of function names: avx2, avx512
	z      bool   // 512-bit registers
	vnni   bool   // VPDPBUSD
	text   bytes.Buffer
	stubs  bytes.Buffer // Go declarations
	data   *constants
	used   int // registers taken in the current function
	label  int
	args   map[string]string // argument references of the current function
	fn     string

	mean, low splat // what bodies of reductions need
	tmp       vec
}

// vec is a vector of 16 values.
type vec int

// splat is a register with one value in all lanes; all halves of a vector use it.
type splat int

// mem is a place in memory of a vector, of which each half takes step bytes (32
// unless given). With splat set both halves read the same place.
type mem struct {
	base  string // such as "SI" or "SI)(R8*2"
	off   int
	step  int
	splat bool
}

// at is a vector of float32 at an address.
func at(base string, off int) mem { return mem{base: base, off: off} }

// halves is the number of registers of a vector.
func (e *emitter) halves() int {
	if e.z {
		return 1
	}
	return 2
}

// vec takes a vector of registers, splat a single one; both live to the end of
// the function.
func (e *emitter) vec() vec {
	v := vec(e.used)
	e.take(e.halves())
	return v
}

func (e *emitter) splat() splat {
	s := splat(e.used)
	e.take(1)
	return s
}

func (e *emitter) vecs(n int) []vec {
	v := make([]vec, n)
	for i := range v {
		v[i] = e.vec()
	}
	return v
}

func (e *emitter) take(n int) {
	e.used += n
	limit := 16
	if e.z {
		limit = 32
	}
	if e.used > limit {
		panic(fmt.Sprintf("%s%s: %d registers needed, %d there", e.prefix, e.fn, e.used, limit))
	}
}

// width is the prefix of full registers.
func (e *emitter) width() string {
	if e.z {
		return "Z"
	}
	return "Y"
}

// operand writes half h of an operand.
func (e *emitter) operand(a any, h int) string {
	switch a := a.(type) {
	case vec:
		return fmt.Sprintf("%s%d", e.width(), int(a)+h)
	case splat:
		return fmt.Sprintf("%s%d", e.width(), int(a))
	case mem:
		off := a.off
		if !a.splat {
			step := a.step
			if step == 0 {
				step = 32
			}
			off += h * step
		}
		if strings.HasSuffix(a.base, "(SB)") {
			return a.base
		}
		if off == 0 {
			return "(" + a.base + ")"
		}
		return fmt.Sprintf("%d(%s)", off, a.base)
	case int:
		return fmt.Sprintf("$%d", a)
	case string:
		return a
	}
	panic(fmt.Sprintf("operand %T", a))
}

// evex are the names of instructions whose 512-bit form has another one.
var evex = map[string]string{
	"VPAND": "VPANDD", "VPOR": "VPORD", "VPXOR": "VPXORD", "VMOVDQU": "VMOVDQU32", "VMOVDQA": "VMOVDQA32",
}

// op writes an instruction, operands in Go's order, for each half; once if the
// halves are the same, which means that it has no vectors.
func (e *emitter) op(name string, args ...any) {
	for h := range e.halves() {
		if h > 0 && e.instr(name, h, args) == e.instr(name, 0, args) {
			return
		}
		e.half(h, name, args...)
	}
}

func (e *emitter) instr(name string, h int, args []any) string {
	if other, ok := evex[name]; ok && e.z {
		name = other
	}
	parts := make([]string, len(args))
	for i, a := range args {
		parts[i] = e.operand(a, h)
	}
	return name + " " + strings.Join(parts, ", ")
}

// half writes an instruction for half h alone.
func (e *emitter) half(h int, name string, args ...any) { e.line("%s", e.instr(name, h, args)) }

func (e *emitter) line(f string, args ...any) { fmt.Fprintf(&e.text, "\t"+f+"\n", args...) }

func (e *emitter) newLabel(name string) string {
	e.label++
	return fmt.Sprintf("%s%d", name, e.label)
}

func (e *emitter) at(label string) { fmt.Fprintf(&e.text, "%s:\n", label) }

// maxNoSplit is the largest frame of a function that does not see to it that the
// stack is large enough: Go leaves some 800 bytes to such.
const maxNoSplit = 600

// begin opens a function. params is as in Go: "dst, x *float32, n int"; result
// is a type or empty. The doc comment is of the declaration.
func (e *emitter) begin(name, params, result string, frame int, doc string) {
	e.fn, e.used, e.label = name, 0, 0
	e.args = map[string]string{}
	off := 0
	place := func(name, typ string) {
		size := 8
		if typ == "float32" {
			size = 4
		}
		off = (off + size - 1) / size * size
		e.args[name] = fmt.Sprintf("%s+%d(FP)", name, off)
		off += size
	}
	var pending []string
	for _, p := range strings.Split(params, ", ") {
		name, typ, ok := strings.Cut(p, " ")
		pending = append(pending, name)
		if ok {
			for _, n := range pending {
				place(n, typ)
			}
			pending = nil
		}
	}
	if result != "" {
		off = (off + 7) / 8 * 8
		place("ret", result)
		result = " " + result
	}
	full := e.prefix + name
	for _, l := range strings.Split(doc, "\n") {
		fmt.Fprintf(&e.stubs, "// %s\n", strings.ReplaceAll(l, "FN", full))
	}
	fmt.Fprintf(&e.stubs, "//\n//go:noescape\nfunc %s(%s)%s\n\n", full, params, result)
	flags, pointers := "NOSPLIT", ""
	if frame > maxNoSplit {
		flags, pointers = "0", "\tNO_LOCAL_POINTERS\n"
	}
	fmt.Fprintf(&e.text, "\n// func %s(%s)%s\nTEXT ·%s(SB), %s, $%d-%d\n%s", full, params, result, full, flags, frame, off, pointers)
}

// arg loads an argument into a general register.
func (e *emitter) arg(name, reg string) { e.line("MOVQ %s, %s", e.args[name], reg) }

// argSplat loads a float32 argument into all lanes.
func (e *emitter) argSplat(name string) splat {
	s := e.splat()
	e.line("VBROADCASTSS %s, %s", e.args[name], e.operand(s, 0))
	return s
}

// ret ends a function.
func (e *emitter) ret() {
	e.line("VZEROUPPER")
	e.line("RET")
}

// zero clears a vector.
func (e *emitter) zero(v any) { e.op("VPXOR", v, v, v) }

// constants are read-only vectors of 64 bytes, shared by the levels.
type constants struct {
	names map[string]bool
	text  bytes.Buffer
}

func (c *constants) add(name string, words [16]uint32) {
	if c.names[name] {
		return
	}
	c.names[name] = true
	for i := 0; i < 16; i += 2 {
		fmt.Fprintf(&c.text, "DATA ·%s<>+%d(SB)/8, $0x%08x%08x\n", name, 4*i, words[i+1], words[i])
	}
	fmt.Fprintf(&c.text, "GLOBL ·%s<>(SB), RODATA|NOPTR, $64\n\n", name)
}

// addMasks adds 16 words of ones followed by 16 of zeros: the mask of n lanes
// begins 4n bytes before the zeros.
func (c *constants) addMasks() {
	if c.names["laneMasks"] {
		return
	}
	c.names["laneMasks"] = true
	for i := range 16 {
		word := "ffffffffffffffff"
		if i >= 8 {
			word = "0"
		}
		fmt.Fprintf(&c.text, "DATA ·laneMasks<>+%d(SB)/8, $0x%s\n", 8*i, word)
	}
	fmt.Fprintf(&c.text, "GLOBL ·laneMasks<>(SB), RODATA|NOPTR, $128\n\n")
}

// konst is the place of a constant with the same 32-bit word in all lanes.
func (e *emitter) konst(word uint32) mem {
	name := fmt.Sprintf("k%08x", word)
	var w [16]uint32
	for i := range w {
		w[i] = word
	}
	e.data.add(name, w)
	return mem{base: "·" + name + "<>(SB)", splat: true}
}

// float is konst of a number.
func (e *emitter) float(v float64) mem { return e.konst(math.Float32bits(float32(v))) }

// exported writes a type's name without underscores, as parts of names of Go
// functions are: q4_k is Q4K.
func exported(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' {
			return -1
		}
		return unicode.ToUpper(r)
	}, name)
}
