package main

import (
	"fmt"
	"math"
)

// An arm writes the functions of arm64: those on float32, which all its levels
// share, and the tiles of one level. It has of emitter what belongs to no
// instruction set: functions, arguments, labels, constants.
//
// Kernels are described on lists of registers of four values (list4): what an
// instruction does with one, it does with each of the list.
type arm struct {
	*emitter
	taken int // vector registers taken in the current function
	width int // registers of a list that count in the current loop
}

// list4 is a list of registers of four values each.
type list4 []q

func newArm(prefix string) *arm {
	return &arm{emitter: &emitter{prefix: prefix, data: &constants{names: map[string]bool{}}}}
}

// begin opens a function: see emitter.
func (e *arm) begin(name, params, result string, frame int, doc string) {
	e.emitter.begin(name, params, result, frame, doc)
	e.taken = 0
}

// word writes an instruction and, as a comment, what it is.
func (e *arm) word(code uint32, f string, args ...any) {
	e.line("WORD $0x%08x // %s", code, fmt.Sprintf(f, args...))
}

// reg takes a vector register, regs several; they live to the end of the function.
func (e *arm) reg() q {
	if e.taken == 32 {
		panic(fmt.Sprintf("%s%s: more than 32 registers needed", e.prefix, e.fn))
	}
	e.taken++
	return q(e.taken - 1)
}

func (e *arm) regs(n int) list4 {
	l := make(list4, n)
	for i := range l {
		l[i] = e.reg()
	}
	return l
}

// arg loads an argument into a general register, pointers several.
func (e *arm) arg(name string, r x) { e.line("MOVD %s, %v", e.args[name], r) }

func (e *arm) pointers(pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		e.arg(pairs[i].(string), pairs[i+1].(x))
	}
}

// argAll loads a float32 argument into all lanes of a register.
func (e *arm) argAll(name string) q {
	r := e.reg()
	e.line("FMOVS %s, F%d", e.args[name], r)
	e.dup(r, "4s", r, 0)
	return r
}

func (e *arm) ret() { e.line("RET") }

// each writes an instruction on three registers of float32 for each register of
// the lists; a single register serves all.
func (e *arm) each(name string, d list4, n, m any) {
	arr := "4s"
	if fixedSize[name] {
		arr = "16b"
	}
	for i := range e.width {
		e.three(name, arr, d[i], pick(n, i), pick(m, i))
	}
}

func pick(a any, i int) q {
	if l, ok := a.(list4); ok {
		return l[i]
	}
	return a.(q)
}

func (e *arm) eachTwo(name string, d, n list4) {
	for i := range e.width {
		e.two(name, "4s", d[i], n[i])
	}
}

func (e *arm) eachElement(name string, d, n list4, k konst4) {
	for i := range e.width {
		e.element(name, d[i], n[i], k.reg, k.lane)
	}
}

// set gives all lanes of each register a constant, or a register's values.
func (e *arm) set(d list4, from any) {
	for i := range e.width {
		switch f := from.(type) {
		case konst4:
			e.dup(d[i], "4s", f.reg, f.lane)
		default:
			e.mov(d[i], pick(from, i))
		}
	}
}

// konst4 is a constant: a lane of a register.
type konst4 struct {
	reg  q
	lane int
}

// constants loads constants, four to a register.
func (e *arm) constants(name string, at x, values ...uint32) []konst4 {
	var words [16]uint32
	copy(words[:], values)
	e.data.add(name, words)
	e.line("MOVD $·%s<>(SB), %v", name, at)
	var all []konst4
	for i := range values {
		if i%4 == 0 {
			r := e.reg()
			e.ldr('q', r, at, 4*i)
			all = append(all, konst4{r, 0})
			continue
		}
		all = append(all, konst4{all[i-1].reg, i % 4})
	}
	return all
}

func word32(v float64) uint32 { return math.Float32bits(float32(v)) }

// all puts a constant into all lanes of a new register.
func (e *arm) all(k konst4) q {
	r := e.reg()
	e.dup(r, "4s", k.reg, k.lane)
	return r
}

// strip is what a loop takes at once: some registers of four values, or one value.
type strip struct {
	e      *arm
	single bool
}

// load loads a list and moves the pointer past it; peek leaves the pointer.
func (s *strip) load(v list4, p x) {
	switch {
	case s.single:
		s.e.ldrPost('s', v[0], p, 4)
	case s.e.width == 1:
		s.e.ldrPost('q', v[0], p, 16)
	default:
		for i := 0; i < s.e.width; i += 2 {
			s.e.ldpPost(v[i], v[i+1], p, 32)
		}
	}
}

func (s *strip) peek(v list4, p x) {
	switch {
	case s.single:
		s.e.ldr('s', v[0], p, 0)
	case s.e.width == 1:
		s.e.ldr('q', v[0], p, 0)
	default:
		for i := 0; i < s.e.width; i += 2 {
			s.e.ldp(v[i], v[i+1], p, 16*i)
		}
	}
}

func (s *strip) store(v list4, p x) {
	switch {
	case s.single:
		s.e.strPost('s', v[0], p, 4)
	case s.e.width == 1:
		s.e.strPost('q', v[0], p, 16)
	default:
		for i := 0; i < s.e.width; i += 2 {
			s.e.stpPost(v[i], v[i+1], p, 32)
		}
	}
}

// loop runs body over n values: width registers at a time, then one, then one
// value.
func (e *arm) loop(n x, width int, body func(s *strip)) {
	top, rest, fours, ones, one, done := e.newLabel("loop"), e.newLabel("rest"), e.newLabel("four"), e.newLabel("ones"), e.newLabel("one"), e.newLabel("done")
	e.line("SUBS $%d, %v, %v", 4*width, n, n)
	e.line("BLT %s", rest)
	e.at(top)
	e.width = width
	body(&strip{e, false})
	e.line("SUBS $%d, %v, %v", 4*width, n, n)
	e.line("BGE %s", top)
	e.at(rest)
	e.line("ADD $%d, %v, %v", 4*width-4, n, n)
	e.line("CMP $0, %v", n)
	e.line("BLT %s", ones)
	e.at(fours)
	e.width = 1
	body(&strip{e, false})
	e.line("SUBS $4, %v, %v", n, n)
	e.line("BGE %s", fours)
	e.at(ones)
	e.line("ADDS $4, %v, %v", n, n)
	e.line("BEQ %s", done)
	e.at(one)
	body(&strip{e, true})
	e.line("SUBS $1, %v, %v", n, n)
	e.line("BNE %s", one)
	e.at(done)
}

// times runs body n times, at least once.
func (e *arm) times(n x, body func()) {
	top := e.newLabel("loop")
	e.at(top)
	body()
	e.line("SUBS $1, %v, %v", n, n)
	e.line("BNE %s", top)
}
