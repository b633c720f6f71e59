package encode

import (
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
)

// scheme is a set of codes under one scale: whole numbers, or the values of a curve.
type scheme struct {
	codes  cpu.Codebook
	grid   []float32 // places that the value of the largest magnitude is put at
	finer  []float32 // factors to the best of these
	tries  int       // how many common scales are tried, on either side
	nearby []float32 // how far from its rounded scale a group looks for a better one
}

// uniform has codes from -n to n-1. The scales that are tried put the value of the
// largest magnitude on or about -n, where there is room for one more, or n-1.
func uniform(n float32) *scheme {
	s := &scheme{codes: cpu.Codebook{Lo: -n, Hi: n - 1}, tries: 8, nearby: counted(8)}
	for i := range 9 {
		s.grid = append(s.grid, -n*(1.06-0.04*float32(i)*min(1, 8/n)))
	}
	for i := range 7 {
		s.grid = append(s.grid, (n-1)*(1.08-0.045*float32(i)*min(1, 8/n)))
	}
	return s
}

// counted are the whole numbers about 0.
func counted(n int) []float32 {
	g := make([]float32, n)
	for i := range g {
		g[i] = float32(i - n/2)
	}
	return g
}

var (
	bits3, bits4, bits5 = uniform(4), uniform(8), uniform(16)

	bits6 = func() *scheme {
		s := uniform(32)
		s.tries = 2 // rounding to one of 256 scales hardly matters
		s.nearby = counted(16)
		return s
	}()

	// grid8 are the places that the largest magnitude is put at in q8_0.
	grid8 = []float32{127.25, 127, 126.75, 126.5, 126.25, 126, 125.75, 125.5}

	iq4 = func() *scheme {
		values := dtype.IQ4Curve()
		rising, codes := make([]float32, len(values)), make([]byte, len(values))
		for i, v := range values {
			rising[i], codes[i] = float32(v), byte(i)
		}
		s := &scheme{codes: cpu.Codebook{Curve: cpu.NewCurve(rising, codes, -128, 8)}, tries: 8, nearby: counted(8)}
		for i := range 8 {
			s.grid = append(s.grid, -127*(1.1-0.04*float32(i)), 113*(1.14-0.045*float32(i)))
		}
		for i := range 16 {
			s.finer = append(s.finer, 1+0.005*(float32(i)-7.5))
		}
		return s
	}()
)

// search finds the best scale of each lane, P of the batch, as Range has left it.
func (s *scheme) search(e *Encoder) {
	b := &e.b
	b.Reset()
	e.k.FitScale(b, e.size, s.grid, &s.codes)
	if len(s.finer) == 0 {
		return
	}
	for i, p := range &b.P {
		b.A[i] = inverse(p)
	}
	e.k.FitScale(b, e.size, s.finer, &s.codes)
}

// halves rounds a scale for each lane to what a float16 holds, and never to an
// infinity. The inverses go to id, 0 for a scale of 0, so that every code becomes 0.
func (e *Encoder) halves(scales *cpu.Lanes) {
	for i, v := range scales {
		e.t[i] = min(max(v, -65504), 65504)
	}
	e.k.F32ToF16(e.h[:], e.t[:])
	e.k.F16ToF32(e.t[:], e.h[:])
	for i, v := range &e.t {
		e.id[i] = inverse(v)
	}
}

// half is the float16 of lane i that halves has made.
func (e *Encoder) half(i int) uint16 { return uint16(e.h[2*i]) | uint16(e.h[2*i+1])<<8 }

// write puts the codes as a file has them, not negative, into q; id holds the inverses of
// the scales.
func (s *scheme) write(e *Encoder, x []float32) {
	if s.codes.Curve != nil {
		e.k.CurveCodes(e.q[:], x, e.size, &e.id, s.codes.Curve)
		return
	}
	for i := range e.off {
		e.off[i] = -s.codes.Lo
	}
	e.k.Codes(e.q[:], x, e.size, &e.id, &e.off, 0, s.codes.Hi-s.codes.Lo)
}

// single encodes blocks that have their scale to themselves.
func (s *scheme) single(e *Encoder, x []float32) {
	s.search(e)
	e.halves(&e.b.P)
	s.write(e, x)
}

func (e *Encoder) q4_0(dst []byte, x []float32, blocks int) {
	bits4.single(e, x)
	for i := range blocks {
		dtype.PackQ4_0(dst[18*i:], e.half(i), e.q[32*i:32*i+32])
	}
}

func (e *Encoder) q5_0(dst []byte, x []float32, blocks int) {
	bits5.single(e, x)
	for i := range blocks {
		dtype.PackQ5_0(dst[22*i:], e.half(i), e.q[32*i:32*i+32])
	}
}

func (e *Encoder) iq4_NL(dst []byte, x []float32, blocks int) {
	iq4.single(e, x)
	for i := range blocks {
		dtype.PackIQ4_NL(dst[18*i:], e.half(i), e.q[32*i:32*i+32])
	}
}

// q8_0 has codes that are the same on both sides of zero.
func (e *Encoder) q8_0(dst []byte, x []float32, blocks int) {
	b := &e.b
	b.Reset()
	inverses := b.A
	for i, v := range &b.A {
		b.A[i] = math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
		if v == 0 {
			b.A[i] = 1
		}
	}
	e.k.FitFine(b, e.size, grid8)
	for i, v := range &inverses {
		if v == 0 {
			b.P[i] = 0
		}
	}
	e.halves(&b.P)
	clear(e.off[:])
	e.k.Codes(e.q[:], x, e.size, &e.id, &e.off, -127, 127)
	for i := range blocks {
		dtype.PackQ8_0(dst[34*i:], e.half(i), e.q[32*i:32*i+32])
	}
}

// grouped encodes super-blocks of groups whose scales are whole numbers, from -limit
// to limit-1, of times one float16. The multiples are left in mul.
func (s *scheme) grouped(e *Encoder, x []float32, limit int) {
	b := &e.b
	groups := 256 / e.size
	s.search(e)
	for from := 0; from < cpu.BatchLanes; from += groups {
		own, ll := b.P[from:from+groups], b.LL[from:from+groups]
		unit := common(own, ll, limit, s.tries)
		id := inverse(unit)
		for i, v := range own {
			b.A[from+i] = unit
			b.B[from+i] = float32(nearest(v*id, -limit, limit-1))
		}
	}
	s.neighbours(e, limit)
	// The common scale that suits these codes best, and the groups' once more.
	for from := 0; from < cpu.BatchLanes; from += groups {
		var num, den float32
		for i := from; i < from+groups; i++ {
			num += b.P[i] * b.XL[i]
			den += b.P[i] * b.P[i] * b.LL[i]
		}
		unit := b.A[from]
		if den > 0 {
			_, unit = half(num / den)
		}
		for i := from; i < from+groups; i++ {
			b.A[i], b.B[i] = unit, b.P[i]
		}
	}
	s.neighbours(e, limit)
	e.scale = b.A
	for i, p := range &b.P {
		e.mul[i] = int(p)
		e.id[i] = inverse(b.A[i] * p)
	}
	s.write(e, x)
}

// neighbours replaces each group's multiple, B, by the best of those about it: P.
func (s *scheme) neighbours(e *Encoder, limit int) {
	b := &e.b
	low, high := -float32(limit)-s.nearby[0], float32(limit-1)-s.nearby[len(s.nearby)-1]
	for i, v := range &b.B {
		b.B[i] = min(max(v, low), high)
	}
	b.Reset()
	e.k.FitNear(b, e.size, s.nearby, &s.codes)
}

// common chooses the float16 of which the groups' scales become multiples, so that
// rounding them loses the least: a scale that is off by δ loses ll δ².
func common(own, ll []float32, limit, tries int) float32 {
	big := float32(0)
	for _, v := range own {
		if math.Abs(float64(v)) > math.Abs(float64(big)) {
			big = v
		}
	}
	if big == 0 {
		return 0
	}
	var unit float32
	least := float32(math.Inf(1))
	ll = ll[:len(own)]
	low, high := -float32(limit), float32(limit-1)
	for i := range tries {
		for _, n := range [2]float32{low + 0.6*float32(i), high - 0.6*float32(i)} {
			_, v := half(big / n)
			if v == 0 {
				continue
			}
			id, loss := 1/v, float32(0)
			for g, s := range own {
				off := s - v*min(max(whole(s*id), low), high)
				loss += ll[g] * off * off
			}
			if loss < least {
				unit, least = v, loss
			}
		}
	}
	return unit
}

// whole rounds to the nearest whole number, for magnitudes of at most 2^22.
func whole(v float32) float32 {
	const magic = 3 << 22
	return float32(v+magic) - magic
}

// nearest rounds into [lo, hi].
func nearest(v float32, lo, hi int) int {
	if v < 0 {
		return max(int(v-0.5), lo)
	}
	return min(int(v+0.5), hi)
}

func (e *Encoder) q3_K(dst []byte, x []float32, blocks int) {
	bits3.grouped(e, x, 32)
	dtype.PackQ3_K(dst, e.unit(0), e.mul, e.q[:256])
}

func (e *Encoder) q6_K(dst []byte, x []float32, blocks int) {
	bits6.grouped(e, x, 128)
	dtype.PackQ6_K(dst, e.unit(0), e.mul, e.q[:256])
}

func (e *Encoder) iq4_XS(dst []byte, x []float32, blocks int) {
	iq4.grouped(e, x, 32)
	for i := range blocks {
		dtype.PackIQ4_XS(dst[136*i:], e.unit(8*i), [8]int(e.mul[8*i:8*i+8]), e.q[256*i:256*i+256])
	}
}

// unit is the float16 that the scales of the groups from lane i on are multiples of.
func (e *Encoder) unit(i int) uint16 { return dtype.F32ToF16(e.scale[i]) }
