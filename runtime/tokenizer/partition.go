package tokenizer

import (
	"cmp"
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
	s       *specials
	text    string
	allowed func(id int32) bool
	found   []match // a heap; the first to choose is at its root
	taken   []bool  // by byte: it belongs to a chosen token, or that has swallowed it
	chosen  []match
}

// match is a special token in a text. Of one that was chosen, left and right are the
// ends with the spaces that it has swallowed.
type match struct {
	rank, id    int32
	at          int
	left, right int
}

func (p *partitioning) less(a, b match) bool {
	return a.rank < b.rank || a.rank == b.rank && a.at < b.at
}

// longest gives the longest token that text has at a position, -1 for none.
func (p *partitioning) longest(text string, at int) int32 {
	id := int32(-1)
	p.s.trie.walk(text, at, func(found int32) {
		if p.allowed(found) {
			id = found
		}
	})
	return id
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
		if id := p.longest(p.text, at); id >= 0 {
			p.found = append(p.found, match{rank: p.s.order[id], id: id, at: at})
		}
	}
	slices.SortFunc(p.found, func(a, b match) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.at, b.at)) })
}

// choose takes the tokens by their ranks, as far as their bytes are free. What is
// taken is at least as long as what comes later, so that it is enough to look at the
// ends of that.
func (p *partitioning) choose() {
	if len(p.found) > 0 {
		p.taken = make([]bool, len(p.text))
	}
	for len(p.found) > 0 {
		m := p.found[0]
		end := m.at + len(p.s.texts[m.id])
		switch {
		case p.taken[m.at]:
			p.drop()
		case p.taken[end-1]:
			for p.taken[end-1] {
				end--
			}
			p.shorten(p.longest(p.text[:end], m.at))
		default:
			p.take(m)
			p.drop()
		}
	}
}

// take chooses a match, which swallows spaces beside it if its token does.
func (p *partitioning) take(m match) {
	m.left, m.right = m.at, m.at+len(p.s.texts[m.id])
	for p.s.lstrip[m.id] && m.left > 0 && !p.taken[m.left-1] && isSpace(p.text[m.left-1]) {
		m.left--
	}
	for p.s.rstrip[m.id] && m.right < len(p.text) && !p.taken[m.right] && isSpace(p.text[m.right]) {
		m.right++
	}
	for i := m.left; i < m.right; i++ {
		p.taken[i] = true
	}
	p.chosen = append(p.chosen, m)
}

// drop removes the root of the heap.
func (p *partitioning) drop() {
	last := len(p.found) - 1
	p.found[0] = p.found[last]
	p.found = p.found[:last]
	p.sink()
}

// shorten puts a shorter token, or with -1 none, in the place of the root's.
func (p *partitioning) shorten(id int32) {
	if id < 0 {
		p.drop()
		return
	}
	p.found[0].id, p.found[0].rank = id, p.s.order[id]
	p.sink()
}

// sink moves the root down to where it belongs.
func (p *partitioning) sink() {
	h := p.found
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < len(h) && p.less(h[child+1], h[child]) {
			child++
		}
		if child >= len(h) || !p.less(h[child], h[i]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// fragments gives the chosen tokens and the text between them in their order.
func (p *partitioning) fragments() []fragment {
	slices.SortFunc(p.chosen, func(a, b match) int { return cmp.Compare(a.at, b.at) })
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
