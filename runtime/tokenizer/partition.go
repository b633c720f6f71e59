package tokenizer

import (
	"container/heap"
	"slices"
)

// partition cuts text at its special tokens. Longer tokens are looked for
// first, each from left to right in what the ones before it have left: a long
// token wins over a shorter one that overlaps it, wherever that begins.
func (s *specials) partition(text string, types []int32, control bool) []fragment {
	if text == "" {
		return nil
	}
	p := partitioning{s: s, text: text, allowed: func(id int32) bool { return control || types[id] == TypeUserDefined }}
	p.collect()
	p.choose()
	return p.fragments()
}

// partitioning finds the special tokens of one text. Of the tokens that begin at a
// position it has one at a time, the longest that there is room for: so there are no
// more of them than positions.
type partitioning struct {
	s         *specials
	text      string
	allowed   func(id int32) bool
	found     []match // in the order in which they choose
	shortened []match // a heap of those that took the place of longer ones
	taken     []bool  // by byte: it belongs to a chosen token, or that has swallowed it
	chosen    []chosen
}

// match is a special token's rank and its position in a text, ordered by both.
type match uint64

const positionBits = 40

func newMatch(rank int32, at int) match { return match(rank)<<positionBits | match(at) }

func (m match) rank() int32 { return int32(m >> positionBits) }
func (m match) at() int     { return int(m & (1<<positionBits - 1)) }

// chosen is a token with its place, and the ends with the spaces that it has swallowed.
type chosen struct {
	id          int32
	at          int
	left, right int
}

// longest gives the rank of the longest token that text has at a position, -1 for none.
func (p *partitioning) longest(text string, at int) int32 {
	rank := int32(-1)
	p.s.trie.walk(text, at, func(found int32) {
		if p.allowed(p.s.ranked[found]) {
			rank = found
		}
	})
	return rank
}

// collect finds the longest token of each position.
func (p *partitioning) collect() {
	if p.s.trie.empty() {
		return
	}
	for at := range len(p.text) {
		if p.s.trie.first[p.text[at]] == 0 {
			continue
		}
		if rank := p.longest(p.text, at); rank >= 0 {
			p.found = append(p.found, newMatch(rank, at))
		}
	}
	slices.Sort(p.found)
}

// choose takes the tokens by their ranks, as far as their bytes are free. What is
// taken is at least as long as what comes later, so that it is enough to look at the
// ends of that.
func (p *partitioning) choose() {
	if len(p.found) > 0 {
		p.taken = make([]bool, len(p.text))
	}
	for len(p.found)+len(p.shortened) > 0 {
		m := p.next()
		id, at := p.s.ranked[m.rank()], m.at()
		end := at + len(p.s.texts[id])
		switch {
		case p.taken[at]:
		case p.taken[end-1]:
			for p.taken[end-1] {
				end--
			}
			if rank := p.longest(p.text[:end], at); rank >= 0 {
				heap.Push(p, newMatch(rank, at))
			}
		default:
			p.take(id, at, end)
		}
	}
}

// next is the match whose turn it is.
func (p *partitioning) next() match {
	if len(p.found) == 0 || len(p.shortened) > 0 && p.shortened[0] < p.found[0] {
		return heap.Pop(p).(match)
	}
	m := p.found[0]
	p.found = p.found[1:]
	return m
}

// The heap of container/heap.

func (p *partitioning) Len() int           { return len(p.shortened) }
func (p *partitioning) Less(i, j int) bool { return p.shortened[i] < p.shortened[j] }
func (p *partitioning) Swap(i, j int) {
	p.shortened[i], p.shortened[j] = p.shortened[j], p.shortened[i]
}
func (p *partitioning) Push(m any) { p.shortened = append(p.shortened, m.(match)) }
func (p *partitioning) Pop() any {
	last := len(p.shortened) - 1
	m := p.shortened[last]
	p.shortened = p.shortened[:last]
	return m
}

// take chooses a token, which swallows spaces beside it if it does that.
func (p *partitioning) take(id int32, at, end int) {
	left, right := at, end
	for p.s.lstrip[id] && left > 0 && !p.taken[left-1] && isSpace(p.text[left-1]) {
		left--
	}
	for p.s.rstrip[id] && right < len(p.text) && !p.taken[right] && isSpace(p.text[right]) {
		right++
	}
	for i := left; i < right; i++ {
		p.taken[i] = true
	}
	p.chosen = append(p.chosen, chosen{id, at, left, right})
}

// fragments gives the chosen tokens and the text between them in their order.
func (p *partitioning) fragments() []fragment {
	slices.SortFunc(p.chosen, func(a, b chosen) int { return a.at - b.at })
	frags := make([]fragment, 0, 2*len(p.chosen)+1)
	at := 0
	plain := func(end int) {
		if at < end {
			frags = append(frags, fragment{at, end, -1})
		}
	}
	for _, m := range p.chosen {
		plain(m.left)
		frags = append(frags, fragment{m.at, m.at + len(p.s.texts[m.id]), m.id})
		at = m.right
	}
	plain(len(p.text))
	return frags
}
