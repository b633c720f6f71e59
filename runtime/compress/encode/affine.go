package encode

import (
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
)

// line is what the search for a scale and a minimum has found: x is about
// scale q - min, with the error err. The sums are weighted, of the weights alone,
// the codes and their squares: a scale that is off by δ and a minimum by ε lose
// ll δ² - 2 l δ ε + total ε² more.
type line struct {
	scale, min, err float32
	total, l, ll    float32
}

// affine has codes from 0 to levels.
type affine struct {
	levels float32
	narrow [4]float32 // by how many steps the range that is tried is narrower, at either end
	signed bool       // the minimum may have any sign; else it is subtracted and never negative
}

var (
	affine2 = &affine{3, [4]float32{-0.15, 0.15, 0.4, 0.7}, false}
	affine4 = &affine{15, [4]float32{-0.2, 0.2, 0.6, 1}, false}
	affine5 = &affine{31, [4]float32{-0.2, 0.2, 0.6, 1.1}, false}

	signed4 = &affine{15, [4]float32{-0.2, 0.2, 0.6, 1}, true}
	signed5 = &affine{31, [4]float32{-0.2, 0.2, 0.6, 1.1}, true}
)

// search finds the best line for a block. Each finer search tries sixteen more
// about the best.
func (a *affine) search(e *Encoder, x, w []float32, total float32, finer int) line {
	lo, hi := bounds(x)
	if !a.signed {
		lo, hi = min(lo, 0), max(hi, 0)
	}
	if hi-lo < tiny {
		return line{min: -lo, total: total}
	}
	step := (hi - lo) / a.levels
	for i := range lanes {
		from, to := lo+step*a.narrow[i/4], hi-step*a.narrow[i%4]
		if !a.signed {
			from = min(from, 0)
		}
		e.f.ID[i] = a.levels / (to - from)
		e.f.Off[i] = -from * e.f.ID[i]
	}
	best := a.fit(e, x, w, total)
	for n := range finer {
		if !(best.scale > 0) {
			break
		}
		id, width := 1/best.scale, 1/float32(n+1)
		off := best.min * id
		for i := range lanes {
			e.f.ID[i] = id * (1 + width*(float32(i/4)-1.5)*0.5/a.levels)
			e.f.Off[i] = off + width*(float32(i%4)-1.5)*0.2
			if !a.signed {
				e.f.Off[i] = max(e.f.Off[i], 0)
			}
		}
		if other := a.fit(e, x, w, total); other.err < best.err {
			best = other
		}
	}
	return best
}

// fit tries the candidates in e.f and returns the best line. Where a minimum that
// must not be negative would be, it is 0, and the scale its best.
func (a *affine) fit(e *Encoder, x, w []float32, total float32) line {
	e.k.FitUniform(&e.f, lanes, x, w, cpu.FitScaleAndShift, 0, a.levels, total)
	k := e.better()
	if k < 0 {
		return line{total: total, err: float32(math.Inf(1))}
	}
	id := e.f.ID[k]
	l := line{(1 + e.f.Scale[k]) / id, (e.f.Off[k] - e.f.Shift[k]) / id, e.f.Err[k], total, e.f.L[k], e.f.LL[k]}
	if a.signed || l.min >= 0 {
		return l
	}
	for i := range lanes {
		e.f.ID[i] = id * (1 + 0.02*(float32(i)-7.5)*4/a.levels)
		e.f.Off[i] = 0
	}
	e.k.FitUniform(&e.f, lanes, x, w, cpu.FitScale, 0, a.levels, total)
	if k = e.better(); k < 0 {
		return line{total: total, err: float32(math.Inf(1))}
	}
	id = e.f.ID[k]
	return line{(1 + e.f.Scale[k]) / id, 0, e.f.Err[k], total, e.f.L[k], e.f.LL[k]}
}

// single encodes a block that has its scale and minimum to itself.
func (a *affine) single(e *Encoder, x, w []float32, finer int) (d, m uint16) {
	w, total := e.weights(w)
	best := a.search(e, x, w, total, finer)
	d, scale := half(best.scale)
	m, low := half(-best.min)
	id := inverse(scale)
	e.k.Codes(e.q[:len(x)], x, id, -low*id, 0, a.levels)
	if scale == 0 {
		clear(e.q[:len(x)])
	}
	return d, m
}

func (e *Encoder) q4_1(dst []byte, x, w []float32) {
	d, m := signed4.single(e, x, w, 0)
	dtype.PackQ4_1(dst, d, m, e.q[:32])
}

func (e *Encoder) q5_1(dst []byte, x, w []float32) {
	d, m := signed5.single(e, x, w, 0)
	dtype.PackQ5_1(dst, d, m, e.q[:32])
}

// grouped encodes a super-block of groups of size values, whose scales and
// minimums are whole numbers, at most limit, of times two float16.
func (a *affine) grouped(e *Encoder, x, w []float32, size, limit int, q, m []byte) (d, dm uint16) {
	groups := len(x) / size
	var own [16]line
	for g := range groups {
		wg, total := e.weights(w[g*size : (g+1)*size])
		own[g] = a.search(e, x[g*size:(g+1)*size], wg, total, 2)
	}
	var unit, unitM float32
	for turn := range 2 {
		if turn == 0 {
			d, unit = commonScale(own[:groups], limit, q)
			dm, unitM = commonMin(own[:groups], limit, unit, q, m)
		} else {
			// The two that suit the codes of the first turn best.
			a.refit(e, x, w, size, own[:groups], unit, unitM, q, m)
			d, unit, dm, unitM = polish(own[:groups], q, m, d, dm)
		}
		for g := range groups {
			wg, total := e.weights(w[g*size : (g+1)*size])
			a.neighbour(e, x[g*size:(g+1)*size], wg, total, unit, unitM, &q[g], &m[g], limit)
		}
	}
	for g := range groups {
		id := inverse(unit * float32(q[g]))
		e.k.Codes(e.q[g*size:(g+1)*size], x[g*size:(g+1)*size], id, unitM*float32(m[g])*id, 0, a.levels)
		if q[g] == 0 || unit == 0 {
			clear(e.q[g*size : (g+1)*size])
		}
	}
	return d, dm
}

// neighbour replaces a group's scale and minimum by the best of those about them.
func (a *affine) neighbour(e *Encoder, x, w []float32, total, unit, unitM float32, q, m *byte, limit int) {
	fromQ, fromM := min(max(int(*q)-1, 0), limit-2), min(max(int(*m)-2, 0), limit-4)
	for i := range lanes {
		s, t := fromQ+min(i/5, 2), fromM+i%5 // the last lane is one of the others
		id := inverse(unit * float32(s))
		e.f.ID[i], e.f.Off[i] = id, unitM*float32(t)*id
	}
	e.k.FitUniform(&e.f, lanes, x, w, cpu.FitAsIs, 0, a.levels, total)
	if k := e.better(); k >= 0 {
		*q, *m = byte(fromQ+min(k/5, 2)), byte(fromM+k%5)
	}
}

// commonScale chooses the float16 of which the groups' scales become multiples, so
// that rounding them loses the least, each group's minimum making the best of it.
func commonScale(own []line, limit int, q []byte) (uint16, float32) {
	big := float32(0)
	for _, l := range own {
		big = max(big, l.scale)
	}
	return choose(own, big, limit, q, func(l line) (value, weight float32) {
		return l.scale, l.ll - l.l*l.l/l.total
	})
}

// commonMin does the same for minimums, each at the best for its rounded scale.
func commonMin(own []line, limit int, unit float32, q, m []byte) (uint16, float32) {
	var best [16]line
	big := float32(0)
	for g, l := range own {
		l.min = max(0, l.min+(unit*float32(q[g])-l.scale)*l.l/l.total)
		best[g], big = l, max(big, l.min)
	}
	return choose(best[:len(own)], big, limit, m, func(l line) (value, weight float32) { return l.min, l.total })
}

// choose tries the float16 of which values become multiples and returns the best,
// with the multiples in q.
func choose(own []line, big float32, limit int, q []byte, part func(line) (value, weight float32)) (uint16, float32) {
	if big == 0 {
		clear(q[:len(own)])
		return 0, 0
	}
	var v, w [16]float32
	for g, l := range own {
		v[g], w[g] = part(l)
	}
	var best uint16
	var unit float32
	least := float32(math.Inf(1))
	for i := range 12 {
		d, u := half(big / (float32(limit) + 0.3 - 0.3*float32(limit)/15*float32(i)/4))
		if u == 0 {
			continue
		}
		id, loss := 1/u, float32(0)
		for g := range own {
			off := v[g] - u*float32(nearest(v[g]*id, 0, limit))
			loss += w[g] * off * off
		}
		if loss < least {
			best, unit, least = d, u, loss
		}
	}
	id := inverse(unit)
	for g := range own {
		q[g] = byte(nearest(v[g]*id, 0, limit))
	}
	return best, unit
}

// refit finds the lines of the codes that the groups have now.
func (a *affine) refit(e *Encoder, x, w []float32, size int, own []line, unit, unitM float32, q, m []byte) {
	for g := range own {
		wg, total := e.weights(w[g*size : (g+1)*size])
		id := inverse(unit * float32(q[g]))
		off := unitM * float32(m[g]) * id
		for i := range lanes {
			e.f.ID[i], e.f.Off[i] = id, off
		}
		e.k.FitUniform(&e.f, lanes, x[g*size:(g+1)*size], wg, cpu.FitScaleAndShift, 0, a.levels, total)
		own[g] = line{(1 + e.f.Scale[0]) / id, (off - e.f.Shift[0]) / id, e.f.Err[0], total, e.f.L[0], e.f.LL[0]}
	}
}

// polish solves for the two common factors by least squares, the multiples given.
// Groups that have a scale of 0 say nothing.
func polish(own []line, q, m []byte, d, dm uint16) (uint16, float32, uint16, float32) {
	var ss, sm, mm, s, t float32
	for g, l := range own {
		if q[g] == 0 {
			continue
		}
		a, b := float32(q[g]), float32(m[g])
		ss += l.ll * a * a
		sm -= l.l * a * b
		mm += l.total * b * b
		s += a * (l.ll*l.scale - l.l*l.min)
		t += b * (l.total*l.min - l.l*l.scale)
	}
	old, oldM := dtype.F16ToF32(d), dtype.F16ToF32(dm)
	if det := ss*mm - sm*sm; det > 1e-6*ss*mm && ss > 0 {
		if u, v := (s*mm-t*sm)/det, (t*ss-s*sm)/det; u > 0 && v >= 0 && u < 1.2*old && u > old/1.2 {
			d, old = half(u)
			dm, oldM = half(v)
		}
	} else if mm == 0 && ss > 0 {
		d, old = half(s / ss)
	}
	return d, old, dm, oldM
}

func (e *Encoder) q2_K(dst []byte, x, w []float32) {
	var q, m [16]byte
	d, dm := affine2.grouped(e, x, w, 16, 15, q[:], m[:])
	dtype.PackQ2_K(dst, d, dm, q, m, e.q[:])
}

func (e *Encoder) q4_K(dst []byte, x, w []float32) {
	var q, m [8]byte
	d, dm := affine4.grouped(e, x, w, 32, 63, q[:], m[:])
	dtype.PackQ4_K(dst, d, dm, q, m, e.q[:])
}

func (e *Encoder) q5_K(dst []byte, x, w []float32) {
	var q, m [8]byte
	d, dm := affine5.grouped(e, x, w, 32, 63, q[:], m[:])
	dtype.PackQ5_K(dst, d, dm, q, m, e.q[:])
}
