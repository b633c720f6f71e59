package encode

import (
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
)

// affine has codes from 0 to levels, and values scale q - min.
type affine struct {
	levels float32
	signed bool          // the minimum may have any sign; else it is subtracted and never negative
	points []cpu.Point   // ranges that are tried, narrower at either end by parts of a step
	quick  []cpu.Point   // those that are tried without weights; nil for all
	finer  [][]cpu.Point // about the best, each closer
}

// newAffine tries the ranges of values narrowed by numbers of steps at either end. Each
// finer search tries sixteen more about the best.
func newAffine(levels float32, narrow [][2]float32, signed bool, finer int) *affine {
	a := &affine{levels: levels, signed: signed, points: ranges(levels, narrow)}
	for n := range finer {
		var points []cpu.Point
		width := 1 / float32(n+1)
		for i := range 16 {
			points = append(points, cpu.Point{
				ID: 1 + width*(float32(i/4)-1.5)*0.5/levels, Base: 1, Off: width * (float32(i%4) - 1.5) * 0.2,
			})
		}
		a.finer = append(a.finer, points)
	}
	return a
}

// ranges are narrower by so many steps at either end: the inverse of the scale is larger
// by a factor, and what is lowest is below 0.
func ranges(levels float32, narrow [][2]float32) (points []cpu.Point) {
	for _, n := range narrow {
		f := levels / (levels - n[0] - n[1])
		points = append(points, cpu.Point{ID: f, Base: f, Off: -n[0] * f})
	}
	return points
}

// each puts every number at either end.
func each(narrow ...float32) (pairs [][2]float32) {
	for _, a := range narrow {
		for _, b := range narrow {
			pairs = append(pairs, [2]float32{a, b})
		}
	}
	return pairs
}

// few are eight that lose one or two parts of a hundred more than sixteen. llama-quantize
// searches with an importance matrix only, too.
var few = [][2]float32{{0, 0}, {0.2, 0.2}, {0.6, 0.6}, {1, 1}, {0, 0.6}, {0.6, 0}, {0.3, 1}, {1, 0.3}}

var (
	affine2 = newAffine(3, each(-0.15, 0.15, 0.4, 0.7), false, 2)
	affine4 = newAffine(15, each(-0.2, 0.2, 0.6, 1), false, 2)
	affine5 = newAffine(31, each(-0.2, 0.2, 0.6, 1.1), false, 2)

	signed4 = newAffine(15, each(-0.2, 0.2, 0.6, 1), true, 0).with(few)
	// The last is as wide as 30 steps, in place of the narrowest: what lies on a grid of 16
	// values, having been of four bits before, is on every other one of them.
	signed5 = newAffine(31, append(each(-0.2, 0.2, 0.6, 1.1)[:15], [2]float32{0, -31.0 / 30}), true, 0).with(few)
)

func (a *affine) with(quick [][2]float32) *affine {
	a.quick = ranges(a.levels, quick)
	return a
}

// search finds the best line of each lane, x about P v + Q.
func (a *affine) search(e *Encoder) {
	b := &e.b
	b.Reset()
	for i, lo := range &b.Lo {
		hi := b.Hi[i]
		if !a.signed {
			lo, hi = min(lo, 0), max(hi, 0)
		}
		b.A[i], b.B[i] = 0, 0
		if hi-lo >= cpu.BatchTiny {
			b.A[i] = a.levels / (hi - lo)
			b.B[i] = -lo * b.A[i]
		}
	}
	floor, roof := float32(0), float32(0)
	if a.signed {
		floor, roof = -math.MaxFloat32, math.MaxFloat32
	}
	points := a.points
	if a.quick != nil && !e.weighted {
		points = a.quick
	}
	e.k.FitLine(b, e.size, points, a.levels, floor, roof)
	for _, points := range a.finer {
		for i, p := range &b.P {
			b.A[i], b.B[i] = 0, 0
			if p > 0 {
				b.A[i], b.B[i] = 1/p, -b.Q[i]/p
			}
		}
		e.k.FitLine(b, e.size, points, a.levels, floor, roof)
	}
	for i := range &b.Lo {
		lo, hi := b.Lo[i], b.Hi[i]
		if !a.signed {
			lo, hi = min(lo, 0), max(hi, 0)
		}
		if hi-lo < cpu.BatchTiny {
			b.P[i], b.Q[i], b.L[i], b.LL[i] = 0, lo, 0, 0
		}
	}
}

// single encodes blocks that have their scale and minimum to themselves. mins become
// float16 numbers of what is added.
func (a *affine) single(e *Encoder, x []float32, mins *[2 * cpu.BatchLanes]byte) {
	least := e.b.Lo
	e.k.Shift(&e.b, e.size)
	a.search(e)
	for i := range &least {
		least[i] += e.b.Q[i]
	}
	e.halves(&least)
	*mins = e.h
	low := e.t
	e.halves(&e.b.P)
	for i, id := range &e.id {
		e.off[i] = -low[i] * id
	}
	e.k.Codes(e.q[:], x, e.size, &e.id, &e.off, 0, a.levels)
}

func (e *Encoder) q4_1(dst []byte, x []float32, blocks int) {
	var m [2 * cpu.BatchLanes]byte
	signed4.single(e, x, &m)
	for i := range blocks {
		dtype.PackQ4_1(dst[20*i:], e.half(i), uint16(m[2*i])|uint16(m[2*i+1])<<8, e.q[32*i:32*i+32])
	}
}

func (e *Encoder) q5_1(dst []byte, x []float32, blocks int) {
	var m [2 * cpu.BatchLanes]byte
	signed5.single(e, x, &m)
	for i := range blocks {
		dtype.PackQ5_1(dst[24*i:], e.half(i), uint16(m[2*i])|uint16(m[2*i+1])<<8, e.q[32*i:32*i+32])
	}
}

// A pair is a scale and a minimum, common to the groups of a block, of which theirs
// are whole multiples.
type pair struct{ d, m float32 }

// neighbours are the steps that a group tries: three scales with five minimums each; the
// last is one of the others.
var neighbours = func() (s []cpu.Step) {
	for i := range 16 {
		s = append(s, cpu.Step{Scale: float32(min(i/5, 2)), Min: float32(i % 5)})
	}
	return s
}()

// grouped encodes super-blocks of groups whose scales and minimums are whole numbers,
// at most limit, of times two float16. The multiples are left in P and Q, the units in e.units.
func (a *affine) grouped(e *Encoder, x []float32, limit float32) (units [2]pair) {
	b := &e.b
	groups := cpu.BatchLanes
	if e.size == 32 {
		groups /= 2
	}
	a.search(e)
	for i, from := 0, 0; from < cpu.BatchLanes; i, from = i+1, from+groups {
		units[i] = commonLine(b, from, from+groups, limit)
	}
	a.neighbours(e, units, groups, limit)
	for i, from := 0, 0; from < cpu.BatchLanes; i, from = i+1, from+groups {
		units[i] = polish(b, from, from+groups, units[i])
	}
	a.neighbours(e, units, groups, limit)
	for i := range cpu.BatchLanes {
		u := units[i/groups]
		e.id[i] = inverse(u.d * b.P[i])
		e.off[i] = u.m * b.Q[i] * e.id[i]
	}
	e.k.Codes(e.q[:], x, e.size, &e.id, &e.off, 0, a.levels)
	return units
}

// neighbours replaces the groups' multiples, P and Q, by the best about them.
func (a *affine) neighbours(e *Encoder, units [2]pair, groups int, limit float32) {
	b := &e.b
	for i := range cpu.BatchLanes {
		u := units[i/groups]
		b.A[i], b.B[i] = u.d, u.m
		b.C[i] = min(max(b.P[i]-1, 0), limit-2)
		b.D[i] = min(max(b.Q[i]-2, 0), limit-4)
	}
	b.Reset()
	e.k.FitLineNear(b, e.size, neighbours, a.levels)
}

// commonLine chooses the float16 numbers of which the scales and minimums of some lanes
// become multiples, so that rounding them loses the least; the multiples go to P and Q.
// A scale that is off by δ loses (LL - L²/Total) δ² if the minimum makes the best of it.
func commonLine(b *cpu.Batch, from, to int, limit float32) (u pair) {
	var v, w [cpu.BatchLanes]float32
	n := to - from
	for g := range n {
		i := from + g
		v[g], w[g] = b.P[i], b.LL[i]-b.L[i]*b.L[i]/b.Total[i]
	}
	u.d = choose(v[:n], w[:n], limit)
	id := inverse(u.d)
	for g := range n {
		i := from + g
		q := min(max(whole(v[g]*id), 0), limit)
		v[g], w[g] = max(0, -b.Q[i]+(u.d*q-b.P[i])*b.L[i]/b.Total[i]), b.Total[i]
		b.P[i] = q
	}
	u.m = choose(v[:n], w[:n], limit)
	id = inverse(u.m)
	for g := range n {
		b.Q[from+g] = min(whole(v[g]*id), limit)
	}
	return u
}

// choose tries the float16 numbers of which values become multiples and returns the best.
func choose(v, w []float32, limit float32) (unit float32) {
	big := float32(0)
	for _, v := range v {
		big = max(big, v)
	}
	if big == 0 {
		return 0
	}
	least := float32(math.Inf(1))
	w = w[:len(v)]
	for i := range 12 {
		_, u := half(big / (limit + 0.3 - 0.3*limit/15*float32(i)/4))
		if u == 0 {
			continue
		}
		id, loss := 1/u, float32(0)
		for g, v := range v {
			off := v - u*min(max(whole(v*id), 0), limit)
			loss += w[g] * off * off
		}
		if loss < least {
			unit, least = u, loss
		}
	}
	return unit
}

// polish solves for the two common factors by least squares, the multiples given, and
// rounds them. Groups that have a scale of 0 say nothing.
func polish(b *cpu.Batch, from, to int, old pair) pair {
	var ss, sm, mm, s, t float32
	for i := from; i < to; i++ {
		p, q := b.P[i], b.Q[i]
		if p == 0 {
			continue
		}
		ss += b.LL[i] * p * p
		sm -= b.L[i] * p * q
		mm += b.Total[i] * q * q
		s += p * b.XL[i]
		t -= q * b.Sum[i]
	}
	if det := ss*mm - sm*sm; det > 1e-6*ss*mm && ss > 0 {
		if u, v := (s*mm-t*sm)/det, (t*ss-s*sm)/det; u > 0 && v >= 0 && u < 1.2*old.d && u > old.d/1.2 {
			_, old.d = half(u)
			_, old.m = half(v)
		}
	} else if mm == 0 && ss > 0 {
		_, old.d = half(s / ss)
	}
	return old
}

func (u pair) halves() (d, m uint16) { return dtype.F32ToF16(u.d), dtype.F32ToF16(u.m) }

func (e *Encoder) q2_K(dst []byte, x []float32, blocks int) {
	units := affine2.grouped(e, x, 15)
	d, m := units[0].halves()
	var p, q [16]byte
	for i := range p {
		p[i], q[i] = byte(e.b.P[i]), byte(e.b.Q[i])
	}
	dtype.PackQ2_K(dst, d, m, p, q, e.q[:256])
}

// multiples are those of the groups of block i, of two in a batch.
func (e *Encoder) multiples(i int) (p, q [8]byte) {
	for g := range p {
		p[g], q[g] = byte(e.b.P[8*i+g]), byte(e.b.Q[8*i+g])
	}
	return p, q
}

func (e *Encoder) q4_K(dst []byte, x []float32, blocks int) {
	units := affine4.grouped(e, x, 63)
	for i := range blocks {
		d, m := units[i].halves()
		p, q := e.multiples(i)
		dtype.PackQ4_K(dst[144*i:], d, m, p, q, e.q[256*i:256*i+256])
	}
}

func (e *Encoder) q5_K(dst []byte, x []float32, blocks int) {
	units := affine5.grouped(e, x, 63)
	for i := range blocks {
		d, m := units[i].halves()
		p, q := e.multiples(i)
		dtype.PackQ5_K(dst[176*i:], d, m, p, q, e.q[256*i:256*i+256])
	}
}
