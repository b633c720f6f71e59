package ref

import "math"

// logSumExp is the logarithm of the sum of e to the power of each.
func logSumExp[F Float](x []F) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v))
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum)
}

// CrossEntropy is the negative logarithm of the label's probability for rows of
// cols logits, and 0 where the label is negative.
func CrossEntropy[F Float](dst, x []F, labels []int32, cols int) {
	for i, l := range labels {
		dst[i] = 0
		if l >= 0 {
			row := x[i*cols : (i+1)*cols]
			dst[i] = F(logSumExp(row) - float64(row[l]))
		}
	}
}

// CrossEntropyGrad is (softmax - 1 at the label) * dy for each row.
func CrossEntropyGrad[F Float](dst, x []F, labels []int32, dy []F, cols int) {
	for i, l := range labels {
		row, out := x[i*cols:(i+1)*cols], dst[i*cols:(i+1)*cols]
		if l < 0 {
			clear(out)
			continue
		}
		sum := logSumExp(row)
		for j, v := range row {
			p := math.Exp(float64(v) - sum)
			if j == int(l) {
				p--
			}
			out[j] = F(p * float64(dy[i]))
		}
	}
}

// Soft are the targets of a distillation: for each row K ids, of which -1 is none,
// and their probabilities at a temperature. See graph.CrossEntropyAttr.
type Soft[F Float] struct {
	IDs              []int32
	Probs            []F
	K                int
	Temperature, Mix float64
}

// row gives, of a row's logits, what the softmax of x/Temperature gives each id, and
// the teacher's and the student's share of all ids that are no targets.
func (s *Soft[F]) row(i int, x []F) (p []float64, target []bool, q, rest float64) {
	z := make([]float64, len(x))
	for j, v := range x {
		z[j] = float64(v) / s.Temperature
	}
	sum := logSumExp(z)
	p, target = make([]float64, len(x)), make([]bool, len(x))
	for j, v := range z {
		p[j] = math.Exp(v - sum)
	}
	q, left := 1.0, len(x)
	for k, id := range s.IDs[i*s.K : (i+1)*s.K] {
		if id >= 0 {
			target[id] = true
			q -= float64(s.Probs[i*s.K+k])
			left--
		}
	}
	if q = max(q, 0); left == 0 {
		q = 0
	}
	for j := range p {
		if !target[j] {
			rest += p[j]
		}
	}
	return p, target, q, rest
}

// SoftCrossEntropy is Mix of the label's loss, and the rest of the temperature's
// square times the divergence of the student's probabilities from the teacher's.
func SoftCrossEntropy[F Float](dst, x []F, labels []int32, s Soft[F], cols int) {
	CrossEntropy(dst, x, labels, cols)
	for i, l := range labels {
		if l < 0 {
			continue
		}
		p, _, q, rest := s.row(i, x[i*cols:(i+1)*cols])
		soft := 0.0
		for k, id := range s.IDs[i*s.K : (i+1)*s.K] {
			if want := float64(s.Probs[i*s.K+k]); id >= 0 && want > 0 {
				soft += want * math.Log(want/p[id])
			}
		}
		if q > 0 {
			soft += q * math.Log(q/rest)
		}
		dst[i] = F(s.Mix*float64(dst[i]) + (1-s.Mix)*s.Temperature*s.Temperature*soft)
	}
}

// SoftCrossEntropyGrad is the gradient of SoftCrossEntropy times dy. Of a softmax p at
// a temperature and targets q it is (p sum(q) - q)/Temperature, where among ids that
// are no targets the rest is dealt out as p is.
func SoftCrossEntropyGrad[F Float](dst, x []F, labels []int32, dy []F, s Soft[F], cols int) {
	hard := make([]F, len(x))
	CrossEntropyGrad(hard, x, labels, dy, cols)
	for i, l := range labels {
		out := dst[i*cols : (i+1)*cols]
		if l < 0 {
			clear(out)
			continue
		}
		p, target, q, rest := s.row(i, x[i*cols:(i+1)*cols])
		want, total := make([]float64, cols), q
		for k, id := range s.IDs[i*s.K : (i+1)*s.K] {
			if id >= 0 {
				want[id] = float64(s.Probs[i*s.K+k])
				total += want[id]
			}
		}
		for j := range out {
			if !target[j] && q > 0 {
				want[j] = q * p[j] / rest
			}
			soft := (1 - s.Mix) * s.Temperature * (p[j]*total - want[j]) * float64(dy[i])
			out[j] = F(s.Mix*float64(hard[i*cols+j]) + soft)
		}
	}
}
