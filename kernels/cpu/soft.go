package cpu

import "math"

// Soft are a teacher's words on one row: some ids, of which -1 is none, and their
// probabilities at a temperature. See graph.CrossEntropyAttr for what is made of them.
type Soft struct {
	IDs              []int32
	Probs            []float32
	Temperature, Mix float32
}

// SoftScratch is how many values of scratch SoftCrossEntropy needs for a row of n.
func SoftScratch(n int) int { return 2 * n }

// SoftCrossEntropy is the loss of a row of logits, and, if dst is not nil, writes the
// gradient of x there for a loss that counts dy. dst may be x; tmp has SoftScratch
// values.
//
// What is no target is summed up by itself, with the targets left out: 1 less the
// targets' share would be nothing but rounding where a student is sure.
func (k *Kernels) SoftCrossEntropy(dst, x []float32, label int, s *Soft, dy float32, tmp []float32) float32 {
	n := len(x)
	hard, rest := tmp[:n], tmp[n:2*n]
	top := k.Max(x)
	sum := k.expSum(hard, x, top)
	loss := 0.0
	if s.Mix > 0 { // else the label may have no probability at all
		loss = float64(s.Mix) * (float64(top) - float64(x[label]) + math.Log(float64(sum)))
	}

	t := float64(s.Temperature)
	k.Scale(rest, x, 1/s.Temperature)
	most, left, qRest := math.Inf(-1), n, 1.0
	for i, id := range s.IDs {
		if id >= 0 {
			most = max(most, float64(x[id])/t)
			rest[id] = float32(math.Inf(-1))
			qRest -= float64(s.Probs[i])
			left--
		}
	}
	if qRest = max(qRest, 0); left == 0 {
		qRest = 0
	}
	// Logarithms of sums: of the others, of the targets, of both.
	others, restSum := math.Inf(-1), float32(0)
	if left > 0 {
		if restTop := k.Max(rest); math.IsInf(float64(restTop), -1) {
			left = 0 // none of them has a probability
		} else {
			restSum = k.expSum(rest, rest, restTop)
			others = float64(restTop) + math.Log(float64(restSum))
		}
	}
	all := max(most, others)
	total := math.Exp(others - all)
	for _, id := range s.IDs {
		if id >= 0 {
			total += math.Exp(float64(x[id])/t - all)
		}
	}
	all += math.Log(total)
	soft, qSum := 0.0, qRest
	for i, id := range s.IDs {
		if q := float64(s.Probs[i]); id >= 0 {
			if qSum += q; q > 0 {
				soft += q * (math.Log(q) - float64(x[id])/t + all)
			}
		}
	}
	if qRest > 0 {
		soft += qRest * (math.Log(qRest) - others + all)
	}
	loss += (1 - float64(s.Mix)) * t * t * soft
	if dst == nil {
		return float32(loss)
	}

	a, b := float64(s.Mix)*float64(dy), (1-float64(s.Mix))*t*float64(dy)
	targets := make([]float32, 0, 64) // stays on the stack for as many
	for i, id := range s.IDs {
		if id >= 0 {
			p := math.Exp(float64(x[id])/t - all)
			targets = append(targets, float32(b*(p*qSum-float64(s.Probs[i]))))
		}
	}
	k.Scale(dst, hard, float32(a/float64(sum)))
	if left > 0 {
		k.Scale(rest, rest, float32(b*(qSum*math.Exp(others-all)-qRest)/float64(restSum)))
		k.Add(dst, dst, rest)
	}
	for _, id := range s.IDs {
		if id >= 0 {
			dst[id] += targets[0]
			targets = targets[1:]
		}
	}
	dst[label] -= float32(a)
	return float32(loss)
}
