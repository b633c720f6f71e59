package cpu

import (
	"math"
	"slices"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
)

// lengths are row lengths around the widths of vectors and unrolled loops.
var lengths = []int{1, 2, 7, 8, 15, 16, 17, 31, 33, 48, 63, 64, 65, 79, 80, 96, 127, 128, 130, 576, 1000}

// wide are values over the whole range that functions care for.
func wide(n int) []float32 {
	r, x := newRand(uint64(n)), make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * math.Pow(10, r.Float64()*4-2))
	}
	return x
}

func TestElementwise(t *testing.T) {
	type function struct {
		name  string
		run   func(k *Kernels, dst, x, y []float32)
		exact func(x, y float64) float64
		bound func(x, y, want float64) float64 // of the error
	}
	ulps := func(n float64) func(x, y, want float64) float64 {
		return func(x, y, want float64) float64 { return n*math.Abs(want)/(1<<23) + 1e-36*(1+math.Abs(y)) }
	}
	sigmoid := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	tanhGELU := func(x float64) float64 { return x * sigmoid(2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)) }
	erfGELU := func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }
	erfBound := func(x, y, want float64) float64 { return 2e-7 * max(1, math.Abs(x)) * (math.Abs(y) + 1e-30) }
	near := func(n float64) func(x, y, want float64) float64 { // of functions whose exponent is rounded
		return func(x, y, want float64) float64 {
			return (n+2*min(100, math.Abs(x*x*x)))*math.Abs(want)/(1<<23) + 1e-36*(1+math.Abs(y))
		}
	}
	for _, f := range []function{
		{"exp", func(k *Kernels, d, x, y []float32) { k.Exp(d, x) }, func(x, y float64) float64 { return min(math.MaxFloat32, math.Exp(x)) }, func(x, y, w float64) float64 {
			if x > expHighest {
				return math.Inf(1)
			}
			return 2*w/(1<<23) + 1.2e-38
		}},
		{"silu", func(k *Kernels, d, x, y []float32) { k.SiLU(d, x) }, func(x, y float64) float64 { return x * sigmoid(x) }, ulps(4)},
		{"gelu", func(k *Kernels, d, x, y []float32) { k.GELU(d, x) }, func(x, y float64) float64 { return tanhGELU(x) }, near(4)},
		{"geluerf", func(k *Kernels, d, x, y []float32) { k.GELUErf(d, x) }, func(x, y float64) float64 { return erfGELU(x) }, func(x, y, w float64) float64 { return erfBound(x, 1, w) }},
		{"swiglu", func(k *Kernels, d, x, y []float32) { k.SwiGLU(d, x, y) }, func(x, y float64) float64 { return x * sigmoid(x) * y }, ulps(5)},
		{"geglu", func(k *Kernels, d, x, y []float32) { k.GeGLU(d, x, y) }, func(x, y float64) float64 { return tanhGELU(x) * y }, near(5)},
		{"gegluerf", func(k *Kernels, d, x, y []float32) { k.GeGLUErf(d, x, y) }, func(x, y float64) float64 { return erfGELU(x) * y }, erfBound},
		{"softcap", func(k *Kernels, d, x, y []float32) { k.SoftCap(d, x, 30) }, func(x, y float64) float64 { return 30 * math.Tanh(x/30) }, func(x, y, w float64) float64 { return 30 * 3e-7 }},
		{"add", func(k *Kernels, d, x, y []float32) { k.Add(d, x, y) }, func(x, y float64) float64 { return x + y }, ulps(1)},
		{"mul", func(k *Kernels, d, x, y []float32) { k.Mul(d, x, y) }, func(x, y float64) float64 { return x * y }, ulps(1)},
		{"scale", func(k *Kernels, d, x, y []float32) { k.Scale(d, x, 0.7) }, func(x, y float64) float64 { return x * float64(float32(0.7)) }, ulps(1)},
	} {
		t.Run(f.name, func(t *testing.T) {
			eachLevel(t, func(t *testing.T, k *Kernels) {
				for _, n := range lengths {
					x, y := wide(n), randoms(newRand(uint64(n)), n)
					dst, check := guardedFloats(t, n)
					f.run(k, dst, x, y)
					check()
					for i, got := range dst {
						want := f.exact(float64(x[i]), float64(y[i]))
						if e := math.Abs(float64(got) - want); !(e <= f.bound(float64(x[i]), float64(y[i]), want)) {
							t.Fatalf("%d values: f(%v, %v) = %v, want %v", n, x[i], y[i], got, want)
						}
					}
					// The same bits wherever a range begins, and in place.
					for from := 0; from < n; from += 1 + n/9 {
						part := make([]float32, n-from)
						f.run(k, part, x[from:], y[from:])
						sameBits(t, "from the middle", part, dst[from:])
					}
					f.run(k, x, x, y)
					sameBits(t, "in place", x, dst)
				}
				nan := []float32{float32(math.NaN())}
				if f.run(k, nan, nan, nan); nan[0] == nan[0] {
					t.Errorf("NaN became %v", nan[0])
				}
			})
		})
	}
}

// expHighest is where Exp begins to saturate.
const expHighest = 88.72283

// TestLongRows goes beyond what one call of assembly is given.
func TestLongRows(t *testing.T) {
	for _, l := range Levels() {
		k, n := kernelsOf(l), 2*callValues+37
		x, dst := wide(n), make([]float32, n)
		half := make([]byte, 2*n)
		k.SwiGLU(dst, x, x)
		k.Add(x, x, x)
		k.F32ToF16(half, dst)
		back, one := make([]float32, n), make([]float32, 1)
		k.F16ToF32(back, half)
		for _, i := range []int{0, callValues - 1, callValues, 2 * callValues, n - 1} {
			v := []float32{x[i] / 2}
			k.SwiGLU(one, v, v)
			if dst[i] != one[0] || back[i] != dtype.F16ToF32(dtype.F32ToF16(dst[i])) {
				t.Errorf("%v: value %d is %v and %v, want %v", l, i, dst[i], back[i], one[0])
			}
		}
	}
}

func TestExpExtremes(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		inf := float32(math.Inf(1))
		x := []float32{0, -inf, -100, -87.4, 88.7, 1e-30, -1e-30, float32(math.Copysign(0, -1))}
		k.Exp(x, x)
		for i, want := range []float64{1, 0, 0, 0, math.Exp(float64(float32(88.7))), 1, 1, 1} {
			if e := math.Abs(float64(x[i]) - want); e > want*1e-6+1.2e-38 {
				t.Errorf("value %d: %v, want %v", i, x[i], want)
			}
		}
	})
}

func TestNorms(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, n := range lengths {
			const rows = 3
			x, w, b := wide(rows*n), randoms(newRand(1), n), randoms(newRand(2), n)
			for i := range x {
				x[i] += 3
			}
			rms, layer := make([]float64, rows*n), make([]float64, rows*n)
			for r := range rows {
				var sum, sq, dev float64
				for _, v := range x[r*n : (r+1)*n] {
					sum, sq = sum+float64(v), sq+float64(v)*float64(v)
				}
				mean := sum / float64(n)
				for _, v := range x[r*n : (r+1)*n] {
					dev += (float64(v) - mean) * (float64(v) - mean)
				}
				for i := range n {
					v := float64(x[r*n+i])
					rms[r*n+i] = v / math.Sqrt(sq/float64(n)+1e-5) * float64(w[i])
					layer[r*n+i] = (v-mean)/math.Sqrt(dev/float64(n)+1e-5)*float64(w[i]) + float64(b[i])
				}
			}
			dst, check := guardedFloats(t, rows*n)
			k.RMSNorm(dst, x, w, n, 1e-5)
			check()
			if e := nmse(dst, rms); e > 1e-12 {
				t.Errorf("RMSNorm of %d: NMSE %g", n, e)
			}
			k.LayerNorm(dst, x, w, b, n, 1e-5)
			check()
			if e := nmse(dst, layer); e > 1e-11 && n > 1 {
				t.Errorf("LayerNorm of %d: NMSE %g", n, e)
			}
			ones := slices.Repeat([]float32{1}, n)
			k.RMSNorm(dst, x, ones, n, 1e-5)
			k.RMSNorm(x, x, nil, n, 1e-5) // in place, without weights
			sameBits(t, "RMSNorm without weights", x, dst)
		}
	})
}

func TestSoftmax(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, n := range lengths {
			x := wide(2 * n)
			x[0] = float32(math.Inf(-1))
			x[n-1] = 1
			want := make([]float64, 2*n)
			for r := range 2 {
				top, sum := math.Inf(-1), 0.0
				for _, v := range x[r*n : (r+1)*n] {
					top = max(top, float64(v))
				}
				for i, v := range x[r*n : (r+1)*n] {
					want[r*n+i] = math.Exp(float64(v) - top)
					sum += want[r*n+i]
				}
				for i := range n {
					want[r*n+i] /= sum
				}
			}
			dst, check := guardedFloats(t, 2*n)
			k.Softmax(dst, x, n)
			check()
			if e := nmse(dst, want); e > 1e-12 {
				t.Errorf("softmax of %d: NMSE %g", n, e)
			}
			if n > 1 && dst[0] != 0 {
				t.Errorf("weight of minus infinity is %v", dst[0])
			}
		}
	})
}

func TestReductions(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, n := range lengths {
			x := wide(n)
			var sum float64
			top := float32(math.Inf(-1))
			for _, v := range x {
				sum += float64(v)
				top = max(top, v)
			}
			if got := k.Max(x); got != top {
				t.Errorf("max of %d: %v, want %v", n, got, top)
			}
			if got := k.Sum(x); math.Abs(float64(got)-sum) > 1e-5*float64(n)*100 {
				t.Errorf("sum of %d: %v, want %v", n, got, sum)
			}
			// Sums have the tree that the generic level spells out.
			if got, want := k.Sum(x), kernelsOf(Generic).Sum(x); got != want {
				t.Errorf("sum of %d: %v, generic %v", n, got, want)
			}
			for i := range x {
				x[i] = -float32(i) - 5
			}
			if got := k.Max(x); got != -5 {
				t.Errorf("max of %d negative values: %v", n, got)
			}
		}
		if got := k.Max(nil); !math.IsInf(float64(got), -1) {
			t.Errorf("max of nothing is %v", got)
		}
	})
}

func TestRoPE(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, style := range []RopeStyle{RopePairs, RopeHalves} {
			for _, c := range [][2]int{{2, 1}, {16, 8}, {64, 32}, {80, 40}, {96, 48}, {96, 12}, {128, 64}, {64, 7}, {256, 128}} {
				dim, n := c[0], c[1]
				const heads = 3
				x, check := guardedFloats(t, heads*dim)
				copy(x, wide(heads*dim))
				cos, sin := make([]float32, n), make([]float32, n)
				for i := range n {
					s, c := math.Sincos(float64(i) * 0.7)
					cos[i], sin[i] = float32(c), float32(s)
				}
				want := make([]float64, len(x))
				for i, v := range x {
					want[i] = float64(v)
				}
				for h := range heads {
					for i := range n {
						a, b := h*dim+2*i, h*dim+2*i+1
						if style == RopeHalves {
							a, b = h*dim+i, h*dim+n+i
						}
						va, vb, c, s := float64(x[a]), float64(x[b]), float64(cos[i]), float64(sin[i])
						want[a], want[b] = va*c-vb*s, vb*c+va*s
					}
				}
				one := slices.Clone(x[dim : 2*dim])
				k.RoPE(x, dim, cos, sin, style)
				check()
				if e := nmse(x, want); e > 1e-13 {
					t.Errorf("style %d, %d of %d: NMSE %g", style, 2*n, dim, e)
				}
				k.RoPE(one, dim, cos, sin, style)
				sameBits(t, "one head", one, x[dim:2*dim])
			}
		}
	})
}

func TestHalfRows(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, n := range lengths {
			x := wide(n)
			x[0] = 1e-7
			x[n-1] = 1e6
			dst, check := guardedBytes(t, 2*n)
			k.F32ToF16(dst, x)
			check()
			back, check := guardedFloats(t, n)
			k.F16ToF32(back, dst)
			check()
			for i, v := range x {
				if want := dtype.F16ToF32(dtype.F32ToF16(v)); back[i] != want {
					t.Fatalf("%v became %v, want %v", v, back[i], want)
				}
			}
		}
	})
}

func TestTopK(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, n := range []int{0, 1, 5, 127, 128, 129, 1000, 5000} {
			r := newRand(uint64(n))
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(r.IntN(300)) // many ties
				if r.IntN(50) == 0 {
					x[i] = float32(math.NaN())
				}
			}
			var want []Candidate
			for i, v := range x {
				if v == v {
					want = append(want, Candidate{int32(i), v})
				}
			}
			slices.SortFunc(want, func(a, b Candidate) int {
				if a.before(b) {
					return -1
				}
				return 1
			})
			want = want[:min(128, len(want))]
			got := make([]Candidate, 128)
			got = got[:k.TopK(got, x, 0)]
			if !slices.Equal(got, want) {
				t.Fatalf("%d values: got %v, want %v", n, got, want)
			}
			// In parts.
			a, b, m := make([]Candidate, 128), make([]Candidate, 128), make([]Candidate, 128)
			half := n / 3
			a, b = a[:k.TopK(a, x[:half], 0)], b[:k.TopK(b, x[half:], half)]
			if m = m[:MergeTopK(m, a, b)]; !slices.Equal(m, want) {
				t.Fatalf("%d values in parts: got %v, want %v", n, m, want)
			}
			best := -1
			if len(want) > 0 {
				best = int(want[0].Index)
			}
			if got := k.ArgMax(x); got != best {
				t.Errorf("arg-max of %d is %d, want %d", n, got, best)
			}
		}
	})
}

func TestLogSumExp(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, n := range []int{1, 100, ExpSumLen, ExpSumLen + 1, 3*ExpSumLen - 7} {
			x := wide(n)
			var want float64
			for _, v := range x {
				want += math.Exp(float64(v) - 50)
			}
			want = math.Log(want) + 50
			parts := make([]ExpSum, (n+ExpSumLen-1)/ExpSumLen)
			k.ExpSums(parts, x, make([]float32, ExpSumLen))
			if got := LogSumExp(parts); math.Abs(float64(got)-want) > 1e-5*(1+math.Abs(want)) {
				t.Errorf("of %d values: %v, want %v", n, got, want)
			}
		}
	})
	eachLevel(t, func(t *testing.T, k *Kernels) {
		x := make([]float32, 2*ExpSumLen) // one value among masked ones, a whole part masked
		for i := range x {
			x[i] = float32(math.Inf(-1))
		}
		x[ExpSumLen+3] = 2
		parts := make([]ExpSum, 2)
		k.ExpSums(parts, x, make([]float32, ExpSumLen))
		if got := LogSumExp(parts); got != 2 {
			t.Errorf("of a masked row with one value of 2: %v", got)
		}
	})
	if got := LogSumExp(nil); !math.IsInf(float64(got), -1) {
		t.Errorf("of nothing: %v", got)
	}
}
