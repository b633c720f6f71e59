package cpu

import "math"

// FitLanes is how many quantisations of a block are tried at once.
const FitLanes = 16

// Fit tries FitLanes quantisations of a block of values x with weights w. Lane k
// maps a value to u = x ID[k] + Off[k], takes the code v nearest to it, and sums
// up what is lost. Done at once for many candidates, a search costs little more
// than one quantisation.
//
// What a search asks for is one of three things, by the mode: the error of these
// codes as they stand, x = (v - Off) / ID; or with the scale that suits them best,
// x = (v + Scale v) / ID; or with the best scale and shift,
// x = (v + Scale v + Shift - Off) / ID. The best are in the sense of weighted
// least squares.
type Fit struct {
	ID, Off      [FitLanes]float32 // candidates
	Err          [FitLanes]float32 // sum of w (difference)^2
	Scale, Shift [FitLanes]float32 // see above
	L, LL        [FitLanes]float32 // sums of w v and of w v^2
}

// The modes of a Fit.
const (
	FitAsIs = iota
	FitScale
	FitScaleAndShift
)

// Curve are at most 33 rising values that codes stand for, and how the nearest is
// found: the range is cut into 32 cells, number trunc(u Mul + Add), so narrow that
// each holds at most one half-way point between neighbours; in a cell the nearest
// value is Low below Thresh and High from there on.
type Curve struct {
	Thresh, Low, High [32]float32
	LowCode, HighCode [32]uint32 // of Low and High
	Mul, Add          float32
}

// NewCurve makes the table of values in rising order and of the codes that stand
// for them. Cells of the given width begin at from.
func NewCurve(values []float32, codes []byte, from, width float32) *Curve {
	c := &Curve{Mul: 1 / width, Add: -from / width}
	for i := range c.Thresh {
		lo, hi := from+float32(i)*width, from+float32(i+1)*width
		j := 0
		for j+1 < len(values) && (values[j]+values[j+1])/2 <= lo {
			j++
		}
		c.Low[i], c.High[i], c.Thresh[i] = values[j], values[j], hi
		c.LowCode[i], c.HighCode[i] = uint32(codes[j]), uint32(codes[j])
		if j+1 < len(values) && (values[j]+values[j+1])/2 < hi {
			c.High[i], c.Thresh[i] = values[j+1], (values[j]+values[j+1])/2
			c.HighCode[i] = uint32(codes[j+1])
		}
	}
	return c
}

// Nearest gives the value of the curve nearest to u, and its code.
func (c *Curve) Nearest(u float32) (value float32, code byte) {
	f := u*c.Mul + c.Add
	i := 0
	if f > 0 {
		i = int(min(f, 31))
	}
	if u < c.Thresh[i] {
		return c.Low[i], byte(c.LowCode[i])
	}
	return c.High[i], byte(c.HighCode[i])
}

// fits are a level's kernels for Fit; those that are nil are done in Go.
type fits struct {
	uniform    func(f *Fit, x, w *float32, n, mode int, lo, hi, total float32)
	curve      func(f *Fit, x, w *float32, n, mode int, c *Curve, total float32)
	codes      func(dst *byte, x *float32, sixteens int, id, off, lo, hi float32)
	curveCodes func(dst *byte, x *float32, sixteens int, c *Curve, id float32)
}

// FitUniform tries codes that are the whole numbers from lo to hi. total is the
// sum of w. Only the first lanes are asked for.
func (k *Kernels) FitUniform(f *Fit, lanes int, x, w []float32, mode int, lo, hi, total float32) {
	if len(x) == 0 {
		return
	}
	_ = w[len(x)-1]
	if t := levelFits(k.level); t != nil {
		t.uniform(f, &x[0], &w[0], len(x), mode, lo, hi, total)
		return
	}
	for c := range lanes {
		id, off := f.ID[c], f.Off[c]
		var s fitSums
		for i, x := range x {
			u := float32(x*id) + off
			s.add(u, min(max(roundEven(u), lo), hi), w[i])
		}
		s.solve(f, c, mode, total)
	}
}

// FitCurve tries codes that stand for the values of a curve; Off is not used.
func (k *Kernels) FitCurve(f *Fit, lanes int, x, w []float32, mode int, c *Curve, total float32) {
	if len(x) == 0 {
		return
	}
	_ = w[len(x)-1]
	if t := levelFits(k.level); t != nil && t.curve != nil {
		t.curve(f, &x[0], &w[0], len(x), mode, c, total)
		return
	}
	for lane := range lanes {
		id := f.ID[lane]
		var s fitSums
		for i, x := range x {
			u := x * id
			v, _ := c.Nearest(u)
			s.add(u, v, w[i])
		}
		s.solve(f, lane, mode, total)
	}
}

// Codes writes round(x id + off), held within lo and hi, as int8. len(x) is a
// multiple of 16.
func (k *Kernels) Codes(dst []byte, x []float32, id, off, lo, hi float32) {
	if len(x) == 0 {
		return
	}
	dst = dst[:len(x)]
	if t := levelFits(k.level); t != nil && t.codes != nil {
		t.codes(&dst[0], &x[0], len(x)/16, id, off, lo, hi)
		return
	}
	for i, x := range x {
		dst[i] = byte(int8(roundEven(min(max(float32(x*id)+off, lo), hi))))
	}
}

// CurveCodes writes the codes of the values of a curve that are nearest to x id.
// len(x) is a multiple of 16.
func (k *Kernels) CurveCodes(dst []byte, x []float32, c *Curve, id float32) {
	if len(x) == 0 {
		return
	}
	dst = dst[:len(x)]
	if t := levelFits(k.level); t != nil && t.curveCodes != nil {
		t.curveCodes(&dst[0], &x[0], len(x)/16, c, id)
		return
	}
	for i, x := range x {
		_, dst[i] = c.Nearest(x * id)
	}
}

// roundEven rounds to the nearest whole number, ties to even. Beyond 2^22 the
// result is near, which codes never notice.
func roundEven(u float32) float32 {
	const magic = 3 << 22
	if u > 1<<22 || u < -1<<22 {
		return u
	}
	return float32(u+magic) - magic
}

type fitSums struct{ l, ll, r, rr, rl float32 }

func (s *fitSums) add(u, v, w float32) {
	r := u - v
	wr, wv := w*r, w*v
	s.r += wr
	s.rr += wr * r
	s.rl += wr * v
	s.l += wv
	s.ll += wv * v
}

func (s *fitSums) solve(f *Fit, lane, mode int, total float32) {
	defer func() { f.Err[lane] /= f.ID[lane] * f.ID[lane] }()
	f.L[lane], f.LL[lane] = s.l, s.ll
	switch mode {
	case FitAsIs:
		f.Err[lane] = s.rr
	case FitScale:
		a := s.rl / max(s.ll, 1e-30)
		f.Scale[lane], f.Err[lane] = a, s.rr-a*s.rl
	default:
		det := max(total*s.ll-s.l*s.l, 1e-6*total*s.ll, 1e-30)
		a := (total*s.rl - s.r*s.l) / det
		b := (s.r - a*s.l) / total
		f.Scale[lane], f.Shift[lane], f.Err[lane] = a, b, s.rr-a*s.rl-b*s.r
	}
}

// Best is the lane of the first lanes with the least error; one whose error is no
// number is passed over, and -1 is returned if there is no other.
func (f *Fit) Best(lanes int) int {
	best, least := -1, float32(math.Inf(1))
	for k := range lanes {
		if e := f.Err[k]; e < least {
			best, least = k, e
		}
	}
	return best
}
