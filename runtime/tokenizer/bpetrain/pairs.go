package bpetrain

// pair is two neighbouring tokens, the first in the upper half: pairs compare as
// their ids do.
type pair uint64

func makePair(a, b int32) pair { return pair(uint64(uint32(a))<<32 | uint64(uint32(b))) }

func (p pair) ids() (a, b int32) { return int32(p >> 32), int32(uint32(p)) }

// pairInfo is what is known of a pair.
type pairInfo struct {
	pair  pair
	count int64
	// words that got the pair since entries were last queued, each once
	fresh []int32
}

// pairTable finds the info of a pair: a hash table with open addressing, which
// never forgets.
type pairTable struct {
	slots []int32 // place in infos + 1
	shift uint
	infos []pairInfo
}

func newPairTable() *pairTable { return &pairTable{slots: make([]int32, 1<<16), shift: 64 - 16} }

// slot is where a pair stands or belongs. The multiplier is 2^64 divided by the
// golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
func (t *pairTable) slot(p pair) int {
	mask := len(t.slots) - 1
	i := int(uint64(p) * 0x9E3779B97F4A7C15 >> t.shift)
	for t.slots[i] != 0 && t.infos[t.slots[i]-1].pair != p {
		i = (i + 1) & mask
	}
	return i
}

// find returns the place in infos of a pair, which is added if it is new.
func (t *pairTable) find(p pair) int32 {
	i := t.slot(p)
	if n := t.slots[i]; n != 0 {
		return n - 1
	}
	if len(t.infos)*2 >= len(t.slots) {
		t.slots = make([]int32, len(t.slots)*2)
		t.shift--
		for n := range t.infos {
			t.slots[t.slot(t.infos[n].pair)] = int32(n + 1)
		}
		i = t.slot(p)
	}
	t.infos = append(t.infos, pairInfo{pair: p})
	t.slots[i] = int32(len(t.infos))
	return int32(len(t.infos) - 1)
}

// entry is a pair in the queue with the words in which to merge it. A pair may
// have several.
type entry struct {
	count int64 // when it was queued; counts change
	pair  pair
	info  int32
	step  int32 // when it was first queued: the older goes first
	words []int32
}

// before orders the queue: the more frequent, then the lower ids, then the older.
func (a *entry) before(b *entry) bool {
	switch {
	case a.count != b.count:
		return a.count > b.count
	case a.pair != b.pair:
		return a.pair < b.pair
	}
	return a.step < b.step
}

// queue is a heap of entries, each with four below it.
type queue []entry

const fan = 4

func (q queue) down(i int) {
	e := q[i]
	for {
		first := fan*i + 1
		if first >= len(q) {
			break
		}
		best := first
		for c := first + 1; c < min(first+fan, len(q)); c++ {
			if q[c].before(&q[best]) {
				best = c
			}
		}
		if !q[best].before(&e) {
			break
		}
		q[i] = q[best]
		i = best
	}
	q[i] = e
}

func (q queue) build() {
	for i := len(q)/fan + 1; i >= 0; i-- {
		if i < len(q) {
			q.down(i)
		}
	}
}

func (q *queue) push(e entry) {
	*q = append(*q, e)
	h := *q
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / fan
		if !e.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
}

// pop takes the best entry out; the queue must not be empty.
func (q *queue) pop() entry {
	h := *q
	top, last := h[0], h[len(h)-1]
	h[len(h)-1] = entry{}
	*q = h[:len(h)-1]
	if len(*q) > 0 {
		h[0] = last
		q.down(0)
	}
	return top
}
