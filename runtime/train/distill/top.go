package distill

import (
	"errors"
	"math"
)

// top finds the likeliest of the first known ids of a row of logits, best first and
// equal ones by id, and their probabilities at a temperature among all of the row.
func top(logits []float32, known int, temperature float64, ids []int32, probs []float32) error {
	best := float32(math.Inf(-1))
	for _, x := range logits {
		if x > best {
			best = x
		}
	}
	sum, scale := 0.0, 1/temperature
	for _, x := range logits {
		sum += math.Exp(float64(x-best) * scale)
	}
	if !(sum >= 1 && sum <= math.MaxFloat64) { // of a NaN or an infinity
		return errors.New("the model computed no probability: its file is damaged, or its metadata does not fit its weights")
	}
	n, least := 0, float32(math.Inf(-1)) // what an id must be above once there are enough
	for id, x := range logits[:min(known, len(logits))] {
		if x <= least && n == len(ids) {
			continue
		}
		if n < len(ids) {
			n++
		}
		at := n - 1
		for ; at > 0 && logits[ids[at-1]] < x; at-- {
			ids[at] = ids[at-1]
		}
		ids[at] = int32(id)
		if n == len(ids) {
			least = logits[ids[n-1]]
		}
	}
	for i := range ids {
		if i >= n {
			ids[i], probs[i] = -1, 0
			continue
		}
		probs[i] = float32(math.Exp(float64(logits[ids[i]]-best)*scale) / sum)
	}
	return nil
}
