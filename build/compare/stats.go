package main

import (
	"math"
	"slices"
)

// summary is the middle and the spread of figures of several rounds.
type summary struct {
	n                int
	median, min, max float64
}

func summarize(x []float64) summary {
	if len(x) == 0 {
		return summary{median: math.NaN(), min: math.NaN(), max: math.NaN()}
	}
	s := slices.Sorted(slices.Values(x))
	n := len(s)
	return summary{n, (s[(n-1)/2] + s[n/2]) / 2, s[0], s[n-1]}
}

// paired applies f to the figures of each round that has both.
func paired(records []record, f func(r record) (float64, bool)) summary {
	var x []float64
	for _, r := range records {
		if v, ok := f(r); ok {
			x = append(x, v)
		}
	}
	return summarize(x)
}
