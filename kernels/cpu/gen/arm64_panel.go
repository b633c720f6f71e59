package main

import "fmt"

// armPanelRows are the numbers of rows of the panel kernels of one group: 16
// columns of six rows take 24 of the 32 registers.
var armPanelRows = []int{1, 2, 3, 4, 6}

func (e *arm) panels() {
	for _, typ := range []string{"F32", "F16", "BF16"} {
		e.panel(panelKernel{typ: typ, rows: 1, groups: 4})
		for _, rows := range armPanelRows {
			e.panel(panelKernel{typ: typ, rows: rows, groups: 1})
		}
	}
}

// Registers of panel kernels.
const (
	panDst, panLdd, panX = x(0), x(1), x(2) // and the rows of x after it
	panW                 = x(8)
	panStep, panK        = x(9), x(10)
	panTail, panTmp      = x(11), x(12)
	panGroup, panW1      = x(13), x(14) // and two more
)

func (e *arm) panel(p panelKernel) {
	e.begin(p.name(), panelParams, "", 0, fmt.Sprintf("FN multiplies %d rows with %d panels of %s.", p.rows, p.groups, p.typ))
	e.pointers("dst", panDst, "ldd", panLdd, "x", panX, "ldx", panTmp, "w", panW, "step", panStep, "k", panK)
	for i := 1; i < p.rows; i++ {
		e.line("ADD %v, %v, %v", panTmp, panX+x(i-1), panX+x(i))
	}
	weights := []x{panW}
	if p.groups > 1 {
		e.arg("group", panGroup)
		for g := range x(p.groups - 1) {
			e.line("ADD %v, %v, %v", panGroup, weights[g], panW1+g)
			weights = append(weights, panW1+g)
		}
	}
	acc := make([]list4, p.rows) // 16 values of each group in turn
	for i := range acc {
		acc[i] = e.regs(4 * p.groups)
	}
	in := e.regs(p.rows)
	w := e.regs(min(4, (32-e.taken)&^1))

	// Begin at what is there, or at zero.
	start, loop, rest, one, done := e.newLabel("start"), e.newLabel("loop"), e.newLabel("rest"), e.newLabel("one"), e.newLabel("done")
	for i := range acc {
		for _, a := range acc[i] {
			e.zero(a)
		}
	}
	e.arg("add", panTail)
	e.line("CBZ %v, %s", panTail, start)
	e.eachRow(p.rows, panTmp, func(i int) {
		for j := 0; j < len(acc[i]); j += 2 {
			e.ldp(acc[i][j], acc[i][j+1], panTmp, 16*j)
		}
	})
	e.at(start)
	// Four steps of K at a time: a register of each row of x.
	step := func(lane int) {
		for g, at := range weights {
			for j := 0; j < 4; j += len(w) {
				e.plainLoad(p.typ, w, at, j)
				for i := range p.rows {
					for c := range w {
						e.element("fmla", acc[i][4*g+j+c], w[c], in[i], lane)
					}
				}
			}
			e.line("ADD %v, %v, %v", panStep, at, at)
		}
	}
	e.line("SUBS $4, %v, %v", panK, panK)
	e.line("BLT %s", rest)
	e.at(loop)
	for i := range p.rows {
		e.ldrPost('q', in[i], panX+x(i), 16)
	}
	for lane := range 4 {
		step(lane)
	}
	e.line("SUBS $4, %v, %v", panK, panK)
	e.line("BGE %s", loop)
	e.at(rest)
	e.line("ADDS $4, %v, %v", panK, panK)
	e.line("BEQ %s", done)
	e.at(one)
	for i := range p.rows {
		e.ldrPost('s', in[i], panX+x(i), 4)
	}
	step(0)
	e.line("SUBS $1, %v, %v", panK, panK)
	e.line("BNE %s", one)
	e.at(done)
	e.storeRows(p.rows, func(i int) list4 { return acc[i] }, panDst, panLdd, panTail, panTmp)
	e.ret()
}

// plainLoad loads values of a panel as float32, from register j on of its four.
func (e *arm) plainLoad(typ string, w list4, at x, j int) {
	for c := 0; c < len(w); c += 2 {
		if typ == "F32" {
			e.ldp(w[c], w[c+1], at, 16*(j+c))
			continue
		}
		e.ldr('q', w[c], at, 8*(j+c))
		if typ == "F16" {
			e.resized("fcvtl2", "4s", "8h", w[c+1], w[c])
			e.resized("fcvtl", "4s", "4h", w[c], w[c])
		} else {
			e.shiftLeftFull("shll2", "4s", "8h", w[c+1], w[c])
			e.shiftLeftFull("shll", "4s", "4h", w[c], w[c])
		}
	}
}

// eachRow runs body with at pointing to each row of dst in turn.
func (e *arm) eachRow(rows int, at x, body func(i int)) {
	e.line("MOVD %v, %v", panDst, at)
	for i := range rows {
		body(i)
		if i < rows-1 {
			e.line("ADD %v, %v, %v", panLdd, at, at)
		}
	}
}

// storeRows stores results to dst, rows ldd bytes apart: all 16 columns of the
// last group if the argument tail is 16, else the first tail ones. row gives a
// row's registers, loading them if need be; dst, tail and tmp are lost, and so are
// registers if tail is not 16.
func (e *arm) storeRows(rows int, row func(i int) list4, dst, ldd, tail, tmp x) {
	part, done := e.newLabel("part"), e.newLabel("stored")
	e.arg("tail", tail)
	e.line("CMP $16, %v", tail)
	e.line("BNE %s", part)
	next := func(i int) {
		if i < rows-1 {
			e.line("ADD %v, %v, %v", ldd, dst, dst)
		}
	}
	for i := range rows {
		a := row(i)
		for j := 0; j < len(a); j += 2 {
			e.stp(a[j], a[j+1], dst, 16*j)
		}
		next(i)
	}
	e.line("B %s", done)
	e.at(part)
	for i := range rows {
		a := row(i)
		e.line("MOVD %v, %v", dst, tmp)
		last := len(a) - 4
		for j := 0; j < last; j += 2 {
			e.stpPost(a[j], a[j+1], tmp, 32)
		}
		e.storePart(a[last:], tmp, tail)
		next(i)
	}
	e.at(done)
}

// storePart stores the first n (1 to 15) of 16 values.
func (e *arm) storePart(a list4, to, n x) {
	skip := []string{e.newLabel("no8"), e.newLabel("no4"), e.newLabel("no2"), e.newLabel("no1")}
	e.line("TBZ $3, %v, %s", n, skip[0])
	e.stpPost(a[0], a[1], to, 32)
	e.mov(a[0], a[2])
	e.mov(a[1], a[3])
	e.at(skip[0])
	e.line("TBZ $2, %v, %s", n, skip[1])
	e.strPost('q', a[0], to, 16)
	e.mov(a[0], a[1])
	e.at(skip[1])
	e.line("TBZ $1, %v, %s", n, skip[2])
	e.strPost('d', a[0], to, 8)
	e.dup(a[0], "2d", a[0], 1)
	e.at(skip[2])
	e.line("TBZ $0, %v, %s", n, skip[3])
	e.str('s', a[0], to, 0)
	e.at(skip[3])
}
