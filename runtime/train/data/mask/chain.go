package mask

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// piece is digits with nothing between them.
type piece struct {
	start  int   // of its text, with an opening bracket or plus before it
	size   int32 // of that
	digits int32
}

func (p piece) end() int { return p.start + int(p.size) }

// chain is pieces with single separators between them, as numbers are written: 138 1234 5678, 010-62345678,
// (555) 123-4567. It may be one number, several that stand side by side, or neither.
type chain struct {
	text   string // the line
	pieces []piece
	digits int
	// Its first or last piece is a part of something larger: a word, a path, a time, a decimal.
	heldLeft, heldRight bool
	path                bool // held by a slash
}

func (c *chain) start() int { return c.pieces[0].start }
func (c *chain) end() int   { return c.pieces[len(c.pieces)-1].end() }

// between is what stands between a piece and the one before it.
func (c *chain) between(k int) string { return c.text[c.pieces[k-1].end():c.pieces[k].start] }

var digitRuns = lazily(`[+＋]?[(（]?[0-9０-９](?:[)） .·\-－–—]{0,2}[(（]?[0-9０-９Xx])*`)

// newChain divides a match of digitRuns.
func newChain(text string, start, end int) *chain {
	c := &chain{text: text}
	begin, inside := start, false // of the next piece; whether a piece goes on
	for i, r := range text[start:end] {
		at := start + i
		if digit(r) == 0 {
			switch {
			case !strings.ContainsRune("(（+＋", r):
				begin = -1
			case inside || begin < 0:
				begin = at
			}
			inside = false
			continue
		}
		if !inside {
			if begin < 0 {
				begin = at
			}
			c.pieces, inside = append(c.pieces, piece{start: begin}), true
		}
		p := &c.pieces[len(c.pieces)-1]
		p.size, p.digits = int32(at+utf8.RuneLen(r)-p.start), p.digits+1
		c.digits++
	}
	return c
}

// digit is the ASCII digit or X that a rune stands for, or 0.
func digit(r rune) byte {
	switch {
	case r >= '0' && r <= '9':
		return byte(r)
	case r >= '０' && r <= '９':
		return byte(r - '０' + '0')
	case r == 'x' || r == 'X':
		return 'X'
	}
	return 0
}

// partOf reports characters that make what is beside them a part of something else.
func partOf(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == '@' || r == '#' || r == '$' || r == '¥' || r == '€' || r == '%' || r == '/'
}

// eachChain gives the chains of a line, one after the other.
func eachChain(text string, give func(*chain)) {
	var before *chain
	for _, m := range digitRuns().FindAllStringIndex(text, -1) {
		c := newChain(text, m[0], m[1])
		link(before, c)
		if before != nil {
			give(before)
		}
		before = c
	}
	link(before, nil)
	if before != nil {
		give(before)
	}
}

// link finds out whether the end of a chain and the beginning of the next are parts of something; there may be no
// chain on one side.
func link(a, b *chain) {
	if a != nil && b != nil && b.start() == a.end()+1 && strings.IndexByte(",:/", a.text[a.end()]) >= 0 {
		if held(a, b, a.text[a.end()]) {
			a.heldRight, b.heldLeft = true, true
			b.path = a.text[a.end()] == '/'
		}
		return
	}
	if a != nil && a.end() < len(a.text) {
		r, _ := utf8.DecodeRuneInString(a.text[a.end():])
		a.heldRight = partOf(r)
	}
	if b != nil && b.start() > 0 {
		r, _ := utf8.DecodeLastRuneInString(b.text[:b.start()])
		b.heldLeft, b.path = partOf(r), r == '/'
	}
}

// held reports whether a comma, colon or slash makes one thing of the digits around it: 12,345.67 but no fields of a
// table, 10:30 but no name and value, 2024/05 or a path but not two telephones.
func held(a, b *chain, by byte) bool {
	x, y := a.pieces[len(a.pieces)-1].digits, b.pieces[0].digits
	switch by {
	case '/':
		return a.path || a.digits < 7 || b.digits < 7
	case ':':
		return x <= 5 && y <= 5 && !b.bracketed(0)
	}
	thousands := x <= 3 && y == 3 && !b.bracketed(0)
	return thousands && (len(b.pieces) == 1 || strings.HasPrefix(b.between(1), "."))
}

// run is digits that may be a number.
type run struct {
	start, end int
	text       string
	digits     string // ASCII
	plus       bool
}

// run is that of the pieces from i to j.
func (c *chain) run(i, j int) run {
	r := run{start: c.pieces[i].start, end: c.pieces[j].end()}
	r.text = c.text[r.start:r.end]
	r.plus = strings.HasPrefix(r.text, "+") || strings.HasPrefix(r.text, "＋")
	r.digits = strings.Map(func(c rune) rune {
		if d := digit(c); d != 0 {
			return rune(d)
		}
		return -1
	}, r.text)
	return r
}

// mostDigits is what the longest number has: a card.
const mostDigits = 19

// part is pieces of a chain that are a number.
type part struct {
	i, j int // the first and the last
	span Span
}

// numbers finds the numbers in a chain: the whole chain if it is one, else what is one of its pieces from the left, the
// longest first.
func (c *chain) numbers(kinds []Kind) []Span {
	last := len(c.pieces) - 1
	if !c.heldLeft && !c.heldRight && c.digits <= mostDigits {
		if s, ok := number(c.text, c.run(0, last), kinds); ok {
			return []Span{s}
		}
	}
	if last == 0 {
		return nil
	}
	var parts []part
	for i := 0; i <= last; i++ {
		if p, ok := c.longest(i, kinds); ok {
			parts = append(parts, p)
			i = p.j
		}
	}
	return c.sure(parts)
}

// sure are the parts that are no more of the same as what is on both of their sides, or stand beside a part of which that
// can be said.
func (c *chain) sure(parts []part) (spans []Span) {
	left := make([]bool, len(parts))
	for n, p := range parts {
		left[n] = p.i == 0 || c.apart(p, p.i) || n > 0 && parts[n-1].j == p.i-1 && left[n-1]
	}
	right := false // of the part behind
	for n, p := range slices.Backward(parts) {
		beside := n+1 < len(parts) && parts[n+1].i == p.j+1
		right = p.j == len(c.pieces)-1 || c.apart(p, p.j+1) || beside && right
		if left[n] && right {
			spans = append(spans, p.span)
		}
	}
	return spans // from the right; they are sorted with the others
}

// longest is the longest number that begins with piece i.
func (c *chain) longest(i int, kinds []Kind) (part, bool) {
	if c.tied(i) {
		return part{}, false
	}
	j, digits := i, c.pieces[i].digits
	for j+1 < len(c.pieces) && j-i+1 < len(grouping{}) && digits+c.pieces[j+1].digits <= mostDigits {
		j++
		digits += c.pieces[j].digits
	}
	for ; j >= i; j-- {
		n := c.pieces[i].digits
		if c.tied(j+1) || j == i && (n < 5 || n > mostDigits) || j > i && !c.usual(i, j) {
			continue
		}
		r := c.run(i, j)
		if n := len(r.digits); c.pieces[j].digits == 8 && date(r.digits[n-8:]) {
			continue // with a time beside it, it is a date more often than the end of a telephone
		}
		if s, ok := number(c.text, r, kinds); ok {
			return part{i, j, s}, true
		}
	}
	return part{}, false
}

// tied reports whether no number ends before piece k, or begins with it: a point or dash ties digits together, but not
// two of a telephone's length.
func (c *chain) tied(k int) bool {
	switch k {
	case 0:
		return c.heldLeft
	case len(c.pieces):
		return c.heldRight
	}
	if strings.ContainsAny(c.between(k), " )）") || c.bracketed(k) {
		return false
	}
	return c.pieces[k-1].digits < 7 || c.pieces[k].digits < 7
}

// bracketed reports whether a bracket or plus stands before the digits of piece k.
func (c *chain) bracketed(k int) bool {
	r, _ := utf8.DecodeRuneInString(c.text[c.pieces[k].start:])
	return digit(r) == 0
}

// apart reports whether the piece beside a part, on the other side of boundary k, is no more of the same: in rows of
// numbers with spaces between, some look like a telephone by chance.
func (c *chain) apart(p part, k int) bool {
	same := false
	for m := p.i + 1; m <= p.j; m++ {
		same = same || c.between(m) == c.between(k)
	}
	beside, far := k-1, k-1 // the piece, and its other end
	if k > p.j {
		beside, far = k, k+1
	}
	return !same || c.pieces[beside].digits >= 5 || c.tied(far)
}

// grouping is how many digits the pieces of a number have.
type grouping [6]int32

// groupings are those of telephones, cards and identity numbers. A chain that is one number may have others.
var groupings = map[grouping]bool{
	{3, 4, 4}: true, {3, 8}: true, {4, 3, 4}: true, // mobile numbers of China
	{2, 11}: true, {4, 11}: true, {2, 3, 4, 4}: true, {4, 3, 4, 4}: true, // with their country's code
	{4, 4, 4}: true, {4, 7}: true, {4, 8}: true, // fixed lines
	{3, 3, 4}: true, {1, 3, 3, 4}: true, {3, 7}: true, {6, 4}: true, {3, 4, 3}: true, {7, 3}: true, // North America, 400 and 800
	{4, 4, 4, 4}: true, {4, 4, 4, 4, 3}: true, {4, 6, 5}: true, {4, 6, 4}: true, {6, 13}: true, {6, 10}: true, // cards
	{6, 8, 4}: true, {6, 4, 4, 4}: true, {6, 12}: true, {14, 4}: true, {3, 2, 4}: true, // identity and social security numbers
}

// usual reports whether the pieces from i to j are divided as numbers are. A point divides all of at least three, or it is that
// of a decimal.
func (c *chain) usual(i, j int) bool {
	if i == 0 && c.run(0, 0).plus {
		return true // only a chain's first piece has one
	}
	var g grouping
	points := 0
	for k := range g[:j-i+1] {
		g[k] = c.pieces[i+k].digits
		if k > 0 && strings.Contains(c.between(i+k), ".") {
			points++
		}
	}
	if points > 0 && (points < j-i || points < 2) {
		return false
	}
	return groupings[g]
}
