package grammar

import "fmt"

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
	out := NewNFA()
	ids := map[place]int32{{}: 0}
	todo := []place{{}}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		from, s := ids[p], &d.states[p.state]
		if s.accept && p.count >= lo {
			out.Accept(from)
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
			to, ok := ids[q]
			if !ok {
				if to = out.State(); out.Full() {
					return nil, fmt.Errorf("%w: with its lengths it needs more than %d states", ErrTooLarge, maxRuleStates)
				}
				ids[q] = to
				todo = append(todo, q)
			}
			out.Range(from, e.lo, e.hi, to)
		}
	}
	return out, nil
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
	out := NewNFA()
	ids := map[place]int32{{}: 0}
	todo := []place{{}}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		from := ids[p]
		if d.states[p.state].accept && (p.at < 0 || !trie[p.at].word) {
			out.Accept(from)
		}
		edge := func(lo, hi byte, q place) error {
			to, ok := ids[q]
			if !ok {
				if to = out.State(); out.Full() {
					return out.err
				}
				ids[q] = to
				todo = append(todo, q)
			}
			out.Range(from, lo, hi, to)
			return nil
		}
		for _, e := range d.states[p.state].edges {
			lo := int(e.lo)
			for b := lo; p.at >= 0 && b <= int(e.hi); b++ {
				next, ok := trie[p.at].next[byte(b)]
				if !ok {
					continue
				}
				if lo < b {
					if err := edge(byte(lo), byte(b-1), place{e.to, -1}); err != nil {
						return nil, err
					}
				}
				if err := edge(byte(b), byte(b), place{e.to, next}); err != nil {
					return nil, err
				}
				lo = b + 1
			}
			if lo <= int(e.hi) {
				if err := edge(byte(lo), e.hi, place{e.to, -1}); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}
