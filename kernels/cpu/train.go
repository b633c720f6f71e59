package cpu

import "math"

// Kernels of training. Sums over a row have the fixed shape of the other row
// operations; sums over rows are the caller's.

// NormGrad computes the gradient of a norm's input for each row of cols values, of
// LayerNorm's with centre, else of RMSNorm's. weight may be nil; dst may be dy, and
// tmp has cols values. See kernels/ref.NormGrad.
func (k *Kernels) NormGrad(dst, x, dy, weight, tmp []float32, cols int, eps float32, centre bool) {
	for ; cols > 0 && len(x) >= cols; dst, x, dy = dst[cols:], x[cols:], dy[cols:] {
		xs, out, h := x[:cols], dst[:cols], tmp[:cols]
		mean, inv := k.moments(xs, eps, centre)
		if weight != nil {
			k.Mul(out, dy[:cols], weight)
		} else {
			copy(out, dy[:cols])
		}
		k.normalise(h, xs, nil, nil, mean, inv)
		dot := k.dot(out, h) / float32(cols)
		sum := float32(0)
		if centre {
			sum = k.Sum(out) / float32(cols)
		}
		k.subScale(out, h, dot, sum, inv)
	}
}

// NormGradW adds to sum the gradient of a norm's weight by the rows of x and dy. tmp
// has len(sum) values.
func (k *Kernels) NormGradW(sum, x, dy, tmp []float32, eps float32, centre bool) {
	cols := len(sum)
	for ; cols > 0 && len(x) >= cols; x, dy = x[cols:], dy[cols:] {
		mean, inv := k.moments(x[:cols], eps, centre)
		k.normalise(tmp[:cols], x[:cols], dy[:cols], nil, mean, inv)
		k.Add(sum, sum, tmp[:cols])
	}
}

// moments are a row's mean (0 unless centre) and the inverse of its deviation.
func (k *Kernels) moments(x []float32, eps float32, centre bool) (mean, inv float32) {
	if centre {
		mean = float32(float64(k.Sum(x)) / float64(len(x)))
	}
	return mean, inverseRoot(k.sumSquares(x, mean), len(x), eps)
}

// dot is the sum of a*b.
func (k *Kernels) dot(a, b []float32) float32 {
	b = b[:len(a)]
	if k.asm != nil && k.asm.dot != nil && len(a) > 0 {
		return k.asm.dot(&a[0], &b[0], len(a))
	}
	var lanes [64]float32
	for i, v := range a {
		lanes[i%64] += float32(v * b[i])
	}
	return foldLanes(&lanes)
}

// subScale computes (dst - (x*a + c)) * s.
func (k *Kernels) subScale(dst, x []float32, a, c, s float32) {
	dst = dst[:len(x)]
	if k.asm != nil && k.asm.subScale != nil {
		chunks(len(x), func(i, n int) { k.asm.subScale(&dst[i], &x[i], a, c, s, n) })
		return
	}
	for i, v := range x {
		dst[i] = (dst[i] - (float32(v*a) + c)) * s
	}
}

// SoftmaxGrad computes y * (dy - sum of y*dy) for each row of cols values. dst may
// be y or dy.
func (k *Kernels) SoftmaxGrad(dst, y, dy []float32, cols int) {
	for ; cols > 0 && len(y) >= cols; dst, y, dy = dst[cols:], y[cols:], dy[cols:] {
		dot := k.dot(y[:cols], dy[:cols])
		if &dst[0] != &dy[0] { // as when y is written over
			for i, v := range y[:cols] {
				dst[i] = v * (dy[i] - dot)
			}
			continue
		}
		k.subScale(dst[:cols], dy[:cols], 0, dot, 1)
		k.Mul(dst[:cols], dst[:cols], y[:cols])
	}
}

// CrossEntropy is the loss of a row of logits: the logarithm of the sum of their
// exponentials less the label's value. If dst is not nil, the gradient of x is written
// there, (softmax(x) - 1 at the label) * dy; dst may be x. Else tmp has len(x) values.
func (k *Kernels) CrossEntropy(dst, x []float32, label int, dy float32, tmp []float32) float32 {
	exps := tmp
	if dst != nil {
		exps = dst
	}
	exps = exps[:len(x)]
	top, at := k.Max(x), x[label]
	sum := k.expSum(exps, x, top)
	if dst != nil {
		k.Scale(exps, exps, dy/sum)
		dst[label] -= dy
	}
	return float32(float64(top) - float64(at) + math.Log(float64(sum)))
}

// A Derivative is one of the functions of UnaryGrad.
type Derivative uint8

const (
	SiLUDerivative Derivative = iota
	GELUDerivative
	GELUErfDerivative
	ReLUDerivative
	TanhDerivative
	SigmoidDerivative
	ExpDerivative

	numDerivatives
)

// UnaryGrad computes dy * f'(x). dst may be x or dy; tmp has len(x) values.
func (k *Kernels) UnaryGrad(f Derivative, dst, x, dy, tmp []float32) {
	dst, dy, tmp = dst[:len(x)], dy[:len(x)], tmp[:len(x)]
	if k.asm != nil && k.asm.derivative[f] != nil {
		kernel := k.asm.derivative[f]
		chunks(len(x), func(i, n int) { kernel(&dst[i], &x[i], &dy[i], n) })
		return
	}
	switch f {
	case SiLUDerivative:
		// s (1 + x (1-s)) with s the sigmoid.
		k.sigmoid(tmp, x)
		for i, v := range x {
			s := tmp[i]
			dst[i] = dy[i] * (s * (1 + float32(v*(1-s))))
		}
	case GELUDerivative:
		// x s with s = sigmoid(2c (x + a x³)): s + x s (1-s) 2c (1 + 3a x²).
		const c, a = 1.5957691216057308, 0.044715 // 2 sqrt(2/pi)
		for i, v := range x {
			tmp[i] = float32(c*v) * (1 + float32(a*v)*v)
		}
		k.sigmoid(tmp, tmp)
		for i, v := range x {
			s := tmp[i]
			d := float32(v*s) * (1 - s) * c * (1 + float32(3*a*v)*v)
			dst[i] = dy[i] * (s + d)
		}
	case GELUErfDerivative:
		for i, v := range x {
			u := float64(v)
			dst[i] = dy[i] * float32(0.5*(1+math.Erf(u/math.Sqrt2))+u*math.Exp(-u*u/2)/math.Sqrt(2*math.Pi))
		}
	case ReLUDerivative:
		for i, v := range x {
			if v > 0 {
				dst[i] = dy[i]
			} else {
				dst[i] = 0
			}
		}
	case TanhDerivative:
		k.SoftCapGrad(dst, x, dy, tmp, 1)
	case SigmoidDerivative:
		k.sigmoid(tmp, x)
		for i, s := range tmp {
			dst[i] = dy[i] * (s * (1 - s))
		}
	case ExpDerivative:
		k.Exp(tmp, x)
		k.Mul(dst, tmp, dy)
	}
}

// SoftCapGrad computes dy * (1 - tanh(x/limit)²).
func (k *Kernels) SoftCapGrad(dst, x, dy, tmp []float32, limit float32) {
	dst, dy, tmp = dst[:len(x)], dy[:len(x)], tmp[:len(x)]
	k.Scale(tmp, x, 1/limit)
	k.SoftCap(tmp, tmp, 1)
	for i, t := range tmp {
		dst[i] = dy[i] * (1 - float32(t*t))
	}
}

// sigmoid computes 1 / (1 + exp(-x)).
func (k *Kernels) sigmoid(dst, x []float32) {
	k.Scale(dst, x, -1)
	k.Exp(dst, dst)
	for i, v := range dst {
		dst[i] = 1 / (1 + v)
	}
}

// Dropout zeroes some of the elements that begin at element at of a value, and
// multiplies the others by scale. The key and the site choose which: see
// kernels/ref.DropoutKeeps.
func Dropout(dst, x []float32, key [2]int32, site, at int, rate float32) {
	state := mix(mix(uint64(uint32(key[0]))<<32|uint64(uint32(key[1]))) + uint64(site))
	least := uint64(math.Ceil(float64(rate) * (1 << 24)))
	scale := float32(1 / (1 - float64(rate)))
	for i, v := range x {
		h := mix(state + uint64(at+i+1)*0x9e3779b97f4a7c15)
		if h>>40 >= least {
			dst[i] = v * scale
		} else {
			dst[i] = 0
		}
	}
}

// mix is the finaliser of SplitMix64.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// SumSquares is the sum of the squares, of at most a few thousand values.
func (k *Kernels) SumSquares(x []float32) float32 { return k.sumSquares(x, 0) }

// AdamW are the numbers of a step, the same for all elements: see graph.AdamWAttr.
type AdamW struct {
	Scale        float32 // on the gradient
	Beta1, Beta2 float32
	Bias2        float32 // 1 / (1-Beta2^t)
	Eps          float32
	Keep         float32 // 1 - rate * decay
	Rate         float32 // learning rate / (1-Beta1^t)
}

// AdamW updates p, m and v, and clears g.
func (k *Kernels) AdamW(a *AdamW, p, g, m, v []float32) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	c1, c2 := 1-a.Beta1, 1-a.Beta2
	if k.asm != nil && k.asm.adamW != nil {
		var numbers [9][16]float32
		for i, x := range [9]float32{a.Scale, a.Beta1, c1, a.Beta2, c2, a.Bias2, a.Eps, a.Keep, a.Rate} {
			for j := range numbers[i] {
				numbers[i][j] = x
			}
		}
		chunks(len(p), func(i, n int) { k.asm.adamW(&p[i], &g[i], &m[i], &v[i], &numbers[0][0], n) })
		return
	}
	for i, w := range p {
		x := g[i] * a.Scale
		mi := float32(a.Beta1*m[i]) + float32(c1*x)
		vi := float32(a.Beta2*v[i]) + float32(float32(c2*x)*x)
		root := float32(math.Sqrt(float64(float32(vi * a.Bias2))))
		p[i] = float32(w*a.Keep) - float32(a.Rate*mi)/(root+a.Eps)
		m[i], v[i], g[i] = mi, vi, 0
	}
}
