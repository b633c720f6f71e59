package grammar

import (
	"errors"
	"fmt"
	"math/bits"
)

// ErrTooLarge is wrapped by the errors for a rule with too many states.
var ErrTooLarge = errors.New("too large")

// Bounds of one rule, and of all rules of a grammar together. They keep what a
// schema costs below some ten megabytes and a second.
const (
	maxRuleStates    = 1 << 16
	maxGrammarStates = 1 << 19
	maxSetElements   = 1 << 21 // of all sets of states of a rule that is made deterministic
	maxRuleWork      = 1 << 28 // see work
	maxGrammarWork   = 1 << 29
	maxRules         = 1 << 14
)

// work counts what making rules deterministic takes, in units of some nanoseconds.
type work int

// perStep is what a look-up takes, whatever its length.
const perStep = 50

// sorted counts n things being copied and sorted.
func (w *work) sorted(n int) { *w += work(perStep + n*(4+bits.Len(uint(n)))) }

// check reports ErrTooLarge when it is too much.
func (w *work) check() error {
	if *w > maxRuleWork {
		return fmt.Errorf("%w: it takes too long to make it deterministic", ErrTooLarge)
	}
	return nil
}

// NFA is a rule in the making: a nondeterministic automaton. Its first state, 0,
// is the start.
type NFA struct {
	states []nfaState
	work   work // that it took to make it
	err    error
}

type nfaState struct {
	edges  []edge
	calls  []call
	eps    []int32
	accept bool
	mark   bool
}

// edge leads on with any byte from lo to hi.
type edge struct {
	lo, hi byte
	to     int32
}

// call runs a rule and then goes on.
type call struct{ rule, to int32 }

// NewNFA gives an automaton with only its start.
func NewNFA() *NFA { return &NFA{states: make([]nfaState, 1)} }

// State adds a state.
func (n *NFA) State() int32 {
	if len(n.states) >= maxRuleStates {
		n.err = fmt.Errorf("%w: it needs more than %d states", ErrTooLarge, maxRuleStates)
		return 0
	}
	n.states = append(n.states, nfaState{})
	return int32(len(n.states) - 1)
}

// Full says that the automaton has too many states: what is added is lost.
func (n *NFA) Full() bool { return n.err != nil }

// Accept lets the rule end in a state.
func (n *NFA) Accept(s int32) { n.states[s].accept = true }

// Mark makes a state one from which a byte begins a character: see Counted.
func (n *NFA) Mark(s int32) { n.states[s].mark = true }

// Skip leads from one state to another with nothing.
func (n *NFA) Skip(from, to int32) { n.states[from].eps = append(n.states[from].eps, to) }

// Range leads on with a byte from lo to hi.
func (n *NFA) Range(from int32, lo, hi byte, to int32) {
	n.states[from].edges = append(n.states[from].edges, edge{lo, hi, to})
}

// Call leads on with a word of another rule.
func (n *NFA) Call(from, rule, to int32) {
	n.states[from].calls = append(n.states[from].calls, call{rule, to})
}

// Text leads from a state with a text to a new state.
func (n *NFA) Text(from int32, text string) int32 {
	for i := range len(text) {
		to := n.State()
		if n.Full() {
			return 0
		}
		n.Range(from, text[i], text[i], to)
		from = to
	}
	return from
}

// Bytes leads from a state with one byte of each class in turn to another state.
func (n *NFA) Bytes(from int32, classes [][2]byte, to int32) {
	for i, c := range classes {
		next := to
		if i < len(classes)-1 {
			if next = n.State(); n.Full() {
				return
			}
		}
		n.Range(from, c[0], c[1], next)
		from = next
	}
}

// Runes leads from a state with the UTF-8 of any character from lo to hi to
// another state. Surrogates are left out.
func (n *NFA) Runes(from int32, lo, hi rune, to int32) {
	splitUTF8(lo, hi, func(classes [][2]byte) { n.Bytes(from, classes, to) })
}
