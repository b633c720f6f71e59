package cpu

import (
	"runtime/debug"
	"syscall"
	"testing"
	"unsafe"

	"github.com/ledge-run/ledge/graph/dtype"
)

// beforeFence returns n bytes that end where memory that cannot be read begins.
func beforeFence(t *testing.T, n int) []byte {
	t.Helper()
	page := syscall.Getpagesize()
	size := roundUp(max(n, 1), page)
	m, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Skipf("no memory mapping here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(m) })
	if err := syscall.Mprotect(m[size:], syscall.PROT_NONE); err != nil {
		t.Skipf("no memory protection here: %v", err)
	}
	return m[size-n : size : size]
}

func floatsBeforeFence(t *testing.T, x []float32) []float32 {
	b := beforeFence(t, 4*len(x))
	y := unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(x))
	copy(y, x)
	return y
}

// TestReadsInBounds runs kernels on inputs and outputs at the very end of readable
// memory.
func TestReadsInBounds(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, dt := range packedTypes {
			cols := max(96, dt.BlockLen())
			if dt.BlockLen() == 1 {
				cols = 33
			}
			for _, m := range []int{1, 3, 15} {
				p := newProduct(t, k, dt, 21, cols, m)
				w, x := *p.w, *p.x
				w.Data = beforeFence(t, len(w.Data))
				copy(w.Data, p.w.Data)
				x.Q8 = beforeFence(t, len(x.Q8))
				copy(x.Q8, p.x.Q8)
				x.F32 = floatsBeforeFence(t, x.F32[:(m-1)*x.LD+cols])
				k.MatMul(floatsBeforeFence(t, make([]float32, m*21)), 21, &x, m, &w, 0, w.Groups())
			}
		}
		for _, n := range []int{1, 15, 17, 63, 65, 100} {
			x, y, d := floatsBeforeFence(t, wide(n)), floatsBeforeFence(t, wide(n)), floatsBeforeFence(t, wide(n))
			k.SwiGLU(d, x, y)
			k.GELUErf(d, x)
			k.RMSNorm(d, x, y, n, 1e-5)
			k.LayerNorm(d, x, y, y, n, 1e-5)
			k.Softmax(d, x, n)
			k.SoftCap(d, x, 30)
			k.Add(d, x, y)
			k.Max(x)
			half := beforeFence(t, 2*n)
			k.F32ToF16(half, x)
			k.F16ToF32(d, half)
			k.QuantizeRows(beforeFence(t, Q8RowBytes(n)), x, n, n, 0, 1)
			for _, style := range []RopeStyle{RopePairs, RopeHalves} {
				k.RoPE(d, n, x[n-n/2:], y[n-n/2:], style)
			}
		}
		for _, typ := range []dtype.DType{dtype.F16, dtype.F32, dtype.Q8_0} {
			c := newCache(k, Attention{KV: KV{2, 40, 24, typ}, Group: 3, Len: 64, Scale: 0.1}, 1)
			c.pages.Index[0] = 0
			data := beforeFence(t, c.pages.Stride)
			copy(data, c.pages.Data)
			c.pages.Data = data
			c.run(t, k, floatsBeforeFence(t, randoms(newRand(1), 4*6*40)), []int32{60, 61, 62, 63}, 2)
		}
	})
}
