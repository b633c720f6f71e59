package cpu

import (
	"fmt"
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

// tried is what a candidate comes to, in float64.
type tried struct{ gain, p, q, l, ll, xl float64 }

// batchCase is a batch with the values it was made of.
type batchCase struct {
	b    Batch
	n    int
	x, w []float32 // of sixteen blocks
}

func newBatch(k *Kernels, r *rand.Rand, n int, weighted bool) *batchCase {
	c := &batchCase{n: n}
	for i := range BatchLanes * n {
		c.x = append(c.x, float32(r.NormFloat64()+0.2)*float32(1+i/n))
		c.w = append(c.w, 1)
		if weighted {
			c.w[i] = float32(r.Float64() + 0.1)
		}
	}
	k.Load(&c.b, c.x, n)
	if weighted {
		k.LoadWeights(&c.b, c.w, n)
	}
	k.Range(&c.b, n)
	return c
}

// sums are those of a lane for the codes of x id + off.
func (c *batchCase) sums(lane int, id, off float32, code func(float64) float64) (t tried) {
	for j := lane * c.n; j < (lane+1)*c.n; j++ {
		x, w := float64(c.x[j]), float64(c.w[j])
		v := code(float64(c.x[j]*id + off))
		t.l += w * v
		t.ll += w * v * v
		t.xl += w * v * x
	}
	return t
}

// check holds that each lane has what is as good as the best of its candidates.
func (c *batchCase) check(t *testing.T, name string, candidates func(lane int) []tried) {
	t.Helper()
	near := func(got float32, want, size float64) bool { return math.Abs(float64(got)-want) <= 1e-3*(size+1e-6) }
	for lane := range BatchLanes {
		best, found := math.Inf(-1), false
		all := candidates(lane)
		for _, o := range all {
			best = max(best, o.gain)
		}
		size := float64(c.b.Energy[lane])
		if math.Abs(float64(c.b.Gain[lane])-best) > 1e-5*size {
			t.Errorf("%s: lane %d gains %g, the best %g", name, lane, c.b.Gain[lane], best)
		}
		for _, o := range all {
			found = found || o.gain > best-1e-5*size && near(c.b.P[lane], o.p, math.Abs(o.p)) && near(c.b.Q[lane], o.q, math.Abs(o.q))
		}
		if !found {
			t.Errorf("%s: lane %d has %g, %g, which is not the best", name, lane, c.b.P[lane], c.b.Q[lane])
		}
	}
}

func TestBatch(t *testing.T) {
	iq4, mxfp4 := NewCurve(iq4Values, sixteen, -128, 8), NewCurve(mxfp4Values, sixteen, -16, 1)
	for _, l := range Levels() {
		k := kernelsOf(l)
		r := rand.New(rand.NewPCG(1, 2))
		for turn := range 8 {
			n, weighted := 16<<(turn%2), turn%4 >= 2
			name := fmt.Sprintf("%v n %d weighted %v", l, n, weighted)
			c := newBatch(k, r, n, weighted)
			c.checkRange(t, name)
			for _, book := range []struct {
				Codebook
				values []float32
				unit   float32
			}{{Codebook{Lo: -8, Hi: 7}, nil, 3}, {Codebook{Lo: -32, Hi: 31}, nil, 12}, {Codebook{Curve: iq4}, iq4Values, 40}, {Codebook{Curve: mxfp4}, mxfp4Values, 4}} {
				code := func(u float64) float64 { return math.RoundToEven(min(max(u, float64(book.Lo)), float64(book.Hi))) }
				if book.values != nil {
					code = func(u float64) float64 { return closest(book.values, u) }
				}
				c.fitScale(t, k, name, &book.Codebook, book.unit, code)
				c.fitNear(t, k, name, &book.Codebook, book.unit, code)
			}
			c.fitFine(t, k, name)
			c.fitLine(t, k, name, 0, 0)
			c.fitLine(t, k, name, -math.MaxFloat32, math.MaxFloat32)
			c.fitLineNear(t, k, name)
			c.shift(t, k, name)
		}
	}
}

func closest(values []float32, u float64) float64 {
	best := float64(values[0])
	for _, v := range values {
		if math.Abs(u-float64(v)) < math.Abs(u-best) {
			best = float64(v)
		}
	}
	return best
}

func (c *batchCase) checkRange(t *testing.T, name string) {
	t.Helper()
	for lane := range BatchLanes {
		lo, hi := math.Inf(1), math.Inf(-1)
		var total, sum, energy float64
		for j := lane * c.n; j < (lane+1)*c.n; j++ {
			x, w := float64(c.x[j]), float64(c.w[j])
			lo, hi = min(lo, x), max(hi, x)
			total, sum, energy = total+w, sum+w*x, energy+w*x*x
		}
		if float64(c.b.Lo[lane]) != lo || float64(c.b.Hi[lane]) != hi {
			t.Errorf("%s: lane %d from %g to %g, not %g to %g", name, lane, c.b.Lo[lane], c.b.Hi[lane], lo, hi)
		}
		if -lo > hi {
			hi = lo
		}
		if float32(1/hi) != c.b.A[lane] {
			t.Errorf("%s: lane %d has the inverse %g of %g", name, lane, c.b.A[lane], hi)
		}
		if math.Abs(float64(c.b.Total[lane])-total) > 1e-4*total || math.Abs(float64(c.b.Energy[lane])-energy) > 1e-4*energy ||
			math.Abs(float64(c.b.Sum[lane])-sum) > 1e-4*math.Sqrt(energy*total) {
			t.Errorf("%s: lane %d sums %g %g %g, not %g %g %g", name, lane, c.b.Total[lane], c.b.Sum[lane], c.b.Energy[lane], total, sum, energy)
		}
	}
}

// candidates sets A and B of each lane to something of its size, and forgets the best.
func (c *batchCase) candidates(a func(lane int) (a, b float32)) {
	for lane := range BatchLanes {
		c.b.A[lane], c.b.B[lane] = a(lane)
		c.b.P[lane], c.b.Q[lane] = 0, 0
	}
	c.b.Reset()
}

func (c *batchCase) fitScale(t *testing.T, k *Kernels, name string, book *Codebook, unit float32, code func(float64) float64) {
	t.Helper()
	grid := []float32{-1.2, -1.1, -1, -0.9, 0.9, 1, 1.1, 1.3}
	c.candidates(func(lane int) (float32, float32) { return unit / float32(1+lane), 0 })
	k.FitScale(&c.b, c.n, grid, book)
	c.check(t, name+" scale", func(lane int) (all []tried) {
		for _, g := range grid {
			o := c.sums(lane, c.b.A[lane]*g, 0, code)
			o.p = o.xl / o.ll
			o.gain = o.p * o.xl
			all = append(all, o)
		}
		return all
	})
}

func (c *batchCase) fitNear(t *testing.T, k *Kernels, name string, book *Codebook, unit float32, code func(float64) float64) {
	t.Helper()
	grid := []float32{-4, -3, -2, -1, 0, 1, 2, 3}
	c.candidates(func(lane int) (float32, float32) { return float32(1+lane) / unit / 10, float32(lane - 4) }) // some are 0
	k.FitNear(&c.b, c.n, grid, book)
	c.check(t, name+" near", func(lane int) (all []tried) {
		for _, g := range grid {
			p := c.b.B[lane] + g
			d := c.b.A[lane] * p
			o := c.sums(lane, inverse(d), 0, code)
			o.p, o.gain = float64(p), float64(d)*(2*o.xl-float64(d)*o.ll)
			all = append(all, o)
		}
		return all
	})
}

func (c *batchCase) fitFine(t *testing.T, k *Kernels, name string) {
	t.Helper()
	grid := []float32{120, 121, 122, 123, 124, 125, 126, 127}
	c.candidates(func(lane int) (float32, float32) { return 1 / max(c.b.Hi[lane], -c.b.Lo[lane]), 0 })
	k.FitFine(&c.b, c.n, grid)
	for lane := range BatchLanes {
		best, scale := math.Inf(1), 0.0
		for _, g := range grid {
			o := c.sums(lane, c.b.A[lane]*g, 0, math.RoundToEven)
			if loss := c.loss(lane, c.b.A[lane]*g, o.xl/o.ll); loss < best {
				best, scale = loss, o.xl/o.ll
			}
		}
		if math.Abs(float64(-c.b.Gain[lane])-best) > 1e-3*best || math.Abs(float64(c.b.P[lane])-scale) > 1e-3*scale {
			t.Errorf("%s fine: lane %d loses %g with %g, the best %g with %g", name, lane, -c.b.Gain[lane], c.b.P[lane], best, scale)
		}
	}
}

// loss is the error of codes round(x id) under a scale.
func (c *batchCase) loss(lane int, id float32, scale float64) (sum float64) {
	for j := lane * c.n; j < (lane+1)*c.n; j++ {
		d := float64(c.x[j]) - scale*math.RoundToEven(float64(c.x[j]*id))
		sum += float64(c.w[j]) * d * d
	}
	return sum
}

func (c *batchCase) fitLine(t *testing.T, k *Kernels, name string, floor, roof float32) {
	t.Helper()
	var points []Point
	for i := range 8 {
		points = append(points, Point{0.8 + 0.05*float32(i), 1 + float32(i%2), float32(i%3) - 1})
	}
	c.candidates(func(lane int) (float32, float32) { return 5 / float32(1+lane), float32(lane%5) - 0.3 })
	k.FitLine(&c.b, c.n, points, 15, floor, roof)
	c.check(t, fmt.Sprintf("%s line from %g", name, floor), func(lane int) (all []tried) {
		w, x := float64(c.b.Total[lane]), float64(c.b.Sum[lane])
		for _, p := range points {
			o := c.sums(lane, c.b.A[lane]*p.ID, max(c.b.B[lane]*p.Base+p.Off, floor), func(u float64) float64 { return math.RoundToEven(min(max(u, 0), 15)) })
			o.p = (w*o.xl - x*o.l) / (w*o.ll - o.l*o.l)
			o.q = (x - o.p*o.l) / w
			if o.q > float64(roof) {
				o.p, o.q = o.xl/o.ll, 0
			}
			o.gain = 2*(o.p*o.xl+o.q*x) - (o.p*o.p*o.ll + 2*o.p*o.q*o.l + o.q*o.q*w)
			all = append(all, o)
		}
		return all
	})
}

func (c *batchCase) fitLineNear(t *testing.T, k *Kernels, name string) {
	t.Helper()
	var steps []Step
	for i := range 16 {
		steps = append(steps, Step{float32(i / 4), float32(i % 4)})
	}
	c.candidates(func(lane int) (float32, float32) { return 0.05 * float32(1+lane), 0.2 * float32(1+lane) })
	for lane := range BatchLanes {
		c.b.C[lane], c.b.D[lane] = float32(lane%5), float32(lane%3)
	}
	k.FitLineNear(&c.b, c.n, steps, 15)
	c.check(t, name+" line near", func(lane int) (all []tried) {
		w, x := float64(c.b.Total[lane]), float64(c.b.Sum[lane])
		for _, s := range steps {
			p, q := c.b.C[lane]+s.Scale, c.b.D[lane]+s.Min
			d, m := c.b.A[lane]*p, c.b.B[lane]*q
			o := c.sums(lane, inverse(d), m*inverse(d), func(u float64) float64 { return math.RoundToEven(min(max(u, 0), 15)) })
			o.p, o.q = float64(p), float64(q)
			a, b := float64(d), -float64(m)
			o.gain = 2*(a*o.xl+b*x) - (a*a*o.ll + 2*a*b*o.l + b*b*w)
			all = append(all, o)
		}
		return all
	})
}

// shift comes last: it changes the batch.
func (c *batchCase) shift(t *testing.T, k *Kernels, name string) {
	t.Helper()
	lo, hi := c.b.Lo, c.b.Hi
	k.Shift(&c.b, c.n)
	var sum [BatchLanes]float64
	for i, x := range c.x {
		got, want := c.b.X[i%c.n][i/c.n], x-lo[i/c.n]
		if got != want {
			t.Errorf("%s: value %d is %g, not %g", name, i, got, want)
		}
		sum[i/c.n] += float64(want) * float64(c.w[i])
	}
	for lane := range BatchLanes {
		if c.b.Lo[lane] != 0 || c.b.Hi[lane] != hi[lane]-lo[lane] || math.Abs(float64(c.b.Sum[lane])-sum[lane]) > 1e-4*sum[lane] {
			t.Errorf("%s: lane %d from %g to %g with the sum %g, not 0, %g, %g", name, lane, c.b.Lo[lane], c.b.Hi[lane], c.b.Sum[lane], hi[lane]-lo[lane], sum[lane])
		}
	}
}

// Weights of zero count as ones, block by block.
func TestBatchWeightsOfZero(t *testing.T) {
	for _, l := range Levels() {
		k := kernelsOf(l)
		var b Batch
		w := make([]float32, BatchLanes*16)
		w[16*3+5] = 2
		k.Load(&b, make([]float32, len(w)), 16)
		k.LoadWeights(&b, w, 16)
		k.Range(&b, 16)
		for lane, got := range b.Total {
			want := float32(16)
			if lane == 3 {
				want = 2
			}
			if got != want {
				t.Errorf("%v: the weights of block %d sum up to %g, not %g", l, lane, got, want)
			}
		}
	}
}

func TestCodes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, l := range Levels() {
		for _, n := range []int{16, 32} {
			x := make([]float32, BatchLanes*n)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			x[0], x[1] = 1e9, -1e9
			var id, off Lanes
			for i := range id {
				id[i], off[i] = float32(i), float32(i%4)/4
			}
			got := make([]byte, len(x))
			kernelsOf(l).Codes(got, x, n, &id, &off, -8, 7)
			for i, v := range x {
				u := float64(v)*float64(id[i/n]) + float64(off[i/n])
				if d := math.Abs(min(max(u, -8), 7) - float64(int8(got[i]))); d > 0.5001 {
					t.Errorf("%v: code of %g is %d", l, u, int8(got[i]))
				}
			}
		}
	}
}

func TestCurveCodes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	c := NewCurve(iq4Values, sixteen, -128, 8)
	for _, l := range Levels() {
		for _, n := range []int{16, 32} {
			x := make([]float32, BatchLanes*n)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			x[0], x[1] = 1e9, -1e9
			var id Lanes
			for i := range id {
				id[i] = 30 + float32(i)
			}
			got := make([]byte, len(x))
			kernelsOf(l).CurveCodes(got, x, n, &id, c)
			for i, v := range x {
				u := float64(v * id[i/n])
				best := math.Abs(u - closest(iq4Values, u))
				if d := math.Abs(u - float64(iq4Values[got[i]])); d > best+1e-3 {
					t.Errorf("%v: the code of %g is %d, off by %g, not %g", l, u, got[i], d, best)
				}
			}
		}
	}
}

func BenchmarkBatch(b *testing.B) {
	points, steps, grid := make([]Point, 16), make([]Step, 16), make([]float32, 16)
	for i := range grid {
		grid[i], points[i], steps[i] = 3+float32(i)/8, Point{1, 1, 0}, Step{float32(i / 4), float32(i % 4)}
	}
	curve := &Codebook{Curve: NewCurve(iq4Values, sixteen, -128, 8)}
	for _, l := range Levels() {
		k := kernelsOf(l)
		c := newBatch(k, rand.New(rand.NewPCG(1, 2)), 32, false)
		c.candidates(func(int) (float32, float32) { return 1, 1 })
		for name, f := range map[string]func(){
			"load":     func() { k.Load(&c.b, c.x, 32); k.Range(&c.b, 32) },
			"scale":    func() { k.FitScale(&c.b, 32, grid, &Codebook{Lo: -8, Hi: 7}) },
			"fine":     func() { k.FitFine(&c.b, 32, grid) },
			"curve":    func() { k.FitScale(&c.b, 32, grid, curve) },
			"line":     func() { k.FitLine(&c.b, 32, points, 15, 0, 0) },
			"lineNear": func() { k.FitLineNear(&c.b, 32, steps, 15) },
		} {
			b.Run(l.String()+"/"+name, func(b *testing.B) {
				for b.Loop() {
					f()
				}
			})
		}
	}
}
