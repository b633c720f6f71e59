package graph_test

import (
	"math"
	"math/cmplx"
	"testing"

	"github.com/ledge-run/ledge/graph"
)

// table asks for one position's cosines and sines.
func table(a graph.RopeAttr, pos int, factors []float32) (cos, sin []float32) {
	cos, sin = make([]float32, a.Dims/2), make([]float32, a.Dims/2)
	a.RopeTable(cos, sin, pos, factors)
	return cos, sin
}

// expect compares a table with angles (as unit numbers times a magnitude).
func expect(t *testing.T, name string, pos int, cos, sin []float32, want func(pair int) complex128) {
	t.Helper()
	for i := range cos {
		w := want(i)
		if d := cmplx.Abs(complex(float64(cos[i]), float64(sin[i])) - w); d > 2e-7*cmplx.Abs(w) {
			t.Errorf("%s, position %d, pair %d: (%g, %g), want %g", name, pos, i, cos[i], sin[i], w)
			return
		}
	}
}

// TestRopePlain: the angle of pair i grows by base^(-2i/d) a position, so turning
// position by position must come to the same.
func TestRopePlain(t *testing.T) {
	for _, a := range []graph.RopeAttr{
		{Mode: graph.RopePairs, Dims: 64, Base: 10000},
		{Mode: graph.RopeHalves, Dims: 6, Base: 500000},
		{Mode: graph.RopeHalves, Dims: 2, Base: 10},
	} {
		turn := make([]complex128, a.Dims/2)
		at := make([]complex128, a.Dims/2)
		freq := 1.0
		for i := range turn {
			turn[i], at[i] = cmplx.Exp(complex(0, freq)), 1
			freq /= math.Exp(2 / float64(a.Dims) * math.Log(float64(a.Base)))
		}
		for pos := range 300 {
			cos, sin := table(a, pos, nil)
			expect(t, "plain", pos, cos, sin, func(i int) complex128 { return at[i] })
			for i := range at {
				at[i] *= turn[i]
			}
		}
	}
}

// TestRopeLinear: position p stretched by f is position p/f.
func TestRopeLinear(t *testing.T) {
	plain := graph.RopeAttr{Mode: graph.RopePairs, Dims: 32, Base: 10000}
	linear := plain
	linear.Scaling, linear.Factor = graph.RopeLinear, 4
	for pos := 0; pos < 4000; pos += 4 {
		c, s := table(plain, pos/4, nil)
		cos, sin := table(linear, pos, nil)
		expect(t, "linear", pos, cos, sin, func(i int) complex128 { return complex(float64(c[i]), float64(s[i])) })
	}
}

// TestRopeFactors: factors divide the frequencies, pair by pair; llama3's keep
// short waves, divide long ones and blend between.
func TestRopeFactors(t *testing.T) {
	a := graph.RopeAttr{Mode: graph.RopePairs, Dims: 64, Base: 500000}
	const factor, low, high, orig = 8.0, 1.0, 4.0, 8192.0
	factors := make([]float32, a.Dims/2)
	inv := make([]float64, a.Dims/2)
	for i := range factors {
		f := math.Pow(500000, -float64(i)/32)
		wave := 2 * math.Pi / f
		switch {
		case wave < orig/high:
			inv[i] = f
		case wave > orig/low:
			inv[i] = f / factor
		default:
			smooth := (orig/wave - low) / (high - low)
			inv[i] = (1-smooth)*f/factor + smooth*f
		}
		factors[i] = float32(f / inv[i])
		inv[i] = f / float64(factors[i])
	}
	for _, pos := range []int{0, 1, 2, 100, 4095} {
		cos, sin := table(a, pos, factors)
		expect(t, "factors", pos, cos, sin, func(i int) complex128 { return cmplx.Exp(complex(0, float64(pos)*inv[i])) })
	}
}

// TestRopeYarn follows the paper (https://arxiv.org/abs/2309.00071): section 3.2
// for which dimensions are interpolated, by how often they turn over the
// original context, and section 3.4 for the temperature sqrt(1/t) = 0.1 ln(s)+1,
// on q and on k. Between the two bounds the paper's own code ramps over the
// dimension's number, its ends rounded outwards.
func TestRopeYarn(t *testing.T) {
	for _, c := range []struct {
		dims      int
		base      float64
		s         float64
		orig      int
		fast, slo float64
	}{
		{128, 10000, 16, 4096, 32, 1},
		{64, 500000, 4, 8192, 32, 1},
		{64, 10000, 32, 2048, 16, 2},
	} {
		a := graph.RopeAttr{
			Mode: graph.RopeHalves, Dims: c.dims, Base: float32(c.base), Scaling: graph.RopeYarn, Factor: float32(c.s),
			OrigCtx: c.orig, BetaFast: float32(c.fast), BetaSlow: float32(c.slo), Ext: 1,
		}
		// A dimension's pair number from the turns it makes: turns =
		// orig * base^(-2d/D) / 2pi, solved for d.
		pair := func(turns float64) float64 {
			return float64(c.dims) / 2 * math.Log(float64(c.orig)/(2*math.Pi*turns)) / math.Log(c.base)
		}
		lo, hi := math.Floor(pair(c.fast)), math.Ceil(pair(c.slo))
		for _, pos := range []int{0, 1, 7, 500, c.orig + 3} {
			cos, sin := table(a, pos, nil)
			expect(t, "yarn", pos, cos, sin, func(i int) complex128 {
				keep := 1 - (float64(i)-lo)/(hi-lo) // 1: extrapolate, 0: interpolate
				keep = math.Min(1, math.Max(0, keep))
				theta := math.Pow(c.base, -2*float64(i)/float64(c.dims))
				theta = (1-keep)*theta/c.s + keep*theta
				return cmplx.Exp(complex(0, float64(pos)*theta)) * complex(0.1*math.Log(c.s)+1, 0)
			})
		}
		// By the paper's own bounds: what turns more than fast times is kept,
		// what turns less than slow times is interpolated.
		cos, sin := table(a, 1, nil)
		mag := 0.1*math.Log(c.s) + 1
		for i := range cos {
			theta := math.Pow(c.base, -2*float64(i)/float64(c.dims))
			turns := float64(c.orig) * theta / (2 * math.Pi)
			want := theta
			if turns < c.slo {
				want = theta / c.s
			} else if turns <= c.fast {
				continue
			}
			got := math.Atan2(float64(sin[i]), float64(cos[i]))
			if math.Abs(got-want) > 1e-6*want+1e-9 {
				// The rounded ends may leave a pair just inside the ramp.
				if float64(i) > lo-1 && float64(i) < hi+1 {
					continue
				}
				t.Errorf("dims %d: pair %d turns %g times: angle %g, want %g", c.dims, i, turns, got, want)
			}
			if m := math.Hypot(float64(sin[i]), float64(cos[i])); math.Abs(m-mag) > 1e-6 {
				t.Errorf("magnitude %g, want %g", m, mag)
			}
		}
	}
	// Without extrapolation YaRN is linear, at its own magnitude.
	a := graph.RopeAttr{Mode: graph.RopePairs, Dims: 16, Base: 10000, Scaling: graph.RopeYarn, Factor: 4, OrigCtx: 128, BetaFast: 32, BetaSlow: 1, Mag: 1.5}
	cos, sin := table(a, 40, nil)
	expect(t, "yarn, no extrapolation", 40, cos, sin, func(i int) complex128 {
		return cmplx.Exp(complex(0, 10*math.Pow(10000, -float64(i)/8))) * 1.5
	})
}
