package cpu

import "github.com/ledge-run/ledge/graph/dtype"

// Operand is a matrix of a product of values, as it lies in memory. F32 or BF16
// is set: rows of elements, LD apart. With T the matrix meant is the transposed one
// of what lies there.
type Operand struct {
	F32  []float32
	BF16 []uint16
	LD   int
	T    bool
}

// Gemm is the product C = A·B, or C += A·B: M rows, N columns, K summands. C has
// rows of LDC. Unlike MatMul, whose matrix is packed once and used often, it takes
// its operands as they are: what is a weight in one product is a gradient in
// another.
//
// An element of C is one chain of K multiply-adds in order, whatever the range that
// is computed at once, and however large M and N are: see also gemm_bf16.go.
type Gemm struct {
	M, N, K int
	A, B    Operand
	C       []float32
	LDC     int
	Add     bool

	// Round has the operands rounded to bfloat16. Sums stay float32.
	Round bool
}

// Blocks of a product: a panel of gemmK rows and 64 columns of B stays in the
// first-level cache while rows of A pass; gemmCols columns of B are packed at once,
// and gemmRows rows of A where they must be turned or widened.
const (
	gemmK     = 128
	gemmPanel = 4 * GroupRows
	gemmCols  = 8 * gemmPanel
	gemmRows  = 96
)

const (
	// GemmRows is what the numbers of rows that are computed at once should be
	// multiples of.
	GemmRows = 24
	// GemmPacked is how many values a packed block of B has.
	GemmPacked = gemmK * gemmCols
	// GemmScratch is how many values of scratch GemmBlock needs, and Gemm
	// with GemmPacked more.
	GemmScratch = gemmK*gemmRows + gemmRows*GroupRows
)

// GemmBlocks is the number of blocks that a product is computed in.
func (k *Kernels) GemmBlocks(g *Gemm) int {
	return (g.N + gemmCols - 1) / gemmCols * k.deep(g)
}

// gemmBlock is a range of B: columns [n0, n1), steps rows from s on.
type gemmBlock struct{ n0, n1, s, steps int }

// block is block i: the summands of some columns come one after the other.
func (k *Kernels) block(g *Gemm, i int) gemmBlock {
	deep, most := k.deep(g), k.summands(g)
	n, s := i/deep*gemmCols, i%deep*most
	return gemmBlock{n, min(g.N, n+gemmCols), s, min(most, g.K-s)}
}

// summands is the most that a block has, and deep how many blocks have all.
func (k *Kernels) summands(g *Gemm) int {
	if k.paired(g) {
		return 2 * gemmK
	}
	return gemmK
}

func (k *Kernels) deep(g *Gemm) int { return (g.K + k.summands(g) - 1) / k.summands(g) }

// Gemm computes rows [m0, m1) and columns [n0, n1) of the product; no other element
// of C is written. Ranges may be computed at the same time, each with its own
// scratch of GemmPacked+GemmScratch values.
func (k *Kernels) Gemm(g *Gemm, m0, m1, n0, n1 int, scratch []float32) {
	part := g.Columns(n0, n1)
	if part.N <= 0 {
		return
	}
	if g.K == 0 {
		part.empty(m0, m1)
	}
	for i := range k.GemmBlocks(&part) {
		k.GemmPack(scratch[:GemmPacked], &part, i, 0, gemmK)
		k.GemmBlock(&part, scratch[:GemmPacked], i, m0, m1, scratch[GemmPacked:])
	}
}

// Columns is the product of columns [n0, n1) alone: the same elements of C by the
// same chains.
func (g *Gemm) Columns(n0, n1 int) Gemm {
	part := *g
	part.N = n1 - n0
	part.B, part.C = g.B.from(n0), g.C[min(n0, len(g.C)):]
	return part
}

// empty writes what a product of no summands is.
func (g *Gemm) empty(m0, m1 int) {
	for i := m0; i < m1 && !g.Add; i++ {
		clear(g.C[i*g.LDC:][:g.N])
	}
}

// from is the matrix from column n on.
func (o Operand) from(n int) Operand {
	at := n
	if o.T {
		at = n * o.LD
	}
	if o.BF16 != nil {
		o.BF16 = o.BF16[min(at, len(o.BF16)):]
	} else {
		o.F32 = o.F32[min(at, len(o.F32)):]
	}
	return o
}

// GemmPack packs steps [s0, s1) of block i of B, of at most [GemmSteps]; several
// workers may share a block.
func (k *Kernels) GemmPack(packed []float32, g *Gemm, i, s0, s1 int) {
	b := k.block(g, i)
	if k.paired(g) {
		if s1 = min(s1, pairsOf(b.steps)); s0 < s1 {
			k.pairs.packPanels(packed[s0*gemmPanel:], &g.B, b.s+2*s0, min(b.steps-2*s0, 2*(s1-s0)), b.n0, b.n1)
		}
		return
	}
	if s1 = min(s1, b.steps); s0 < s1 {
		k.packPanels(packed[s0*gemmPanel:], &g.B, b.s+s0, s1-s0, b.n0, b.n1, g.Round)
	}
}

// GemmSteps is the most steps that a block has: summands, or pairs of them.
const GemmSteps = gemmK

// GemmBlock computes rows [m0, m1) of block i, which is packed. The blocks of a
// product must be done in order.
func (k *Kernels) GemmBlock(g *Gemm, packed []float32, i, m0, m1 int, scratch []float32) {
	b := k.block(g, i)
	as, odd := scratch[:gemmK*gemmRows], scratch[gemmK*gemmRows:]
	for m := m0; m < m1; m += gemmRows {
		rows, steps := min(gemmRows, m1-m), b.steps
		var a []float32
		lda := 0
		if k.paired(g) {
			steps = pairsOf(steps)
			a, lda = as, steps
			k.pairs.packRows(as, &g.A, m, rows, b.s, b.steps)
		} else {
			a, lda = g.A.rows(k, as, m, rows, b.s, steps, g.Round)
		}
		for c := b.n0; c < b.n1; c += gemmPanel {
			k.gemmTile(g, packed[(c-b.n0)*gemmK:], a, lda, m, rows, c, min(b.n1, c+gemmPanel), steps, b.s > 0 || g.Add, odd)
		}
	}
}

// gemmTile multiplies rows of A with one panel of B.
func (k *Kernels) gemmTile(g *Gemm, panel, a []float32, lda, m, rows, c0, c1, steps int, add bool, odd []float32) {
	whole := (c1 - c0) / GroupRows * GroupRows
	if !add {
		whole = c1 - c0 // the last columns are only stored as far as they are there
	}
	p := panels{dt: dtype.F32, data: bytesOf(panel), step: 4 * gemmPanel, group: 4 * GroupRows, cols: whole, steps: steps}
	if whole > 0 {
		k.panelProduct(g, p, panel, g.C[m*g.LDC+c0:], g.LDC, a, lda, rows, add)
	}
	rest := c1 - c0 - whole
	if rest == 0 {
		return
	}
	// Adding reads 16 columns of C: the last few go through a buffer.
	for i := range rows {
		copy(odd[i*GroupRows:][:rest], g.C[(m+i)*g.LDC+c0+whole:])
	}
	p.data, p.cols = p.data[4*whole:], GroupRows
	k.panelProduct(g, p, panel[whole:], odd, GroupRows, a, lda, rows, true)
	for i := range rows {
		copy(g.C[(m+i)*g.LDC+c0+whole:][:rest], odd[i*GroupRows:])
	}
}

// panelProduct is p.product for a panel of g; panel is p.data as values.
func (k *Kernels) panelProduct(g *Gemm, p panels, panel, dst []float32, ldd int, a []float32, lda, rows int, add bool) {
	if k.paired(g) {
		k.pairs.products.panels(&p, dst, ldd, a, lda, rows, add)
		return
	}
	if k.asm != nil {
		k.asm.panels(&p, dst, ldd, a, lda, rows, add)
		return
	}
	for i := 0; i < rows; i += 2 {
		two := min(2, rows-i)
		for c := 0; c < p.cols; c += 4 {
			genericGemm(dst[i*ldd+c:], ldd, a[i*lda:], lda, panel[c:], two, min(4, p.cols-c), p.steps, add)
		}
	}
}

// genericGemm multiplies one or two rows with up to four columns of a panel.
func genericGemm(dst []float32, ldd int, a []float32, lda int, panel []float32, rows, cols, steps int, add bool) {
	var acc [2][4]float32
	if add {
		for i := range rows {
			copy(acc[i][:cols], dst[i*ldd:])
		}
	}
	x := a[:steps]
	y := x
	if rows == 2 {
		y = a[lda:][:steps]
	}
	a0, a1, a2, a3 := acc[0][0], acc[0][1], acc[0][2], acc[0][3]
	b0, b1, b2, b3 := acc[1][0], acc[1][1], acc[1][2], acc[1][3]
	for s, u := range x {
		v := y[s]
		w := panel[s*gemmPanel:][:4]
		a0 += float32(u * w[0])
		a1 += float32(u * w[1])
		a2 += float32(u * w[2])
		a3 += float32(u * w[3])
		b0 += float32(v * w[0])
		b1 += float32(v * w[1])
		b2 += float32(v * w[2])
		b3 += float32(v * w[3])
	}
	acc = [2][4]float32{{a0, a1, a2, a3}, {b0, b1, b2, b3}}
	for i := range rows {
		copy(dst[i*ldd:i*ldd+cols], acc[i][:cols])
	}
}

// packPanels writes steps rows of a matrix from row s on, columns [n0, n1), as
// panels of 64 columns, gemmK*64 values apart. Columns of the last group of 16 that
// are not there become zeros.
func (k *Kernels) packPanels(dst []float32, o *Operand, s, steps, n0, n1 int, round bool) {
	for n := n0; n < n1; n += gemmPanel {
		panel, cols := dst[(n-n0)*gemmK:], min(gemmPanel, n1-n)
		if cols < gemmPanel {
			for i := range steps {
				clear(panel[i*gemmPanel+cols : (i+1)*gemmPanel])
			}
		}
		if o.T {
			k.turn(panel, gemmPanel, o, n, cols, s, steps)
		} else {
			for i := range steps {
				o.read(panel[i*gemmPanel:][:cols], s+i, n)
			}
		}
		if round {
			k.roundBF16(panel[:steps*gemmPanel], panel)
		}
	}
}

// rows gives rows m and on, columns s and on, of a matrix as float32: where they
// lie, or packed to buf.
func (o *Operand) rows(k *Kernels, buf []float32, m, rows, s, steps int, round bool) (a []float32, lda int) {
	switch {
	case o.T:
		k.turn(buf, steps, o, s, steps, m, rows)
	case o.BF16 != nil || round:
		for i := range rows {
			o.read(buf[i*steps:][:steps], m+i, s)
		}
	default:
		return o.F32[m*o.LD+s:], o.LD
	}
	if round {
		k.roundBF16(buf[:rows*steps], buf)
	}
	return buf, steps
}

// read copies elements of the row that lies at row, from col on.
func (o *Operand) read(dst []float32, row, col int) {
	if o.BF16 == nil {
		copy(dst, o.F32[row*o.LD+col:])
		return
	}
	for i, h := range o.BF16[row*o.LD+col:][:len(dst)] {
		dst[i] = dtype.BF16ToF32(h)
	}
}

// turn writes the transposed of a block: dst[j*ldd+i] is the element that lies in
// row row+i, column col+j.
func (k *Kernels) turn(dst []float32, ldd int, o *Operand, row, rows, col, cols int) {
	i := 0
	if k.asm != nil && k.asm.turn != nil && o.BF16 == nil {
		size := k.asm.turnSize
		squares := cols / size
		for ; squares > 0 && i+size <= rows; i += size {
			k.asm.turn(&dst[i], 4*ldd, &o.F32[(row+i)*o.LD+col], 4*o.LD, squares)
			o.turnRows(dst, ldd, row, i, i+size, col+squares*size, cols-squares*size, squares*size)
		}
	}
	o.turnRows(dst, ldd, row, i, rows, col, cols, 0)
}

// turnRows turns rows [i0, i1) of a block, of which column col becomes row at.
func (o *Operand) turnRows(dst []float32, ldd, row, i0, i1, col, cols, at int) {
	for i := i0; i < i1; i++ {
		if o.BF16 != nil {
			for j, h := range o.BF16[(row+i)*o.LD+col:][:cols] {
				dst[(at+j)*ldd+i] = dtype.BF16ToF32(h)
			}
			continue
		}
		for j, v := range o.F32[(row+i)*o.LD+col:][:cols] {
			dst[(at+j)*ldd+i] = v
		}
	}
}
