package main

import (
	"fmt"
	"strings"
)

// Loads and stores of arm64 vector registers: see arm64_encode.go.

// sizes of scalar registers: their bits in ldr and str and how far an offset is
// scaled.
var scalarSizes = map[byte]struct {
	unsigned, post uint32
	shift          int
}{
	'h': {0x7d000000, 0x7c000400, 1},
	's': {0xbd000000, 0xbc000400, 2},
	'd': {0xfd000000, 0xfc000400, 3},
	'q': {0x3d800000, 0x3c800400, 4},
}

// loadBit is what makes a load of a store.
const loadBit = 1 << 22

func (e *arm) access(load bool, size byte, v q, base x, off int) {
	s := scalarSizes[size]
	name, code := "str", s.unsigned
	if load {
		name, code = "ldr", code|loadBit
	}
	if off < 0 || off&(1<<s.shift-1) != 0 || off>>s.shift > 4095 {
		panic(fmt.Sprintf("offset %d of %c", off, size))
	}
	at := fmt.Sprintf("[%s]", base.name())
	if off > 0 {
		at = fmt.Sprintf("[%s, #%d]", base.name(), off)
	}
	e.word(code|uint32(off>>s.shift)<<10|uint32(base)<<5|uint32(v), "%s %c%d, %s", name, size, v, at)
}

// ldr loads a register of a size (h, s, d or q; the rest of it is cleared).
func (e *arm) ldr(size byte, v q, base x, off int) { e.access(true, size, v, base, off) }

func (e *arm) str(size byte, v q, base x, off int) { e.access(false, size, v, base, off) }

func (e *arm) accessPost(load bool, size byte, v q, base x, by int) {
	name, code := "str", scalarSizes[size].post
	if load {
		name, code = "ldr", code|loadBit
	}
	if by < -256 || by > 255 {
		panic("post-index out of range")
	}
	e.word(code|uint32(by&0x1ff)<<12|uint32(base)<<5|uint32(v), "%s %c%d, [%s], #%d", name, size, v, base.name(), by)
}

// ldrPost loads a register, then moves the pointer.
func (e *arm) ldrPost(size byte, v q, base x, by int) { e.accessPost(true, size, v, base, by) }

func (e *arm) strPost(size byte, v q, base x, by int) { e.accessPost(false, size, v, base, by) }

func (e *arm) pair(load, post bool, v, w q, base x, off int) {
	name, code := "stp", uint32(0xad000000)
	if load {
		name, code = "ldp", code|loadBit
	}
	at := fmt.Sprintf("[%s]", base.name())
	switch {
	case post:
		code ^= 0x01800000
		at = fmt.Sprintf("[%s], #%d", base.name(), off)
	case off != 0:
		at = fmt.Sprintf("[%s, #%d]", base.name(), off)
	}
	if off%16 != 0 || off < -1024 || off > 1008 {
		panic(fmt.Sprintf("offset %d of a pair", off))
	}
	e.word(code|uint32(off/16&127)<<15|uint32(w)<<10|uint32(base)<<5|uint32(v), "%s q%d, q%d, %s", name, v, w, at)
}

func (e *arm) ldp(v, w q, base x, off int)     { e.pair(true, false, v, w, base, off) }
func (e *arm) stp(v, w q, base x, off int)     { e.pair(false, false, v, w, base, off) }
func (e *arm) ldpPost(v, w q, base x, off int) { e.pair(true, true, v, w, base, off) }
func (e *arm) stpPost(v, w q, base x, off int) { e.pair(false, true, v, w, base, off) }

// registerList writes consecutive registers as the manual does.
func registerList(v q, n int, arr string) string {
	if n > 2 {
		return fmt.Sprintf("{v%d.%s-v%d.%s}", v, arr, int(v)+n-1, arr)
	}
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("v%d.%s", int(v)+i, arr))
	}
	return "{" + strings.Join(list, ", ") + "}"
}

// ld2Post loads pairs of float32 into two registers; st2Post stores such.
func (e *arm) ld2Post(v q, base x) {
	e.word(0x4cdf8800|uint32(base)<<5|uint32(v), "ld2 %s, [%s], #32", registerList(v, 2, "4s"), base.name())
}

func (e *arm) st2Post(v q, base x) {
	e.word(0x4c9f8800|uint32(base)<<5|uint32(v), "st2 %s, [%s], #32", registerList(v, 2, "4s"), base.name())
}

// st1HalfPost stores a lane of 16 bits, then moves the pointer by a register.
func (e *arm) st1HalfPost(v q, i int, base, by x) {
	e.word(0x0d804000|uint32(by)<<16|uint32(i>>2)<<30|uint32(i>>1&1)<<12|uint32(i&1)<<11|uint32(base)<<5|uint32(v),
		"st1 {v%d.h}[%d], [%s], %s", v, i, base.name(), by.name())
}

// accessUnscaled takes any offset from -256 to 255.
func (e *arm) accessUnscaled(load bool, size byte, v q, base x, off int) {
	name, code := "stur", scalarSizes[size].post&^0x400
	if load {
		name, code = "ldur", code|loadBit
	}
	if off < -256 || off > 255 {
		panic("unscaled offset out of range")
	}
	e.word(code|uint32(off&0x1ff)<<12|uint32(base)<<5|uint32(v), "%s %c%d, [%s, #%d]", name, size, v, base.name(), off)
}

func (e *arm) ldrUnscaled(size byte, v q, base x, off int) {
	e.accessUnscaled(true, size, v, base, off)
}

func (e *arm) strUnscaled(size byte, v q, base x, off int) {
	e.accessUnscaled(false, size, v, base, off)
}
