package cpu

import "math"

// Row operations. Rows lie one after another; dst may be the source itself, but
// must not overlap it otherwise. A slice is used up to the length of the first
// source.

// RMSNorm normalises each row of cols values by its root mean square:
// dst = x / sqrt(mean(x²) + eps) * weight. weight has cols values, or is nil.
// With cols = head size it is the norm of queries and keys per head.
func (k *Kernels) RMSNorm(dst, x, weight []float32, cols int, eps float32) {
	for ; cols > 0 && len(x) >= cols; dst, x = dst[cols:], x[cols:] {
		inv := inverseRoot(k.sumSquares(x[:cols], 0), cols, eps)
		k.normalise(dst[:cols], x[:cols], weight, nil, 0, inv)
	}
}

// LayerNorm normalises each row of cols values to mean 0 and variance 1, then
// scales by weight and shifts by bias, each of cols values or nil.
func (k *Kernels) LayerNorm(dst, x, weight, bias []float32, cols int, eps float32) {
	for ; cols > 0 && len(x) >= cols; dst, x = dst[cols:], x[cols:] {
		mean := float32(float64(k.Sum(x[:cols])) / float64(cols))
		inv := inverseRoot(k.sumSquares(x[:cols], mean), cols, eps)
		k.normalise(dst[:cols], x[:cols], weight, bias, mean, inv)
	}
}

func inverseRoot(squares float32, cols int, eps float32) float32 {
	return float32(1 / math.Sqrt(float64(squares)/float64(cols)+float64(eps)))
}

// normalise computes (x-mean)*inv*weight + bias.
func (k *Kernels) normalise(dst, x, weight, bias []float32, mean, inv float32) {
	if k.asm != nil {
		if weight != nil {
			_ = weight[len(x)-1]
			k.asm.scaleRow(&dst[0], &x[0], &weight[0], mean, inv, len(x))
		} else {
			k.asm.shiftScale(&dst[0], &x[0], mean, inv, len(x))
		}
	} else {
		for i, v := range x {
			v = float32(v-mean) * inv
			if weight != nil {
				v *= weight[i]
			}
			dst[i] = v
		}
	}
	if bias != nil {
		k.Add(dst, dst, bias)
	}
}

// Softmax writes the softmax of each row of cols values.
func (k *Kernels) Softmax(dst, x []float32, cols int) {
	for ; cols > 0 && len(x) >= cols; dst, x = dst[cols:], x[cols:] {
		top := k.Max(x[:cols])
		sum := k.expSum(dst[:cols], x[:cols], top)
		k.Scale(dst[:cols], dst[:cols], 1/sum)
	}
}

// RopeStyle says which values of a head a rotation pairs.
type RopeStyle uint8

const (
	RopePairs  RopeStyle = iota // 2i and 2i+1 (llama)
	RopeHalves                  // i and i+half (neox)
)

// RoPE rotates each vector of headDim values in x in place. cos and sin have one
// value per pair: with n of them the first 2n values of a vector are rotated, the
// rest stay (partial rotary).
func (k *Kernels) RoPE(x []float32, headDim int, cos, sin []float32, style RopeStyle) {
	n := len(cos)
	if n == 0 {
		return
	}
	sin = sin[:n]
	for ; len(x) >= headDim; x = x[headDim:] {
		v := x[:2*n]
		done := 0
		if k.asm != nil && style == RopeHalves {
			k.asm.ropeHalves(&v[0], &v[n], &cos[0], &sin[0], n)
			done = n
		} else if k.asm != nil && n >= 8 {
			k.asm.ropePairs(&v[0], &cos[0], &sin[0], n/8)
			done = n &^ 7
		}
		for i := done; i < n; i++ {
			at, to := 2*i, 2*i+1
			if style == RopeHalves {
				at, to = i, n+i
			}
			a, b := v[at], v[to]
			v[at] = float32(a*cos[i]) - float32(b*sin[i])
			v[to] = float32(b*cos[i]) + float32(a*sin[i])
		}
	}
}

// Sum returns the sum of the values.
func (k *Kernels) Sum(x []float32) float32 {
	if k.asm != nil && len(x) > 0 {
		return k.asm.sum(&x[0], len(x))
	}
	var lanes [64]float32
	for i, v := range x {
		lanes[i%64] += v
	}
	return foldLanes(&lanes)
}

// sumSquares returns the sum of (x-mean)².
func (k *Kernels) sumSquares(x []float32, mean float32) float32 {
	if k.asm != nil && len(x) > 0 {
		return k.asm.sumSquares(&x[0], mean, len(x))
	}
	var lanes [64]float32
	for i, v := range x {
		v -= mean
		lanes[i%64] += float32(v * v)
	}
	return foldLanes(&lanes)
}

// expSum writes exp(x-top) and returns the sum of that.
func (k *Kernels) expSum(dst, x []float32, top float32) float32 {
	if k.asm != nil && len(x) > 0 {
		_ = dst[len(x)-1]
		return k.asm.expSum(&dst[0], &x[0], top, len(x))
	}
	var lanes [64]float32
	for i, v := range x {
		e := exp(v - top)
		dst[i] = e
		lanes[i%64] += e
	}
	return foldLanes(&lanes)
}

// foldLanes adds 64 lanes up in the tree that all levels use.
func foldLanes(lanes *[64]float32) float32 {
	for i := range 16 {
		lanes[i] = float32(lanes[i]+lanes[16+i]) + float32(lanes[32+i]+lanes[48+i])
	}
	for n := 8; n > 0; n /= 2 {
		for i := range n {
			lanes[i] += lanes[n+i]
		}
	}
	return lanes[0]
}

// Max returns the largest value, or minus infinity if there is none. A NaN may be
// returned or passed over.
func (k *Kernels) Max(x []float32) float32 {
	if k.asm != nil && len(x) > 0 {
		return k.asm.max(&x[0], len(x))
	}
	top := float32(math.Inf(-1))
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	return top
}
