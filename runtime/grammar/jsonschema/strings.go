package jsonschema

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/grammar"
)

// maxLength bounds minLength: more characters than any context holds.
const maxLength = 1 << 20

// lengths reads minLength and maxLength and their like; most is -1 for no limit.
func lengths(v *value, at, least, most string) (lo, hi int32, err error) {
	read := func(key string, none int32) (int32, error) {
		k := v.get(key)
		if k == nil {
			return none, nil
		}
		d := decimal{}
		if k.kind == number {
			d = parseDecimal(k.text)
		}
		if k.kind != number || d.negative || d.fraction != "" {
			return 0, &Error{pointer(at, key), "it must be a whole number, 0 or more"}
		}
		n, err := strconv.ParseInt(d.whole, 10, 64)
		if err != nil || n > maxLength {
			n = maxLength + 1
		}
		return int32(n), nil
	}
	if lo, err = read(least, 0); err != nil {
		return 0, 0, err
	}
	if lo > maxLength {
		return 0, 0, &Error{pointer(at, least), fmt.Sprintf("too large: at most %d", maxLength)}
	}
	if hi, err = read(most, -1); err != nil {
		return 0, 0, err
	}
	if hi >= 0 && hi < lo {
		return 0, 0, &Error{pointer(at, most), fmt.Sprintf("it is less than %s: nothing satisfies it", least)}
	}
	if hi > maxLength {
		hi = -1 // more than any context holds
	}
	return lo, hi, nil
}

// freeString gives the automaton of all JSON strings. Before each of its
// characters it is in a marked state.
func freeString(escapes bool) (*grammar.Automaton, error) {
	n := grammar.NewNFA()
	inside, end := n.State(), n.State()
	n.Range(0, '"', '"', inside)
	n.Mark(inside)
	n.Range(inside, '"', '"', end)
	n.Accept(end)
	n.Runes(inside, 0x20, '"'-1, inside)
	n.Runes(inside, '"'+1, '\\'-1, inside)
	n.Runes(inside, '\\'+1, utf8.MaxRune, inside)
	if escapes {
		addEscapes(n, inside)
	}
	return n.Automaton()
}

// addEscapes adds what begins with a backslash. Surrogates come in pairs, as one
// character.
func addEscapes(n *grammar.NFA, inside int32) {
	back, u := n.State(), n.State()
	n.Range(inside, '\\', '\\', back)
	for _, b := range []byte(`"\/bfnrt`) {
		n.Range(back, b, b, inside)
	}
	n.Range(back, 'u', 'u', u)
	hex := func(from int32, ranges [][2]byte, to int32) {
		for _, r := range ranges {
			n.Range(from, r[0], r[1], to)
		}
	}
	any := [][2]byte{{'0', '9'}, {'A', 'F'}, {'a', 'f'}}
	three, two, one := n.State(), n.State(), n.State()
	hex(u, [][2]byte{{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}}, three)
	hex(three, any, two)
	hex(two, any, one)
	hex(one, any, inside)
	d, high, low := n.State(), n.State(), n.State()
	hex(u, [][2]byte{{'D', 'D'}, {'d', 'd'}}, d)
	hex(d, [][2]byte{{'0', '7'}}, two)
	hex(d, [][2]byte{{'8', '9'}, {'A', 'B'}, {'a', 'b'}}, high)
	h1, back2, u2 := n.State(), n.State(), n.State()
	hex(high, any, h1)
	hex(h1, any, back2)
	n.Range(back2, '\\', '\\', u2)
	d2 := n.State()
	n.Range(u2, 'u', 'u', d2)
	hex(d2, [][2]byte{{'D', 'D'}, {'d', 'd'}}, low)
	hex(low, [][2]byte{{'C', 'F'}, {'c', 'f'}}, two)
}

// anyString defines a rule for the strings with lo to hi characters.
func (c *compiler) anyString(id, lo, hi int32) error {
	if c.free == nil {
		var err error
		if c.free, err = freeString(true); err != nil {
			return err
		}
	}
	return c.g.Counted(id, c.free, lo, hi)
}

// stringRule defines a rule for a schema of type string.
func (c *compiler) stringRule(id int32, v *value, at string) error {
	lo, hi, err := lengths(v, at, "minLength", "maxLength")
	if err != nil {
		return err
	}
	source, key := "", ""
	for _, k := range []string{"pattern", "format"} {
		p := v.get(k)
		switch {
		case p == nil:
			continue
		case p.kind != str:
			return &Error{pointer(at, k), fmt.Sprintf("it must be a string, not %s", p.kind)}
		case key != "":
			return &Error{pointer(at, k), "not supported beside pattern"}
		}
		source, key = p.text, k
	}
	if key == "format" {
		p, ok := formats[source]
		if !ok {
			return &Error{pointer(at, key), fmt.Sprintf("the format %.40q is not supported; these are: %s", source, formatNames())}
		}
		source = p
	}
	if key == "" {
		return c.anyString(id, lo, hi)
	}
	n, err := patternNFA(source, int(lo), int(hi))
	if err != nil {
		if errors.Is(err, grammar.ErrTooLarge) {
			err = fmt.Errorf("%w; shorten it or its lengths", err)
		}
		return &Error{pointer(at, key), err.Error()}
	}
	return c.define(id, n)
}
