package grammar

import (
	"fmt"
	"iter"
)

// product is an automaton in the making whose states are places in several things at once: one's state and a
// count, say. It has the places that are reached from the first, P's zero value.
type product[P comparable] struct {
	out  *NFA
	ids  map[P]int32
	todo []P
}

// newProduct begins one of an automaton that has taken some work.
func newProduct[P comparable](w work) *product[P] {
	var start P
	out := NewNFA()
	out.work = w
	return &product[P]{out, map[P]int32{start: 0}, []P{start}}
}

// places gives every place that is reached with its state, and ends early if there are too many. Edges are added
// meanwhile.
func (w *product[P]) places() iter.Seq2[P, int32] {
	return func(yield func(P, int32) bool) {
		for len(w.todo) > 0 && !w.out.Full() {
			p := w.todo[len(w.todo)-1]
			w.todo = w.todo[:len(w.todo)-1]
			if !yield(p, w.ids[p]) {
				return
			}
			if err := w.out.work.check(); err != nil {
				w.out.err = err
			}
		}
	}
}

// edge leads from a state to a place with a byte from lo to hi.
func (w *product[P]) edge(from int32, lo, hi byte, to P) {
	id, ok := w.ids[to]
	if !ok {
		id = w.out.State()
		w.ids[to] = id
		w.todo = append(w.todo, to)
	}
	w.out.Range(from, lo, hi, id)
	w.out.work += perStep
}

// Limit gives the automaton of the words with at least lo and at most hi (-1: any
// number of) characters. A character begins with each byte that leaves one of the
// states begins for a state that does not accept. Unlike Counted it asks nothing
// of the automaton, and takes a state for every state and count.
func (n *NFA) Limit(lo, hi int, begins []int32) (*NFA, error) {
	for _, s := range begins {
		n.Mark(s)
	}
	d, err := n.determinise()
	if err != nil {
		return nil, err
	}
	type place struct {
		state int32
		count int
	}
	w := newProduct[place](n.work)
	for p, from := range w.places() {
		s := &d.states[p.state]
		if s.accept && p.count >= lo {
			w.out.Accept(from)
		}
		for _, e := range s.edges {
			q := place{e.to, p.count}
			if s.mark && !d.states[e.to].accept {
				if q.count++; hi >= 0 && q.count > hi {
					continue
				}
				if hi < 0 {
					q.count = min(q.count, lo)
				}
			}
			w.edge(from, e.lo, e.hi, q)
		}
	}
	if w.out.Full() {
		return nil, fmt.Errorf("%w: with its lengths it needs more than %d states", ErrTooLarge, maxRuleStates)
	}
	return w.out, nil
}

// Without gives the automaton's words but those given.
func (n *NFA) Without(words []string) (*NFA, error) {
	d, err := n.determinise()
	if err != nil {
		return nil, err
	}
	// The words as a trie; node 0 is its root, -1 stands for outside of it.
	type node struct {
		next map[byte]int
		word bool
	}
	trie := []node{{next: map[byte]int{}}}
	for _, w := range words {
		at := 0
		for i := range len(w) {
			to, ok := trie[at].next[w[i]]
			if !ok {
				to = len(trie)
				trie = append(trie, node{next: map[byte]int{}})
				trie[at].next[w[i]] = to
			}
			at = to
		}
		trie[at].word = true
	}
	type place struct {
		state int32
		at    int
	}
	w := newProduct[place](n.work)
	for p, from := range w.places() {
		if d.states[p.state].accept && (p.at < 0 || !trie[p.at].word) {
			w.out.Accept(from)
		}
		for _, e := range d.states[p.state].edges {
			lo := int(e.lo)
			for b := lo; p.at >= 0 && b <= int(e.hi); b++ {
				next, ok := trie[p.at].next[byte(b)]
				if !ok {
					continue
				}
				if lo < b {
					w.edge(from, byte(lo), byte(b-1), place{e.to, -1})
				}
				w.edge(from, byte(b), byte(b), place{e.to, next})
				lo = b + 1
			}
			if lo <= int(e.hi) {
				w.edge(from, byte(lo), e.hi, place{e.to, -1})
			}
		}
	}
	if w.out.Full() {
		return nil, w.out.err
	}
	return w.out, nil
}
