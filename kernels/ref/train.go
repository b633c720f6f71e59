package ref

import (
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
)

// The operations of training: see docs/training.md.

// RoundBF16 rounds to bfloat16, to nearest and ties to even.
func RoundBF16[F Float](dst, x []F) {
	for i, v := range x {
		dst[i] = F(dtype.BF16ToF32(dtype.F32ToBF16(float32(v))))
	}
}

// LinearT is dst[m, k] = sum_n x[m, n] * w[n, k].
func LinearT[F Float](dst, x, w []F, m, n, k int) {
	for i := range m {
		for j := range k {
			sum := 0.0
			for l := range n {
				sum += float64(x[i*n+l]) * float64(w[l*k+j])
			}
			dst[i*k+j] = F(sum)
		}
	}
}

// Outer adds to dst[n, k] the sum over m of a[m, n] * b[m, k].
func Outer[F Float](dst, a, b []F, m, n, k int) {
	for i := range n {
		for j := range k {
			sum := 0.0
			for l := range m {
				sum += float64(a[l*n+i]) * float64(b[l*k+j])
			}
			dst[i*k+j] = F(float64(dst[i*k+j]) + sum)
		}
	}
}

// moments are a row's mean (0 unless centre) and what it is multiplied by.
func moments[F Float](x []F, eps float32, centre bool) (mean, inv float64) {
	n := float64(len(x))
	if centre {
		for _, v := range x {
			mean += float64(v) / n
		}
	}
	sum := 0.0
	for _, v := range x {
		sum += (float64(v) - mean) * (float64(v) - mean) / n
	}
	return mean, 1 / math.Sqrt(sum+float64(eps))
}

// NormGrad is the gradient of the x of RMSNorm, or with centre of LayerNorm, for
// rows of cols elements. w may be nil. With xh the row normalised and g = dy*w:
// (g - mean(g) - xh mean(g xh)) / deviation, without the second term for RMSNorm.
func NormGrad[F Float](dst, x, dy, w []F, cols int, eps float32, centre bool) {
	for r := 0; r < len(x); r += cols {
		mean, inv := moments(x[r:r+cols], eps, centre)
		g := make([]float64, cols)
		sum, dot := 0.0, 0.0
		for i := range g {
			g[i] = float64(dy[r+i])
			if w != nil {
				g[i] *= float64(w[i])
			}
			sum += g[i] / float64(cols)
			dot += g[i] * (float64(x[r+i]) - mean) * inv / float64(cols)
		}
		if !centre {
			sum = 0
		}
		for i := range g {
			dst[r+i] = F((g[i] - sum - (float64(x[r+i])-mean)*inv*dot) * inv)
		}
	}
}

// NormGradW is the gradient of a norm's weight: the sum over rows of dy times the
// row normalised.
func NormGradW[F Float](dst, x, dy []F, eps float32, centre bool) {
	cols := len(dst)
	sum := make([]float64, cols)
	for r := 0; r < len(x); r += cols {
		mean, inv := moments(x[r:r+cols], eps, centre)
		for i := range sum {
			sum[i] += float64(dy[r+i]) * (float64(x[r+i]) - mean) * inv
		}
	}
	for i, v := range sum {
		dst[i] = F(v)
	}
}

// Derivatives are those of the functions of unary operations, by name.
var Derivatives = map[string]func(float64) float64{
	"silu": func(x float64) float64 { s := Sigmoid(x); return s * (1 + x*(1-s)) },
	"gelu": func(x float64) float64 {
		c := math.Sqrt(2 / math.Pi)
		t := math.Tanh(c * (x + 0.044715*x*x*x))
		return 0.5*(1+t) + 0.5*x*(1-t*t)*c*(1+3*0.044715*x*x)
	},
	"gelu_erf": func(x float64) float64 {
		return 0.5*(1+math.Erf(x/math.Sqrt2)) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	},
	"relu": func(x float64) float64 {
		if x > 0 {
			return 1
		}
		return 0
	},
	"tanh":    func(x float64) float64 { t := math.Tanh(x); return 1 - t*t },
	"sigmoid": func(x float64) float64 { s := Sigmoid(x); return s * (1 - s) },
	"exp":     math.Exp,
}

// SoftCapDerivative is that of SoftCap(limit).
func SoftCapDerivative(limit float64) func(float64) float64 {
	return func(x float64) float64 { t := math.Tanh(x / limit); return 1 - t*t }
}

// SoftmaxGrad is y * (dy - sum of y*dy) for rows of cols elements.
func SoftmaxGrad[F Float](dst, y, dy []F, cols int) {
	for r := 0; r < len(y); r += cols {
		dot := 0.0
		for i := r; i < r+cols; i++ {
			dot += float64(y[i]) * float64(dy[i])
		}
		for i := r; i < r+cols; i++ {
			dst[i] = F(float64(y[i]) * (float64(dy[i]) - dot))
		}
	}
}

// SumTo adds up runs of len(dst) elements.
func SumTo[F Float](dst, x []F) {
	for i := range dst {
		sum := 0.0
		for at := i; at < len(x); at += len(dst) {
			sum += float64(x[at])
		}
		dst[i] = F(sum)
	}
}

// ScatterRows adds row i of x, of cols elements, to row rows[i] of dst.
func ScatterRows[F Float](dst, x []F, rows []int32, cols int) {
	sum := make([]float64, len(dst))
	for i, r := range rows {
		for j := range cols {
			sum[int(r)*cols+j] += float64(x[i*cols+j])
		}
	}
	for i, v := range sum {
		dst[i] = F(float64(dst[i]) + v)
	}
}

// AttentionGrad adds the gradients of one head's attention among n rows to dq, dk
// and dv. Vectors of row i begin at i times the row lengths in ld (of q and dq, of
// k and dk, of v and dv, of dy), their sizes are key and value. sees tells which rows
// a row sees.
func AttentionGrad[F Float](dq, dk, dv []float64, q, k, v, dy []F, ldq, ldk, ldv, ldy, n, key, value int, scale, softCap float32, sees func(row, other int) bool) {
	for i := range n {
		raw, p, dp := make([]float64, n), make([]float64, n), make([]float64, n)
		top, sum, dot := math.Inf(-1), 0.0, 0.0
		for j := range n {
			if !sees(i, j) {
				continue
			}
			for c := range key {
				raw[j] += float64(q[i*ldq+c]) * float64(k[j*ldk+c])
			}
			raw[j] *= float64(scale)
			if p[j] = raw[j]; softCap != 0 {
				p[j] = SoftCap(float64(softCap))(raw[j])
			}
			top = max(top, p[j])
		}
		for j := range n {
			if p[j] = math.Exp(p[j] - top); !sees(i, j) {
				p[j] = 0
			}
			sum += p[j]
		}
		for j := range n {
			p[j] /= sum
			for c := range value {
				dp[j] += float64(dy[i*ldy+c]) * float64(v[j*ldv+c])
			}
			dot += p[j] * dp[j]
		}
		for j := range n {
			if !sees(i, j) {
				continue
			}
			ds := p[j] * (dp[j] - dot)
			if softCap != 0 {
				ds *= SoftCapDerivative(float64(softCap))(raw[j])
			}
			for c := range key {
				dq[i*ldq+c] += ds * float64(scale) * float64(k[j*ldk+c])
				dk[j*ldk+c] += ds * float64(scale) * float64(q[i*ldq+c])
			}
			for c := range value {
				dv[j*ldv+c] += p[j] * float64(dy[i*ldy+c])
			}
		}
	}
}

// DropoutKeeps says whether element index of a site stays, at a rate, for a key of
// two numbers (a seed and a count of runs). The hash is Steele, Lea and Flood's
// SplitMix64 (https://doi.org/10.1145/2660193.2660195): its mix of the key and the
// site is the state of a stream, of which index is the position.
func DropoutKeeps(key [2]int32, site, index int, rate float32) bool {
	state := mix(mix(uint64(uint32(key[0]))<<32|uint64(uint32(key[1]))) + uint64(site))
	h := mix(state + uint64(index+1)*0x9e3779b97f4a7c15)
	return float64(h>>40)/(1<<24) >= float64(rate)
}

// mix is SplitMix64's finaliser.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Dropout zeroes elements and divides the others by 1-rate.
func Dropout[F Float](dst, x []F, key [2]int32, site int, rate float32) {
	for i, v := range x {
		dst[i] = 0
		if DropoutKeeps(key, site, i, rate) {
			dst[i] = F(float64(v) / (1 - float64(rate)))
		}
	}
}

// GlobalNorm is the square root of the sum of all squares.
func GlobalNorm[F Float](x ...[]F) float64 {
	sum := 0.0
	for _, t := range x {
		for _, v := range t {
			sum += float64(v) * float64(v)
		}
	}
	return math.Sqrt(sum)
}

// AdamWStep are the numbers of one step: see graph.AdamWAttr.
type AdamWStep struct {
	Beta1, Beta2, Eps, Decay float64
	Scale                    float64 // on the gradient
	Rate, Bias1, Bias2       float64 // learning rate; 1-Beta1^t, 1-Beta2^t
}

// AdamW updates p, m and v, and clears g.
func AdamW[F Float](p, g, m, v []F, s AdamWStep) {
	for i := range p {
		x := float64(g[i]) * s.Scale
		mi := s.Beta1*float64(m[i]) + (1-s.Beta1)*x
		vi := s.Beta2*float64(v[i]) + (1-s.Beta2)*x*x
		pi := float64(p[i]) * (1 - s.Rate*s.Decay)
		pi -= s.Rate * mi / s.Bias1 / (math.Sqrt(vi/s.Bias2) + s.Eps)
		p[i], g[i], m[i], v[i] = F(pi), 0, F(mi), F(vi)
	}
}
