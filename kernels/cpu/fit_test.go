package cpu

import (
	"math"
	"math/rand/v2"
	"testing"
)

// mxfp4Values are uneven and symmetric, iq4Values uneven only.
var (
	mxfp4Values = []float32{-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12}
	iq4Values   = []float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	sixteen     = []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
)

func fitBlock(r *rand.Rand, n int) (x, w []float32, total float32) {
	for range n {
		x = append(x, float32(r.NormFloat64()))
		w = append(w, float32(r.Float64()+0.1))
		total += w[len(w)-1]
	}
	return x, w, total
}

// Every level finds the same errors and the same best scales as plain float64.
func TestFit(t *testing.T) {
	iq4, mxfp4 := NewCurve(iq4Values, sixteen, -128, 8), NewCurve(mxfp4Values, sixteen, -16, 1)
	for _, l := range Levels() {
		k := kernelsOf(l)
		r := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			x, w, total := fitBlock(r, 16<<r.IntN(2))
			for _, c := range []struct {
				curve  *Curve
				values []float32
				lo, hi float32
				unit   float64
			}{{nil, nil, 0, 15, 5}, {nil, nil, -8, 7, 3}, {iq4, iq4Values, 0, 0, 40}, {mxfp4, mxfp4Values, 0, 0, 4}} {
				for mode := FitAsIs; mode <= FitScaleAndShift; mode++ {
					if c.curve != nil && mode == FitScaleAndShift {
						continue
					}
					var f Fit
					for i := range f.ID {
						f.ID[i] = float32((0.5 + r.Float64()) * c.unit)
						if c.curve == nil && c.lo == 0 {
							f.Off[i] = float32(r.NormFloat64() + 7)
						}
					}
					if c.curve != nil {
						k.FitCurve(&f, FitLanes, x, w, mode, c.curve, total)
					} else {
						k.FitUniform(&f, FitLanes, x, w, mode, c.lo, c.hi, total)
					}
					for lane := range FitLanes {
						checkLane(t, l, &f, lane, mode, x, w, func(u float64) float64 {
							if c.values == nil {
								return math.RoundToEven(min(max(u, float64(c.lo)), float64(c.hi)))
							}
							best := c.values[0]
							for _, v := range c.values {
								if math.Abs(u-float64(v)) < math.Abs(u-float64(best)) {
									best = v
								}
							}
							return float64(best)
						})
					}
				}
			}
		}
	}
}

// checkLane computes in float64 what the lane's result loses, and that a little
// more or less scale or shift loses no less.
func checkLane(t *testing.T, l Level, f *Fit, lane, mode int, x, w []float32, code func(float64) float64) {
	t.Helper()
	id, off := float64(f.ID[lane]), float64(f.Off[lane])
	loss := func(scale, shift float64) (sum float64) {
		for i := range x {
			u := float64(x[i])*id + off
			v := code(u)
			d := u - (v + scale*v + shift)
			sum += float64(w[i]) * d * d
		}
		return sum
	}
	scale, shift := 0.0, 0.0
	if mode >= FitScale {
		scale = float64(f.Scale[lane])
	}
	if mode == FitScaleAndShift {
		shift = float64(f.Shift[lane])
	}
	got, want := float64(f.Err[lane])*id*id, loss(scale, shift)
	// A value half-way between two codes may go to either.
	if math.Abs(got-want) > 2e-3*(want+0.1) {
		t.Errorf("%v mode %d lane %d: error %g, want %g", l, mode, lane, got, want)
	}
	if mode >= FitScale {
		for _, d := range []float64{-0.01, 0.01} {
			if o := loss(scale+d, shift); o < want*(1-1e-4)-1e-4 {
				t.Errorf("%v mode %d lane %d: scale %g loses %g, %g less: %g", l, mode, lane, scale, want, d, o)
			}
			if o := loss(scale, shift+d); mode == FitScaleAndShift && o < want*(1-1e-4)-1e-4 {
				t.Errorf("%v mode %d lane %d: shift %g loses %g, %g more: %g", l, mode, lane, shift, want, d, o)
			}
		}
	}
}

func TestCodes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x, _, _ := fitBlock(r, 256)
	x[0], x[1] = 1e9, -1e9
	for _, l := range Levels() {
		got := make([]byte, len(x))
		kernelsOf(l).Codes(got, x, 3, 0.25, -8, 7)
		for i, v := range x {
			u := float64(v)*3 + 0.25
			if d := math.Abs(min(max(u, -8), 7) - float64(int8(got[i]))); d > 0.5001 {
				t.Errorf("%v: code of %g is %d", l, u, int8(got[i]))
			}
		}
	}
}

func TestCurveCodes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x, _, _ := fitBlock(r, 256)
	x[0], x[1] = 1e9, -1e9
	c := NewCurve(iq4Values, sixteen, -128, 8)
	for _, l := range Levels() {
		got := make([]byte, len(x))
		kernelsOf(l).CurveCodes(got, x, c, 50)
		for i, v := range x {
			best := float32(math.Inf(1))
			for _, v2 := range iq4Values {
				best = min(best, max(v*50-v2, v2-v*50))
			}
			if d := v*50 - iq4Values[got[i]]; max(d, -d) > best+1e-3 {
				t.Errorf("%v: the code of %g is %d, off by %g, not %g", l, v*50, got[i], d, best)
			}
		}
	}
}

func BenchmarkFit(b *testing.B) {
	for _, l := range Levels() {
		k := kernelsOf(l)
		r := rand.New(rand.NewPCG(1, 2))
		x, w, total := fitBlock(r, 32)
		var f Fit
		for i := range f.ID {
			f.ID[i] = 3 + float32(i)/8
		}
		curve := NewCurve(iq4Values, sixteen, -128, 8)
		b.Run(l.String()+"/uniform", func(b *testing.B) {
			for b.Loop() {
				k.FitUniform(&f, FitLanes, x, w, FitScaleAndShift, 0, 15, total)
			}
		})
		b.Run(l.String()+"/curve", func(b *testing.B) {
			for b.Loop() {
				k.FitCurve(&f, FitLanes, x, w, FitScale, curve, total)
			}
		})
	}
}
