// Package stats says how sure a few measurements are: quantiles, and an interval
// for their median by resampling. It imports nothing of Ledge.
package stats

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Quantile is the value below which the share p of the values lies, between two
// values in proportion (type 7 of Hyndman and Fan, "Sample quantiles in statistical
// packages", 1996; what NumPy does). It is NaN of no values. The values stay as
// they are.
func Quantile(x []float64, p float64) float64 {
	if len(x) == 0 || p != p {
		return math.NaN()
	}
	return quantile(slices.Sorted(slices.Values(x)), p)
}

// quantile is that of sorted values.
func quantile(s []float64, p float64) float64 {
	at := min(max(p, 0), 1) * float64(len(s)-1)
	i := int(at)
	if i+1 >= len(s) {
		return s[len(s)-1]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
}

// Median is the middle value, of an even number the mean of the middle two.
func Median(x []float64) float64 { return Quantile(x, 0.5) }

// An Estimate is a median and how sure it is.
type Estimate struct {
	N        int     `json:"n"`
	Median   float64 `json:"median"`
	Low      float64 `json:"low"` // the interval of 95 % for the median
	High     float64 `json:"high"`
	Smallest float64 `json:"smallest"`
	Largest  float64 `json:"largest"`
}

const (
	level     = 0.95
	resamples = 10000
)

// Summarise gives the median of values and its interval by the percentile
// bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
// chapter 13): the medians of 10,000 resamples, drawn from a fixed seed so that the
// same values give the same interval. Of fewer than six values the interval is
// little more than their range, which is honest: nothing more is known.
// Values that are no numbers are left out; of none all is NaN.
func Summarise(x []float64) Estimate {
	s := finite(x)
	n := len(s)
	if n == 0 {
		nan := math.NaN()
		return Estimate{0, nan, nan, nan, nan, nan}
	}
	e := Estimate{N: n, Median: quantile(s, 0.5), Smallest: s[0], Largest: s[n-1]}
	rng := rand.New(rand.NewPCG(20260101, uint64(n)))
	medians := make([]float64, resamples)
	for i := range medians {
		medians[i] = resampled(rng, s)
	}
	slices.Sort(medians)
	e.Low, e.High = quantile(medians, (1-level)/2), quantile(medians, (1+level)/2)
	return e
}

// Spread is half the interval's width in parts of the median: 0.05 for ±5 %.
func (e Estimate) Spread() float64 {
	if e.N == 0 || e.Median == 0 {
		return math.NaN()
	}
	return math.Abs((e.High - e.Low) / 2 / e.Median)
}
