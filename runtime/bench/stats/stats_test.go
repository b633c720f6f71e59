package stats_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/stats"
)

// TestQuantile: figures of numpy.quantile(x, p).
func TestQuantile(t *testing.T) {
	x := []float64{7, 1, 4, 10, 2}
	for _, c := range []struct{ p, want float64 }{{0, 1}, {0.1, 1.4}, {0.25, 2}, {0.5, 4}, {0.9, 8.8}, {0.95, 9.4}, {1, 10}, {-1, 1}, {2, 10}} {
		if got := stats.Quantile(x, c.p); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("quantile %v is %v, want %v", c.p, got, c.want)
		}
	}
	if !slices.Equal(x, []float64{7, 1, 4, 10, 2}) {
		t.Errorf("the values were put into the order %v", x)
	}
	if m := stats.Median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("median %v", m)
	}
	for _, v := range []float64{stats.Median(nil), stats.Quantile(x, math.NaN())} {
		if !math.IsNaN(v) {
			t.Errorf("a quantile of nothing is %v", v)
		}
	}
}

func TestSummarise(t *testing.T) {
	for _, c := range []struct {
		x    []float64
		want stats.Estimate
	}{
		{[]float64{2}, stats.Estimate{N: 1, Median: 2, Low: 2, High: 2, Smallest: 2, Largest: 2}},
		{[]float64{3, 1, 2}, stats.Estimate{N: 3, Median: 2, Low: 1, High: 3, Smallest: 1, Largest: 3}}, // each extreme: 7 of 27 resamples
		{[]float64{3, math.NaN(), 1, math.Inf(1), 2}, stats.Estimate{N: 3, Median: 2, Low: 1, High: 3, Smallest: 1, Largest: 3}},
		{[]float64{5, 5, 5, 5}, stats.Estimate{N: 4, Median: 5, Low: 5, High: 5, Smallest: 5, Largest: 5}},
	} {
		if got := stats.Summarise(c.x); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.x, got, c.want)
		}
	}
	if e := stats.Summarise(nil); e.N != 0 || !math.IsNaN(e.Median) || !math.IsNaN(e.Low) || !math.IsNaN(e.Spread()) {
		t.Errorf("of nothing: %+v", e)
	}
	if s := (stats.Estimate{N: 3, Median: -2, Low: -2.2, High: -1.8}).Spread(); math.Abs(s-0.1) > 1e-12 {
		t.Errorf("spread %v", s)
	}
}

// TestCoverage: the interval holds the true median about as often as it says, for
// skewed values, too. The percentile bootstrap of a median errs to the safe side or
// by a few points.
func TestCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const trials = 200
	for _, n := range []int{5, 10, 25} {
		in := 0
		for range trials {
			x := make([]float64, n)
			for i := range x {
				x[i] = rng.ExpFloat64()
			}
			if e := stats.Summarise(x); e.Low <= math.Ln2 && math.Ln2 <= e.High {
				in++
			}
		}
		if share := float64(in) / trials; share < 0.87 || share > 0.999 {
			t.Errorf("of %d values the interval holds the median in %.0f %% of cases", n, 100*share)
		}
	}
}
