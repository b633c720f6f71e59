package eval

import (
	"math"
	"slices"
)

// moments are the sums for a mean and its standard error.
type moments struct{ sum, squares float64 }

func (m *moments) add(x float64) { m.sum += x; m.squares += x * x }

func (m *moments) mean(n int) (mean, stderr float64) {
	if n == 0 {
		return 0, 0
	}
	mean = m.sum / float64(n)
	if v := m.squares/float64(n) - mean*mean; v > 0 && n > 10 {
		stderr = math.Sqrt(v / float64(n-1))
	}
	return mean, stderr
}

// sums add positions up.
type sums struct {
	nll, base, kl, change moments
	product, klMax        float64
	same, chunks          int
	kls                   []float64
}

func (s *sums) add(p position) {
	s.nll.add(p.nll)
	s.base.add(p.base)
	s.kl.add(p.kl)
	s.change.add(p.change * p.change)
	s.product += p.nll * p.base
	if p.same {
		s.same++
	}
	if len(s.kls) == 0 || p.kl > s.klMax {
		s.klMax = p.kl
	}
	s.kls = append(s.kls, p.kl)
}

// far is the result so far, without quantiles.
func (s *sums) far() Divergence {
	n := len(s.kls)
	perplexity := func(m moments) (Perplexity, float64, float64) {
		mean, err := m.mean(n)
		return Perplexity{PPL: math.Exp(mean), Stderr: math.Exp(mean) * err, Tokens: n, Chunks: s.chunks}, mean, err
	}
	d := Divergence{Positions: n, Quantiles: map[string]float64{}}
	var mean, meanBase, err, errBase float64
	d.Model, mean, err = perplexity(s.nll)
	d.Reference, meanBase, errBase = perplexity(s.base)
	d.LogRatio = mean - meanBase
	if n > 10 {
		covariance := (s.product/float64(n) - mean*meanBase) / float64(n-1)
		d.LogRatioErr = math.Sqrt(max(0, err*err+errBase*errBase-2*covariance))
	}
	d.KL, d.KLErr = s.kl.mean(n)
	square, _ := s.change.mean(n)
	d.ProbabilityRMS = math.Sqrt(square)
	if n > 0 {
		d.KLMax = s.klMax
		d.SameTop = float64(s.same) / float64(n)
	}
	if n > 1 {
		d.SameTopErr = math.Sqrt(d.SameTop * (1 - d.SameTop) / float64(n-1))
	}
	return d
}

// result is all of it. It sorts, so it is asked for once.
func (s *sums) result() Divergence {
	d := s.far()
	if len(s.kls) == 0 {
		return d
	}
	slices.Sort(s.kls)
	for name, q := range map[string]float64{"0.5": .5, "0.9": .9, "0.95": .95, "0.99": .99, "0.999": .999} {
		d.Quantiles[name] = quantile(s.kls, q)
	}
	return d
}

// quantile interpolates between sorted values.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
