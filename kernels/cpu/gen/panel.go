package main

import "fmt"

// A panel kernel multiplies rows of float32 with panels of 16 plain values:
// dst[i][16g+c] = sum over k of x[i][k] * w[g][k][c].
type panelKernel struct {
	typ          string // F32, F16, BF16; Pairs of bfloat16, in both operands
	rows, groups int
	ahead        bool // prefetches what comes next
}

func (p panelKernel) name() string {
	name := fmt.Sprintf("Panel%s%dx%d", p.typ, p.rows, p.groups)
	if p.ahead {
		name += "Ahead"
	}
	return name
}

// stepBytes is the size of what a kernel reads of its panels in a step.
func (p panelKernel) stepBytes() int {
	if p.typ == "F32" || p.typ == "Pairs" {
		return 64 * p.groups
	}
	return 32 * p.groups
}

// panelShapes are the rows and groups of the panel kernels of a level.
func (e *emitter) panelShapes() [][2]int {
	shapes := [][2]int{{1, 4}, {1, 1}, {2, 1}, {3, 1}, {4, 1}}
	if e.z {
		shapes = append(shapes, [2]int{8, 1})
	}
	rows, groups := e.blockShape()
	for r := 1; r <= rows; r++ {
		if r > 1 || groups != 4 {
			shapes = append(shapes, [2]int{r, groups})
		}
	}
	return shapes
}

// blockShape is the most rows, and the groups, of the kernels of several groups:
// as many accumulators as there are registers for. A value that is loaded and
// converted serves all rows, one of x all groups.
func (e *emitter) blockShape() (rows, groups int) {
	if e.z {
		return 6, 4
	}
	return 3, 2
}

const panelParams = "dst *float32, ldd int, x *float32, ldx int, w *byte, step, group, k, add, tail int"

func (e *emitter) panel(p panelKernel) {
	params, doc := panelParams, fmt.Sprintf("FN multiplies %d rows with %d panels of %s.", p.rows, p.groups, p.typ)
	multiply := func(x splat, w, acc vec) { e.op("VFMADD231PS", x, w, acc) }
	if p.typ == "Pairs" {
		multiply = e.pairProduct
	}
	if p.ahead {
		params += ", ahead *byte"
		doc += "\nMeanwhile it prefetches as much from ahead on as it reads."
	}
	e.begin(p.name(), params, "", 0, doc)
	e.pointers("dst", "DI", "x", "SI", "ldx", "R8", "w", "DX", "step", "R9", "group", "R10", "k", "CX", "add", "R13")
	e.line("LEAQ (R8)(R8*2), R11")
	rowAt := rowAddress("SI", "R12", "R8", "R11")
	if p.rows > 4 {
		e.line("LEAQ (SI)(R8*4), R12")
	}
	groupAt := []string{"DX", "DX)(R10*1", "DX)(R10*2", "DX)(BX*1"}
	if p.groups > 3 {
		e.line("LEAQ (R10)(R10*2), BX")
	}
	acc := make([][]vec, p.rows)
	for i := range acc {
		acc[i] = e.vecs(p.groups)
	}
	ws := []vec{e.vec()} // of a step, all groups' if there are registers
	if p.rows > 1 && p.groups > 1 && e.z {
		ws = append(ws, e.vecs(p.groups-1)...)
	}
	w, x := ws[0], e.splat()

	// Begin at what is there, or at zero.
	start, loop := e.newLabel("start"), e.newLabel("loop")
	for i := range acc {
		for _, a := range acc[i] {
			e.zero(a)
		}
	}
	e.line("TESTQ R13, R13")
	e.line("JZ %s", start)
	e.eachRow(p.rows, func(i int) {
		for g, a := range acc[i] {
			e.op("VMOVUPS", at("AX", 64*g), a)
		}
	})
	e.at(start)
	if p.ahead {
		e.arg("ahead", "R13")
	}
	e.at(loop)
	if p.ahead {
		for i := 0; i < p.stepBytes(); i += 64 {
			e.line("PREFETCHT0 %d(R13)", i)
		}
		e.line("ADDQ $%d, R13", p.stepBytes())
	}
	broadcast := func(i int) { e.line("VBROADCASTSS (%s), %s", rowAt(i), e.operand(x, 0)) }
	if len(ws) > 1 {
		for g, w := range ws {
			e.plainLoad(p, groupAt[g], w)
		}
		for i := range p.rows {
			broadcast(i)
			for g, w := range ws {
				multiply(x, w, acc[i][g])
			}
		}
	} else {
		for g := range p.groups {
			e.plainLoad(p, groupAt[g], w)
			for i := range p.rows {
				if g == 0 || p.rows > 1 {
					broadcast(i)
				}
				multiply(x, w, acc[i][g])
			}
		}
	}
	e.line("ADDQ $4, SI")
	if p.rows > 4 {
		e.line("ADDQ $4, R12")
	}
	e.line("ADDQ R9, DX")
	e.line("DECQ CX")
	e.line("JNZ %s", loop)
	e.storeRows(p.rows, acc, w)
	e.ret()
}

// plainLoad loads 16 values of a panel as float32.
func (e *emitter) plainLoad(p panelKernel, base string, w vec) {
	switch p.typ {
	case "F32", "Pairs":
		e.op("VMOVUPS", at(base, 0), w)
	case "F16":
		e.op("VCVTPH2PS", mem{base: base, step: 16}, w)
	case "BF16":
		e.op("VPMOVZXWD", mem{base: base, step: 16}, w)
		e.op("VPSLLD", 16, w, w)
	}
}

// rowAddress gives the base of row i: four rows from base and four from base4,
// which is four rows on; ld and ld3 are registers with one and three row lengths.
func rowAddress(base, base4, ld, ld3 string) func(i int) string {
	return func(i int) string {
		b := base
		if i >= 4 {
			b = base4
		}
		switch i % 4 {
		case 0:
			return b
		case 1:
			return fmt.Sprintf("%s)(%s*1", b, ld)
		case 2:
			return fmt.Sprintf("%s)(%s*2", b, ld)
		}
		return fmt.Sprintf("%s)(%s*1", b, ld3)
	}
}

// eachRow runs body with AX at each row of dst (DI) in turn.
func (e *emitter) eachRow(rows int, body func(i int)) {
	e.line("MOVQ DI, AX")
	for i := range rows {
		body(i)
		if i < rows-1 {
			e.line("ADDQ %s, AX", e.args["ldd"])
		}
	}
}

// storeRows stores accumulators to dst (DI): all 16 columns of the last group if
// the argument tail is 16, else the first tail ones. CX, AX and BX are lost.
func (e *emitter) storeRows(rows int, acc [][]vec, tmp vec) {
	part, done := e.newLabel("part"), e.newLabel("done")
	e.arg("tail", "CX")
	e.line("CMPQ CX, $16")
	e.line("JNE %s", part)
	e.eachRow(rows, func(i int) {
		for g, a := range acc[i] {
			e.op("VMOVUPS", a, at("AX", 64*g))
		}
	})
	e.line("JMP %s", done)
	e.at(part)
	m := e.mask()
	e.eachRow(rows, func(i int) {
		for g, a := range acc[i] {
			if g == len(acc[i])-1 {
				m.store(a, at("AX", 64*g), tmp)
			} else {
				e.op("VMOVUPS", a, at("AX", 64*g))
			}
		}
	})
	e.at(done)
}

func (e *emitter) panels() {
	for _, typ := range []string{"F32", "F16", "BF16"} {
		for _, s := range e.panelShapes() {
			e.panel(panelKernel{typ: typ, rows: s[0], groups: s[1]})
		}
	}
}

// aheadPanels writes the kernels of blocks that attention uses for few rows.
func (e *emitter) aheadPanels() {
	rows, groups := e.blockShape()
	for _, typ := range []string{"F32", "F16"} {
		for r := 1; r <= rows; r++ {
			e.panel(panelKernel{typ: typ, rows: r, groups: groups, ahead: true})
		}
	}
}
