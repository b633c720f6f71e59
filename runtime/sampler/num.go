package sampler

import "math"

// The functions here give the same bits on every platform: package math has
// assembly versions of Exp and Log on some of them, and the compiler may fuse
// x*y+z into one rounding on others. Each product is therefore rounded by an
// explicit conversion, which forbids fusing.

const (
	expSteps = 256
	stepsLn2 = expSteps / math.Ln2
	ln2Step  = math.Ln2 / expSteps
)

// exp2Table[i] is 2^(i/256), built from square roots, which IEEE 754 defines to
// the last bit.
var exp2Table = func() (t [expSteps]float64) {
	t[0] = 1
	root := 2.0
	for bit := expSteps / 2; bit > 0; bit /= 2 {
		root = math.Sqrt(root)
		for i := 0; i < expSteps; i += 2 * bit {
			t[i+bit] = t[i] * root
		}
	}
	return t
}()

// exp returns e^x with a relative error below 1e-12; 0 below -700, and the
// value at 700 above it.
func exp(x float64) float64 {
	if !(x > -700) {
		return 0
	}
	if x > 700 {
		x = 700
	}
	return expInRange(x)
}

// expInRange is exp for |x| <= 700: e^x = 2^(k/256) e^r with k an integer and
// |r| <= ln(2)/512, where a cubic is exact to 2e-13.
func expInRange(x float64) float64 {
	k := int64(float64(x*stepsLn2) + 1024*expSteps + 0.5) // x > -710: rounds a positive number
	r := x - float64(float64(k-1024*expSteps)*ln2Step)
	p := 0.5 + float64(r*(1.0/6))
	p = 1 + float64(r*p)
	p = 1 + float64(r*p)
	scale := math.Float64bits(exp2Table[k&(expSteps-1)]) + uint64(k/expSteps-1024)<<52
	return float64(math.Float64frombits(scale) * p)
}

// ln returns the natural logarithm of x > 0, finite, with an error of a few
// units in the last place.
func ln(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	s := (m - 1) / (m + 1) // ln m = 2 atanh s
	s2 := float64(s * s)
	sum := 0.0
	for n := 23; n >= 1; n -= 2 {
		sum = 1/float64(n) + float64(sum*s2)
	}
	return float64(2*float64(s*sum)) + float64(float64(e)*math.Ln2)
}

// powInt returns x^n for n >= 0 by repeated squaring.
func powInt(x float64, n int) float64 {
	p := 1.0
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			p = float64(p * x)
		}
		x = float64(x * x)
	}
	return p
}

// Probabilities are integers: weightOne for the most likely token. maxVocab of
// them still fit into 64 bits, and integer sums do not depend on their order.
const (
	weightBits = 43
	weightOne  = 1 << weightBits
	maxVocab   = 1 << 20
)

// weight returns e^x for x <= 0 in units of 2^-43.
func weight(x float64) uint64 {
	if !(x > -30.5) { // rounds to 0
		return 0
	}
	return uint64(int64(float64(expInRange(x)*weightOne) + 0.5))
}

// finite rounds v to float32, keeping it finite.
func finite(v float64) float32 {
	return float32(min(max(v, -math.MaxFloat32), math.MaxFloat32))
}
