package step

import "math"

// Cosine is a learning rate that rises linearly to peak over warmup steps, then falls
// to floor at step total along half a cosine, and stays there.
func Cosine(peak, floor float64, warmup, total int) func(step int) float64 {
	return func(step int) float64 {
		if step <= warmup {
			return peak * float64(step) / float64(max(1, warmup))
		}
		if step >= total {
			return floor
		}
		x := float64(step-warmup) / float64(total-warmup)
		return floor + (peak-floor)*(1+math.Cos(math.Pi*x))/2
	}
}

// Constant is a learning rate that does not change.
func Constant(rate float64) func(step int) float64 { return func(int) float64 { return rate } }
