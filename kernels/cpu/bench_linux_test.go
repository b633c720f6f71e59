package cpu

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/ledge-run/ledge/graph/dtype"
)

// benchMatrix is a matrix of about size bytes, with sane values.
func benchMatrix(dt dtype.DType, cols, size int) *Matrix {
	p, _ := packingOf(dt)
	group := p.groupBytes(cols)
	w := &Matrix{DType: dt, Rows: GroupRows, Cols: cols, Data: make([]byte, group)}
	(&checker{state: 1}).weights(w, p)
	one := w.Data
	w.Rows = GroupRows * max(1, size/group)
	w.Data = hugePages(w.Groups() * group)
	for at := 0; at < len(w.Data); at += group {
		copy(w.Data[at:], one)
	}
	return w
}

// hugePages returns memory that the kernel is asked to back with huge pages, as
// weights are.
func hugePages(n int) []byte {
	const huge = 2 << 20
	b := make([]byte, n+2*huge)
	b = b[-uintptr(unsafe.Pointer(&b[0]))&(huge-1):]
	_ = syscall.Madvise(b[:(n+huge-1)&^(huge-1)], 14) // MADV_HUGEPAGE; without it the figures are only lower
	return b[:n:n]
}

// benchKernels are the kernels of the best level, or of that in LEDGE_CPU.
func benchKernels(b *testing.B) *Kernels {
	k, err := Select("")
	if err != nil {
		b.Skip(err)
	}
	return k
}

// quick is the tenth percentile of durations: what an undisturbed run takes on a
// machine that others use.
func quick(d []time.Duration) float64 {
	slices.Sort(d)
	return d[len(d)/10].Seconds()
}

// BenchmarkGEMV is the product with one row, out of memory, in pieces of 1 MB. In
// between, other pieces are only read: "of-read" is the share of that rate.
func BenchmarkGEMV(b *testing.B) {
	const size, cols, piece = 96 << 20, 2048, 1 << 20
	k := benchKernels(b)
	acts := randomActs(k, cols, 1)
	for _, dt := range packedTypes {
		b.Run(dt.String(), func(b *testing.B) {
			w := benchMatrix(dt, cols, size)
			dst := make([]float32, w.Rows)
			group := len(w.Data) / w.Groups()
			n := piece / group
			var product, read []time.Duration
			for b.Loop() {
				for g := 0; g+2*n <= w.Groups(); g += 2 * n {
					t := time.Now()
					k.MatMul(dst, w.Rows, acts, 1, w, g, g+n)
					product = append(product, time.Since(t))
					t = time.Now()
					k.Max(unsafe.Slice((*float32)(unsafe.Pointer(&w.Data[(g+n)*group])), n*group/4))
					read = append(read, time.Since(t))
				}
			}
			rate := float64(n*group) / quick(product) / 1e9
			b.ReportMetric(rate, "GB/s")
			b.ReportMetric(rate*1e9/float64(n*group)*quick(read), "of-read")
		})
	}
}

// BenchmarkGEMM is the product with many rows, in units of 1e9 multiplications
// and additions a second.
func BenchmarkGEMM(b *testing.B) {
	const cols, rows = 2048, 512
	k := benchKernels(b)
	for _, m := range []int{1, 2, 4, 8, 128} {
		for _, dt := range packedTypes {
			b.Run(fmt.Sprintf("m%d/%v", m, dt), func(b *testing.B) {
				k0 := cols
				if dt.BlockLen() == 256 {
					k0 = 2048
				}
				acts := randomActs(k, k0, m)
				w := benchMatrix(dt, k0, 1)
				w = benchMatrix(dt, k0, rows/GroupRows*len(w.Data))
				dst := make([]float32, m*w.Rows)
				var took []time.Duration
				step := max(1, w.Groups()/m)
				for b.Loop() {
					for g := 0; g+step <= w.Groups(); g += step {
						t := time.Now()
						k.MatMul(dst, w.Rows, acts, m, w, g, g+step)
						took = append(took, time.Since(t))
					}
				}
				b.ReportMetric(2*float64(k0*step*GroupRows*m)/quick(took)/1e9, "GOPS")
			})
		}
	}
}

func BenchmarkPack(b *testing.B) {
	const rows, cols = 256, 2048
	for _, dt := range packedTypes {
		b.Run(dt.String(), func(b *testing.B) {
			n, _ := dt.RowBytes(cols)
			src := make([]byte, rows*n)
			size, _ := rows16.PackedSize(dt, rows, cols)
			dst := make([]byte, size)
			b.SetBytes(int64(len(src)))
			var took []time.Duration
			for b.Loop() {
				t := time.Now()
				if err := rows16.Pack(dst, dt, src, rows, cols, 0, Groups(rows)); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(t))
			}
			b.ReportMetric(float64(rows*cols)/quick(took)/1e6, "Mvalues/s")
		})
	}
}

func BenchmarkAttend(b *testing.B) {
	k := benchKernels(b)
	a := Attention{KV: KV{Heads: 1, KDim: 64, VDim: 64, Type: dtype.F16}, Group: 3, Scale: 0.125, Len: 256}
	c := newCache(k, a, 1)
	for _, rows := range []int{1, 16} {
		b.Run(fmt.Sprintf("rows%d", rows), func(b *testing.B) {
			q := randoms(newRand(1), rows*a.Group*a.KDim)
			pos := make([]int32, rows)
			for i := range pos {
				pos[i] = int32(a.Len - rows + i)
			}
			parts, scratch := make([]float32, rows*a.Group*a.PartialLen()), make([]float32, a.AttendScratch(rows, 1))
			var took []time.Duration
			for b.Loop() {
				t := time.Now()
				k.AttendSplit(parts, a.PartialLen(), 0, q, a.Group*a.KDim, &a, &c.pages, 0, 1, 0, pos, scratch)
				took = append(took, time.Since(t))
			}
			b.ReportMetric(4*float64(rows*a.Group*a.Len*a.KDim)/quick(took)/1e9, "GFLOPS")
		})
	}
}

func BenchmarkRows(b *testing.B) {
	const n = 1536
	k := benchKernels(b)
	x, y, d := randoms(newRand(1), n), randoms(newRand(2), n), make([]float32, n)
	q := make([]byte, Q8RowBytes(n))
	for name, f := range map[string]func(){
		"quantize": func() { k.QuantizeRows(q, x, n, n, 0, 1) },
		"rmsnorm":  func() { k.RMSNorm(d, x, y, n, 1e-5) },
		"swiglu":   func() { k.SwiGLU(d, x, y) },
		"geglu":    func() { k.GeGLU(d, x, y) },
		"softmax":  func() { k.Softmax(d, x, n) },
		"add":      func() { k.Add(d, x, y) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(4 * n)
			var took []time.Duration
			for b.Loop() {
				t := time.Now()
				f()
				took = append(took, time.Since(t))
			}
			b.ReportMetric(quick(took)*1e9, "quick-ns")
			if a := testing.AllocsPerRun(10, f); a != 0 {
				b.Errorf("%v allocations", a)
			}
		})
	}
}
