package cpu

import "math"

// Candidate is a value of a row and its index.
type Candidate struct {
	Index int32
	Value float32
}

// before is the order of candidates: larger values first, of equal ones the
// lower index.
func (a Candidate) before(b Candidate) bool {
	return a.Value > b.Value || a.Value == b.Value && a.Index < b.Index
}

// ArgMax returns the index of the largest value, the first of equal ones, or -1
// if there is none. NaN is passed over.
func (k *Kernels) ArgMax(x []float32) int {
	var best [1]Candidate
	if k.TopK(best[:], x, 0) == 0 {
		return -1
	}
	return int(best[0].Index)
}

// topChunk is the number of values whose maximum is taken at once to see
// whether a candidate is among them.
const topChunk = 256

// TopK writes the len(dst) largest values of x to dst, the largest first and
// equal ones by index, and returns how many there are. base is added to indices,
// so that x may be a part of a row: MergeTopK joins the results of parts. NaN is
// passed over.
func (k *Kernels) TopK(dst []Candidate, x []float32, base int) int {
	n := 0
	if len(dst) == 0 {
		return 0
	}
	// dst[:n] is a heap with the last in order on top.
	for from := 0; from < len(x); from += topChunk {
		part := x[from:min(from+topChunk, len(x))]
		if n == len(dst) && !(k.Max(part) > dst[0].Value) && k.asm != nil {
			continue // Max passes NaN over, so this skips no number
		}
		for i, v := range part {
			if n == len(dst) && !(v > dst[0].Value) || v != v {
				continue
			}
			c := Candidate{int32(base + from + i), v}
			if n < len(dst) {
				dst[n] = c
				n++
				siftUp(dst[:n])
			} else {
				dst[0] = c
				siftDown(dst[:n])
			}
		}
	}
	for end := n - 1; end > 0; end-- {
		dst[0], dst[end] = dst[end], dst[0]
		siftDown(dst[:end])
	}
	return n
}

func siftUp(h []Candidate) {
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[up].before(h[i]) {
			return
		}
		h[up], h[i] = h[i], h[up]
		i = up
	}
}

func siftDown(h []Candidate) {
	for i := 0; ; {
		last := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(h); c++ {
			if h[last].before(h[c]) {
				last = c
			}
		}
		if last == i {
			return
		}
		h[i], h[last] = h[last], h[i]
		i = last
	}
}

// MergeTopK writes the first len(dst) of the candidates of a and b, each in
// order, to dst and returns how many there are. dst overlaps neither.
func MergeTopK(dst, a, b []Candidate) int {
	n := 0
	for n < len(dst) && len(a)+len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].before(b[0]) {
			dst[n], a = a[0], a[1:]
		} else {
			dst[n], b = b[0], b[1:]
		}
		n++
	}
	return n
}

// ExpSumLen is the number of values that an ExpSum stands for, but for the last
// of a row.
const ExpSumLen = 4096

// ExpSum is the largest of some values and the sum of exp(value - largest).
type ExpSum struct{ Max, Sum float32 }

// ExpSums writes an ExpSum for each ExpSumLen values of x to dst, which has
// ceil(len(x)/ExpSumLen) elements. scratch has ExpSumLen. A row is shared out at
// multiples of ExpSumLen.
func (k *Kernels) ExpSums(dst []ExpSum, x, scratch []float32) {
	for i := 0; len(x) > 0; i++ {
		n := min(ExpSumLen, len(x))
		top := k.Max(x[:n])
		dst[i] = ExpSum{top, k.expSum(scratch[:n], x[:n], top)}
		x = x[n:]
	}
}

// LogSumExp returns the logarithm of the sum of the exponentials of a row, given
// its ExpSums in order.
func LogSumExp(parts []ExpSum) float32 {
	top := math.Inf(-1)
	for _, p := range parts {
		top = max(top, float64(p.Max))
	}
	if math.IsInf(top, -1) {
		return float32(top)
	}
	var sum float64
	for _, p := range parts {
		if math.IsInf(float64(p.Max), -1) {
			continue // all of them -Inf: its Sum is no number
		}
		sum += math.Exp(float64(p.Max)-top) * float64(p.Sum)
	}
	return float32(top + math.Log(sum))
}
