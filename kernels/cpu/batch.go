package cpu

import "math"

// BatchLanes is how many blocks are quantised at once.
const BatchLanes = 16

// Lanes has a number for each block of a batch.
type Lanes = [BatchLanes]float32

// Batch are sixteen blocks of n values, n being 16 or 32, that are quantised at
// once, a lane of every vector for each: nothing is summed up across lanes, and
// nothing is done for one block alone. Order in which things are called: Load,
// LoadWeights (or not), Range; then for each search A to D are set, Gain is reset
// once, and the fits keep in each lane the best of all candidates that they try.
type Batch struct {
	X, W [32]Lanes // value j of block k, and its weight, at [j][k]

	Lo, Hi             Lanes // least and largest value
	Total, Sum, Energy Lanes // sums of w, w x and w x²

	A, B, C, D Lanes // what candidates are made of: see the fits

	Gain      Lanes // Energy less the weighted squared error of the best candidate
	P, Q      Lanes // what it is
	L, LL, XL Lanes // its sums of w v, w v² and w x v, v being what its codes stand for

	weighted bool
}

// The offsets of the fields are in gen/batch.go, too.

// worst is a gain that every number is better than.
const worst = -math.MaxFloat32

// Reset forgets the best candidate.
func (b *Batch) Reset() {
	for k := range b.Gain {
		b.Gain[k] = worst
	}
}

// Lost tells whether a lane had no candidate whose error is a number.
func (b *Batch) Lost() bool {
	for _, g := range b.Gain {
		if g == worst {
			return true
		}
	}
	return false
}

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
	f := float32(u*c.Mul) + c.Add
	i := 0
	if f > 0 {
		i = int(min(f, 31))
	}
	if u < c.Thresh[i] {
		return c.Low[i], byte(c.LowCode[i])
	}
	return c.High[i], byte(c.HighCode[i])
}

// A Codebook is what the codes of a block stand for in units of its scale: the whole
// numbers from Lo to Hi, or the values of a curve.
type Codebook struct {
	Lo, Hi float32
	Curve  *Curve
}

func (l *Codebook) nearest(u float32) float32 {
	if l.Curve != nil {
		v, _ := l.Curve.Nearest(u)
		return v
	}
	return min(max(roundEven(u), l.Lo), l.Hi)
}

// Lot is how many candidates, or a multiple of it, a fit tries.
const Lot = 4

// Point is a candidate of FitLine: the scale's inverse is A ID, a value's place
// among the codes x ID + B Base + Off.
type Point struct{ ID, Base, Off float32 }

// Step is a candidate of FitLineNear.
type Step struct{ Scale, Min float32 }

type (
	batchFunc func(b *Batch, n int)
	fineFunc  func(b *Batch, n int, grid *float32, lots int)
	gridFunc  func(b *Batch, n int, grid *float32, lots int, lo, hi float32)
	curveFunc func(b *Batch, n int, grid *float32, lots int, c *Curve)
	lineFunc  func(b *Batch, n int, points *Point, lots int, levels, floor, roof float32)
	stepFunc  func(b *Batch, n int, steps *Step, lots int, levels float32)
)

// batchKernels are a level's; those that are nil are done in Go. The second of two
// is with weights.
type batchKernels struct {
	spread, shift         [2]batchFunc
	scale, near           [2]gridFunc
	fine                  [2]fineFunc
	scaleCurve, nearCurve [2]curveFunc
	line                  [2]lineFunc
	lineNear              [2]stepFunc
	codes                 func(dst *byte, x *float32, blocks, sixteens int, id, off *float32, lo, hi float32)
	curveCodes            func(dst *byte, x *float32, blocks, sixteens int, id *float32, c *Curve)
}

func (b *Batch) kind() int {
	if b.weighted {
		return 1
	}
	return 0
}

// Load puts sixteen blocks of n values into the batch, without weights.
func (k *Kernels) Load(b *Batch, x []float32, n int) {
	b.weighted = false
	k.lanes(&b.X, x, n)
}

// LoadWeights puts the weights of the same blocks into it. Where all of a block are
// zero, its columns are never used, and count alike.
func (k *Kernels) LoadWeights(b *Batch, w []float32, n int) {
	b.weighted = true
	k.lanes(&b.W, w, n)
	var total Lanes
	for j := range n {
		for i, v := range &b.W[j] {
			total[i] += v
		}
	}
	for i, t := range total {
		if t > 1e-30 || t != t {
			continue
		}
		for j := range n {
			b.W[j][i] = 1
		}
	}
}

// lanes transposes sixteen blocks of n values.
func (k *Kernels) lanes(dst *[32]Lanes, x []float32, n int) {
	x = x[:BatchLanes*n]
	if k.asm == nil || k.asm.turn == nil {
		for i, v := range x {
			dst[i%n][i/n] = v
		}
		return
	}
	for i, size := 0, k.asm.turnSize; i < BatchLanes; i += size {
		k.asm.turn(&dst[0][i], 4*BatchLanes, &x[i*n], 4*n, n/size)
	}
}

// BatchTiny is the magnitude below which blocks are zeros: no float16 scale reaches it.
const BatchTiny = 1e-9

// Range finds the least and the largest value and the sums of each block. A becomes the
// inverse of the value of the largest magnitude, 0 if that is below BatchTiny.
func (k *Kernels) Range(b *Batch, n int) {
	if t := levelBatch(k.level); t != nil {
		t.spread[b.kind()](b, n)
		return
	}
	b.Lo, b.Hi = b.X[0], b.X[0]
	b.Total, b.Sum, b.Energy = Lanes{}, Lanes{}, Lanes{}
	for j := range n {
		for i, x := range &b.X[j] {
			w := b.weight(j, i)
			b.Lo[i], b.Hi[i] = min(b.Lo[i], x), max(b.Hi[i], x)
			b.Total[i] += w
			b.Sum[i] += w * x
			b.Energy[i] += w * x * x
		}
	}
	for i, hi := range &b.Hi {
		if lo := b.Lo[i]; -lo > hi {
			hi = lo
		}
		b.A[i] = 0
		if hi >= BatchTiny || hi <= -BatchTiny {
			b.A[i] = 1 / hi
		}
	}
}

// Shift takes the least value of each block from its values, so that sums of what all of
// them have in common do not swallow what they differ by. Lo, Hi and Sum become what they
// are then; Energy and A stay.
func (k *Kernels) Shift(b *Batch, n int) {
	if t := levelBatch(k.level); t != nil {
		t.shift[b.kind()](b, n)
		return
	}
	b.Sum = Lanes{}
	for j := range n {
		for i := range &b.X[j] {
			b.X[j][i] -= b.Lo[i]
			b.Sum[i] += b.weight(j, i) * b.X[j][i]
		}
	}
	for i := range &b.Lo {
		b.Lo[i], b.Hi[i] = 0, b.Hi[i]-b.Lo[i]
	}
}

func (b *Batch) weight(j, i int) float32 {
	if b.weighted {
		return b.W[j][i]
	}
	return 1
}

// FitScale tries scales whose inverses are A times each of the grid, takes the
// nearest codes, and gives them the scale that suits them best, in the sense of
// least squares: P.
func (k *Kernels) FitScale(b *Batch, n int, grid []float32, l *Codebook) {
	lots := len(grid) / Lot
	t := levelBatch(k.level)
	switch {
	case t != nil && l.Curve == nil:
		t.scale[b.kind()](b, n, &grid[0], lots, l.Lo, l.Hi)
		return
	case t != nil && t.scaleCurve[0] != nil && l.Curve != nil:
		t.scaleCurve[b.kind()](b, n, &grid[0], lots, l.Curve)
		return
	}
	for _, g := range grid[:lots*Lot] {
		for i := range BatchLanes {
			s := b.sums(n, i, b.A[i]*g, 0, l.nearest)
			p := s.xl / max(s.ll, 1e-30)
			b.keep(i, p*s.xl, p, 0, s)
		}
	}
}

// FitFine is FitScale for so many levels that an error is small against the energy,
// and would be lost in the difference of two sums: it is summed up itself. Gain is
// the error, negative; there is no bound to the codes, which the grid must see to.
func (k *Kernels) FitFine(b *Batch, n int, grid []float32) {
	lots := len(grid) / Lot
	if t := levelBatch(k.level); t != nil {
		t.fine[b.kind()](b, n, &grid[0], lots)
		return
	}
	for _, g := range grid[:lots*Lot] {
		for i := range BatchLanes {
			id := b.A[i] * g
			var rr, rv, vv float32
			for j := range n {
				u, w := b.X[j][i]*id, b.weight(j, i)
				v := roundEven(u)
				r := u - v
				rr += w * r * r
				rv += w * r * v
				vv += w * v * v
			}
			a := rv / max(vv, 1e-30)
			b.keep(i, -(rr-a*rv)/max(id*id, 1e-37), (1+a)/max(id, 1e-37), 0, batchSums{})
		}
	}
}

// FitNear tries the scales A (B + g) for each g of the grid as they stand. P is
// B + g.
func (k *Kernels) FitNear(b *Batch, n int, grid []float32, l *Codebook) {
	lots := len(grid) / Lot
	t := levelBatch(k.level)
	switch {
	case t != nil && l.Curve == nil:
		t.near[b.kind()](b, n, &grid[0], lots, l.Lo, l.Hi)
		return
	case t != nil && t.nearCurve[0] != nil && l.Curve != nil:
		t.nearCurve[b.kind()](b, n, &grid[0], lots, l.Curve)
		return
	}
	for _, g := range grid[:lots*Lot] {
		for i := range BatchLanes {
			p := b.B[i] + g
			d := b.A[i] * p
			s := b.sums(n, i, inverse(d), 0, l.nearest)
			b.keep(i, d*(2*s.xl-d*s.ll), p, 0, s)
		}
	}
}

// FitLine tries codes from 0 to levels under a scale and a minimum, and gives them
// the scale P and the shift Q, x being about P v + Q, that suit them best. Places
// among the codes are at least floor for x = 0. If Q would be more than roof, it is
// 0, and P the best for that.
func (k *Kernels) FitLine(b *Batch, n int, points []Point, levels, floor, roof float32) {
	lots := len(points) / Lot
	if t := levelBatch(k.level); t != nil {
		t.line[b.kind()](b, n, &points[0], lots, levels, floor, roof)
		return
	}
	l := Codebook{Hi: levels}
	for _, c := range points[:lots*Lot] {
		for i := range BatchLanes {
			s := b.sums(n, i, b.A[i]*c.ID, max(float32(b.B[i]*c.Base)+c.Off, floor), l.nearest)
			w, x := b.Total[i], b.Sum[i]
			det := max(w*s.ll-s.l*s.l, 1e-6*w*s.ll, 1e-30)
			p := (w*s.xl - x*s.l) / det
			q := (x - p*s.l) / w
			gain := p*s.xl + q*x
			if q > roof {
				p, q = s.xl/max(s.ll, 1e-30), 0
				gain = p * s.xl
			}
			b.keep(i, gain, p, q, s)
		}
	}
}

// FitLineNear tries codes from 0 to levels under the scales A (C + Scale) and the
// minimums B (D + Min), which are subtracted, as they stand. P is C + Scale and Q
// is D + Min.
func (k *Kernels) FitLineNear(b *Batch, n int, steps []Step, levels float32) {
	lots := len(steps) / Lot
	if t := levelBatch(k.level); t != nil {
		t.lineNear[b.kind()](b, n, &steps[0], lots, levels)
		return
	}
	l := Codebook{Hi: levels}
	for _, c := range steps[:lots*Lot] {
		for i := range BatchLanes {
			p, q := b.C[i]+c.Scale, b.D[i]+c.Min
			d, m := b.A[i]*p, b.B[i]*q
			id := inverse(d)
			s := b.sums(n, i, id, m*id, l.nearest)
			b.keep(i, d*(2*(s.xl+m*s.l)-d*s.ll)-m*(2*b.Sum[i]+m*b.Total[i]), p, q, s)
		}
	}
}

func inverse(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

type batchSums struct{ l, ll, xl float32 }

// sums are those of lane i for the codes of x id + off.
func (b *Batch) sums(n, i int, id, off float32, nearest func(float32) float32) (s batchSums) {
	for j := range n {
		x := b.X[j][i]
		v := nearest(float32(x*id) + off)
		wv := b.weight(j, i) * v
		s.l += wv
		s.ll += wv * v
		s.xl += wv * x
	}
	return s
}

// keep keeps a candidate that is better than what lane i has.
func (b *Batch) keep(i int, gain, p, q float32, s batchSums) {
	if gain > b.Gain[i] {
		b.Gain[i], b.P[i], b.Q[i] = gain, p, q
		b.L[i], b.LL[i], b.XL[i] = s.l, s.ll, s.xl
	}
}

// Codes writes round(x id + off), held within lo and hi, as int8, for sixteen blocks
// of n values, each with its own id and off.
func (k *Kernels) Codes(dst []byte, x []float32, n int, id, off *Lanes, lo, hi float32) {
	dst, x = dst[:BatchLanes*n], x[:BatchLanes*n]
	if t := levelBatch(k.level); t != nil {
		t.codes(&dst[0], &x[0], BatchLanes, n/16, &id[0], &off[0], lo, hi)
		return
	}
	for i, x := range x {
		u := float32(x*id[i/n]) + off[i/n]
		dst[i] = byte(int8(roundEven(min(max(u, lo), hi))))
	}
}

// CurveCodes writes the codes of the values of a curve that are nearest to x id, for
// sixteen blocks of n values.
func (k *Kernels) CurveCodes(dst []byte, x []float32, n int, id *Lanes, c *Curve) {
	dst, x = dst[:BatchLanes*n], x[:BatchLanes*n]
	if t := levelBatch(k.level); t != nil && t.curveCodes != nil {
		t.curveCodes(&dst[0], &x[0], BatchLanes, n/16, &id[0], c)
		return
	}
	for i, x := range x {
		_, dst[i] = c.Nearest(x * id[i/n])
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
