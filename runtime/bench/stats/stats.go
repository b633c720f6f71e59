// Package stats says how sure a benchmark's figures are: medians, and the intervals
// that resampling gives them.
//
// Speeds on one machine have long tails to one side (something else ran), so medians
// are taken, not means. Two engines are compared within a round, and the ratio of
// a round is one observation: what slowed the machine down slowed both.
//
// Intervals are percentile intervals of the bootstrap (B. Efron, "Bootstrap Methods:
// Another Look at the Jackknife", Annals of Statistics 7, 1979), which of a median
// needs no random numbers: every resample's median is one of the values, or the mean
// of two, and how often is a sum of binomial probabilities (section 3 there). Few
// rounds give wide intervals, from the least to the greatest ratio: with 5 rounds the
// true median lies outside in one case of 16.
package stats

import (
	"math"
	"slices"
)

// Confidence is the part of resamples whose medians lie in an interval.
const Confidence = 0.95

// Summary is the middle and the spread of a sample. Of an empty one all is NaN.
type Summary struct {
	N        int
	Median   float64
	Min, Max float64
	Low, Up  float64 // the bootstrap interval of the median; of one value the value
}

// Summarize sums a sample up, and leaves it as it is.
func Summarize(x []float64) Summary {
	if len(x) == 0 {
		nan := math.NaN()
		return Summary{0, nan, nan, nan, nan, nan}
	}
	d := medians(x)
	n := len(x)
	s := slices.Sorted(slices.Values(x))
	low, up := d.interval()
	return Summary{n, (s[(n-1)/2] + s[n/2]) / 2, s[0], s[n-1], low, up}
}

// Spread is the range of the values in parts of their median.
func (s Summary) Spread() float64 { return (s.Max - s.Min) / s.Median }

// Ratio compares two samples that were not taken in pairs, such as one before and
// one after a change: the ratio of their medians with its interval, both resampled.
func Ratio(after, before []float64) Summary {
	a, b := Summarize(after), Summarize(before)
	r := Summary{N: min(a.N, b.N), Median: a.Median / b.Median, Min: a.Min / b.Max, Max: a.Max / b.Min}
	if r.N == 0 {
		nan := math.NaN()
		r.Low, r.Up, r.Min, r.Max = nan, nan, nan, nan
		return r
	}
	da, db := medians(after), medians(before)
	var d distribution
	for _, x := range da {
		for _, y := range db {
			d = append(d, atom{x.value / y.value, x.part * y.part})
		}
	}
	r.Low, r.Up = d.interval()
	return r
}

// distribution is of a resample's median: values, and how often each comes.
type distribution []atom

type atom struct{ value, part float64 }

// most is how many values are resampled exactly. The interval of longer samples is
// taken from that many of their quantiles: it changes in the third digit.
const most = 64

// medians is the distribution of the medians of all resamples of x. With the values
// sorted and numbered from 1 to n, P(i) the chance that a draw is at most the i-th
// being i/n: the k-th of n draws is at most the i-th value if at least k draws are.
func medians(x []float64) distribution {
	s := slices.Sorted(slices.Values(x))
	if n := len(s); n > most {
		thin := make([]float64, most)
		for i := range thin {
			thin[i] = s[(2*i+1)*n/(2*most)]
		}
		s = thin
	}
	n := len(s)
	var d distribution
	if n%2 == 1 {
		k := (n + 1) / 2
		for i := 1; i <= n; i++ {
			d = append(d, atom{s[i-1], atLeast(n, k, i) - atLeast(n, k, i-1)})
		}
		return d
	}
	// The median is the mean of the m-th and the next of the draws. They are the i-th and
	// a later j-th value if m draws are at most the i-th, not all below it, and the m
	// others at least the j-th, not all above it.
	m := n / 2
	power := func(i int) float64 { return math.Pow(float64(i)/float64(n), float64(m)) }
	for i := 1; i <= n; i++ {
		rest := atLeast(n, m, i) - atLeast(n, m, i-1) // the m-th is the i-th value
		for j := i + 1; j <= n; j++ {
			p := choose(n, m) * (power(i) - power(i-1)) * (power(n-j+1) - power(n-j))
			d = append(d, atom{(s[i-1] + s[j-1]) / 2, p})
			rest -= p
		}
		d = append(d, atom{s[i-1], max(0, rest)})
	}
	return d
}

// atLeast is the chance that of n draws at least k are among the first i of n values.
func atLeast(n, k, i int) float64 {
	p, sum := float64(i)/float64(n), 0.0
	for h := k; h <= n; h++ {
		sum += choose(n, h) * math.Pow(p, float64(h)) * math.Pow(1-p, float64(n-h))
	}
	return sum
}

// choose is the binomial coefficient.
func choose(n, k int) float64 {
	c := 1.0
	for i := range min(k, n-k) {
		c *= float64(n-i) / float64(i+1)
	}
	return c
}

// interval is between the quantiles that leave half of the rest out on either side.
func (d distribution) interval() (low, up float64) {
	slices.SortFunc(d, func(a, b atom) int {
		switch {
		case a.value < b.value:
			return -1
		case a.value > b.value:
			return 1
		}
		return 0
	})
	const tail = (1 - Confidence) / 2
	low, up = d[0].value, d[len(d)-1].value
	sum := 0.0
	for _, a := range d {
		if sum += a.part; sum > tail {
			low = a.value
			break
		}
	}
	sum = 0
	for i := len(d) - 1; i >= 0; i-- {
		if sum += d[i].part; sum > tail {
			up = d[i].value
			break
		}
	}
	return low, up
}
