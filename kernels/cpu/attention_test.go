package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

// cacheCase is a paged cache with random content, in pages in no order.
type cacheCase struct {
	a      Attention
	pages  Pages
	keys   []float64 // [pos][head][KDim], as stored
	values []float64 // [pos][head][VDim]
}

func newCache(k *Kernels, a Attention, seed uint64) *cacheCase {
	r := newRand(seed)
	c := &cacheCase{a: a}
	kv, n := &c.a.KV, (a.Len+PageLen-1)/PageLen
	c.pages = Pages{Stride: kv.KPageBytes() + kv.VPageBytes(), V: kv.KPageBytes()}
	for _, p := range r.Perm(n + 2)[:n] {
		c.pages.Index = append(c.pages.Index, int32(p))
	}
	c.pages.Data = make([]byte, (n+2)*c.pages.Stride)
	for i := range c.pages.Data {
		c.pages.Data[i] = 0xff // NaN, in either type: what is not stored must not be seen
	}
	for pos := range a.Len {
		key, value := randoms(r, a.Heads*a.KDim), randoms(r, a.Heads*a.VDim)
		page := c.pages.Data[int(c.pages.Index[pos/PageLen])*c.pages.Stride:]
		k.StoreKV(kv, page[:kv.KPageBytes()], page[c.pages.V:][:kv.VPageBytes()], pos%PageLen, key, value, make([]byte, kv.StoreScratch()))
		c.keys = append(c.keys, stored(key, a.KDim, a.Type)...)
		c.values = append(c.values, stored(value, a.VDim, a.Type)...)
	}
	return c
}

// stored is what the cache gives back of rows of n values.
func stored(x []float32, n int, t dtype.DType) []float64 {
	var out []float64
	for ; len(x) > 0; x = x[n:] {
		for i := range n {
			v := float64(x[i])
			switch t {
			case dtype.F16:
				v = float64(dtype.F16ToF32(dtype.F32ToF16(x[i])))
			case dtype.Q8_0:
				var top float32
				for _, w := range x[i/32*32 : min(i/32*32+32, n)] {
					top = max(top, float32(math.Abs(float64(w))))
				}
				d := dtype.F16ToF32(dtype.F32ToF16(top / 127))
				v = float64(d) * math.RoundToEven(float64(x[i]*(127/top)))
			}
			out = append(out, v)
		}
	}
	return out
}

// exact is attention for one row, all heads: [head][VDim].
func (c *cacheCase) exact(q []float32, pos int) []float64 {
	a := &c.a
	var out []float64
	for h := range a.Heads * a.Group {
		kvh := h / a.Group
		var total float64
		acc := make([]float64, a.VDim)
		for p := range a.Len {
			if p > pos && !a.Bidirectional || a.Window > 0 && (p <= pos-a.Window || p >= pos+a.Window) {
				continue
			}
			var s float64
			for d := range a.KDim {
				s += float64(q[h*a.KDim+d]) * c.keys[(p*a.Heads+kvh)*a.KDim+d]
			}
			s *= float64(a.Scale)
			if a.SoftCap > 0 {
				s = float64(a.SoftCap) * math.Tanh(s/float64(a.SoftCap))
			}
			w := math.Exp(s)
			total += w
			for d := range acc {
				acc[d] += w * c.values[(p*a.Heads+kvh)*a.VDim+d]
			}
		}
		for d := range acc {
			if total > 0 {
				acc[d] /= total
			}
		}
		out = append(out, acc...)
	}
	return out
}

// run computes attention of rows q at positions pos, [row][head][VDim], so many
// heads at once.
func (c *cacheCase) run(t *testing.T, k *Kernels, q []float32, pos []int32, at int) []float32 {
	a := &c.a
	heads := a.Heads * a.Group
	splits := (a.Len + SplitLen - 1) / SplitLen
	ldp := a.PartialLen()
	ldh := splits * len(pos) * a.Group * ldp
	parts, check := guardedFloats(t, a.Heads*ldh)
	scratch, checkScratch := guardedFloats(t, a.AttendScratch(len(pos), at))
	out, checkOut := guardedFloats(t, len(pos)*heads*a.VDim)
	weights := make([]float32, splits)
	for h := 0; h < a.Heads; h += at {
		for s := range splits {
			k.AttendSplit(parts[h*ldh+s*len(pos)*a.Group*ldp:], ldp, ldh, q, heads*a.KDim, a, &c.pages, h, min(at, a.Heads-h), s, pos, scratch)
		}
	}
	for h := range a.Heads {
		for i := range pos {
			for g := range a.Group {
				to := (i*heads + h*a.Group + g) * a.VDim
				k.MergePartials(out[to:to+a.VDim], a, parts[h*ldh+(i*a.Group+g)*ldp:], len(pos)*a.Group*ldp, splits, weights)
			}
		}
	}
	check()
	checkScratch()
	checkOut()
	return out
}

func TestAttention(t *testing.T) {
	for name, a := range map[string]Attention{
		"plain":          {KV: KV{2, 64, 64, dtype.F16}, Group: 3, Len: 300},
		"one position":   {KV: KV{1, 64, 64, dtype.F16}, Group: 1, Len: 1},
		"f32":            {KV: KV{1, 64, 64, dtype.F32}, Group: 2, Len: 70},
		"odd sizes":      {KV: KV{2, 40, 24, dtype.F16}, Group: 1, Len: 90},
		"odder sizes":    {KV: KV{1, 7, 3, dtype.F32}, Group: 2, Len: 65},
		"wide heads":     {KV: KV{1, 256, 256, dtype.F16}, Group: 4, Len: 258},
		"q8":             {KV: KV{2, 64, 64, dtype.Q8_0}, Group: 3, Len: 300},
		"q8, odd sizes":  {KV: KV{3, 40, 24, dtype.Q8_0}, Group: 2, Len: 90, Window: 50},
		"q8, odder":      {KV: KV{1, 7, 33, dtype.Q8_0}, Group: 2, Len: 65},
		"q8, wide":       {KV: KV{1, 256, 256, dtype.Q8_0}, Group: 4, Len: 258, SoftCap: 20},
		"keys wider":     {KV: KV{1, 192, 128, dtype.F16}, Group: 1, Len: 40},
		"window":         {KV: KV{1, 32, 32, dtype.F16}, Group: 2, Len: 600, Window: 100},
		"tiny window":    {KV: KV{1, 32, 32, dtype.F16}, Group: 2, Len: 520, Window: 5},
		"soft cap":       {KV: KV{1, 64, 64, dtype.F16}, Group: 1, Len: 100, SoftCap: 5},
		"bidirectional":  {KV: KV{1, 32, 32, dtype.F16}, Group: 1, Len: 270, Bidirectional: true},
		"both ways near": {KV: KV{1, 32, 32, dtype.F32}, Group: 1, Len: 270, Bidirectional: true, Window: 20},
	} {
		a.Scale = float32(1 / math.Sqrt(float64(a.KDim)))
		t.Run(name, func(t *testing.T) {
			eachLevel(t, func(t *testing.T, k *Kernels) {
				c := newCache(k, a, 5)
				rows := min(a.Len, 11)
				heads := a.Heads * a.Group
				q := randoms(newRand(6), rows*heads*a.KDim)
				var pos []int32
				var want []float64
				for i := range rows {
					pos = append(pos, int32(a.Len-rows+i))
					want = append(want, c.exact(q[i*heads*a.KDim:], a.Len-rows+i)...)
				}
				got := c.run(t, k, q, pos, 1)
				if e := nmse(got, want); !(e < 1e-11) {
					t.Errorf("NMSE %g", e)
				}
				// The same bits for rows alone and in other groups.
				ldo, ldq := heads*a.VDim, heads*a.KDim
				for n := 1; n < rows; n = 2*n + 1 {
					for i := 0; i < rows; i += n {
						m := min(n, rows-i)
						part := c.run(t, k, q[i*ldq:], pos[i:i+m], 1+n%a.Heads)
						sameBits(t, fmt.Sprintf("rows %d to %d", i, i+m), part, got[i*ldo:(i+m)*ldo])
					}
				}
			})
		})
	}
}

// TestAttentionLater checks that what comes after a row's position, be it not a
// number, changes nothing, and that pages out of the window are not looked at.
func TestAttentionLater(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		a := Attention{KV: KV{1, 64, 64, dtype.F16}, Group: 2, Len: 400, Scale: 0.125, Window: 90}
		c := newCache(k, a, 7)
		q := randoms(newRand(8), 3*128)
		pos := []int32{300, 301, 302}
		want := c.run(t, k, q[:128], pos[:1], 1)
		bad := make([]float32, 64)
		for i := range bad {
			bad[i] = float32(math.Inf(1 - i%2*2))
		}
		for p := 301; p < 400; p++ {
			page := c.pages.Data[int(c.pages.Index[p/PageLen])*c.pages.Stride:]
			k.StoreKV(&a.KV, page[:a.KPageBytes()], page[c.pages.V:][:a.VPageBytes()], p%PageLen, bad, bad, nil)
		}
		c.pages.Index[0], c.pages.Index[1], c.pages.Index[2] = -1, -1, -1
		got := c.run(t, k, q, pos, 1)
		sameBits(t, "first row", got[:128], want)
		if v := got[128]; v == v {
			t.Errorf("the second row does not see its own position: %v", v)
		}
	})
}

func TestMergeNothing(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		a := Attention{KV: KV{1, 16, 16, dtype.F32}, Group: 1, Len: 10}
		dst := []float32{16: 1}
		k.MergePartials(dst[:16], &a, nil, a.PartialLen(), 0, nil)
		for _, v := range dst[:16] {
			if v != 0 {
				t.Errorf("a row that sees nothing got %v", v)
			}
		}
	})
}
