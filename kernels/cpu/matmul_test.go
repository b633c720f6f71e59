package cpu

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu/internal/packed"
)

// shapesFor are rows and columns of matrices: whole and partial groups, odd
// numbers of blocks and, for plain types, of columns.
func shapesFor(dt dtype.DType) [][2]int {
	switch dt.BlockLen() {
	case 1:
		return [][2]int{{1, 1}, {15, 7}, {16, 33}, {17, 64}, {50, 100}, {96, 31}}
	case 32:
		return [][2]int{{1, 32}, {16, 64}, {17, 96}, {40, 160}, {100, 320}}
	}
	return [][2]int{{1, 256}, {16, 512}, {37, 768}, {80, 256}}
}

func TestPackAndGather(t *testing.T) {
	k := kernelsOf(Generic)
	for _, dt := range packedTypes {
		for _, s := range shapesFor(dt) {
			rows, cols := s[0], s[1]
			src, want := randomWeights(t, newRand(1), dt, rows, cols)
			size, err := rows16.PackedSize(dt, rows, cols)
			if err != nil {
				t.Fatal(err)
			}
			buf, check := guardedBytes(t, size)
			// In two parts, the second first.
			half := Groups(rows) / 2
			for _, g := range [][2]int{{half, Groups(rows)}, {0, half}} {
				if err := rows16.Pack(buf, dt, src, rows, cols, g[0], g[1]); err != nil {
					t.Fatal(err)
				}
			}
			check()
			w := &Matrix{dt, rows, cols, buf}
			for r := range rows {
				got, check := guardedFloats(t, cols)
				k.GatherRow(got, w, r)
				check()
				sameBits(t, fmt.Sprintf("%v %dx%d row %d", dt, rows, cols, r), got, want[r*cols:(r+1)*cols])
			}
		}
	}
}

// TestPackRandomBytes packs blocks of arbitrary bytes: every scale, sub-scale and
// code, not only those that the encoders make.
func TestPackRandomBytes(t *testing.T) {
	k, r := kernelsOf(Generic), newRand(2)
	for _, dt := range packedTypes {
		rows, cols := 17, 1024
		n, _ := dt.RowBytes(cols)
		src, want := make([]byte, rows*n), make([]float32, rows*cols)
		for i := range src {
			src[i] = byte(r.Uint32())
		}
		if err := dtype.Dequantize(dt, want, src); err != nil {
			t.Fatal(err)
		}
		w, got := packWeights(t, dt, src, rows, cols), make([]float32, cols)
		for i := range rows {
			k.GatherRow(got, w, i)
			for j, v := range got {
				if x := want[i*cols+j]; v != x && (v == v || x == x) {
					t.Fatalf("%v row %d value %d: got %v, want %v", dt, i, j, v, x)
				}
			}
		}
	}
}

func TestPackErrors(t *testing.T) {
	l := rows16
	for _, c := range []struct {
		dt               dtype.DType
		rows, cols       int
		src, dst, g0, g1 int
		want             string
	}{
		{dtype.I32, 16, 32, 1 << 12, 1 << 12, 0, 1, "no packed form"},
		{dtype.Q4_0, 16, 33, 1 << 12, 1 << 12, 0, 1, "whole blocks"},
		{dtype.Q4_0, -1, 32, 1 << 12, 1 << 12, 0, 1, "whole blocks"},
		{dtype.Q4_0, 16, 64, 16*36 - 1, 576, 0, 1, "need 576"},
		{dtype.Q4_0, 16, 64, 16 * 36, 575, 0, 1, "room for 575"},
		{dtype.Q4_0, 16, 64, 16 * 36, 576, 0, 2, "row groups 0 to 2 of 1"},
		{dtype.F32, math.MaxInt, 64, 0, 0, 0, 0, "does not fit"},
		{dtype.F32, 1, math.MaxInt, 0, 0, 0, 0, "does not fit"},
	} {
		err := l.Pack(make([]byte, c.dst), c.dt, make([]byte, c.src), c.rows, c.cols, c.g0, c.g1)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %dx%d: got %v, want %q", c.dt, c.rows, c.cols, err, c.want)
		}
	}
}

// product is one case of a product: weights, activations and the exact result of
// what the weights stand for.
type product struct {
	w     *Matrix
	x     *Acts
	m     int
	exact []float64 // [m][rows]
	power float64   // sum of the squares of all terms: the scale of errors, even where terms cancel
}

func newProduct(t testing.TB, k *Kernels, dt dtype.DType, rows, cols, m int) *product {
	r := newRand(uint64(rows*cols + m))
	src, vals := randomWeights(t, r, dt, rows, cols)
	p := &product{w: packWeights(t, dt, src, rows, cols), m: m}
	x := randoms(r, m*(cols+3))
	p.x = &Acts{Cols: cols, F32: x, LD: cols + 3, Q8: make([]byte, m*Q8RowBytes(cols))}
	k.QuantizeRows(p.x.Q8, x, cols+3, cols, 0, m)
	for i := range m {
		for r := range rows {
			var sum float64
			for c := range cols {
				v := float64(x[i*(cols+3)+c]) * float64(vals[r*cols+c])
				sum += v
				p.power += v * v
			}
			p.exact = append(p.exact, sum)
		}
	}
	return p
}

func TestMatMul(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, dt := range packedTypes {
			for _, s := range shapesFor(dt) {
				rows, cols := s[0], s[1]
				for _, m := range []int{1, 2, 5, 17} {
					p := newProduct(t, k, dt, rows, cols, m)
					dst, check := guardedFloats(t, m*rows)
					k.MatMul(dst, rows, p.x, m, p.w, 0, p.w.Groups())
					check()
					bound := 1e-10
					if ActFormatOf(dt) == ActQ8 {
						bound = 2e-4
					}
					var e float64
					for i, v := range dst {
						d := float64(v) - p.exact[i]
						e += d * d
					}
					if !(e <= bound*p.power) {
						t.Errorf("%v %dx%d, %d rows: NMSE %g", dt, rows, cols, m, e/p.power)
					}
				}
			}
		}
	})
}

// TestMatMulSameBits holds the rule: a row's result has the same bits alone and
// with others, in whatever ranges the rows of the weights are taken.
func TestMatMulSameBits(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		const m = 17
		for _, dt := range packedTypes {
			rows, cols := 52, 256
			if dt == dtype.F32 || dt == dtype.Q8_0 {
				cols = 224 // an odd number of blocks
			}
			p := newProduct(t, k, dt, rows, cols, m)
			groups, actRow := p.w.Groups(), Q8RowBytes(cols)
			want := make([]float32, m*rows)
			for i := range m {
				x := &Acts{Cols: cols, F32: p.x.F32[i*p.x.LD:], LD: p.x.LD, Q8: p.x.Q8[i*actRow:]}
				k.MatMul(want[i*rows:], rows, x, 1, p.w, 0, groups)
			}
			for n := 2; n <= m; n++ {
				for split := 0; split < groups; split += 1 + n%3 {
					ldd := rows + n%5
					dst, check := guardedFloats(t, (n-1)*ldd+rows)
					k.MatMul(dst, ldd, p.x, n, p.w, split, groups)
					k.MatMul(dst, ldd, p.x, n, p.w, 0, split)
					check()
					for i := range n {
						sameBits(t, fmt.Sprintf("%v row %d of %d", dt, i, n), dst[i*ldd:i*ldd+rows], want[i*rows:(i+1)*rows])
						if i+1 < n {
							for j := i*ldd + rows; j < (i+1)*ldd; j++ {
								if dst[j] != 77 {
									t.Fatalf("%v: wrote between rows", dt)
								}
							}
						}
					}
				}
			}
		}
	})
}

// TestManyGroups is a product with more row groups than a call of assembly gets,
// and more columns than it arranges at once.
func TestManyGroups(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, dt := range packedTypes {
			const rows, cols, m = 9*GroupRows + 3, 512, 9
			p := newProduct(t, k, dt, rows, cols, m)
			dst, check := guardedFloats(t, m*rows)
			k.MatMul(dst, rows, p.x, m, p.w, 0, p.w.Groups())
			check()
			one := make([]float32, rows)
			for i := range m {
				x := &Acts{Cols: cols, F32: p.x.F32[i*p.x.LD:], LD: p.x.LD, Q8: p.x.Q8[i*Q8RowBytes(cols):]}
				k.MatMul(one, rows, x, 1, p.w, 0, p.w.Groups())
				sameBits(t, fmt.Sprintf("%v row %d", dt, i), dst[i*rows:(i+1)*rows], one)
			}
		}
	})
}

// TestQuantizeRows checks the rows' fields, and that every level writes the same.
func TestQuantizeRows(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, cols := range []int{1, 31, 32, 64, 65, 100, 128, 320} {
		x := randoms(newRand(3), 8*cols)
		special := [][]float32{{0}, {1e-42, -1e-44}, {3e38, -3.4e38, 1}, {nan}, {inf, 1}, {-inf, nan}, {127, 0.5, 1.5, 2.5, -0.5, -126.5}}
		for i, s := range special {
			row := x[(i+1)*cols : (i+2)*cols]
			if s[0] == 0 {
				clear(row)
			}
			copy(row, s)
		}
		want := make([]byte, 8*Q8RowBytes(cols))
		kernelsOf(Generic).QuantizeRows(want, x, cols, cols, 0, 8)
		for i := range 8 {
			for c := range cols {
				rec := want[i*Q8RowBytes(cols)+c/64*actBytes:]
				d, q := loadF32(rec[packed.ActScale+4*(c/32%2):]), int8(rec[c%64])
				v := x[i*cols+c]
				if v != v && d == d {
					t.Fatalf("NaN lost in row %d", i)
				}
				if e := math.Abs(float64(d)*float64(q) - float64(v)); !math.IsInf(float64(d), 0) && d == d && e > float64(d)*0.5001 {
					t.Fatalf("row %d column %d: %v became %v*%v", i, c, v, d, q)
				}
			}
		}
		eachLevel(t, func(t *testing.T, k *Kernels) {
			got, check := guardedBytes(t, len(want))
			k.QuantizeRows(got, x, cols, cols, 3, 8)
			k.QuantizeRows(got, x, cols, cols, 0, 3)
			check()
			for i := range want {
				if got[i] != want[i] && !nanField(want, i) {
					t.Fatalf("%d columns: byte %d of record %d in row %d is %#x, want %#x", cols, i%actBytes, i%Q8RowBytes(cols)/actBytes, i/Q8RowBytes(cols), got[i], want[i])
				}
			}
		})
	}
}

// nanField reports whether byte i is part of a float that is NaN, whose bits may differ.
func nanField(b []byte, i int) bool {
	if f := i % actBytes; f < packed.ActScale || f >= packed.ActMinus8 {
		return false
	}
	v := loadF32(b[i&^3:])
	return v != v
}

// TestMatMulNotFinite checks that NaN and infinity in an input row reach its
// outputs, and no others.
func TestMatMulNotFinite(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, dt := range packedTypes {
			for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
				p := newProduct(t, k, dt, 20, 256, 3)
				p.x.F32[p.x.LD+100] = float32(bad)
				k.QuantizeRows(p.x.Q8, p.x.F32, p.x.LD, 256, 0, 3)
				dst := make([]float32, 3*20)
				k.MatMul(dst, 20, p.x, 3, p.w, 0, 2)
				for i, v := range dst {
					finite := !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
					// A weight of 0 times infinity is NaN, so all outputs are bad.
					if finite == (i/20 == 1) {
						t.Fatalf("%v with %v: output %d of row %d is %v", dt, bad, i%20, i/20, v)
					}
				}
			}
		}
	})
}
