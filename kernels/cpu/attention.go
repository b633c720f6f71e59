package cpu

import (
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
)

// SplitLen is the number of positions that attention takes at once; splits begin
// at multiples of it.
const SplitLen = 256

// Attention are the parameters of an attention layer.
type Attention struct {
	KV
	Group         int     // query heads that share a key-value head
	Scale         float32 // of the products of query and key
	SoftCap       float32 // s becomes SoftCap*tanh(s/SoftCap), unless 0
	Window        int     // a row sees positions less than Window away; 0: all
	Bidirectional bool    // a row sees positions after its own, too
	Len           int     // positions stored
}

// Sees returns the range of positions [lo, hi) that a row at position pos sees.
func (a *Attention) Sees(pos int) (lo, hi int) {
	lo, hi = 0, min(pos+1, a.Len)
	if a.Bidirectional {
		hi = a.Len
		if a.Window > 0 {
			hi = min(hi, pos+a.Window)
		}
	}
	if a.Window > 0 {
		lo = max(0, pos-a.Window+1)
	}
	return lo, max(lo, hi)
}

// Splits is the range of splits [s0, s1) that a row at position pos needs; other
// splits contribute nothing to it.
func (a *Attention) Splits(pos int) (s0, s1 int) {
	lo, hi := a.Sees(pos)
	if lo == hi {
		return 0, 0
	}
	return lo / SplitLen, (hi + SplitLen - 1) / SplitLen
}

// PartialLen is the number of float32 in the partial result of one row, head and
// split: the weighted sum of values, [VStride], then the maximum of the scores
// and the sum of the weights, exp(score - maximum).
func (a *Attention) PartialLen() int { return a.VStride() + 16 }

// AttendScratch is the number of float32 that AttendSplit needs for m rows and a
// number of key-value heads at once.
func (a *Attention) AttendScratch(m, heads int) int {
	n := heads * m * a.Group * (a.KDim + SplitLen)
	if a.Type == dtype.Q8_0 {
		n += PageLen * max(a.KDim, a.VStride())
	}
	return n
}

// A splitCall is a call of AttendSplit.
type splitCall struct {
	*Kernels
	Attention    // by value, as the pages: else they would escape to the heap
	pages        Pages
	head0, head1 int
	base         int
	dst          []float32
	ldp, ldh     int
	rows         int // of queries, for each key-value head
	scores       []float32
	wide         []float32 // a page's keys or values, widened
	ahead        bool      // few rows: memory limits, so prefetch what comes next
	first        int       // first position that is seen, relative to base
	last         int       // last page that is seen
}

// AttendSplit computes the partial results of len(pos) rows of queries for heads
// key-value heads from head on and for one split. Row i is at position pos[i], its
// queries [Heads*Group][KDim] begin at q[i*ldq]. The partial of row i and query head
// (head+h)*Group+g goes to dst[h*ldh+(i*Group+g)*ldp]; ldp is at least PartialLen.
//
// Heads at once read the cache's pages as they lie in memory, which is faster for
// few rows.
func (k *Kernels) AttendSplit(dst []float32, ldp, ldh int, q []float32, ldq int, a *Attention, pages *Pages, head, heads, split int, pos []int32, scratch []float32) {
	rows := len(pos) * a.Group
	if rows == 0 {
		return
	}
	n := heads * rows
	c := splitCall{Kernels: k, Attention: *a, pages: *pages, head0: head, head1: head + heads, base: split * SplitLen,
		dst: dst, ldp: ldp, ldh: ldh, rows: rows, scores: scratch[n*a.KDim : n*(a.KDim+SplitLen)],
		wide: scratch[n*(a.KDim+SplitLen):], ahead: rows <= k.aheadRows()}
	queries, vs := scratch[:n*a.KDim], a.VStride()

	// What the rows see of the split: all of them together, and what all share.
	anyLo, anyHi, allLo, allHi := SplitLen, 0, 0, SplitLen
	for i, p := range pos {
		lo, hi := a.inSplit(int(p), c.base)
		allLo, allHi = max(allLo, lo), min(allHi, hi)
		if lo < hi {
			anyLo, anyHi = min(anyLo, lo), max(anyHi, hi)
		}
		for h := range heads {
			for g := range a.Group {
				part := dst[h*ldh+(i*a.Group+g)*ldp:][:a.PartialLen()]
				clear(part)
				part[vs] = float32(math.Inf(-1))
			}
			at := i*ldq + (head+h)*a.Group*a.KDim
			k.Scale(queries[(h*rows+i*a.Group)*a.KDim:][:a.Group*a.KDim], q[at:at+a.Group*a.KDim], a.Scale)
		}
	}
	if anyLo >= anyHi {
		return
	}
	c.first, c.last = anyLo, (c.base+anyHi-1)/PageLen
	c.score(queries, anyLo&^15, roundUp(anyHi, 16))
	for i, p := range pos {
		if lo, hi := a.inSplit(int(p), c.base); lo < hi {
			c.soften(i, lo, hi)
		}
	}
	if allLo >= allHi { // nothing shared: row by row
		for i, p := range pos {
			lo, hi := a.inSplit(int(p), c.base)
			c.weigh(i*a.Group, a.Group, lo, hi)
		}
		return
	}
	// A row's sum runs over its positions in order: first those before the shared
	// ones, then the shared ones for all rows at once, then the rest.
	for i, p := range pos {
		lo, _ := a.inSplit(int(p), c.base)
		c.weigh(i*a.Group, a.Group, lo, allLo)
	}
	c.weigh(0, rows, allLo, allHi)
	for i, p := range pos {
		_, hi := a.inSplit(int(p), c.base)
		c.weigh(i*a.Group, a.Group, allHi, hi)
	}
}

// inSplit is what a row sees of the split that begins at base, relative to it;
// empty as (0, 0).
func (a *Attention) inSplit(pos, base int) (lo, hi int) {
	lo, hi = a.Sees(pos)
	lo, hi = max(lo-base, 0), min(hi-base, SplitLen)
	if lo >= hi {
		return 0, 0
	}
	return lo, hi
}

// score computes the scores of positions [lo, hi) of the split, multiples of 16.
func (c *splitCall) score(queries []float32, lo, hi int) {
	panel, wide := c.kPanelBytes(), 16*c.KDim
	for lo < hi {
		end := min(lo&^(PageLen-1)+PageLen, hi)
		page, n := (c.base+lo)/PageLen, (end-lo)/16
		for h := c.head0; h < c.head1; h++ {
			keys := c.pages.keys(page)[h*c.kHeadBytes()+lo%PageLen/16*panel:][:n*panel]
			at := (h - c.head0) * c.rows
			out, x := c.scores[at*SplitLen+lo:], queries[at*c.KDim:]
			p := panels{dt: c.Type, data: keys, cols: end - lo, steps: c.KDim}
			if c.Type == dtype.Q8_0 {
				if c.q8Keys(out, SplitLen, x, c.rows, &c.KV, keys, n, c.afterKeys(page, h)) {
					continue
				}
				c.widenKeys(c.wide, &c.KV, keys, n)
				p.dt, p.data = dtype.F32, bytesOf(c.wide[:n*wide])
			} else {
				p.ahead = c.afterKeys(page, h)
			}
			p.step = 16 * p.dt.BlockBytes()
			p.group = c.KDim * p.step
			p.product(c.Kernels, out, SplitLen, x, c.KDim, c.rows, false)
		}
		lo = end
	}
}

// soften makes row i's scores in [lo, hi) weights.
func (c *splitCall) soften(i, lo, hi int) {
	vs := c.VStride()
	for h := range c.head1 - c.head0 {
		for g := range c.Group {
			r := i*c.Group + g
			s := c.scores[(h*c.rows+r)*SplitLen:][:SplitLen]
			from := lo &^ 15
			for j := from; j < lo; j++ {
				s[j] = float32(math.Inf(-1))
			}
			if c.Attention.SoftCap > 0 {
				c.Kernels.SoftCap(s[lo:hi], s[lo:hi], c.Attention.SoftCap)
			}
			part := c.dst[h*c.ldh+r*c.ldp:]
			part[vs] = c.Max(s[from:hi])
			part[vs+1] = c.expSum(s[from:hi], s[from:hi], part[vs])
		}
	}
}

// weigh adds the values of positions [lo, hi) of the split, times the rows'
// weights, to the partials of n rows from row r on.
func (c *splitCall) weigh(r, n, lo, hi int) {
	vs := c.VStride()
	for lo < hi {
		end := min(hi, lo&^(PageLen-1)+PageLen)
		page, slot := (c.base+lo)/PageLen, lo%PageLen
		for h := c.head0; h < c.head1; h++ {
			head := c.pages.values(page)[h*c.vHeadBytes():][:c.vHeadBytes()]
			at := h - c.head0
			out, x := c.dst[at*c.ldh+r*c.ldp:], c.scores[(at*c.rows+r)*SplitLen+lo:]
			p := panels{dt: c.Type, cols: vs, steps: end - lo}
			if c.Type == dtype.Q8_0 {
				if c.q8Values(out, c.ldp, x, SplitLen, n, &c.KV, head, slot, end-lo, c.afterValues(page, h, end)) {
					continue
				}
				c.widenValues(c.wide, &c.KV, head, slot, end-lo)
				p.dt, p.data = dtype.F32, bytesOf(c.wide[:(end-lo)*vs])
			} else {
				p.data, p.ahead = head[slot*c.vRowBytes():], c.afterValues(page, h, end)
			}
			p.group = 16 * p.dt.BlockBytes()
			p.step = vs / 16 * p.group
			p.product(c.Kernels, out, c.ldp, x, SplitLen, n, true)
		}
		lo = end
	}
}

// aheadRows is the most rows for which products prefetch.
func (k *Kernels) aheadRows() int {
	if k.asm == nil {
		return 0
	}
	return len(k.asm.aheadF16)
}

// afterKeys is what is read after the keys of a head and page; nil if it is not
// worth knowing.
func (c *splitCall) afterKeys(page, head int) []byte {
	switch {
	case !c.ahead:
		return nil
	case head+1 < c.head1:
		return c.pages.keys(page)[(head+1)*c.kHeadBytes():]
	case page < c.last:
		return c.pages.keys(page + 1)[c.head0*c.kHeadBytes():]
	}
	return c.pages.values((c.base + c.first) / PageLen)[c.head0*c.vHeadBytes():]
}

// afterValues is what is read after the values of a head and page.
func (c *splitCall) afterValues(page, head, end int) []byte {
	switch {
	case !c.ahead:
		return nil
	case head+1 < c.head1:
		return c.pages.values(page)[(head+1)*c.vHeadBytes():]
	case page < c.last:
		return c.pages.values(page + 1)[c.head0*c.vHeadBytes():]
	case end == SplitLen && c.base+SplitLen < c.Len: // the next split, if it is ours
		return c.pages.keys(page + 1)[c.head0*c.kHeadBytes():]
	}
	return nil
}

// MergePartials writes the result of one row and head to dst, VDim values, from
// the partials of its splits in order: n of them, partial i at parts[i*ldp]. A row
// that sees nothing gives zeros. scratch has n float32.
func (k *Kernels) MergePartials(dst []float32, a *Attention, parts []float32, ldp, n int, scratch []float32) {
	vs := a.VStride()
	dst = dst[:a.VDim]
	top := float32(math.Inf(-1))
	for i := range n {
		// NaN, once met, stays.
		m := parts[i*ldp+vs]
		if m > top || m != m {
			top = m
		}
		scratch[i] = m
	}
	if math.IsInf(float64(top), -1) {
		clear(dst)
		return
	}
	w := scratch[:n]
	k.expSum(w, w, top)
	var total float32
	for i, v := range w {
		total += float32(v * parts[i*ldp+vs+1])
	}
	panels{dt: dtype.F32, data: bytesOf(parts[:(n-1)*ldp+vs]), step: 4 * ldp, group: 64, cols: a.VDim, steps: n}.
		product(k, dst, a.VDim, w, n, 1, false)
	k.Scale(dst, dst, 1/total)
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
