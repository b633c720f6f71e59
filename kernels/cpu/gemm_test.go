package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/ref"
)

// gemmCase makes a product of random values and what it must give.
func gemmCase(rng *rand.Rand, m, n, k int, ta, tb, bf16, add bool) (*Gemm, []float32) {
	matrix := func(rows, cols int, turned bool) (Operand, []float32) {
		plain := make([]float32, rows*cols)
		for i := range plain {
			plain[i] = dtype.BF16ToF32(dtype.F32ToBF16(float32(rng.NormFloat64())))
		}
		lie := plain
		if turned {
			lie = make([]float32, rows*cols)
			for i := range rows {
				for j := range cols {
					lie[j*rows+i] = plain[i*cols+j]
				}
			}
			rows, cols = cols, rows
		}
		o := Operand{LD: cols + 3, T: turned}
		padded := make([]float32, max(0, rows*o.LD-3)) // nothing may be read behind the end
		for i := range rows {
			copy(padded[i*o.LD:], lie[i*cols:(i+1)*cols])
		}
		if o.F32 = padded; bf16 {
			o.BF16, o.F32 = make([]uint16, len(padded)), nil
			for i, v := range padded {
				o.BF16[i] = dtype.F32ToBF16(v)
			}
		}
		return o, plain
	}
	a, pa := matrix(m, k, ta)
	b, pb := matrix(k, n, tb)
	g := &Gemm{M: m, N: n, K: k, A: a, B: b, C: make([]float32, m*(n+5)-5), LDC: n + 5, Add: add}
	want := make([]float32, m*n)
	ref.MatMul(want, pa, pb, 1, m, n, k)
	for i := range g.C {
		g.C[i] = float32(rng.NormFloat64())
	}
	if add {
		for i := range want {
			want[i] += g.C[i/n*g.LDC+i%n]
		}
	}
	return g, want
}

// TestGemm: every layout, type and odd size, at each level, against the oracle.
func TestGemm(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(1, 2))
		scratch := make([]float32, GemmPacked+GemmScratch)
		for _, s := range [][3]int{{1, 1, 1}, {1, 70, 5}, {7, 1, 130}, {3, 5, 128}, {6, 64, 129}, {13, 80, 300}, {100, 65, 17}, {97, 600, 3}, {8, 16, 256}} {
			for v := range 16 {
				ta, tb, bf16, add := v&1 > 0, v&2 > 0, v&4 > 0, v&8 > 0
				g, want := gemmCase(rng, s[0], s[1], s[2], ta, tb, bf16, add)
				gaps := append([]float32(nil), g.C...)
				k.Gemm(g, 0, g.M, 0, g.N, scratch)
				worst, size := 0.0, 0.0
				for i, w := range want {
					worst = max(worst, math.Abs(float64(g.C[i/g.N*g.LDC+i%g.N]-w)))
					size = max(size, math.Abs(float64(w)))
				}
				if !(worst <= 1e-5*max(1, size)) {
					t.Fatalf("%v, a turned %v, b turned %v, bf16 %v, add %v: off by %g of %g", s, ta, tb, bf16, add, worst, size)
				}
				for i, v := range g.C {
					if i%g.LDC >= g.N && v != gaps[i] {
						t.Fatalf("%v: a value between the rows of C was written", s)
					}
				}
			}
		}
		g, _ := gemmCase(rng, 3, 20, 0, false, false, false, false)
		k.Gemm(g, 0, 3, 0, 20, scratch)
		if g.C[0] != 0 || g.C[2*g.LDC+19] != 0 {
			t.Error("a product of no summands is not zero")
		}
	})
}

// TestGemmRanges: ranges give the same bits as the whole.
func TestGemmRanges(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(3, 4))
		scratch := make([]float32, GemmPacked+GemmScratch)
		for v := range 4 {
			g, _ := gemmCase(rng, 61, 200, 270, v&1 > 0, v&2 > 0, false, true)
			start := append([]float32(nil), g.C...)
			k.Gemm(g, 0, g.M, 0, g.N, scratch)
			whole := append([]float32(nil), g.C...)
			copy(g.C, start)
			for _, m := range [][2]int{{0, 1}, {1, 30}, {30, 61}} {
				for _, n := range [][2]int{{0, 64}, {64, 100}, {100, 107}, {107, 200}} {
					k.Gemm(g, m[0], m[1], n[0], n[1], scratch)
				}
			}
			for i, w := range whole {
				if math.Float32bits(g.C[i]) != math.Float32bits(w) {
					t.Fatalf("element %d is %g in ranges, %g at once", i, g.C[i], w)
				}
			}
		}
	})
}

func BenchmarkGemm(b *testing.B) {
	k, err := Select("")
	if err != nil {
		b.Fatal(err)
	}
	scratch := make([]float32, GemmPacked+GemmScratch)
	for _, s := range [][3]int{{2048, 512, 192}, {2048, 192, 512}, {2048, 192, 192}, {512, 192, 2048}, {64, 512, 192}, {64, 192, 512}, {512, 192, 64}, {2048, 4096, 192}, {1024, 1024, 1024}} {
		for _, layout := range []string{"NT", "NN", "TN"} {
			b.Run(fmt.Sprintf("%dx%dx%d-%s", s[0], s[1], s[2], layout), func(b *testing.B) {
				g, _ := benchGemm(s[0], s[1], s[2], layout)
				for b.Loop() {
					k.Gemm(g, 0, g.M, 0, g.N, scratch)
				}
				b.ReportMetric(2*float64(s[0])*float64(s[1])*float64(s[2])*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}

func benchGemm(m, n, k int, layout string) (*Gemm, []float32) {
	a := Operand{F32: make([]float32, m*k), LD: k, T: layout[0] == 'T'}
	b := Operand{F32: make([]float32, k*n), LD: n, T: layout[1] == 'T'}
	if a.T {
		a.LD = m
	}
	if b.T {
		b.LD = k
	}
	return &Gemm{M: m, N: n, K: k, A: a, B: b, C: make([]float32, m*n), LDC: n}, nil
}
