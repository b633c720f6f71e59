package cpu

import "github.com/ledge-run/ledge/graph/dtype"

// A tileFunc multiplies a fixed number of activation rows (x, ldx bytes apart)
// with row groups of weights, one after another at w, each of so many units.
// Results go to dst, rows ldd bytes apart; of the last group only the
// first tail (1 to 16) are stored.
type tileFunc func(dst *float32, ldd int, x *byte, ldx int, w *byte, units, groups, tail int)

// A panelFunc multiplies a fixed number of rows of x (ldx bytes apart) with one
// or four panels, group bytes apart, of k times 16 values, step bytes apart. If
// add is not 0, dst is added to, with all 16 columns of it there.
type panelFunc func(dst *float32, ldd int, x *float32, ldx int, w *byte, step, group, k, add, tail int)

// An aheadFunc is a panelFunc that prefetches from ahead on as many bytes as it
// reads of its panels.
type aheadFunc func(dst *float32, ldd int, x *float32, ldx int, w *byte, step, group, k, add, tail int, ahead *byte)

// A q8Func is an aheadFunc for q8Groups panels of int8 with scales in float16: for
// keys, of each 32 steps' 16 columns, as far apart as the panels; for values, of
// each step's 32 columns, scaleStep bytes apart. All columns are there.
type q8Func func(dst *float32, ldd int, x *float32, ldx int, w *byte, step, group, k int, scales *byte, scaleStep, add int, ahead *byte)

type (
	unaryFunc func(dst, x *float32, n int)
	gatedFunc func(dst, x, up *float32, n int)
)

// table has the assembly kernels of a level. n is never 0.
type table struct {
	tileRows   []int        // ascending, beginning with 1
	tileGroups int          // groups that tiles of several rows take at once, at most; 0: one
	tiles      [][]tileFunc // by format
	twoGroups  []tileFunc   // by format: lots of twoRows rows, of which groups is the number, and two groups; or none
	twoRows    int

	panelRows                     []int
	panelF32, panelF16, panelBF16 []panelFunc // one panel
	wideF32, wideF16, wideBF16    panelFunc   // one row, four panels

	// Kernels of blockGroups panels, by the number of rows less one; or none.
	blockF32, blockF16, blockBF16 []panelFunc
	blockGroups                   int
	aheadF32, aheadF16            []aheadFunc // the same with prefetching; or none

	quantize   func(dst *byte, x *float32, records int)
	scatterF16 func(dst *byte, x *float32, eights int)
	toF16      func(dst *byte, x *float32, sixteens int)
	fromF16    func(dst *float32, x *byte, sixteens int)

	// For caches in Q8_0: products; and keys and values as float32, in panels of
	// 16 keys, and positions of so many times 16 values. Or nil.
	q8Keys, q8Values []q8Func // by the number of rows less one; or none
	q8Groups         int
	widenKeys        func(dst *float32, src *byte, dim, panels int)
	widenValues      func(dst *float32, rows, scales *byte, sixteens, n int)

	scaleRow   func(dst, x, w *float32, shift, scale float32, n int)
	shiftScale func(dst, x *float32, shift, scale float32, n int)
	add, mul   func(dst, a, b *float32, n int)
	ropePairs  func(x, cos, sin *float32, eights int)
	ropeHalves func(a, b, cos, sin *float32, n int)

	sum        func(x *float32, n int) float32
	sumSquares func(x *float32, mean float32, n int) float32
	expSum     func(dst, x *float32, top float32, n int) float32
	max        func(x *float32, n int) float32

	unary   [numUnary]unaryFunc
	gated   [numUnary]gatedFunc
	softCap func(dst, x *float32, limit, twice float32, n int)

	// Of training; nil where a level has none.
	turn       func(dst *float32, ldd int, src *float32, lds int, squares int)
	turnSize   int
	adamW      func(p, g, m, v, numbers *float32, n int)
	dot        func(a, b *float32, n int) float32
	subScale   func(dst, x *float32, a, c, s float32, n int)
	derivative [numDerivatives]gatedFunc
	roundBF16  func(dst, x *float32, n int)
}

// Assembly cannot be preempted, so a call is given a bounded amount of work; and
// rows of activations are taken in runs that stay in the second-level cache while
// the weights pass.
const (
	callBytes = 512 << 10
	runBytes  = 192 << 10
	lotWork   = 64 << 10 // columns of lots of rows
)

// largest returns the index of the largest of rows that is at most m.
func largest(rows []int, m int) int {
	i := len(rows) - 1
	for rows[i] > m {
		i--
	}
	return i
}

func (t *table) matMulInt(dst []float32, ldd int, x []byte, actRow, m int, w *Matrix, p *packing, group0, group1 int) {
	group, units := p.groupBytes(w.Cols), p.format.Units(w.Cols)
	kernels := t.tiles[p.id]
	rest := func(g, n, from, to int) {
		tail := min(GroupRows, w.Rows-(g+n-1)*GroupRows)
		for i := from; i < to; {
			j := largest(t.tileRows, to-i)
			kernels[j](&dst[i*ldd+g*GroupRows], ldd*4, &x[i*actRow], actRow, &w.Data[g*group], units, n, tail)
			i += t.tileRows[j]
		}
	}
	most := t.tileRows[len(t.tileRows)-1]
	run := max(most, runBytes/actRow/most*most)
	for i0 := 0; i0 < m; i0 += run {
		i1 := min(m, i0+run)
		g := group0
		if i1-i0 == 1 {
			// One row takes many groups in a call.
			for g < group1 {
				n := min(max(1, callBytes/group), group1-g)
				tail := min(GroupRows, w.Rows-(g+n-1)*GroupRows)
				kernels[0](&dst[i0*ldd+g*GroupRows], ldd*4, &x[i0*actRow], actRow, &w.Data[g*group], units, n, tail)
				g += n
			}
		}
		// Several rows take a group, or a few, in turn, so that it is still in the
		// cache.
		for g < group1 {
			from := i0
			if t.twoRows > 0 && g+2 <= group1 {
				two := t.twoGroups[p.id]
				tail := min(GroupRows, w.Rows-(g+1)*GroupRows)
				for i1-from >= t.twoRows {
					lots := min((i1-from)/t.twoRows, max(1, lotWork/(units*p.format.Unit)))
					two(&dst[from*ldd+g*GroupRows], ldd*4, &x[from*actRow], actRow, &w.Data[g*group], units, lots, tail)
					from += lots * t.twoRows
				}
				rest(g, 1, from, i1)
				g++
			}
			n := min(max(1, t.tileGroups), group1-g)
			rest(g, n, from, i1)
			g += n
		}
	}
}

// panels is the product of panels: see panels.product.
func (t *table) panels(p *panels, dst []float32, ldd int, x []float32, ldx, m int, add bool) {
	kernels, block, wide := t.panelF32, t.blockF32, t.wideF32
	switch p.dt {
	case dtype.F16:
		kernels, block, wide = t.panelF16, t.blockF16, t.wideF16
	case dtype.BF16:
		kernels, block, wide = t.panelBF16, t.blockBF16, t.wideBF16
	}
	adds := 0
	if add {
		adds = 1
	}
	if p.steps == 0 {
		return
	}
	if len(p.ahead) > 0 && t.panelsAhead(p, dst, ldd, x, ldx, m, adds) {
		return
	}
	for g, c := 0, 0; c < p.cols; {
		w := &p.data[g*p.group]
		if m == 1 && p.cols-c > 3*GroupRows {
			tail := min(GroupRows, p.cols-c-3*GroupRows)
			wide(&dst[c], ldd*4, &x[0], ldx*4, w, p.step, p.group, p.steps, adds, tail)
			g, c = g+4, c+4*GroupRows
			continue
		}
		if n := t.blockGroups; m > 1 && len(block) > 0 && p.cols-c > (n-1)*GroupRows {
			tail := min(GroupRows, p.cols-c-(n-1)*GroupRows)
			for i := 0; i < m; {
				r := min(len(block), m-i)
				block[r-1](&dst[i*ldd+c], ldd*4, &x[i*ldx], ldx*4, w, p.step, p.group, p.steps, adds, tail)
				i += r
			}
			g, c = g+n, c+n*GroupRows
			continue
		}
		tail := min(GroupRows, p.cols-c)
		for i := 0; i < m; {
			j := largest(t.panelRows, m-i)
			kernels[j](&dst[i*ldd+c], ldd*4, &x[i*ldx], ldx*4, w, p.step, p.group, p.steps, adds, tail)
			i += t.panelRows[j]
		}
		g, c = g+1, c+GroupRows
	}
}

// panelsAhead is panels for few rows and whole blocks of panels; it reports
// whether it has done it.
func (t *table) panelsAhead(p *panels, dst []float32, ldd int, x []float32, ldx, m, adds int) bool {
	kernels, n := t.aheadF32, t.blockGroups*GroupRows
	if p.dt == dtype.F16 {
		kernels = t.aheadF16
	}
	if m > len(kernels) || p.cols%n != 0 || len(p.ahead) < p.cols*p.steps*p.dt.BlockBytes() {
		return false
	}
	for c := 0; c < p.cols; c += n {
		kernels[m-1](&dst[c], ldd*4, &x[0], ldx*4, &p.data[c/GroupRows*p.group], p.step, p.group, p.steps, adds, GroupRows,
			&p.ahead[c*p.steps*p.dt.BlockBytes()])
	}
	return true
}
