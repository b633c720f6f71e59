package grammar

import "slices"

// walk is what the vocabulary's trie gives for one state of a rule without calls.
type walk struct {
	inside   tokenSet   // tokens that stay inside the rule
	within   []tokenSet // of a marked automaton: those with at most so many characters
	longest  int32      // the most characters of a token inside
	exits    []exit     // where the rule may end
	farthest int32      // the most characters before an exit
}

// exit is a node of the trie at which a rule may end, after so many characters.
type exit struct{ node, count int32 }

// maxWithin bounds how many characters of a token are told apart; longer tokens are
// allowed only where all are.
const maxWithin = 40

// walker has what is needed for a walk, to be used again.
type walker struct {
	ids    []int32
	counts []uint8
}

// walkFrom walks the whole trie from a state of a rule without calls. counted asks
// for the sets by number of characters, which only bounded rules need.
func (k *walker) walkFrom(v *Vocabulary, d *dfa, from int32, counted bool) *walk {
	w := &walk{}
	if cap(k.ids) < len(v.tokens) {
		k.ids, k.counts = make([]int32, len(v.tokens)), make([]uint8, len(v.tokens))
	}
	ids, counts := k.ids[:len(v.tokens)], k.counts[:len(v.tokens)]
	nodes, found := v.nodes, 0
	var path [maxTokenBytes + 2]walkStep
	path[0] = walkStep{state: &d.states[from]}
	for p, n := 1, len(nodes)-1; p < n; {
		nd := &nodes[p]
		last := path[nd.depth-1]
		to := last.state.next(nd.b)
		if to < 0 {
			p = int(nd.skip)
			continue
		}
		t := &d.states[to]
		c := last.count
		if t.accept {
			w.exits = append(w.exits, exit{int32(p), c})
			w.farthest = max(w.farthest, c)
		} else if last.state.mark {
			c++
		}
		if len(t.edges) == 0 {
			p = int(nd.skip) // only the callers go on from here
			continue
		}
		path[nd.depth] = walkStep{t, c}
		p++
		for i, end := nd.first, nodes[p].first; i < end; i++ {
			ids[found], counts[found] = v.tokens[i], uint8(c)
			found++
		}
		w.longest = max(w.longest, c)
	}
	ids, counts = ids[:found], counts[:found]
	w.inside = makeSet(ids, v.size)
	if counted && w.longest > 0 {
		w.sortByCount(ids, counts, v.size)
	}
	return w
}

type walkStep struct {
	state *dstate
	count int32
}

// sortByCount makes within.
func (w *walk) sortByCount(ids []int32, counts []uint8, size int) {
	top := min(int(w.longest), maxWithin+1)
	var first [maxWithin + 2]int // where in sorted each count begins
	for _, c := range counts {
		if int(c) < top {
			first[c+1]++
		}
	}
	for c := range top {
		first[c+1] += first[c]
	}
	sorted := make([]int32, first[top])
	at := first
	for i, id := range ids {
		if c := counts[i]; int(c) < top {
			sorted[at[c]] = id
			at[c]++
		}
	}
	for c := range top {
		upTo := sorted[:first[c+1]]
		if last := len(w.within) - 1; last >= 0 && w.within[last].bits != nil {
			b := slices.Clone(w.within[last].bits)
			setBits(b, sorted[first[c]:first[c+1]])
			w.within = append(w.within, tokenSet{bits: b})
		} else {
			w.within = append(w.within, makeSet(upTo, size))
		}
	}
}

// allowed are the tokens that stay inside with at most so many more characters; -1
// is any number.
func (w *walk) allowed(room int32) *tokenSet {
	switch {
	case room < 0 || room >= w.longest || len(w.within) == 0:
		return &w.inside
	case int(room) >= len(w.within):
		return &w.within[len(w.within)-1]
	}
	return &w.within[room]
}

func (w *walk) bytes() int {
	n := w.inside.bytes() + 8*len(w.exits)
	for i := range w.within {
		n += w.within[i].bytes()
	}
	return n
}
