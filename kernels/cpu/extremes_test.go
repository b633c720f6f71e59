package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// Integer sums are largest where all values and scales are: what saturates or
// overflows at a level but not in plain Go shows here. Files may hold any byte.
func TestProductExtremes(t *testing.T) {
	const rows, cols, m = 2*GroupRows + 3, 512, 15
	x := make([]float32, m*cols)
	for i := range m {
		for j := range cols {
			v := float32(1) // all 127 once quantised
			if i%3 == 1 || i%3 == 2 && j/4%2 == 0 {
				v = -1
			}
			x[i*cols+j] = v
		}
	}
	acts := &Acts{Cols: cols, F32: x, LD: cols, Q8: make([]byte, m*Q8RowBytes(cols))}
	kernelsOf(Generic).QuantizeRows(acts.Q8, x, cols, cols, 0, m)
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for i := range packed.Formats {
			f := &packed.Formats[i]
			p, _ := packingOf(f.DType)
			for _, fill := range []byte{0x00, 0x7f, 0x80, 0x81, 0xff} {
				for _, scales := range []byte{0x7f, 0x80, 0xff} {
					w := extremeWeights(f, p, rows, cols, fill, scales)
					want, got := make([]float32, m*rows), make([]float32, m*rows)
					kernelsOf(Generic).MatMul(want, rows, acts, m, w, 0, w.Groups())
					k.MatMul(got, rows, acts, m, w, 0, w.Groups())
					what := fmt.Sprintf("%v filled with %#x, scales %#x", f.DType, fill, scales)
					for j, v := range got {
						if d := math.Abs(float64(v - want[j])); !(d <= 1e-5*extremeSum(f, scales, cols)) {
							t.Fatalf("%s: row %d column %d is %v, in plain Go %v", what, j/rows, j%rows, v, want[j])
						}
					}
					one := make([]float32, rows)
					k.MatMul(one, rows, acts, 1, w, 0, w.Groups())
					sameBits(t, what+", one row", one, got[:rows])
				}
			}
		}
	})
}

// extremeWeights fills a matrix with one byte for all values and one for all
// scales; what is float16 is 1, what is an exponent 0.
func extremeWeights(f *packed.Format, p *packing, rows, cols int, fill, scales byte) *Matrix {
	w := &Matrix{DType: f.DType, Rows: rows, Cols: cols, Data: make([]byte, Groups(rows)*p.groupBytes(cols))}
	for b := w.Data; len(b) > 0; b = b[f.UnitBytes():] {
		halves := f.ScalesAt()
		for i := range f.UnitBytes() {
			if b[i] = scales; i >= f.ValuesAt() {
				b[i] = fill
			} else if f.Scales == packed.Exponents {
				b[i] = 128
			}
		}
		if f.Scales == packed.Halves {
			halves = f.ValuesAt()
		}
		for i := range halves / 2 {
			putHalf(b[2*i:], halfOf(1))
		}
	}
	return w
}

// extremeSum bounds the magnitude of what a product adds up.
func extremeSum(f *packed.Format, scales byte, cols int) float64 {
	if f.Scales == packed.Halves || f.Scales == packed.Exponents {
		return 128 * float64(cols)
	}
	return 128 * 128 * float64(cols)
}
