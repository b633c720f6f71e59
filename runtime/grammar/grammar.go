package grammar

import (
	"errors"
	"fmt"
)

// Grammar is a set of rules, of which one is the root. It is immutable once
// Finish has returned.
type Grammar struct {
	rules  []rule
	states int
	work   work
	root   int32
}

type rule struct {
	d        *dfa
	name     string // for errors
	min, max int32  // characters, of a counted rule; max -1 for any number
	counted  bool
	terminal bool  // it calls no other
	barren   bool  // no word even if every rule that it calls had one
	rank     int32 // a rule that begins with a call of another has the lower one
}

// Errors that a grammar is refused with.
var (
	// ErrNoWord reports a rule that no text fits.
	ErrNoWord = errors.New("nothing satisfies it")

	// ErrNoProgress reports a rule that begins with itself.
	ErrNoProgress = errors.New("it refers to itself without anything between")
)

// RuleError says which rule an error is about.
type RuleError struct {
	Name string
	Err  error
}

func (e *RuleError) Error() string { return e.Name + ": " + e.Err.Error() }

// Unwrap gives the reason.
func (e *RuleError) Unwrap() error { return e.Err }

// New gives an empty grammar.
func New() *Grammar { return &Grammar{} }

// Declare makes room for a rule, so that others can call it before it is defined.
// The name is for errors.
func (g *Grammar) Declare(name string) (int32, error) {
	if len(g.rules) >= maxRules {
		return 0, &RuleError{name, fmt.Errorf("%w: there are more than %d rules", ErrTooLarge, maxRules)}
	}
	g.rules = append(g.rules, rule{name: name, max: -1})
	return int32(len(g.rules) - 1), nil
}

// Define says what a rule is. No rule may have the empty word.
func (g *Grammar) Define(id int32, n *NFA) error {
	d, err := n.determinise()
	if err == nil {
		err = g.grow(len(d.states), n.work)
	}
	if err != nil {
		return &RuleError{g.rules[id].name, err}
	}
	if d.states[0].accept {
		return &RuleError{g.rules[id].name, errors.New("it has the empty word")}
	}
	g.rules[id].d = d
	return nil
}

func (g *Grammar) grow(states int, w work) error {
	if g.states += states; g.states > maxGrammarStates {
		return fmt.Errorf("%w: all rules together need more than %d states", ErrTooLarge, maxGrammarStates)
	}
	if g.work += w; g.work > maxGrammarWork {
		return fmt.Errorf("%w: all rules together take too long to make deterministic", ErrTooLarge)
	}
	return nil
}

// Counted defines a rule whose words are those of a marked automaton with at
// least min and at most max (-1: any number of) characters. A character begins
// with each byte that leaves a marked state for one that does not end the rule.
// From each marked state it must be possible to end the rule and to go on. Rules
// with the same automaton share what is found out about it.
func (g *Grammar) Counted(id int32, a *Automaton, min, max int32) error {
	if a.used == nil {
		a.used = g
		if err := g.grow(len(a.d.states), a.work); err != nil {
			return &RuleError{g.rules[id].name, err}
		}
	}
	r := &g.rules[id]
	r.d, r.min, r.max, r.counted = a.d, min, max, min > 0 || max >= 0
	return nil
}

// Automaton is an automaton for several rules of one grammar.
type Automaton struct {
	d    *dfa
	work work
	used *Grammar
}

// Automaton makes an automaton deterministic.
func (n *NFA) Automaton() (*Automaton, error) {
	d, err := n.determinise()
	if err != nil {
		return nil, err
	}
	return &Automaton{d: d, work: n.work}, nil
}

// Rules is the number of rules, States that of their states.
func (g *Grammar) Rules() int { return len(g.rules) }

// States is the number of states of all rules.
func (g *Grammar) States() int { return g.states }

// Finish checks the rules and names the root.
func (g *Grammar) Finish(root int32) error {
	g.root = root
	for i := range g.rules {
		if g.rules[i].d == nil {
			return &RuleError{g.rules[i].name, errors.New("it is not defined")}
		}
	}
	for i := range g.rules {
		r := &g.rules[i]
		r.barren = !r.d.endable()
	}
	if words := g.words(); !words[root] {
		return &RuleError{g.rules[g.blame(words)].name, ErrNoWord}
	}
	tables := maxDense
	for i := range g.rules {
		r := &g.rules[i]
		r.terminal = r.d.terminal()
		if r.d.walks == nil {
			tables = r.d.finish(tables)
		}
	}
	return g.order()
}

// words finds the rules that have a word, and trims all of them. It goes back from
// the states in which a rule may end, over bytes at once and over a call when the
// rule that is called has turned out to have a word.
func (g *Grammar) words() []bool {
	words := make([]bool, len(g.rules))
	rulesOf := map[*dfa][]int32{} // counted rules share one
	var all []*dfa
	for i := range g.rules {
		d := g.rules[i].d
		if rulesOf[d] == nil {
			all = append(all, d)
		}
		rulesOf[d] = append(rulesOf[d], int32(i))
	}
	type place struct {
		d *dfa
		s int32
	}
	alive := map[*dfa][]bool{}
	back := map[*dfa][][]call{} // by state: from where (to), over which rule, -1 for a byte
	waiting := make([][]place, len(g.rules))
	var work []place
	reach := func(d *dfa, s int32) {
		if !alive[d][s] {
			alive[d][s] = true
			work = append(work, place{d, s})
		}
	}
	for _, d := range all {
		alive[d] = make([]bool, len(d.states))
		b := make([][]call, len(d.states))
		for i := range d.states {
			for _, e := range d.states[i].edges {
				b[e.to] = append(b[e.to], call{-1, int32(i)})
			}
			for _, k := range d.states[i].calls {
				b[k.to] = append(b[k.to], call{k.rule, int32(i)})
			}
		}
		back[d] = b
		for i := range d.states {
			if d.states[i].accept {
				reach(d, int32(i))
			}
		}
	}
	for len(work) > 0 {
		p := work[len(work)-1]
		work = work[:len(work)-1]
		for _, k := range back[p.d][p.s] {
			if k.rule < 0 || words[k.rule] {
				reach(p.d, k.to)
			} else {
				waiting[k.rule] = append(waiting[k.rule], place{p.d, k.to})
			}
		}
		if p.s != 0 {
			continue
		}
		for _, r := range rulesOf[p.d] {
			words[r] = true
			for _, w := range waiting[r] {
				reach(w.d, w.s)
			}
			waiting[r] = nil
		}
	}
	for _, d := range all {
		d.trim(alive[d], words)
	}
	return words
}

// blame finds, among the rules without a word, one that would have none if all
// others had: else the root, which then recurses without an end.
func (g *Grammar) blame(words []bool) int32 {
	for i := range g.rules {
		if !words[i] && g.rules[i].barren {
			return int32(i)
		}
	}
	return g.root
}

// order ranks the rules so that one that begins with another comes before it.
func (g *Grammar) order() error {
	const open, done = 1, 2
	state := make([]byte, len(g.rules))
	rank := int32(len(g.rules))
	type visit struct{ rule, at int32 }
	for i := range g.rules {
		stack := []visit{{int32(i), 0}}
		for len(stack) > 0 {
			v := &stack[len(stack)-1]
			if v.at == 0 {
				if state[v.rule] == done {
					stack = stack[:len(stack)-1]
					continue
				}
				state[v.rule] = open
			}
			calls := g.rules[v.rule].d.states[0].calls
			if int(v.at) == len(calls) {
				rank--
				g.rules[v.rule].rank = rank
				state[v.rule] = done
				stack = stack[:len(stack)-1]
				continue
			}
			to := calls[v.at].rule
			v.at++
			switch state[to] {
			case open:
				return &RuleError{g.rules[to].name, ErrNoProgress}
			case 0:
				stack = append(stack, visit{to, 0})
			}
		}
	}
	return nil
}
