package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/ref"
)

// eachPairs runs a test at each level, and at those with kernels of pairs without
// them, too.
func eachPairs(t *testing.T, f func(t *testing.T, k *Kernels)) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		f(t, k)
		if k.pairs != nil {
			t.Run("without pairs", func(t *testing.T) { f(t, &Kernels{level: k.level, asm: k.asm}) })
		}
	})
	if architecture == "amd64" && kernelsOf(AVX512).pairs == nil {
		t.Log("this processor cannot multiply pairs of bfloat16")
	}
}

// roundedCase is a product of values that rounding changes, and what it must give.
func roundedCase(rng *rand.Rand, m, n, k int, ta, tb, bf16, add bool) (*Gemm, []float32) {
	g, _ := gemmCase(rng, m, n, k, ta, tb, bf16, add)
	g.Round = true
	for _, o := range []*Operand{&g.A, &g.B} {
		for i := range o.F32 {
			o.F32[i] *= 1 + float32(rng.Float64())/100
		}
	}
	plain := func(o *Operand, rows, cols int) []float32 {
		x := make([]float32, rows*cols)
		for i := range rows {
			for j := range cols {
				at := i*o.LD + j
				if o.T {
					at = j*o.LD + i
				}
				if o.BF16 != nil {
					x[i*cols+j] = dtype.BF16ToF32(o.BF16[at])
				} else {
					x[i*cols+j] = o.F32[at]
				}
			}
		}
		ref.RoundBF16(x, x)
		return x
	}
	want := make([]float32, m*n)
	ref.MatMul(want, plain(&g.A, m, k), plain(&g.B, k, n), 1, m, n, k)
	for i := range want {
		if add {
			want[i] += g.C[i/n*g.LDC+i%n]
		}
	}
	return g, want
}

var roundedShapes = [][3]int{{1, 1, 1}, {1, 70, 5}, {7, 1, 257}, {3, 5, 256}, {6, 64, 259}, {13, 80, 300}, {100, 65, 33}, {97, 600, 3}, {33, 16, 513}, {2, 3, 0}}

// TestGemmBF16: every layout, type and odd size, at each level, against the oracle;
// and all levels give the same bits.
func TestGemmBF16(t *testing.T) {
	scratch := make([]float32, GemmPacked+GemmScratch)
	first := map[int][]float32{}
	eachPairs(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(1, 2))
		for i, s := range roundedShapes {
			for v := range 16 {
				g, want := roundedCase(rng, s[0], s[1], s[2], v&1 > 0, v&2 > 0, v&4 > 0, v&8 > 0)
				gaps := append([]float32(nil), g.C...)
				k.Gemm(g, 0, g.M, 0, g.N, scratch)
				worst, size := 0.0, 0.0
				for i, w := range want {
					worst = max(worst, math.Abs(float64(g.C[i/g.N*g.LDC+i%g.N]-w)))
					size = max(size, math.Abs(float64(w)))
				}
				if !(worst <= 1e-5*max(1, size)) {
					t.Fatalf("%v, variant %d: off by %g of %g", s, v, worst, size)
				}
				for i, v := range g.C {
					if i%g.LDC >= g.N && v != gaps[i] {
						t.Fatalf("%v: a value between the rows of C was written", s)
					}
				}
				if key := 16*i + v; first[key] == nil {
					first[key] = g.C
				} else {
					sameBits(t, "another level", g.C, first[key])
				}
			}
		}
	})
}

// TestGemmBF16Ranges: ranges give the same bits as the whole.
func TestGemmBF16Ranges(t *testing.T) {
	scratch := make([]float32, GemmPacked+GemmScratch)
	eachPairs(t, func(t *testing.T, k *Kernels) {
		rng := rand.New(rand.NewPCG(3, 4))
		for v := range 4 {
			g, _ := roundedCase(rng, 61, 200, 531, v&1 > 0, v&2 > 0, false, true)
			start := append([]float32(nil), g.C...)
			k.Gemm(g, 0, g.M, 0, g.N, scratch)
			whole := append([]float32(nil), g.C...)
			copy(g.C, start)
			for _, m := range [][2]int{{0, 1}, {1, 30}, {30, 61}} {
				for _, n := range [][2]int{{0, 64}, {64, 100}, {100, 107}, {107, 200}} {
					k.Gemm(g, m[0], m[1], n[0], n[1], scratch)
				}
			}
			sameBits(t, "in ranges", g.C, whole)
			// Summands in two products, the first of which has an even number.
			copy(g.C, start)
			part := *g
			part.K = 128
			k.Gemm(&part, 0, g.M, 0, g.N, scratch)
			part.K = g.K - 128
			part.A, part.B = g.A.steps(128, false), g.B.steps(128, true)
			k.Gemm(&part, 0, g.M, 0, g.N, scratch)
			sameBits(t, "in two products", g.C, whole)
		}
	})
}

// steps is the operand without its first n summands, which are its rows if down.
func (o Operand) steps(n int, down bool) Operand {
	if o.T != down {
		n *= o.LD
	}
	o.F32 = o.F32[n:]
	return o
}

// TestRoundBF16: every kind of number at each level, as dtype rounds.
func TestRoundBF16(t *testing.T) {
	bits := []uint32{0, 1 << 31, 1, 0x7fff, 0x8000, 0x8001, 0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001, 0x7f7fffff, 0xff7fffff, 0x7f7f7fff, 0x7f800000, 0xff800000, 0x7f800001, 0x7fc00000, 0x7fffffff, 0xffffffff, 0xff800001}
	rng := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		bits = append(bits, rng.Uint32())
	}
	x := make([]float32, len(bits))
	for i, b := range bits {
		x[i] = math.Float32frombits(b)
	}
	eachPairs(t, func(t *testing.T, k *Kernels) {
		got := make([]float32, len(x))
		k.roundBF16(got, x)
		for i, v := range x {
			want := dtype.BF16ToF32(dtype.F32ToBF16(v))
			if math.Float32bits(got[i]) != math.Float32bits(want) && (want == want || got[i] == got[i]) {
				t.Errorf("%#x becomes %#x, want %#x", bits[i], math.Float32bits(got[i]), math.Float32bits(want))
			}
		}
	})
}

// TestGemmBF16NotFinite: what is no number reaches the elements that it belongs to,
// and no others.
func TestGemmBF16NotFinite(t *testing.T) {
	scratch := make([]float32, GemmPacked+GemmScratch)
	eachPairs(t, func(t *testing.T, k *Kernels) {
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), math.Float32frombits(0x7f800001)} {
			g, _ := roundedCase(rand.New(rand.NewPCG(7, 8)), 20, 70, 35, false, true, false, false)
			g.A.F32[3*g.A.LD+34] = bad
			k.Gemm(g, 0, g.M, 0, g.N, scratch)
			for i := range g.M {
				for j := range g.N {
					v := float64(g.C[i*g.LDC+j])
					if finite := !math.IsNaN(v) && !math.IsInf(v, 0); finite != (i != 3) {
						t.Fatalf("with %g in row 3, element %d of row %d is %g", bad, j, i, v)
					}
				}
			}
		}
	})
}

func BenchmarkGemmBF16(b *testing.B) {
	k, err := Select("")
	if err != nil {
		b.Fatal(err)
	}
	scratch := make([]float32, GemmPacked+GemmScratch)
	for _, s := range [][3]int{{2048, 512, 192}, {2048, 192, 512}, {512, 192, 2048}, {512, 192, 4096}, {512, 4096, 192}, {4096, 192, 512}, {64, 512, 192}, {1024, 1024, 1024}} {
		for _, layout := range []string{"NT", "NN", "TN"} {
			for _, round := range []bool{false, true} {
				b.Run(fmt.Sprintf("%dx%dx%d-%s-%v", s[0], s[1], s[2], layout, round), func(b *testing.B) {
					g, _ := benchGemm(s[0], s[1], s[2], layout)
					g.Round = round
					for b.Loop() {
						k.Gemm(g, 0, g.M, 0, g.N, scratch)
					}
					b.ReportMetric(2*float64(s[0])*float64(s[1])*float64(s[2])*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}
