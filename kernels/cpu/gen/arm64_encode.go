package main

import (
	"fmt"
	"strings"
)

// Vector instructions of arm64. Go's assembler has only some of them, and names
// them its own way, so all are written as words, with what they are in a comment,
// in the syntax of Arm's manual. A test has a disassembler read the words back.

// q is a vector register.
type q int

// x is a general register. R18 belongs to the system, R27 to the assembler, R28
// and up to Go.
type x int

func (r x) String() string { return fmt.Sprintf("R%d", int(r)) }

// rsp is the stack pointer, as the base of an address.
const rsp = x(31)

// name is the register's name in Arm's manual.
func (r x) name() string {
	if r == rsp {
		return "sp"
	}
	return fmt.Sprintf("x%d", int(r))
}

// arrangements gives the size field and the Q bit of an arrangement of lanes.
var arrangements = map[string]struct{ size, q uint32 }{
	"8b": {0, 0}, "16b": {0, 1}, "4h": {1, 0}, "8h": {1, 1}, "2s": {2, 0}, "4s": {2, 1}, "1d": {3, 0}, "2d": {3, 1},
}

// bits is the Q bit and, but for instructions that have none, the size of lanes.
func arrBits(name, arr string) uint32 {
	a, ok := arrangements[arr]
	if !ok {
		panic("no arrangement " + arr)
	}
	if name[0] == 'f' || fixedSize[name] {
		a.size = 0 // float: of single precision
	}
	return a.q<<30 | a.size<<22
}

// fixedSize are the instructions whose size field is part of what they are.
var fixedSize = map[string]bool{
	"and": true, "bic": true, "orr": true, "orn": true, "eor": true, "bsl": true, "bit": true, "bif": true, "mvn": true, "scvtf": true,
}

// threeSame are instructions on three registers of the same arrangement.
var threeSame = map[string]uint32{
	"add": 0x0e208400, "sub": 0x2e208400, "mul": 0x0e209c00, "mla": 0x0e209400, "addp": 0x0e20bc00, "smax": 0x0e206400, "umax": 0x2e206400,
	"and": 0x0e201c00, "bic": 0x0e601c00, "orr": 0x0ea01c00, "orn": 0x0ee01c00, "eor": 0x2e201c00,
	"bsl": 0x2e601c00, "bit": 0x2ea01c00, "bif": 0x2ee01c00, "ushl": 0x2e204400, "sshl": 0x0e204400,
	"fadd": 0x0e20d400, "fsub": 0x0ea0d400, "fmul": 0x2e20dc00, "fdiv": 0x2e20fc00, "fmla": 0x0e20cc00, "fmls": 0x0ea0cc00,
	"fmax": 0x0e20f400, "fmin": 0x0ea0f400, "fmaxnm": 0x0e20c400, "fcmgt": 0x2ea0e400, "faddp": 0x2e20d400,
	"zip1": 0x0e003800, "zip2": 0x0e007800, "uzp1": 0x0e001800, "uzp2": 0x0e005800, "trn1": 0x0e002800, "trn2": 0x0e006800,
}

// three writes an instruction of threeSame.
func (e *arm) three(name, arr string, d, n, m q) {
	code, ok := threeSame[name]
	if !ok {
		panic("no instruction " + name)
	}
	e.word(code|arrBits(name, arr)|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s, v%d.%s", name, d, arr, n, arr, m, arr)
}

// long are instructions whose result has lanes of twice the size of what they
// take. Their second form, name2, takes the upper halves of the registers.
var long = map[string]uint32{"smull": 0x0e20c000, "smlal": 0x0e208000, "umull": 0x2e20c000, "umlal": 0x2e208000, "saddl": 0x0e200000}

func (e *arm) longer(name, to, from string, d, n, m q) {
	code, ok := long[strings.TrimSuffix(name, "2")]
	if !ok {
		panic("no instruction " + name)
	}
	e.word(code|arrBits(name, from)|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s, v%d.%s", name, d, to, n, from, m, from)
}

// dots are the products of fours of bytes, added to lanes of 32 bits.
var dots = map[string]uint32{"sdot": 0x4e809400, "udot": 0x6e809400, "usdot": 0x4e809c00}

// elementDots are those with four bytes of one register for all lanes.
var elementDots = map[string]uint32{"sdot": 0x4f80e000, "usdot": 0x4f80f000, "sudot": 0x4f00f000, "udot": 0x6f80e000}

// matrices are products of 2x8 and 8x2 bytes, added to 2x2 lanes of 32 bits.
var matrices = map[string]uint32{"smmla": 0x4e80a400, "ummla": 0x6e80a400, "usmmla": 0x4e80ac00}

func (e *arm) dot(name string, d, n, m q) {
	code, ok := dots[name]
	if !ok {
		code, ok = matrices[name]
	}
	if !ok {
		panic("no instruction " + name)
	}
	e.word(code|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.4s, v%d.16b, v%d.16b", name, d, n, m)
}

func (e *arm) dotElement(name string, d, n, m q, i int) {
	code, ok := elementDots[name]
	if !ok {
		panic("no instruction " + name)
	}
	e.word(code|element(i)|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.4s, v%d.16b, v%d.4b[%d]", name, d, n, m, i)
}

// element is the field of lane i of four.
func element(i int) uint32 { return uint32(i&1)<<21 | uint32(i>>1)<<11 }

// byElement are instructions that take one lane of their last register.
var byElement = map[string]uint32{"fmla": 0x4f801000, "fmls": 0x4f805000, "fmul": 0x4f809000}

func (e *arm) element(name string, d, n, m q, i int) {
	code, ok := byElement[name]
	if !ok {
		panic("no instruction " + name)
	}
	e.word(code|element(i)|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.4s, v%d.4s, v%d.s[%d]", name, d, n, m, i)
}

// twoSame are instructions on two registers of the same arrangement.
var twoSame = map[string]uint32{
	"abs": 0x0e20b800, "neg": 0x2e20b800, "fabs": 0x0ea0f800, "fneg": 0x2ea0f800, "mvn": 0x2e205800,
	"scvtf": 0x0e21d800, "fcvtns": 0x0e21a800,
}

func (e *arm) two(name, arr string, d, n q) {
	code, ok := twoSame[name]
	if !ok {
		panic("no instruction " + name)
	}
	e.word(code|arrBits(name, arr)|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s", name, d, arr, n, arr)
}

// resize are instructions on two registers with lanes of different sizes; the
// size field is that of the smaller ones.
var resize = map[string]uint32{
	"saddlp": 0x0e202800, "sadalp": 0x0e206800, "uaddlp": 0x2e202800, "uadalp": 0x2e206800,
	"fcvtn": 0x0e216800, "fcvtl": 0x0e217800, "xtn": 0x0e212800, "sqxtn": 0x0e214800,
}

func (e *arm) resized(name, to, from string, d, n q) {
	code, ok := resize[strings.TrimSuffix(name, "2")]
	if !ok {
		panic("no instruction " + name)
	}
	small := from
	if name[0] != 's' && name[0] != 'u' && !strings.HasPrefix(name, "fcvtl") || strings.HasPrefix(name, "sqxtn") {
		small = to
	}
	e.word(code|arrBits(name, small)|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s", name, d, to, n, from)
}

// across are instructions that make one value of all lanes.
var across = map[string]uint32{"saddlv": 0x0e303800, "umaxv": 0x2e30a800, "addv": 0x0e31b800}

func (e *arm) across(name string, result byte, arr string, d, n q) {
	code, ok := across[name]
	if !ok {
		panic("no instruction " + name)
	}
	e.word(code|arrBits(name, arr)|uint32(n)<<5|uint32(d), "%s %c%d, v%d.%s", name, result, d, n, arr)
}

// shifts are shifts by a constant: left ones add it to the size of a lane, right
// ones take it from twice the size.
var shifts = map[string]uint32{
	"shl": 0x0f005400, "sli": 0x2f005400, "sshr": 0x0f000400, "ushr": 0x2f000400, "ssra": 0x0f001400, "usra": 0x2f001400, "sri": 0x2f004400,
}

func (e *arm) shift(name, arr string, d, n q, by int) {
	code, ok := shifts[name]
	if !ok {
		panic("no instruction " + name)
	}
	lane := 8 << arrangements[arr].size
	imm := lane + by
	if strings.Contains(name, "r") {
		imm = 2*lane - by
	}
	e.word(code|arrangements[arr].q<<30|uint32(imm)<<16|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s, #%d", name, d, arr, n, arr, by)
}

// widen extends the lower lanes (of name2 the upper ones): sxtl or uxtl.
func (e *arm) widen(name, to, from string, d, n q) {
	code := map[byte]uint32{'s': 0x0f00a400, 'u': 0x2f00a400}[name[0]]
	a := arrangements[from]
	e.word(code|a.q<<30|8<<a.size<<16|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s", name, d, to, n, from)
}

// shiftLeftLong is sshll or ushll, or their second form.
func (e *arm) shiftLeftLong(name, to, from string, d, n q, by int) {
	code := map[byte]uint32{'s': 0x0f00a400, 'u': 0x2f00a400}[name[0]]
	a := arrangements[from]
	e.word(code|a.q<<30|uint32(8<<a.size+by)<<16|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s, #%d", name, d, to, n, from, by)
}

// mov copies a register.
func (e *arm) mov(d, n q) {
	e.word(0x4ea01c00|uint32(n)<<16|uint32(n)<<5|uint32(d), "mov v%d.16b, v%d.16b", d, n)
}

// zero clears a register.
func (e *arm) zero(d q) { e.word(0x4f000400|uint32(d), "movi v%d.4s, #0x0", d) }

// bytes sets all bytes of a register.
func (e *arm) bytes(d q, v uint8) {
	e.word(0x4f00e400|uint32(v>>5)<<16|uint32(v&31)<<5|uint32(d), "movi v%d.16b, #0x%x", d, v)
}

// highBytes sets the highest byte of each lane of 32 bits, and clears the rest.
func (e *arm) highBytes(d q, v uint8) {
	e.word(0x4f006400|uint32(v>>5)<<16|uint32(v&31)<<5|uint32(d), "movi v%d.4s, #0x%x, lsl #24", d, v)
}

// thirdBytes sets the third byte of each lane of 32 bits, and clears the rest.
func (e *arm) thirdBytes(d q, v uint8) {
	e.word(0x4f004400|uint32(v>>5)<<16|uint32(v&31)<<5|uint32(d), "movi v%d.4s, #0x%x, lsl #16", d, v)
}

// half sets all lanes to 0.5.
func (e *arm) half(d q) {
	e.word(0x4f00f400|0x60>>5<<16|uint32(d), "fmov v%d.4s, #%.18e", d, 0.5)
}

// splat sets all lanes to a word, which passes through a general register.
func (e *arm) splat(d q, word uint32, by x) {
	e.line("MOVW $%#x, %v", word, by)
	e.word(0x4e040c00|uint32(by)<<5|uint32(d), "dup v%d.4s, w%d", d, int(by))
}

// laneField is the imm5 field of lane i of a size, a letter of bhsd.
func laneField(size byte, i int) uint32 {
	n := strings.IndexByte("bhsd", size)
	return uint32(i<<(n+1) | 1<<n)
}

// dup copies a lane to all.
func (e *arm) dup(d q, arr string, n q, i int) {
	size := arr[len(arr)-1]
	e.word(0x4e000400|laneField(size, i)<<16|uint32(n)<<5|uint32(d), "dup v%d.%s, v%d.%c[%d]", d, arr, n, size, i)
}

// ins copies a lane to a lane.
func (e *arm) ins(d q, size byte, i int, n q, j int) {
	at := uint32(j << strings.IndexByte("bhsd", size))
	e.word(0x6e000400|laneField(size, i)<<16|at<<11|uint32(n)<<5|uint32(d), "mov v%d.%c[%d], v%d.%c[%d]", d, size, i, n, size, j)
}

// scalar operations on the lowest lanes.
func (e *arm) scalar(name string, d, n, m q) {
	code := map[string]uint32{"fdiv": 0x1e201800, "fadd": 0x1e202800}[name]
	e.word(code|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s s%d, s%d, s%d", name, d, n, m)
}

// table looks up bytes of n in the 16 of t.
func (e *arm) lookup(d, t, n q) {
	e.word(0x4e000000|uint32(n)<<16|uint32(t)<<5|uint32(d), "tbl v%d.16b, {v%d.16b}, v%d.16b", d, t, n)
}

// ext takes 16 bytes of n followed by m, from byte i.
func (e *arm) ext(d, n, m q, i int) {
	e.word(0x6e000000|uint32(m)<<16|uint32(i)<<11|uint32(n)<<5|uint32(d), "ext v%d.16b, v%d.16b, v%d.16b, #%d", d, n, m, i)
}

// shiftLeftFull is shll or shll2: lanes of 16 bits, widened and shifted by as much.
func (e *arm) shiftLeftFull(name, to, from string, d, n q) {
	e.word(0x2e613800|arrangements[from].q<<30|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s, #16", name, d, to, n, from)
}
