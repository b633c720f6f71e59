package cpu

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/ledge-run/ledge/graph/dtype"
)

// BenchmarkDecodeAttention is one row's attention over a cache out of memory, laid
// out as for a model of many layers. "of-read" is its rate as a share of that of
// only reading as much.
func BenchmarkDecodeAttention(b *testing.B) {
	const layers, length = 24, 4096
	k := benchKernels(b)
	for _, a := range []Attention{
		{KV: KV{Heads: 3, KDim: 64, VDim: 64}, Group: 3},
		{KV: KV{Heads: 1, KDim: 256, VDim: 256}, Group: 4},
		{KV: KV{Heads: 8, KDim: 64, VDim: 64}, Group: 1}, {KV: KV{Heads: 1, KDim: 192, VDim: 192}, Group: 3}, {KV: KV{Heads: 1, KDim: 768, VDim: 768}, Group: 3},
	} {
		for _, typ := range []dtype.DType{dtype.F16, dtype.F32, dtype.Q8_0} {
			a.Type, a.Len, a.Scale = typ, length, 0.1
			b.Run(fmt.Sprintf("%dx%dx%d/%v", a.Heads, a.Group, a.KDim, typ), func(b *testing.B) {
				kb, vb := a.KPageBytes(), a.VPageBytes()
				n := length / PageLen
				pages := Pages{Stride: layers * (kb + vb), V: kb}
				for i := range n {
					pages.Index = append(pages.Index, int32(i))
				}
				pages.Data = hugePages(n * pages.Stride)
				clear(pages.Data)
				heads := a.Heads * a.Group
				q := randoms(newRand(1), heads*a.KDim)
				splits := length / SplitLen
				parts, scratch := make([]float32, heads*splits*a.PartialLen()), make([]float32, a.AttendScratch(1, a.Heads))
				pos := []int32{length - 1}
				var took, read []time.Duration
				for b.Loop() {
					for l := range layers {
						pages.K, pages.V = l*(kb+vb), l*(kb+vb)+kb
						t := time.Now()
						for s := range splits {
							k.AttendSplit(parts[s*a.PartialLen():], splits*a.PartialLen(), splits*a.Group*a.PartialLen(), q, heads*a.KDim, &a, &pages, 0, a.Heads, s, pos, scratch)
						}
						took = append(took, time.Since(t))
					}
					for i := 0; i < len(pages.Data); i += 1 << 20 {
						m := min(1<<20, len(pages.Data)-i)
						t := time.Now()
						k.Max(unsafe.Slice((*float32)(unsafe.Pointer(&pages.Data[i])), m/4))
						if m == 1<<20 {
							read = append(read, time.Since(t))
						}
					}
				}
				rate := float64(n*(kb+vb)) / quick(took) / 1e9
				b.ReportMetric(rate, "GB/s")
				b.ReportMetric(rate*1e9/(1<<20)*quick(read), "of-read")
			})
		}
	}
}
