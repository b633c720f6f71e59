package cpu

import (
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

// TestNoAllocations holds that the calls of a token's way allocate nothing.
func TestNoAllocations(t *testing.T) {
	for _, l := range Levels() {
		k := kernelsOf(l)
		a := Attention{KV: KV{2, 40, 40, dtype.F16}, Group: 3, Len: 100, Scale: 1, SoftCap: 30}
		c := newCache(k, a, 1)
		x := randoms(newRand(1), 6*40)
		parts, scratch := make([]float32, 6*a.PartialLen()), make([]float32, a.AttendScratch(2, 1))
		page := c.pages.Data[:c.pages.Stride]
		pos := []int32{97, 98}
		top, sums := make([]Candidate, 128), make([]ExpSum, 1)
		dst, q8 := make([]float32, 6*80), make([]byte, 6*Q8RowBytes(40))
		for name, f := range map[string]func(){
			"attend": func() { k.AttendSplit(parts, a.PartialLen(), 0, x, 120, &a, &c.pages, 0, 1, 0, pos, scratch) },
			"merge":  func() { k.MergePartials(dst[:40], &a, parts, a.PartialLen(), 1, scratch) },
			"store":  func() { k.StoreKV(&a.KV, page[:a.KPageBytes()], page[a.KPageBytes():], 5, x[:80], x[:80], nil) },
			"rope":   func() { k.RoPE(x, 40, dst[:20], dst[20:40], RopePairs) },
			"norm":   func() { k.LayerNorm(dst, x, x[:40], x[:40], 40, 1e-5) },
			"quant":  func() { k.QuantizeRows(q8, x, 40, 40, 0, 6) },
			"glu":    func() { k.GeGLU(dst, x, x) },
			"top":    func() { k.TopK(top, x, 0); k.ArgMax(x) },
			"sums":   func() { k.ExpSums(sums, x, dst); LogSumExp(sums) },
		} {
			if n := testing.AllocsPerRun(5, f); n != 0 {
				t.Errorf("%v: %s allocates %v times", l, name, n)
			}
		}
		for _, dt := range packedTypes {
			p := newProduct(t, k, dt, 40, 256, 7)
			row := make([]float32, 256)
			if n := testing.AllocsPerRun(5, func() {
				k.MatMul(dst, 40, p.x, 7, p.w, 0, 3)
				k.GatherRow(row, p.w, 39)
			}); n != 0 {
				t.Errorf("%v: a product with %v allocates %v times", l, dt, n)
			}
		}
	}
}
