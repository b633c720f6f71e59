package record

import "slices"

// Median is the middle of the values, of an even number the mean of the middle
// two; 0 of none. It leaves the values as they are.
func Median(x []float64) float64 {
	n := len(x)
	if n == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(x))
	return (s[(n-1)/2] + s[n/2]) / 2
}
