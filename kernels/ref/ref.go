// Package ref computes every operation in the plainest way there is, in
// float64 inside: the oracle that backends are tested against. It is never
// optimised. Tensors are row-major slices; functions panic if sizes do not fit,
// since only tests and the self-test call them. They take float32, which results
// are rounded to, or float64, for gradients by finite differences.
package ref

import "math"

// Float is the type of a tensor's elements.
type Float interface{ float32 | float64 }

// RMSNorm normalises rows of cols elements: x / sqrt(mean(x^2) + eps) * w.
// w has cols elements or is nil.
func RMSNorm[F Float](dst, x, w []F, cols int, eps float32) {
	for r := 0; r < len(x); r += cols {
		sum := 0.0
		for _, v := range x[r : r+cols] {
			sum += float64(v) * float64(v)
		}
		inv := 1 / math.Sqrt(sum/float64(cols)+float64(eps))
		for i := range cols {
			y := float64(x[r+i]) * inv
			if w != nil {
				y *= float64(w[i])
			}
			dst[r+i] = F(y)
		}
	}
}

// LayerNorm normalises rows to mean 0 and variance 1, times w, plus b; both
// may be nil.
func LayerNorm[F Float](dst, x, w, b []F, cols int, eps float32) {
	for r := 0; r < len(x); r += cols {
		mean, variance := 0.0, 0.0
		for _, v := range x[r : r+cols] {
			mean += float64(v) / float64(cols)
		}
		for _, v := range x[r : r+cols] {
			d := float64(v) - mean
			variance += d * d / float64(cols)
		}
		inv := 1 / math.Sqrt(variance+float64(eps))
		for i := range cols {
			y := (float64(x[r+i]) - mean) * inv
			if w != nil {
				y *= float64(w[i])
			}
			if b != nil {
				y += float64(b[i])
			}
			dst[r+i] = F(y)
		}
	}
}

// Linear is dst[m, n] = sum_k x[m, k] * w[n, k].
func Linear[F Float](dst, x, w []F, m, n, k int) {
	for i := range m {
		for j := range n {
			sum := 0.0
			for l := range k {
				sum += float64(x[i*k+l]) * float64(w[j*k+l])
			}
			dst[i*n+j] = F(sum)
		}
	}
}

// MatMul is dst[b, m, n] = sum_k x[b, m, k] * y[b, k, n].
func MatMul[F Float](dst, x, y []F, batch, m, n, k int) {
	for b := range batch {
		for i := range m {
			for j := range n {
				sum := 0.0
				for l := range k {
					sum += float64(x[(b*m+i)*k+l]) * float64(y[(b*k+l)*n+j])
				}
				dst[(b*m+i)*n+j] = F(sum)
			}
		}
	}
}

// Softmax over rows of cols elements.
func Softmax[F Float](dst, x []F, cols int) {
	for r := 0; r < len(x); r += cols {
		top := math.Inf(-1)
		for _, v := range x[r : r+cols] {
			top = max(top, float64(v))
		}
		sum := 0.0
		for _, v := range x[r : r+cols] {
			sum += math.Exp(float64(v) - top)
		}
		for i, v := range x[r : r+cols] {
			dst[r+i] = F(math.Exp(float64(v)-top) / sum)
		}
	}
}

// Map applies f to every element.
func Map[F Float](dst, x []F, f func(float64) float64) {
	for i, v := range x {
		dst[i] = F(f(float64(v)))
	}
}

// The functions for Map.
func Silu(x float64) float64    { return x / (1 + math.Exp(-x)) }
func Sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
func Relu(x float64) float64    { return max(x, 0) }

// Gelu is the tanh approximation: Hendrycks and Gimpel, https://arxiv.org/abs/1606.08415.
func Gelu(x float64) float64 {
	return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

// GeluErf is the exact GELU.
func GeluErf(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) }

// SoftCap bounds x by limit: limit * tanh(x / limit).
func SoftCap(limit float64) func(float64) float64 {
	return func(x float64) float64 { return limit * math.Tanh(x/limit) }
}

// Zip combines a with b, which repeats if it is shorter.
func Zip[F Float](dst, a, b []F, f func(x, y float64) float64) {
	for i, v := range a {
		dst[i] = F(f(float64(v), float64(b[i%len(b)])))
	}
}

// Rope rotates vectors of size elements: with half = len(cos), elements i and
// i+half (halves) or 2i and 2i+1 (pairs) of the first 2*half turn by the angle
// whose cosine and sine are given; the rest stay.
func Rope[F Float](x []F, size int, cos, sin []float32, pairs bool) {
	half := len(cos)
	for r := 0; r < len(x); r += size {
		for i := range half {
			a, b := r+i, r+i+half
			if pairs {
				a, b = r+2*i, r+2*i+1
			}
			u, v, c, s := float64(x[a]), float64(x[b]), float64(cos[i]), float64(sin[i])
			x[a], x[b] = F(u*c-v*s), F(u*s+v*c)
		}
	}
}
