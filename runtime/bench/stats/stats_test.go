package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ledge-run/ledge/runtime/bench/record"
)

// everyResample lists the medians of all n to the power of n resamples.
func everyResample(x []float64) []float64 {
	n := len(x)
	total := 1
	for range n {
		total *= n
	}
	all := make([]float64, total)
	draw := make([]float64, n)
	for c := range all {
		for i, r := 0, c; i < n; i, r = i+1, r/n {
			draw[i] = x[r%n]
		}
		all[c] = record.Median(draw)
	}
	slices.Sort(all)
	return all
}

// TestExact: the distribution is that of all resamples, counted one by one.
func TestExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 1; n <= 7; n++ {
		x := make([]float64, n)
		for i := range x {
			x[i] = math.Exp(rng.NormFloat64())
		}
		if n > 3 {
			x[1] = x[0] // values may be equal
		}
		want := everyResample(x)
		d := medians(x)
		sum := 0.0
		for _, v := range slices.Compact(slices.Clone(want)) {
			counted, computed := 0, 0.0
			for _, w := range want {
				if w == v {
					counted++
				}
			}
			for _, a := range d {
				if a.value == v {
					computed += a.part
				}
			}
			if got := float64(counted) / float64(len(want)); math.Abs(got-computed) > 1e-12 {
				t.Errorf("of %d values, %v is the median of %v of all resamples, computed %v", n, v, got, computed)
			}
			sum += computed
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Errorf("%d values: the parts sum up to %v", n, sum)
		}
		tail := int((1 - Confidence) / 2 * float64(len(want)))
		s := Summarize(x)
		if s.Low != want[tail] || s.Up != want[len(want)-1-tail] {
			t.Errorf("%d values: the interval is %v to %v, of all resamples %v to %v", n, s.Low, s.Up, want[tail], want[len(want)-1-tail])
		}
		if s.Median != record.Median(x) || s.N != n {
			t.Errorf("%d values: %+v", n, s)
		}
	}
}

// TestAgainstScipy: scipy.stats.bootstrap((x,), numpy.median, n_resamples=1000000,
// method="percentile", random_state=1) of scipy 1.17.1 gave these intervals.
func TestAgainstScipy(t *testing.T) {
	for _, c := range []struct {
		x       []float64
		low, up float64
	}{
		{[]float64{2.0005, 2.1231, 1.8933, 1.6737, 1.8262, 1.6402, 2.0242, 2.6148, 1.8125, 1.7666}, 1.7431, 2.0618},
		{[]float64{2.2059, 2.148, 2.0426, 1.6604, 1.9883, 2.2984, 1.5285, 1.8251, 1.3674, 1.5453, 1.3838}, 1.5285, 2.148},
	} {
		s := Summarize(c.x)
		if math.Abs(s.Low-c.low) > 1e-9 || math.Abs(s.Up-c.up) > 1e-9 {
			t.Errorf("%d values: %v to %v, scipy says %v to %v", len(c.x), s.Low, s.Up, c.low, c.up)
		}
	}
}

func TestCovers(t *testing.T) {
	// Of many samples of 15 the interval holds the true median about as often as it says.
	rng := rand.New(rand.NewPCG(3, 4))
	held := 0
	const samples = 2000
	for range samples {
		x := make([]float64, 15)
		for i := range x {
			x[i] = rng.ExpFloat64()
		}
		if s := Summarize(x); s.Low <= math.Ln2 && math.Ln2 <= s.Up {
			held++
		}
	}
	if part := float64(held) / samples; part < 0.92 || part > 0.98 {
		t.Errorf("the interval holds the median in %v of all samples", part)
	}
}

func TestFew(t *testing.T) {
	if s := Summarize(nil); s.N != 0 || !math.IsNaN(s.Median) || !math.IsNaN(s.Low) {
		t.Errorf("of nothing: %+v", s)
	}
	if s := Summarize([]float64{2}); s.Median != 2 || s.Low != 2 || s.Up != 2 || s.Spread() != 0 {
		t.Errorf("of one: %+v", s)
	}
	x := []float64{3, 1, 2}
	if s := Summarize(x); s.Min != 1 || s.Max != 3 || s.Median != 2 || x[0] != 3 {
		t.Errorf("of three: %+v, and the sample is now %v", s, x)
	}
	many := make([]float64, 1001)
	for i := range many {
		many[i] = float64(i)
	}
	// The interval of a median of n is about n/2 ± 0.98 √n places wide.
	if s := Summarize(many); s.Median != 500 || s.Low < 350 || s.Low >= 500 || s.Up > 650 || s.Up <= 500 {
		t.Errorf("of 1001: %+v", s)
	}
}

func TestRatio(t *testing.T) {
	before, after := []float64{10, 11, 12}, []float64{20, 21, 25, 22}
	r := Ratio(after, before)
	if want := 21.5 / 11; math.Abs(r.Median-want) > 1e-12 || r.Low >= want || r.Up <= want || r.Low < 20./12 || r.Up > 25./10 {
		t.Errorf("%+v", r)
	}
	// Against all pairs of resamples.
	var all []float64
	for _, a := range everyResample(after) {
		for _, b := range everyResample(before) {
			all = append(all, a/b)
		}
	}
	slices.Sort(all)
	tail := int((1 - Confidence) / 2 * float64(len(all)))
	if math.Abs(r.Low-all[tail]) > 1e-12 || math.Abs(r.Up-all[len(all)-1-tail]) > 1e-12 {
		t.Errorf("the interval is %v to %v, of all resamples %v to %v", r.Low, r.Up, all[tail], all[len(all)-1-tail])
	}
	if r := Ratio(nil, before); r.N != 0 || !math.IsNaN(r.Low) {
		t.Errorf("of nothing: %+v", r)
	}
}
