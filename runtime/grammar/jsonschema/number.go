package jsonschema

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ledge-run/ledge/runtime/grammar"
)

// Bounds of generated numbers, so that digits end: a float64 has no more of them,
// and what is written can be read back by any parser.
const (
	maxWhole    = 16
	maxFraction = 16
	maxExact    = 15  // digits in all, from the first but 0, by which any two float64 differ
	maxLimit    = 40  // digits of a limit
	maxMultiple = 500 // of multipleOf, in its last digit
)

// limit is a bound of a magnitude.
type limit struct {
	decimal
	open bool // the limit itself is excluded
}

// numbers are the numbers of a schema.
type numbers struct {
	integer    bool
	low, high  *limit // of either sign
	step       int    // they are multiples of step / 10^digits; 0 for any
	stepDigits int
}

// numberOf reads a schema's keywords about numbers.
func (c *compiler) numberOf(v *value, at string, integer bool) (numbers, error) {
	n := numbers{integer: integer}
	read := func(key string) (*limit, error) {
		k := v.get(key)
		if k == nil {
			return nil, nil
		}
		if k.kind != number {
			return nil, &Error{pointer(at, key), fmt.Sprintf("it must be a number, not %s", k.kind)}
		}
		d := parseDecimal(k.text)
		if len(d.whole) > maxLimit || len(d.fraction) > maxLimit {
			return nil, &Error{pointer(at, key), fmt.Sprintf("it has more than %d digits", maxLimit)}
		}
		return &limit{decimal: d}, nil
	}
	for _, b := range []struct {
		key   string
		open  bool
		place **limit
		sign  int
	}{{"minimum", false, &n.low, 1}, {"exclusiveMinimum", true, &n.low, 1}, {"maximum", false, &n.high, -1}, {"exclusiveMaximum", true, &n.high, -1}} {
		l, err := read(b.key)
		if err != nil {
			return n, err
		}
		if l == nil {
			continue
		}
		l.open = b.open
		if old := *b.place; old == nil || compareDecimals(l.decimal, old.decimal)*b.sign >= 0 {
			*b.place = l // the narrower one; of equal ones the open one, which comes later
		}
	}
	m, err := read("multipleOf")
	if err != nil || m == nil {
		return n, err
	}
	n.stepDigits = len(m.fraction)
	n.step, err = strconv.Atoi(m.whole + m.fraction)
	switch {
	case m.negative || m.zero():
		return n, &Error{pointer(at, "multipleOf"), "it must be above 0"}
	case err != nil || n.step > maxMultiple || n.stepDigits > maxFraction:
		return n, &Error{pointer(at, "multipleOf"), fmt.Sprintf("not supported: its digits must be no more than %d, and %d behind the point", maxMultiple, maxFraction)}
	}
	return n, nil
}

// automaton is that of the numbers' texts.
func (n numbers) automaton() *grammar.NFA {
	a := grammar.NewNFA()
	open := func(l *limit) bool { return l != nil && l.open }
	b := &digits{n: a, numbers: n, exact: n.step > 0 || open(n.low) || open(n.high)}
	if n.low == nil && n.high == nil && n.step == 0 && !n.integer {
		b.exponents = true
	}
	if n.high == nil || !n.high.negative {
		part := *b
		if n.low != nil && !n.low.negative {
			part.lo = n.low
		}
		part.hi = n.high
		part.build(0)
	}
	if n.low == nil || n.low.negative {
		part := *b
		part.lo = &limit{decimal{whole: "0"}, true} // there is no -0
		if n.high != nil && n.high.negative {
			part.lo = n.high
		}
		part.hi = n.low
		minus := a.State()
		a.Range(0, '-', '-', minus)
		part.build(minus)
	}
	return a
}

// narrow moves an open limit with so many digits that some number is the same
// float64 inwards: up if that is away from 0.
func (l *limit) narrow(up bool) *limit {
	if l == nil || !l.open {
		return l
	}
	digits := strings.TrimLeft(l.whole+l.fraction, "0")
	if len(strings.TrimRight(digits, "0")) <= maxExact {
		return l
	}
	n, _ := strconv.ParseInt(digits[:maxExact], 10, 64) // they are digits
	if up {
		n++
	}
	return &limit{parseDecimal(fmt.Sprintf("%de%d", n, len(digits)-maxExact-len(l.fraction))), true}
}

// digits builds the automaton of the magnitudes from lo to hi (nil: no limit),
// digit by digit: a state knows how what was read compares with as many digits of the
// limits.
type digits struct {
	numbers
	n         *grammar.NFA
	lo, hi    *limit
	exponents bool
	exact     bool // numbers must differ as float64, too: a reader may know no others

	states map[place]int32
	todo   []place
}

// place is what a state knows.
type place struct {
	behind bool // the point
	count  int  // digits read on this side of it
	lo, hi int8 // comparison of what was read: -1, 0, 1
	rest   int  // of the digits read, divided by step
	zero   bool // a single 0 before the point: no digit may follow
	exact  int  // digits so far from the first but 0, if they are counted
}

func (b *digits) build(start int32) {
	b.lo, b.hi = b.lo.narrow(true), b.hi.narrow(false)
	b.states = map[place]int32{}
	most := maxWhole
	for _, l := range []*limit{b.lo, b.hi} {
		if l != nil {
			most = max(most, len(l.whole))
		}
	}
	first := place{}
	b.digit(start, first, most)
	for len(b.todo) > 0 && !b.n.Full() {
		p := b.todo[len(b.todo)-1]
		b.todo = b.todo[:len(b.todo)-1]
		s := b.states[p]
		if b.ends(p) {
			b.n.Accept(s)
			if b.exponents {
				b.exponent(s)
			}
		}
		if p.behind {
			if p.count < b.fraction() {
				b.digit(s, p, most)
			}
			continue
		}
		if p.count < most && !p.zero {
			b.digit(s, p, most)
		}
		if lo, hi, ok := b.whole(p); ok && b.fraction() > 0 {
			point := b.n.State()
			b.n.Range(s, '.', '.', point)
			b.digit(point, place{behind: true, lo: lo, hi: hi, rest: p.rest, exact: p.exact}, most)
		}
	}
}

// fraction is how many digits may stand behind the point.
func (b *digits) fraction() int {
	switch {
	case b.integer:
		return 0
	case b.step > 0:
		return b.stepDigits
	}
	return maxFraction
}

// digit adds the edges of one more digit.
func (b *digits) digit(from int32, p place, most int) {
	for d := byte('0'); d <= '9'; d++ {
		q := place{behind: p.behind, count: p.count + 1, lo: p.lo, hi: p.hi, exact: p.exact}
		q.zero = !p.behind && p.count == 0 && d == '0'
		q.lo = compareDigit(b.lo, p, p.lo, d)
		q.hi = compareDigit(b.hi, p, p.hi, d)
		if p.behind && (q.lo < 0 && b.lo != nil || q.hi > 0 && b.hi != nil) {
			continue
		}
		if b.exact && (p.exact > 0 || d != '0') {
			if p.exact == maxExact && d != '0' {
				continue
			}
			q.exact = min(p.exact+1, maxExact)
		}
		if b.step > 0 {
			q.rest = (p.rest*10 + int(d-'0')) % b.step
		}
		to, ok := b.states[q]
		if !ok {
			to = b.n.State()
			b.states[q] = to
			b.todo = append(b.todo, q)
		}
		b.n.Range(from, d, d, to)
	}
}

// compareDigit goes on comparing with a limit.
func compareDigit(l *limit, p place, so int8, d byte) int8 {
	if l == nil {
		return 0
	}
	digits, beyond := l.whole, int8(1) // more digits than the limit has: it is greater
	if p.behind {
		digits, beyond = l.fraction, 0
	}
	switch {
	case p.count >= len(digits) && !p.behind:
		return beyond
	case so != 0:
		return so
	case p.count >= len(digits):
		digits = "0"
	default:
		digits = digits[p.count:]
	}
	switch {
	case d < digits[0]:
		return -1
	case d > digits[0]:
		return 1
	}
	return 0
}

// whole compares the whole digits that end at p with those of the limits; ok says
// that a fraction can bring the number between them.
func (b *digits) whole(p place) (lo, hi int8, ok bool) {
	lo, hi = p.lo, p.hi
	if b.lo != nil && p.count < len(b.lo.whole) {
		lo = -1
	}
	if b.hi != nil && p.count < len(b.hi.whole) {
		hi = -1
	}
	return lo, hi, (b.lo == nil || lo >= 0) && (b.hi == nil || hi <= 0)
}

// ends says that the number may end at p.
func (b *digits) ends(p place) bool {
	lo, hi, done := p.lo, p.hi, 0
	if p.behind {
		done = p.count
	} else {
		var ok bool
		if lo, hi, ok = b.whole(p); !ok {
			return false
		}
	}
	more := func(l *limit) bool { return len(l.fraction) > done } // what is left is not 0
	if b.lo != nil && lo == 0 && (more(b.lo) || b.lo.open) {
		return false
	}
	if b.hi != nil && hi == 0 && !more(b.hi) && b.hi.open {
		return false
	}
	if b.step > 0 {
		rest := p.rest
		for range b.stepDigits - done {
			rest = rest * 10 % b.step
		}
		return rest == 0
	}
	return true
}

// exponent adds an exponent of up to two digits.
func (b *digits) exponent(from int32) {
	e, sign, one, two := b.n.State(), b.n.State(), b.n.State(), b.n.State()
	b.n.Range(from, 'e', 'e', e)
	b.n.Range(from, 'E', 'E', e)
	b.n.Skip(e, sign)
	b.n.Range(e, '+', '+', sign)
	b.n.Range(e, '-', '-', sign)
	b.n.Range(sign, '0', '9', one)
	b.n.Range(one, '0', '9', two)
	b.n.Accept(one)
	b.n.Accept(two)
}
