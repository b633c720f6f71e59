package cpu

import (
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// checkTolerance bounds the squared error of a level's results relative to the
// squares of the generic level's.
const checkTolerance = 1e-10

// SelfCheck compares every kind of kernel with plain Go on small problems, in
// about a millisecond. An error means that the level must not be used: a broken
// emulation or virtual machine, or a bug.
func (k *Kernels) SelfCheck() error {
	if k.asm == nil {
		return nil
	}
	c := checker{k: k, ref: kernelsOf(Generic), state: 1}
	c.products()
	c.rows()
	c.attention()
	if c.err != nil {
		return fmt.Errorf("self-check of the %v kernels: %w", k.level, c.err)
	}
	return nil
}

// checker makes inputs and keeps the first failure.
type checker struct {
	k, ref *Kernels
	state  uint32
	err    error
}

func (c *checker) next() uint32 {
	c.state = c.state*1664525 + 1013904223
	return c.state >> 8
}

func (c *checker) floats(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(c.next())/(1<<22) - 2
	}
	return x
}

// compare runs f with both kernels, each on its own copy of n values.
func (c *checker) compare(what string, n int, f func(k *Kernels, dst []float32)) {
	if c.err != nil {
		return
	}
	want, got := make([]float32, n), make([]float32, n)
	f(c.ref, want)
	f(c.k, got)
	var e, s float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		e, s = e+d*d, s+float64(w)*float64(w)
	}
	if !(e <= checkTolerance*s) {
		c.err = fmt.Errorf("%s differs from plain Go by %.2g (squared, relative)", what, e/s)
	}
}

// checkTypes are all types that products are computed with.
var checkTypes = func() []dtype.DType {
	types := []dtype.DType{dtype.F32, dtype.F16, dtype.BF16}
	for i := range packed.Formats {
		types = append(types, packed.Formats[i].DType)
	}
	return types
}()

func (c *checker) products() {
	const rows, cols, m = GroupRows + 5, 256, 15 // tiles of 8, 4, 2 and 1
	x := c.floats(m * cols)
	acts := &Acts{Cols: cols, F32: x, LD: cols, Q8: make([]byte, m*Q8RowBytes(cols))}
	c.ref.QuantizeRows(acts.Q8, x, cols, cols, 0, m)
	other := make([]byte, len(acts.Q8))
	c.k.QuantizeRows(other, x, cols, cols, 0, m)
	if string(other) != string(acts.Q8) {
		c.err = errors.New("quantised activations differ from plain Go's")
	}
	for _, dt := range checkTypes {
		p, _ := packingOf(dt)
		w := &Matrix{DType: dt, Rows: rows, Cols: cols, Data: make([]byte, Groups(rows)*p.groupBytes(cols))}
		c.weights(w, p)
		for _, n := range []int{1, m} {
			c.compare(fmt.Sprintf("the product with %v and %d rows", dt, n), n*rows, func(k *Kernels, dst []float32) {
				k.MatMul(dst, rows, acts, n, w, 0, 2)
			})
		}
	}
}

// weights fills a packed matrix.
func (c *checker) weights(w *Matrix, p *packing) {
	b := w.Data
	if p.plain > 0 {
		for ; len(b) > 0; b = b[p.plain:] {
			v := float32(c.next())/(1<<22) - 2
			switch w.DType {
			case dtype.F16:
				putHalf(b, dtype.F32ToF16(v))
			case dtype.BF16:
				putHalf(b, dtype.F32ToBF16(v))
			default:
				putF32(b, v)
			}
		}
		return
	}
	for i := range b {
		b[i] = byte(c.next())
	}
	// Every byte is a good value, or a good scale but for these.
	f := p.format
	for ; len(b) > 0; b = b[f.UnitBytes():] {
		halves := f.ScalesAt() // of float16
		switch f.Scales {
		case packed.Halves:
			halves = f.ValuesAt()
		case packed.Exponents:
			for i := range f.ValuesAt() {
				b[i] = 128 - 4 + b[i]%8
			}
		}
		for i := range halves / 2 {
			putHalf(b[2*i:], halfOf(float32(c.next())/(1<<24)))
		}
	}
}

func (c *checker) rows() {
	const n = 150 // whole vectors of unrolled loops, single ones, and a rest
	x, y, z := c.floats(n), c.floats(n), c.floats(n)
	for i := range x {
		x[i] *= 4
	}
	type binary = func(dst, x, y []float32)
	for name, pick := range map[string]func(k *Kernels) binary{
		"addition": func(k *Kernels) binary { return k.Add }, "multiplication": func(k *Kernels) binary { return k.Mul },
		"SwiGLU": func(k *Kernels) binary { return k.SwiGLU }, "GeGLU": func(k *Kernels) binary { return k.GeGLU },
		"GeGLU (erf)": func(k *Kernels) binary { return k.GeGLUErf },
	} {
		c.compare(name, n, func(k *Kernels, dst []float32) { pick(k)(dst, x, y) })
	}
	type unary = func(dst, x []float32)
	for name, pick := range map[string]func(k *Kernels) unary{
		"SiLU": func(k *Kernels) unary { return k.SiLU }, "GELU": func(k *Kernels) unary { return k.GELU },
		"GELU (erf)": func(k *Kernels) unary { return k.GELUErf }, "exp": func(k *Kernels) unary { return k.Exp },
	} {
		c.compare(name, n, func(k *Kernels, dst []float32) { pick(k)(dst, x) })
	}
	c.compare("the soft cap", n, func(k *Kernels, dst []float32) { k.SoftCap(dst, x, 3) })
	c.compare("softmax", n, func(k *Kernels, dst []float32) { k.Softmax(dst, x, n) })
	c.compare("RMSNorm", n, func(k *Kernels, dst []float32) { k.RMSNorm(dst, x, y, n, 1e-6) })
	c.compare("LayerNorm", n, func(k *Kernels, dst []float32) { k.LayerNorm(dst, x, y, z, n, 1e-6) })
	c.compare("the largest value", 1, func(k *Kernels, dst []float32) { dst[0] = k.Max(x) })
	for _, style := range []RopeStyle{RopePairs, RopeHalves} {
		c.compare("the rotation", n, func(k *Kernels, dst []float32) {
			copy(dst, x)
			k.RoPE(dst, n, y[:n/2], z[:n/2], style)
		})
	}
	half := make([]byte, 2*n)
	c.compare("float16", n, func(k *Kernels, dst []float32) {
		k.F32ToF16(half, x)
		k.F16ToF32(dst, half)
	})
}

func (c *checker) attention() {
	a := Attention{KV: KV{Heads: 1, KDim: 24, VDim: 24, Type: dtype.F16}, Group: 3, Scale: 0.2, Len: 70}
	for _, t := range []dtype.DType{dtype.F16, dtype.F32, dtype.Q8_0} {
		a.Type = t
		store := make([]byte, a.StoreScratch())
		kb, vb := a.KPageBytes(), a.VPageBytes()
		pages := Pages{Data: make([]byte, 2*(kb+vb)), Index: []int32{1, 0}, Stride: kb + vb, V: kb}
		q, row := c.floats(2*a.Group*a.KDim), c.floats(a.Len*a.KDim)
		scratch, parts := make([]float32, a.AttendScratch(2, 1)), make([]float32, 2*a.Group*a.PartialLen())
		c.compare("attention", 2*a.Group*a.VDim, func(k *Kernels, dst []float32) {
			for p := range a.Len {
				page := pages.Data[int(pages.Index[p/PageLen])*pages.Stride:]
				k.StoreKV(&a.KV, page[:kb], page[kb:kb+vb], p%PageLen, row[p*a.KDim:], row[p*a.KDim:], store)
			}
			ldp := a.PartialLen()
			k.AttendSplit(parts, ldp, 0, q, a.Group*a.KDim, &a, &pages, 0, 1, 0, []int32{68, 69}, scratch)
			for i := range 2 * a.Group {
				k.MergePartials(dst[i*a.VDim:(i+1)*a.VDim], &a, parts[i*ldp:], ldp, 1, scratch)
			}
		})
	}
}
