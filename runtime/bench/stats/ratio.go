package stats

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Ratio compares two samples that were not taken in pairs, such as one before and one
// after a change: the ratio of their medians, with the interval by the percentile
// bootstrap of both. Of samples that are empty, or whose median is 0, all is NaN.
func Ratio(after, before []float64) Estimate {
	a, b := Summarise(after), Summarise(before)
	if a.N == 0 || b.N == 0 || b.Median == 0 {
		return Summarise(nil)
	}
	e := Estimate{N: min(a.N, b.N), Median: a.Median / b.Median, Smallest: a.Smallest / b.Largest, Largest: a.Largest / b.Smallest}
	rng := rand.New(rand.NewPCG(20260101, uint64(a.N)<<32|uint64(b.N)))
	ratios := make([]float64, resamples)
	x, y := finite(after), finite(before)
	for i := range ratios {
		ratios[i] = resampled(rng, x) / resampled(rng, y)
	}
	slices.Sort(ratios)
	e.Low, e.High = quantile(ratios, (1-level)/2), quantile(ratios, (1+level)/2)
	return e
}

// finite are the sorted values that are numbers.
func finite(x []float64) []float64 {
	s := make([]float64, 0, len(x))
	for _, v := range x {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			s = append(s, v)
		}
	}
	slices.Sort(s)
	return s
}

// resampled is the median of as many draws from sorted values as there are.
func resampled(rng *rand.Rand, s []float64) float64 {
	n := len(s)
	drawn := make([]int, n)
	for j := range drawn {
		drawn[j] = rng.IntN(n)
	}
	slices.Sort(drawn) // places in s: their order is the values'
	return (s[drawn[(n-1)/2]] + s[drawn[n/2]]) / 2
}
