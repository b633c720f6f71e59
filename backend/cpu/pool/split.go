package pool

// Split divides n things into of parts and returns part id as [lo, hi). Borders
// are multiples of align (less than 1 means 1), except the end; sizes differ by
// at most one align; parts may be empty. The parts cover 0 to n exactly once.
func Split(n, align, id, of int) (lo, hi int) {
	align, of = max(align, 1), max(of, 1)
	if n <= 0 || id < 0 || id >= of {
		return 0, 0
	}
	units := (n-1)/align + 1
	per, rest := units/of, units%of // the first rest parts get one more
	lo = per*id + min(id, rest)
	hi = lo + per
	if id < rest {
		hi++
	}
	return min(lo*align, n), min(hi*align, n)
}
