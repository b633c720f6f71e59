package graph

import "math"

// RopeTable computes, for one position, the cosine and sine of every pair of a
// rotary embedding: cos and sin have a.Dims/2 elements. factors divides the
// angles, one for each pair, or is nil.
//
// Plain RoPE: Su et al., https://arxiv.org/abs/2104.09864. YaRN:
// Peng et al., https://arxiv.org/abs/2309.00071, section 3.4: low frequencies
// are interpolated, high ones kept, with a linear ramp between the dimensions
// that turn BetaSlow and BetaFast times over the original context, and cos and
// sin grow by 0.1 ln(factor) + 1. Computed in float64, so that every backend
// that takes its angles from here rotates alike.
func (a RopeAttr) RopeTable(cos, sin []float32, pos int, factors []float32) {
	factor := float64(a.Factor)
	if factor == 0 {
		factor = 1
	}
	mag := float64(a.Mag)
	if mag == 0 {
		mag = 1
	}
	var low, high float64
	if a.Scaling == RopeYarn {
		low, high = a.yarnRange()
		if a.Ext != 0 && factor > 0 {
			mag *= 1 + 0.1*math.Log(factor)
		}
	}
	for i := range a.Dims / 2 {
		inv := math.Pow(float64(a.Base), -2*float64(i)/float64(a.Dims))
		if factors != nil {
			inv /= float64(factors[i])
		}
		theta := float64(pos) * inv
		switch a.Scaling {
		case RopeLinear:
			theta /= factor
		case RopeYarn:
			ramp := 1 - min(1, max(0, (float64(i)-low)/max(0.001, high-low)))
			mix := ramp * float64(a.Ext)
			theta = theta/factor*(1-mix) + theta*mix
		}
		s, c := math.Sincos(theta)
		if a.Inverse {
			s = -s
		}
		cos[i], sin[i] = float32(c*mag), float32(s*mag)
	}
}

// yarnRange is the pairs between which YaRN's ramp runs.
func (a RopeAttr) yarnRange() (low, high float64) {
	dim := func(beta float32) float64 {
		return float64(a.Dims) * math.Log(float64(a.OrigCtx)/(float64(beta)*2*math.Pi)) / (2 * math.Log(float64(a.Base)))
	}
	low = max(0, math.Floor(dim(a.BetaFast)))
	high = min(float64(a.Dims-1), math.Ceil(dim(a.BetaSlow)))
	return low, high
}
