package sampler

import (
	"math"
	"slices"
)

// An item is a token in the running: its logit, made into 32 bits that fall as
// the logit rises, above its id. Ascending items are therefore descending
// logits, with the lowest id first among equals. No item has a NaN or an
// infinite logit.
type item uint64

func makeItem(id int32, logit float32) item {
	b := math.Float32bits(logit + 0) // + 0 turns -0 into +0
	if b>>31 == 0 {
		b ^= 0x7fffffff
	}
	return item(b)<<32 | item(uint32(id))
}

func (it item) id() int32 { return int32(uint32(it)) }

func (it item) logit() float32 {
	b := uint32(it >> 32)
	if b>>31 == 0 {
		b ^= 0x7fffffff
	}
	return math.Float32frombits(b)
}

// tokens is the set of tokens still in the running: as a row indexed by id
// (when row is not nil; its items are then the row's best, sorted, or none), or
// as items.
//
// It is open when it has, beyond its items, tokens that the sampler can't see:
// each of them has a logit of at most floor, each item one above floor. With
// weights e^(logit-ref), the unseen ones sum to between tailLo and tailHi.
type tokens struct {
	row    []float32
	items  []item
	sorted int     // items[:sorted] are in order, ahead of all others
	scale  float64 // 1/temperature, not yet applied to the logits

	open           bool
	floor          float32
	ref            float64
	tailLo, tailHi float64
}

// sort puts the first n items in order. It grows the sorted prefix in steps,
// by partition, so that it costs a pass over the rest and a sort of what is
// asked for.
func (t *tokens) sort(n int) {
	n = min(n, len(t.items))
	for t.sorted < n {
		rest := t.items[t.sorted:]
		step := max(n-t.sorted, 256, 3*t.sorted)
		if step+step/4 >= len(rest) {
			step = len(rest)
		} else {
			partition(rest, step)
		}
		slices.Sort(rest[:step])
		t.sorted += step
	}
}

// canonicalSize is the size up to which sums of floats are taken in order.
const canonicalSize = 1024

// canonical sorts a small set of items, so that the order of its items does
// not depend on how it came about.
func (t *tokens) canonical() {
	if len(t.items) <= canonicalSize {
		t.sort(len(t.items))
	}
}

// best returns the most likely item of a set that has items.
func (t *tokens) best() item {
	if t.sorted > 0 {
		return t.items[0]
	}
	return slices.Min(t.items)
}

// x returns the item's exponent relative to the best logit: (l - top) / T.
func (t *tokens) x(it item, top float32) float64 {
	return float64((float64(it.logit()) - float64(top)) * t.scale)
}

// total returns the sum of all weights, relative to the best token.
func (t *tokens) total() uint64 {
	top := t.best().logit()
	var z uint64
	if t.row == nil {
		for _, it := range t.items {
			z += weight(t.x(it, top))
		}
		return z
	}
	for _, v := range t.row {
		z += weight(float64((float64(v) - float64(top)) * t.scale)) // 0 for NaN
	}
	return z
}

// truncate keeps the n best tokens, which at has returned, and closes the set.
func (t *tokens) truncate(n int) {
	t.row, t.items, t.sorted = nil, t.items[:n], n
	t.open = false
}

// mass returns an item's weight in the unit of the tail.
func (t *tokens) mass(it item) float64 {
	return exp(float64((float64(it.logit()) - t.ref) * t.scale))
}

// weighs says that the masses can be compared: the tail is bounded, and neither did
// adjustments lift the best item beyond what exp reaches, where all masses are alike,
// nor is it so far below ref that they vanish.
func (t *tokens) weighs() bool {
	x := float64((float64(t.best().logit()) - t.ref) * t.scale)
	return !math.IsInf(t.tailHi, 1) && x > -600 && x < 650 // sums stay finite, too
}

// floorMass returns the most that an unseen token can weigh.
func (t *tokens) floorMass() float64 {
	return exp(float64((float64(t.floor) - t.ref) * t.scale))
}

// maxScale bounds 1/temperature, so that 0 times it stays 0.
const maxScale = 1e300

// partition reorders a so that its n smallest items come first (quickselect
// with the median of three; it narrows to the side that holds position n).
func partition(a []item, n int) {
	lo, hi := 0, len(a)
	for budget := 64; hi-lo > 32; budget-- {
		if budget == 0 { // adversarial order: sort what is left
			break
		}
		x, y, z := a[lo], a[lo+(hi-lo)/2], a[hi-1]
		pivot := max(min(x, y), min(max(x, y), z))
		i, j := lo, hi-1
		for i <= j {
			for a[i] < pivot {
				i++
			}
			for a[j] > pivot {
				j--
			}
			if i <= j {
				a[i], a[j] = a[j], a[i]
				i++
				j--
			}
		}
		switch {
		case n <= j+1:
			hi = j + 1
		case n >= i:
			lo = i
		default:
			return
		}
	}
	slices.Sort(a[lo:hi])
}

// heapMax is the largest k that selectTop keeps in a heap.
const heapMax = 1024

// selectTop appends the k best tokens of the row to items, in order.
func selectTop(items []item, row []float32, k int) []item {
	heap := items[:0] // its root is the worst item kept
	i := 0
	for ; i < len(row) && len(heap) < k; i++ {
		if v := row[i]; v > negInf {
			heap = append(heap, makeItem(int32(i), v))
		}
	}
	if len(heap) == k {
		for root := k/2 - 1; root >= 0; root-- {
			siftDown(heap, root)
		}
		// Ids rise, so of equal logits the one already kept stays: strictly above.
		bar := heap[0].logit()
		for ; i+4 <= len(row); i += 4 {
			q := row[i : i+4 : i+4]
			if q[0] > bar || q[1] > bar || q[2] > bar || q[3] > bar {
				for j, v := range q {
					if v > bar {
						bar = replaceRoot(heap, makeItem(int32(i+j), v))
					}
				}
			}
		}
		for ; i < len(row); i++ {
			if row[i] > bar {
				bar = replaceRoot(heap, makeItem(int32(i), row[i]))
			}
		}
	}
	slices.Sort(heap)
	return heap
}

// replaceRoot puts it in the place of the heap's worst item and returns the
// logit of the one that is now the worst.
func replaceRoot(h []item, it item) float32 {
	h[0] = it
	siftDown(h, 0)
	return h[0].logit()
}

// siftDown restores the heap order (largest at the root) below i.
func siftDown(h []item, i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1] > h[c] {
			c++
		}
		if h[i] >= h[c] {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

// selectAbove puts the tokens of the row with a finite logit of at least bar
// into items.
func selectAbove(items []item, row []float32, bar float64) []item {
	b := finite(bar) // the lowest float32 of at least bar
	if float64(b) < bar {
		b = math.Nextafter32(b, math.MaxFloat32)
	}
	items = items[:0]
	i := 0
	for ; i+4 <= len(row); i += 4 {
		q := row[i : i+4 : i+4]
		if q[0] >= b || q[1] >= b || q[2] >= b || q[3] >= b {
			for j, v := range q {
				if v >= b {
					items = append(items, makeItem(int32(i+j), v))
				}
			}
		}
	}
	for ; i < len(row); i++ {
		if row[i] >= b {
			items = append(items, makeItem(int32(i), row[i]))
		}
	}
	return items
}

// moments returns the number, mean and variance of a row's finite logits. The
// four partial sums are part of the definition: they fix the order.
func moments(row []float32) (n int, mean, variance float64) {
	var sum [4]float64
	for i, v := range row {
		if v > negInf {
			n++
			sum[i&3] += float64(v)
		}
	}
	if n == 0 {
		return 0, 0, 0
	}
	mean = (sum[0] + sum[1] + sum[2] + sum[3]) / float64(n)
	sum = [4]float64{}
	for i, v := range row {
		if v > negInf {
			d := float64(v) - mean
			sum[i&3] += float64(d * d)
		}
	}
	return n, mean, (sum[0] + sum[1] + sum[2] + sum[3]) / float64(n)
}

// argmax returns the token with the highest logit, of equals the lowest id;
// ok is false when there is none.
func argmax(row []float32) (best item, ok bool) {
	top, at := negInf, -1
	i := 0
	for ; i+4 <= len(row); i += 4 {
		q := row[i : i+4 : i+4]
		if q[0] > top || q[1] > top || q[2] > top || q[3] > top {
			for j, v := range q {
				if v > top {
					top, at = v, i+j
				}
			}
		}
	}
	for ; i < len(row); i++ {
		if row[i] > top {
			top, at = row[i], i
		}
	}
	if at < 0 {
		return 0, false
	}
	return makeItem(int32(at), top), true
}

// maxLogit returns the highest logit of the row; -Inf when there is none.
func maxLogit(row []float32) float32 {
	best, ok := argmax(row)
	if !ok {
		return negInf
	}
	return best.logit()
}

var negInf = float32(math.Inf(-1))
