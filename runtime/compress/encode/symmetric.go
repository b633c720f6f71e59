package encode

import (
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
)

// scheme is a set of codes under one scale: whole numbers from lo to hi, or the
// values of a curve.
type scheme struct {
	lo, hi float32
	curve  *cpu.Curve
	grid   [lanes]float32
	step   float32 // how much the scales of a finer search differ, relatively
	even   bool    // the codes are the same on both sides of zero: scales are positive
}

// uniform has codes from -n to n-1. The scales that are tried put the value of the
// largest magnitude on or about -n, where there is room for one more, or n-1.
func uniform(n float32) *scheme {
	s := &scheme{lo: -n, hi: n - 1}
	s.grid = [lanes]float32{}
	for i := range 9 {
		s.grid[i] = -n * (1.06 - 0.04*float32(i)*min(1, 8/n))
	}
	for i := range 7 {
		s.grid[9+i] = (n - 1) * (1.08 - 0.045*float32(i)*min(1, 8/n))
	}
	s.step = 0.005 * min(1, 8/n)
	return s
}

var (
	bits3, bits4, bits5, bits6 = uniform(4), uniform(8), uniform(16), uniform(32)

	bits8 = func() *scheme {
		s := &scheme{lo: -127, hi: 127, even: true}
		for i := range s.grid {
			s.grid[i] = 127.25 - 0.125*float32(i)
		}
		return s
	}()

	iq4 = func() *scheme {
		values := dtype.IQ4Curve()
		s := &scheme{step: 0.005}
		rising, codes := make([]float32, len(values)), make([]byte, len(values))
		for i, v := range values {
			rising[i], codes[i] = float32(v), byte(i)
		}
		s.curve = cpu.NewCurve(rising, codes, -128, 8)
		for i := range 8 {
			s.grid[i] = -127 * (1.1 - 0.04*float32(i))
			s.grid[8+i] = 113 * (1.14 - 0.045*float32(i))
		}
		return s
	}()
)

// fit tries the candidates in e.f.
func (s *scheme) fit(e *Encoder, x, w []float32, mode int, total float32) {
	if s.curve != nil {
		e.k.FitCurve(&e.f, lanes, x, w, mode, s.curve, total)
		return
	}
	e.k.FitUniform(&e.f, lanes, x, w, mode, s.lo, s.hi, total)
}

// codes writes the codes as a file has them, not negative, for the scale 1/id.
func (s *scheme) codes(e *Encoder, q []byte, x []float32, id float32) {
	if s.curve != nil {
		e.k.CurveCodes(q, x, s.curve, id)
		return
	}
	e.k.Codes(q, x, id, -s.lo, 0, s.hi-s.lo)
}

// scale is what a search has found: x is about value times the codes, with the
// error err; ll is the weighted sum of the codes' squares.
type scale struct{ value, err, ll float32 }

// search finds the best scale of a block. The finer search has sixteen more
// candidates about the best.
func (s *scheme) search(e *Encoder, x, w []float32, total float32, finer bool) scale {
	big := extreme(x)
	if big < tiny && big > -tiny {
		return scale{}
	}
	if s.even && big < 0 {
		big = -big
	}
	for i, g := range s.grid {
		e.f.ID[i] = g / big
	}
	s.fit(e, x, w, cpu.FitScale, total)
	best, ok := e.best()
	if !ok {
		return scale{}
	}
	if finer {
		id := 1 / best.value
		for i := range lanes {
			e.f.ID[i] = id * (1 + s.step*(float32(i)-7.5))
		}
		s.fit(e, x, w, cpu.FitScale, total)
		if other, ok := e.best(); ok && other.err < best.err {
			best = other
		}
	}
	return best
}

// best is the best lane of a fit of scales.
func (e *Encoder) best() (scale, bool) {
	k := e.better()
	if k < 0 {
		return scale{}, false
	}
	id, a := e.f.ID[k], e.f.Scale[k]
	return scale{(1 + a) / id, e.f.Err[k], e.f.LL[k]}, true
}

// single encodes a block that has its scale to itself.
func (s *scheme) single(e *Encoder, x, w []float32, finer bool) (d uint16) {
	w, total := e.weights(w)
	best := s.search(e, x, w, total, finer)
	d, v := half(best.value)
	s.codes(e, e.q[:len(x)], x, inverse(v))
	return d
}

func (e *Encoder) q4_0(dst []byte, x, w []float32) {
	dtype.PackQ4_0(dst, bits4.single(e, x, w, false), e.q[:32])
}

func (e *Encoder) q5_0(dst []byte, x, w []float32) {
	dtype.PackQ5_0(dst, bits5.single(e, x, w, false), e.q[:32])
}

func (e *Encoder) q8_0(dst []byte, x, w []float32) {
	w, total := e.weights(w)
	d, v := half(bits8.search(e, x, w, total, false).value)
	e.k.Codes(e.q[:32], x, inverse(v), 0, -127, 127)
	dtype.PackQ8_0(dst, d, e.q[:32])
}

func (e *Encoder) iq4_NL(dst []byte, x, w []float32) {
	dtype.PackIQ4_NL(dst, iq4.single(e, x, w, true), e.q[:32])
}

// grouped encodes a super-block of groups of size values whose scales are whole
// numbers, from -limit to limit-1, of times one float16.
func (s *scheme) grouped(e *Encoder, x, w []float32, size, limit int, q []int, finer bool) (d uint16) {
	groups := len(x) / size
	var own [16]scale
	for g := range groups {
		wg, total := e.weights(w[g*size : (g+1)*size])
		own[g] = s.search(e, x[g*size:(g+1)*size], wg, total, finer)
	}
	d, unit := common(own[:groups], limit)
	for g := range groups {
		xg := x[g*size : (g+1)*size]
		wg, total := e.weights(w[g*size : (g+1)*size])
		q[g] = s.neighbour(e, xg, wg, total, unit, nearest(own[g].value*inverse(unit), -limit, limit-1), limit)
	}
	// The common scale that suits these codes best, and the groups' once more.
	var num, den float32
	for g := range groups {
		xg := x[g*size : (g+1)*size]
		wg, total := e.weights(w[g*size : (g+1)*size])
		id := inverse(unit * float32(q[g]))
		for i := range lanes {
			e.f.ID[i] = id
		}
		s.fit(e, xg, wg, cpu.FitScale, total)
		v := (1 + e.f.Scale[0]) / id
		if q[g] == 0 {
			v = 0
		}
		num += e.f.LL[0] * v * float32(q[g])
		den += e.f.LL[0] * float32(q[g]) * float32(q[g])
	}
	if den > 0 {
		d, unit = half(num / den)
	}
	for g := range groups {
		xg := x[g*size : (g+1)*size]
		wg, total := e.weights(w[g*size : (g+1)*size])
		q[g] = s.neighbour(e, xg, wg, total, unit, q[g], limit)
		s.codes(e, e.q[g*size:(g+1)*size], xg, inverse(unit*float32(q[g])))
	}
	return d
}

// neighbour is the best of the scales about q times unit.
func (s *scheme) neighbour(e *Encoder, x, w []float32, total, unit float32, q, limit int) int {
	from := min(max(q-lanes/2, -limit), limit-lanes)
	for i := range lanes {
		e.f.ID[i] = inverse(unit * float32(from+i))
	}
	s.fit(e, x, w, cpu.FitAsIs, total)
	if k := e.better(); k >= 0 {
		return from + k
	}
	return 0
}

// common chooses the float16 of which the groups' scales become multiples, so that
// rounding them loses the least: a scale that is off by δ loses ll δ².
func common(own []scale, limit int) (uint16, float32) {
	big := float32(0)
	for _, s := range own {
		if math.Abs(float64(s.value)) > math.Abs(float64(big)) {
			big = s.value
		}
	}
	if big == 0 {
		return 0, 0
	}
	tries := 8
	if limit > 64 {
		tries = 2 // rounding hardly matters
	}
	var best uint16
	var unit float32
	least := float32(math.Inf(1))
	for i := range tries {
		for _, n := range [2]float32{-float32(limit) + 0.6*float32(i), float32(limit-1) - 0.6*float32(i)} {
			d, v := half(big / n)
			if v == 0 {
				continue
			}
			id, loss := 1/v, float32(0)
			for _, s := range own {
				off := s.value - v*float32(nearest(s.value*id, -limit, limit-1))
				loss += s.ll * off * off
			}
			if loss < least {
				best, unit, least = d, v, loss
			}
		}
	}
	return best, unit
}

// nearest rounds into [lo, hi].
func nearest(v float32, lo, hi int) int {
	if v < 0 {
		return max(int(v-0.5), lo)
	}
	return min(int(v+0.5), hi)
}

func (e *Encoder) q3_K(dst []byte, x, w []float32) {
	var q [16]int
	d := bits3.grouped(e, x, w, 16, 32, q[:], false)
	dtype.PackQ3_K(dst, d, q, e.q[:])
}

func (e *Encoder) q6_K(dst []byte, x, w []float32) {
	var q [16]int
	d := bits6.grouped(e, x, w, 16, 128, q[:], false)
	dtype.PackQ6_K(dst, d, q, e.q[:])
}

func (e *Encoder) iq4_XS(dst []byte, x, w []float32) {
	var q [8]int
	d := iq4.grouped(e, x, w, 32, 32, q[:], true)
	dtype.PackIQ4_XS(dst, d, q, e.q[:])
}
