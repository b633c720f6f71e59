package cpu

import (
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
)

// PageLen is the number of positions in a page of the cache.
const PageLen = 64

// SplitLen is the number of positions that attention takes at once; splits begin
// at multiples of it.
const SplitLen = 256

// KV describes what a page of the cache holds for one layer: for PageLen
// positions and Heads key-value heads, the keys as [head][position/16][KDim][16]
// and the values as [head][position][VStride], in elements of Type, which is
// dtype.F16 or dtype.F32.
type KV struct {
	Heads, KDim, VDim int
	Type              dtype.DType
}

// VStride is VDim rounded up to a multiple of 16; what lies between is zero.
func (kv *KV) VStride() int { return roundUp(kv.VDim, 16) }

// KPageBytes is the size of a page's keys.
func (kv *KV) KPageBytes() int { return kv.Heads * PageLen * kv.KDim * kv.Type.BlockBytes() }

// VPageBytes is the size of a page's values.
func (kv *KV) VPageBytes() int { return kv.Heads * PageLen * kv.VStride() * kv.Type.BlockBytes() }

// Pages says where the pages of a sequence lie: the keys and values of positions
// [i*PageLen, (i+1)*PageLen) are at Data[Index[i]*Stride+K] and Data[Index[i]*Stride+V].
// A page that no row of a call may see is not looked at.
type Pages struct {
	Data   []byte
	Index  []int32
	Stride int
	K, V   int
}

func (p *Pages) keys(i int) []byte   { return p.Data[int(p.Index[i])*p.Stride+p.K:] }
func (p *Pages) values(i int) []byte { return p.Data[int(p.Index[i])*p.Stride+p.V:] }

// check panics if a page's slices are too short for what is written to them.
func (kv *KV) check(keys, values []byte) {
	_ = keys[kv.KPageBytes()-1]
	_ = values[kv.VPageBytes()-1]
}

// StoreKV writes key and value, the rows [Heads][KDim] and [Heads][VDim] of one
// position, to place slot (0 to PageLen-1) of the page with those keys and values.
func (k *Kernels) StoreKV(kv *KV, keys, values []byte, slot int, key, value []float32) {
	if kv.Heads == 0 {
		return
	}
	kv.check(keys, values)
	size, vs := kv.Type.BlockBytes(), kv.VStride()
	for h := range kv.Heads {
		src := key[h*kv.KDim : (h+1)*kv.KDim]
		at := ((h*PageLen+slot&^15)*kv.KDim + slot&15) * size
		out := keys[at : at+(kv.KDim-1)*16*size+size]
		k.scatter(out, src, size)

		src = value[h*kv.VDim : (h+1)*kv.VDim]
		out = values[(h*PageLen+slot)*vs*size:][:vs*size]
		if size == 2 {
			k.F32ToF16(out, src)
		} else {
			for i, v := range src {
				putF32(out[4*i:], v)
			}
		}
		clear(out[kv.VDim*size:])
	}
}

// scatter stores src in elements of size bytes, 16 elements apart.
func (k *Kernels) scatter(dst []byte, src []float32, size int) {
	if size == 4 {
		for i, v := range src {
			putF32(dst[64*i:], v)
		}
		return
	}
	i := 0
	if k.asm != nil && len(src) >= 8 {
		i = len(src) &^ 7
		k.asm.scatterF16(&dst[0], &src[0], i/8)
	}
	for ; i < len(src); i++ {
		putHalf(dst[32*i:], halfOf(src[i]))
	}
}

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

// AttendScratch is the number of float32 that AttendSplit needs for m rows.
func (a *Attention) AttendScratch(m int) int { return m * a.Group * (a.KDim + SplitLen) }

// AttendSplit computes the partial results of len(pos) rows of queries for one
// key-value head and one split. Row i is at position pos[i], its queries
// [Heads*Group][KDim] begin at q[i*ldq]. The partial of row i and head
// head*Group+g goes to dst[(i*Group+g)*ldp]; ldp is at least PartialLen.
func (k *Kernels) AttendSplit(dst []float32, ldp int, q []float32, ldq int, a *Attention, pages *Pages, head, split int, pos []int32, scratch []float32) {
	rows, size, vs := len(pos)*a.Group, a.Type.BlockBytes(), a.VStride()
	if rows == 0 {
		return
	}
	base := split * SplitLen
	queries, scores := scratch[:rows*a.KDim], scratch[rows*a.KDim:rows*(a.KDim+SplitLen)]

	// What the rows see of the split: all of them together, and what all share.
	anyLo, anyHi, allLo, allHi := SplitLen, 0, 0, SplitLen
	for i, p := range pos {
		lo, hi := a.inSplit(int(p), base)
		for g := range a.Group {
			part := dst[(i*a.Group+g)*ldp:][:a.PartialLen()]
			clear(part)
			part[vs] = float32(math.Inf(-1))
		}
		allLo, allHi = max(allLo, lo), min(allHi, hi)
		if lo < hi {
			anyLo, anyHi = min(anyLo, lo), max(anyHi, hi)
		}
		at := i*ldq + head*a.Group*a.KDim
		k.Scale(queries[i*a.Group*a.KDim:(i+1)*a.Group*a.KDim], q[at:at+a.Group*a.KDim], a.Scale)
	}
	if anyLo >= anyHi {
		return
	}
	for p := anyLo &^ 15; p < anyHi; {
		end := min(p&^(PageLen-1)+PageLen, roundUp(anyHi, 16))
		panel := a.KDim * 16 * size
		keys := pages.keys((base + p) / PageLen)[(head*PageLen+p%PageLen)*a.KDim*size:]
		panels{dt: a.Type, data: keys[:(end-p)/16*panel], step: 16 * size, group: panel, cols: end - p, steps: a.KDim}.
			product(k, scores[p:], SplitLen, queries, a.KDim, rows, false)
		p = end
	}
	for i, p := range pos {
		lo, hi := a.inSplit(int(p), base)
		if lo >= hi {
			continue
		}
		for g := range a.Group {
			r := i*a.Group + g
			s := scores[r*SplitLen:][:SplitLen]
			from := lo &^ 15
			for j := from; j < lo; j++ {
				s[j] = float32(math.Inf(-1))
			}
			if a.SoftCap > 0 {
				k.SoftCap(s[lo:hi], s[lo:hi], a.SoftCap)
			}
			part := dst[r*ldp:]
			part[vs] = k.Max(s[from:hi])
			part[vs+1] = k.expSum(s[from:hi], s[from:hi], part[vs])
		}
	}
	if allLo >= allHi { // nothing shared: row by row
		for i, p := range pos {
			lo, hi := a.inSplit(int(p), base)
			k.weigh(dst, ldp, a, pages, head, base, i*a.Group, a.Group, scores, lo, hi)
		}
		return
	}
	// A row's sum runs over its positions in order: first those before the shared
	// ones, then the shared ones for all rows at once, then the rest.
	for i, p := range pos {
		lo, _ := a.inSplit(int(p), base)
		k.weigh(dst, ldp, a, pages, head, base, i*a.Group, a.Group, scores, lo, allLo)
	}
	k.weigh(dst, ldp, a, pages, head, base, 0, rows, scores, allLo, allHi)
	for i, p := range pos {
		_, hi := a.inSplit(int(p), base)
		k.weigh(dst, ldp, a, pages, head, base, i*a.Group, a.Group, scores, allHi, hi)
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

// weigh adds the values of positions [lo, hi) of a split, times the rows'
// weights, to the partials of n rows from row r on.
func (k *Kernels) weigh(dst []float32, ldp int, a *Attention, pages *Pages, head, base, r, n int, weights []float32, lo, hi int) {
	size, vs := a.Type.BlockBytes(), a.VStride()
	for lo < hi {
		end := min(hi, lo&^(PageLen-1)+PageLen)
		values := pages.values((base + lo) / PageLen)[(head*PageLen+lo%PageLen)*vs*size:]
		panels{dt: a.Type, data: values[:(end-lo)*vs*size], step: vs * size, group: 16 * size, cols: vs, steps: end - lo}.
			product(k, dst[r*ldp:], ldp, weights[r*SplitLen+lo:], SplitLen, n, true)
		lo = end
	}
}

// MergePartials writes the result of one row and head to dst, VDim values, from
// the partials of its splits in order: n of them, partial i at parts[i*ldp]. A row
// that sees nothing gives zeros.
func (k *Kernels) MergePartials(dst []float32, a *Attention, parts []float32, ldp, n int) {
	vs := a.VStride()
	dst = dst[:a.VDim]
	clear(dst)
	top := float32(math.Inf(-1))
	for i := range n {
		// NaN, once met, stays.
		if m := parts[i*ldp+vs]; m > top || m != m {
			top = m
		}
	}
	var total float32
	for i := range n {
		part := parts[i*ldp:]
		if part[vs+1] == 0 {
			continue
		}
		w := float32(math.Exp(float64(part[vs] - top)))
		total += float32(w * part[vs+1])
		k.addScaled(dst, part[:a.VDim], w)
	}
	if total != 0 {
		k.Scale(dst, dst, 1/total)
	}
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
