package cpu

import (
	"unsafe"

	"github.com/ledge-run/ledge/graph/dtype"
)

// Products of operands rounded to bfloat16. A product of two of them is exact in
// float32, so that a chain of multiply-adds rounds sums alone, whichever instruction
// computes it.
//
// Where the processor multiplies pairs of bfloat16 (AVX512_BF16), operands are packed
// as such: a 32-bit word has two summands that follow each other, the first in its
// upper half, since VDPBF16PS adds the product of the upper halves first, then that
// of the lower ones, rounding each time. Elsewhere they are rounded as they are packed
// and stay float32. So the chain is the same, and all levels give the same bits, but
// for numbers below 1.2e-38, which VDPBF16PS takes to be zero.

// pairs are the kernels of bfloat16 pairs. What is said to be float32 is a word of two.
type pairs struct {
	products table // of panels, as for float32

	narrowRow             func(dst, x *float32, n int)
	pairRows              func(dst, a, b *float32, n int)
	turnNarrow, turnPairs func(dst *float32, ldd int, src *float32, lds int, squares int)
	turnSize              int
}

// paired reports whether a product is computed by pairs.
func (k *Kernels) paired(g *Gemm) bool { return g.Round && k.pairs != nil }

// pairsOf is how many pairs n summands are.
func pairsOf(n int) int { return (n + 1) / 2 }

// zeros stand in for the row that the last of an odd number has no neighbour in.
var zeros [gemmPanel]float32

// packPanels is Kernels.packPanels for pairs: steps rows from row s on.
func (p *pairs) packPanels(dst []float32, o *Operand, s, steps, n0, n1 int) {
	for n := n0; n < n1; n += gemmPanel {
		panel, cols := dst[(n-n0)*gemmK:], min(gemmPanel, n1-n)
		if cols < gemmPanel {
			for i := range pairsOf(steps) {
				clear(panel[i*gemmPanel+cols : (i+1)*gemmPanel])
			}
		}
		if o.T {
			p.turnRows(panel, gemmPanel, o, n, cols, s, steps)
			continue
		}
		for i := 0; i < steps; i += 2 {
			p.pairRow(panel[i/2*gemmPanel:], o, s+i, i+1 < steps, n, cols)
		}
	}
}

// packRows packs rows m and on, columns s and on, of a matrix.
func (p *pairs) packRows(dst []float32, o *Operand, m, rows, s, steps int) {
	ldd := pairsOf(steps)
	if o.T {
		p.turnColumns(dst, ldd, o, s, steps, m, rows)
		return
	}
	for i := range rows {
		if o.BF16 == nil {
			p.narrowRow(&dst[i*ldd], &o.F32[(m+i)*o.LD+s], steps)
			continue
		}
		to := wordsOf(dst[i*ldd : (i+1)*ldd])
		for j := range to {
			to[j] = o.pair(m+i, s+2*j, 0, 1, 2*j+1 < steps)
		}
	}
}

// pairRow writes pairs of elements of the row that lies at row and, if there is one,
// of the next.
func (p *pairs) pairRow(dst []float32, o *Operand, row int, next bool, col, cols int) {
	if o.BF16 != nil {
		for j, to := 0, wordsOf(dst[:cols]); j < cols; j++ {
			to[j] = o.pair(row, col+j, 1, 0, next)
		}
		return
	}
	b := &zeros[0]
	if next {
		b = &o.F32[(row+1)*o.LD+col]
	}
	p.pairRows(&dst[0], &o.F32[row*o.LD+col], b, cols)
}

// turnRows writes the transposed of rows, of which pairs are neighbours: word
// dst[j*ldd+i] has the elements of row row+i that lie in columns col+2j and after it.
func (p *pairs) turnRows(dst []float32, ldd int, o *Operand, row, rows, col, cols int) {
	i, size := 0, p.turnSize
	if squares := cols / (2 * size); squares > 0 && o.BF16 == nil {
		for ; i+size <= rows; i += size {
			p.turnNarrow(&dst[i], 4*ldd, &o.F32[(row+i)*o.LD+col], 4*o.LD, squares)
			o.turnPairs(dst, ldd, row, i, i+size, col, cols, squares*size)
		}
	}
	o.turnPairs(dst, ldd, row, i, rows, col, cols, 0)
}

// turnPairs is turnRows for rows [i0, i1) and the words from at on.
func (o *Operand) turnPairs(dst []float32, ldd int, row, i0, i1, col, cols, at int) {
	to := wordsOf(dst)
	for i := i0; i < i1; i++ {
		for j := at; j < pairsOf(cols); j++ {
			to[j*ldd+i] = o.pair(row+i, col+2*j, 0, 1, 2*j+1 < cols)
		}
	}
}

// turnColumns writes the transposed of rows, of which two below each other are pairs:
// word dst[j*ldd+i] has the elements of column col+j that lie in rows row+2i and below it.
func (p *pairs) turnColumns(dst []float32, ldd int, o *Operand, row, rows, col, cols int) {
	i, size := 0, p.turnSize
	to := wordsOf(dst)
	if squares := cols / size; squares > 0 && o.BF16 == nil {
		for ; 2*(i+size) <= rows; i += size {
			p.turnPairs(&dst[i], 4*ldd, &o.F32[(row+2*i)*o.LD+col], 4*o.LD, squares)
			for j := squares * size; j < cols; j++ {
				for l := i; l < i+size; l++ {
					to[j*ldd+l] = o.pair(row+2*l, col+j, 1, 0, true)
				}
			}
		}
	}
	for ; 2*i < rows; i++ {
		for j := range cols {
			to[j*ldd+i] = o.pair(row+2*i, col+j, 1, 0, 2*i+1 < rows)
		}
	}
}

// pair is the word of the element that lies at row and col and, if there is one, of
// that which lies down rows and right columns on.
func (o *Operand) pair(row, col, down, right int, next bool) uint32 {
	w := uint32(o.bits(row, col)) << 16
	if next {
		w |= uint32(o.bits(row+down, col+right))
	}
	return w
}

func (o *Operand) bits(row, col int) uint16 {
	if o.BF16 != nil {
		return o.BF16[row*o.LD+col]
	}
	return dtype.F32ToBF16(o.F32[row*o.LD+col])
}

// wordsOf is the memory of values as words.
func wordsOf(x []float32) []uint32 {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*uint32)(unsafe.Pointer(&x[0])), len(x))
}

// roundBF16 rounds values to bfloat16. dst may be x.
func (k *Kernels) roundBF16(dst, x []float32) {
	x = x[:len(dst)]
	if k.asm != nil && k.asm.roundBF16 != nil {
		chunks(len(dst), func(i, n int) { k.asm.roundBF16(&dst[i], &x[i], n) })
		return
	}
	for i, v := range x {
		dst[i] = dtype.BF16ToF32(dtype.F32ToBF16(v))
	}
}
