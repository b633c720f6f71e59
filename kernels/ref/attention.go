package ref

import "math"

// Attention is one query vector's attention over the first positions of a
// cache. key and value give a position's vectors for the query's key-value
// head, as the cache stored them; sees tells which positions count.
func Attention[F Float](dst, q []F, positions int, scale, softCap float32, sees func(p int) bool, key, value func(p int) []F) {
	scores := make([]float64, positions)
	top := math.Inf(-1)
	for p := range positions {
		if !sees(p) {
			continue
		}
		dot := 0.0
		for i, v := range key(p) {
			dot += float64(q[i]) * float64(v)
		}
		dot *= float64(scale)
		if softCap != 0 {
			dot = SoftCap(float64(softCap))(dot)
		}
		scores[p] = dot
		top = max(top, dot)
	}
	sum := 0.0
	out := make([]float64, len(dst))
	for p := range positions {
		if !sees(p) {
			continue
		}
		w := math.Exp(scores[p] - top)
		sum += w
		for i, v := range value(p) {
			out[i] += w * float64(v)
		}
	}
	for i := range dst {
		dst[i] = 0
		if sum != 0 {
			dst[i] = F(out[i] / sum)
		}
	}
}
