package grammar

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// dfa is a deterministic automaton. State 0 is the start. Every state leads to an
// accepting one (see trim), so that nobody who follows it gets stuck.
type dfa struct {
	states []dstate
	walks  []*walk // by state, filled in by masks; guarded by the Engine
}

type dstate struct {
	edges  []edge      // by byte, disjoint
	dense  *[256]int32 // the same as a table, for states with many edges
	calls  []call
	accept bool
	mark   bool
}

// denseEdges is from how many edges on a state gets a table; maxDense is how many
// states of a grammar get one.
const (
	denseEdges = 6
	maxDense   = 1 << 14
)

func (d *dfa) terminal() bool {
	for i := range d.states {
		if len(d.states[i].calls) > 0 {
			return false
		}
	}
	return true
}

// next gives the state after a byte, -1 for none.
func (s *dstate) next(b byte) int32 {
	if s.dense != nil {
		return s.dense[b]
	}
	for _, e := range s.edges {
		if b < e.lo {
			break
		}
		if b <= e.hi {
			return e.to
		}
	}
	return -1
}

// finish makes the tables, of which there may be so many more; it gives how many
// are left.
func (d *dfa) finish(tables int) int {
	for i := range d.states {
		s := &d.states[i]
		if len(s.edges) < denseEdges || tables == 0 {
			continue
		}
		tables--
		s.dense = new([256]int32)
		for b := range s.dense {
			s.dense[b] = -1
		}
		for _, e := range s.edges {
			for b := int(e.lo); b <= int(e.hi); b++ {
				s.dense[b] = e.to
			}
		}
	}
	d.walks = make([]*walk, len(d.states))
	return tables
}

// subsets makes sets of states of an NFA the states of a DFA.
type subsets struct {
	n     *NFA
	d     *dfa
	ids   map[string]int32
	sets  [][]int32
	total int      // elements of sets
	seen  []uint32 // by state of n: round in which it was reached
	round uint32
}

// determinise is the subset construction. Calls are kept as edges of their own.
func (n *NFA) determinise() (*dfa, error) {
	if n.err != nil {
		return nil, n.err
	}
	c := &subsets{n: n, d: &dfa{}, ids: map[string]int32{}, seen: make([]uint32, len(n.states))}
	if _, err := c.id([]int32{0}); err != nil {
		return nil, err
	}
	for i := 0; i < len(c.sets); i++ {
		if err := c.expand(int32(i)); err != nil {
			return nil, err
		}
	}
	return c.d, nil
}

// id gives the state for a set, closed under empty edges.
func (c *subsets) id(set []int32) (int32, error) {
	c.round++
	skips := 0
	var all []int32
	for _, s := range set {
		if c.seen[s] != c.round {
			c.seen[s] = c.round
			all = append(all, s)
		}
	}
	for i := 0; i < len(all); i++ {
		skips += len(c.n.states[all[i]].eps)
		for _, to := range c.n.states[all[i]].eps {
			if c.seen[to] != c.round {
				c.seen[to] = c.round
				all = append(all, to)
			}
		}
	}
	c.n.work.sorted(len(set) + len(all) + skips)
	if err := c.n.work.check(); err != nil {
		return 0, err
	}
	slices.Sort(all)
	key := make([]byte, 0, len(all)*4)
	for _, s := range all {
		key = binary.LittleEndian.AppendUint32(key, uint32(s))
	}
	if id, ok := c.ids[string(key)]; ok {
		return id, nil
	}
	if c.total += len(all); len(c.sets) >= maxRuleStates || c.total > maxSetElements {
		return 0, fmt.Errorf("%w: made deterministic it has more than %d states", ErrTooLarge, len(c.sets))
	}
	id := int32(len(c.sets))
	c.ids[string(key)] = id
	c.sets = append(c.sets, all)
	st := dstate{}
	for _, s := range all {
		st.accept = st.accept || c.n.states[s].accept
		st.mark = st.mark || c.n.states[s].mark
	}
	c.d.states = append(c.d.states, st)
	return id, nil
}

// expand finds the edges of a state.
func (c *subsets) expand(id int32) error {
	var edges []edge
	var calls []call
	for _, s := range c.sets[id] {
		edges = append(edges, c.n.states[s].edges...)
		calls = append(calls, c.n.states[s].calls...)
	}
	c.n.work.sorted(3*len(edges) + 2*len(calls))
	// Cut the bytes where an edge begins or ends; within a piece all have the same targets.
	var cuts []int
	for _, e := range edges {
		cuts = append(cuts, int(e.lo), int(e.hi)+1)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	slices.SortFunc(edges, func(a, b edge) int { return int(a.lo) - int(b.lo) })
	var active []edge
	at := 0
	var out []edge
	for i := 0; i+1 < len(cuts); i++ {
		lo, hi := cuts[i], cuts[i+1]-1
		active = slices.DeleteFunc(active, func(e edge) bool { return int(e.hi) < lo })
		for at < len(edges) && int(edges[at].lo) <= lo {
			active = append(active, edges[at])
			at++
		}
		if len(active) == 0 {
			continue
		}
		targets := make([]int32, len(active))
		for j, e := range active {
			targets[j] = e.to
		}
		to, err := c.id(targets)
		if err != nil {
			return err
		}
		if n := len(out); n > 0 && out[n-1].to == to && int(out[n-1].hi) == lo-1 {
			out[n-1].hi = byte(hi)
		} else {
			out = append(out, edge{byte(lo), byte(hi), to})
		}
	}
	byRule := map[int32][]int32{}
	var order []int32
	for _, k := range calls {
		if byRule[k.rule] == nil {
			order = append(order, k.rule)
		}
		byRule[k.rule] = append(byRule[k.rule], k.to)
	}
	var outCalls []call
	for _, r := range order {
		to, err := c.id(byRule[r])
		if err != nil {
			return err
		}
		outCalls = append(outCalls, call{r, to})
	}
	st := &c.d.states[id]
	st.edges, st.calls = out, outCalls
	return nil
}

// endable says that the start leads to an accepting state, over calls too.
func (d *dfa) endable() bool {
	seen := make([]bool, len(d.states))
	seen[0] = true
	work := []int32{0}
	for len(work) > 0 {
		s := &d.states[work[len(work)-1]]
		work = work[:len(work)-1]
		if s.accept {
			return true
		}
		visit := func(to int32) {
			if !seen[to] {
				seen[to] = true
				work = append(work, to)
			}
		}
		for _, e := range s.edges {
			visit(e.to)
		}
		for _, k := range s.calls {
			visit(k.to)
		}
	}
	return false
}

// trim removes edges to states from which the rule cannot end, and calls of rules
// without a word.
func (d *dfa) trim(alive, words []bool) {
	for i := range d.states {
		s := &d.states[i]
		s.edges = slices.DeleteFunc(s.edges, func(e edge) bool { return !alive[e.to] })
		s.calls = slices.DeleteFunc(s.calls, func(k call) bool { return !alive[k.to] || !words[k.rule] })
	}
}
