package encode

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
)

var types = []dtype.DType{dtype.Q8_0, dtype.Q6_K, dtype.Q5_K, dtype.Q5_1, dtype.Q5_0, dtype.Q4_K, dtype.Q4_1, dtype.Q4_0,
	dtype.IQ4_NL, dtype.IQ4_XS, dtype.MXFP4, dtype.Q3_K, dtype.Q2_K}

// sample are weights as models have them: of several distributions, with columns
// of different size.
func sample(r *rand.Rand, kind, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		v := r.NormFloat64()
		switch kind % 4 {
		case 1:
			v = r.ExpFloat64() * float64(1-2*r.IntN(2))
		case 2:
			v /= math.Sqrt((r.ExpFloat64() + r.ExpFloat64()) / 2) // Student's t with 4 degrees
		case 3:
			v = v*0.3 + 1
		}
		x[i] = float32(0.02 * v * math.Exp(0.3*math.Sin(float64(i))))
	}
	return x
}

func encodeRow(t testing.TB, k *cpu.Kernels, d dtype.DType, x, w []float32) []float32 {
	t.Helper()
	e, err := With(k, d)
	if err != nil {
		t.Fatal(err)
	}
	n, err := d.RowBytes(len(x))
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, n)
	if err := e.Row(b, x, w); err != nil {
		t.Fatal(err)
	}
	y := make([]float32, len(x))
	if err := dtype.Dequantize(d, y, b); err != nil {
		t.Fatal(err)
	}
	return y
}

func loss(x, y, w []float32) (sum float64) {
	for i := range x {
		d := float64(x[i]) - float64(y[i])
		if w != nil {
			d *= math.Sqrt(float64(w[i]))
		}
		sum += d * d
	}
	return sum
}

func kernels(t testing.TB) []*cpu.Kernels {
	var all []*cpu.Kernels
	for _, l := range cpu.Levels() {
		k, err := cpu.Select(l.String())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
	}
	return all
}

// The search loses less than the plain encoder of each type, by at least as much
// as is said here, at every level and for every distribution.
func TestBetterThanPlain(t *testing.T) {
	for _, d := range types {
		for kind := range 4 {
			r := rand.New(rand.NewPCG(uint64(kind), 7))
			x := sample(r, kind, 4096)
			b := make([]byte, must(d.RowBytes(len(x))))
			if err := dtype.Quantize(d, b, x); err != nil {
				t.Fatal(err)
			}
			y := make([]float32, len(x))
			if err := dtype.Dequantize(d, y, b); err != nil {
				t.Fatal(err)
			}
			plain, energy := loss(x, y, nil), loss(x, make([]float32, len(x)), nil)
			for _, k := range kernels(t) {
				got := loss(x, encodeRow(t, k, d, x, nil), nil)
				if k.Level() == cpu.Levels()[len(cpu.Levels())-1] {
					t.Logf("%-7v kind %d: NMSE %.3e, plain %.3e, ratio %.3f", d, kind, got/energy, plain/energy, got/plain)
				}
				if got > plain {
					t.Errorf("%v at %v, kind %d: error %.4g, plain %.4g", d, k.Level(), kind, got, plain)
				}
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Columns of much weight are kept better than without weights.
func TestWeights(t *testing.T) {
	k := kernels(t)
	best := k[len(k)-1]
	for _, d := range types {
		r := rand.New(rand.NewPCG(1, 8))
		x, w := sample(r, 0, 4096), make([]float32, 4096)
		for i := range w {
			w[i] = float32(math.Exp(2 * r.NormFloat64()))
		}
		with, without := loss(x, encodeRow(t, best, d, x, w), w), loss(x, encodeRow(t, best, d, x, nil), w)
		t.Logf("%-7v with weights %.3f of without", d, with/without)
		if with > without {
			t.Errorf("%v: the weighted error is %.4g with weights, %.4g without", d, with, without)
		}
		if y := encodeRow(t, best, d, x, make([]float32, 4096)); loss(x, y, nil) > 1.001*loss(x, encodeRow(t, best, d, x, nil), nil) {
			t.Errorf("%v: weights of zero do not count as ones", d)
		}
	}
}

// Blocks that are unlike weights: nothing overflows, zeros stay zeros, and constant
// blocks come back.
func TestOddBlocks(t *testing.T) {
	fill := func(f func(i int) float32) []float32 {
		x := make([]float32, 512)
		for i := range x {
			x[i] = f(i)
		}
		return x
	}
	for _, k := range kernels(t) {
		for _, d := range types {
			for _, v := range encodeRow(t, k, d, fill(func(int) float32 { return 0 }), nil) {
				if v != 0 {
					t.Fatalf("%v at %v: zeros become %g", d, k.Level(), v)
				}
			}
			for _, c := range []float32{1, -1, 0.037, -250} {
				x := fill(func(int) float32 { return c })
				y := encodeRow(t, k, d, x, nil)
				if got := loss(x, y, nil) / loss(x, make([]float32, len(x)), nil); got > 0.03 { // MXFP4 has powers of two only
					t.Errorf("%v at %v: a constant %g loses %.3g", d, k.Level(), c, got)
				}
			}
			for name, f := range map[string]func(i int) float32{
				"large":    func(i int) float32 { return float32(i%7-3) * 1e10 },
				"small":    func(i int) float32 { return float32(i%7-3) * 1e-8 },
				"smallest": func(i int) float32 { return float32(i%3-1) * math.SmallestNonzeroFloat32 },
				"one":      func(i int) float32 { return float32(1 - min(i, 1)) },
				"spike":    func(i int) float32 { return float32(i%5)*1e-3 + float32(i/511)*1000 },
			} {
				for i, v := range encodeRow(t, k, d, fill(f), nil) {
					if v != v || math.IsInf(float64(v), 0) {
						t.Errorf("%v at %v, %s: value %d is %g", d, k.Level(), name, i, v)
						break
					}
				}
			}
		}
	}
}

// Where squared errors overflow there is no best candidate, and no block of zeros
// or of the first candidate in its place.
func TestOverflow(t *testing.T) {
	fill := func(f func(i int) float32) []float32 {
		x := make([]float32, 512)
		for i := range x {
			x[i] = f(i)
		}
		return x
	}
	small := fill(func(i int) float32 { return float32(i%7-3) * 0.01 })
	for name, c := range map[string]struct{ x, w []float32 }{
		"huge":       {fill(func(i int) float32 { return float32(i%7-3) * 1e30 }), nil},
		"largest":    {fill(func(i int) float32 { return (float32(i%3-1) + float32(i%2)/5) / 2 * math.MaxFloat32 }), nil},
		"important":  {fill(func(i int) float32 { return float32(i*i%37-17) * 1e9 }), fill(func(int) float32 { return 1e37 })},
		"last block": {append(small[:256:256], fill(func(i int) float32 { return float32(i*i%37-17) * 1e25 })[256:]...), nil},
	} {
		for _, k := range kernels(t) {
			for _, d := range types {
				e, err := With(k, d)
				if err != nil {
					t.Fatal(err)
				}
				b := make([]byte, must(d.RowBytes(len(c.x))))
				if err := e.Row(b, c.x, c.w); !errors.Is(err, ErrOverflow) {
					t.Errorf("%v at %v, %s: %v", d, k.Level(), name, err)
				}
				if err := e.Row(b, small, nil); err != nil {
					t.Errorf("%v at %v, after %s: %v", d, k.Level(), name, err)
				}
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	if _, err := New(dtype.IQ2_S); err == nil {
		t.Error("an encoder for iq2_s")
	}
	e, err := New(dtype.Q4_0)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 64)
	for i, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		x[20*i+1] = v
		if err := e.Row(make([]byte, 36), x, nil); !errors.Is(err, ErrNotFinite) {
			t.Errorf("%g: %v", v, err)
		}
		x[20*i+1] = 0
	}
	for _, c := range []struct{ bytes, values, weights int }{{35, 64, 64}, {36, 64, 63}, {18, 33, 33}} {
		if err := e.Row(make([]byte, c.bytes), make([]float32, c.values), make([]float32, c.weights)); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	x := sample(rand.New(rand.NewPCG(1, 2)), 0, 4096)
	for _, d := range types {
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			e, err := New(d)
			if err != nil {
				b.Fatal(err)
			}
			dst := make([]byte, must(d.RowBytes(len(x))))
			for b.Loop() {
				if err := e.Row(dst, x, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(x)), "ns/value")
		})
	}
}

// No type turns a number into an infinity: that is an error.
func TestTooLarge(t *testing.T) {
	for _, c := range []struct {
		d        dtype.DType
		fits, no float32
	}{{dtype.F16, 65519, 65520}, {dtype.BF16, 3.389e38, math.MaxFloat32}} {
		e, err := New(c.d)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4)
		if err := e.Row(b, []float32{c.fits, -c.fits}, nil); err != nil {
			t.Errorf("%v: %g: %v", c.d, c.fits, err)
		}
		y := make([]float32, 2)
		if err := dtype.Dequantize(c.d, y, b); err != nil || math.IsInf(float64(y[0]), 0) {
			t.Errorf("%v: %g becomes %g, %v", c.d, c.fits, y[0], err)
		}
		for _, v := range []float32{c.no, -c.no} {
			if err := e.Row(b, []float32{0, v}, nil); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%v: %g: error %v", c.d, v, err)
			}
		}
	}
}
