package jsonschema

import (
	"cmp"
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/grammar"
)

// maxPattern bounds a pattern's text.
const maxPattern = 4096

// patternNFA is the automaton of the JSON strings with lo to hi (-1: any number)
// characters in which a pattern is found. A pattern finds a part of a string unless
// ^ and $ bind it to the ends.
func patternNFA(source string, lo, hi int) (*grammar.NFA, error) {
	re, err := parsePattern(source)
	if err != nil {
		return nil, err
	}
	n := grammar.NewNFA()
	b := &patterns{n: n}
	open, end := n.State(), n.State()
	n.Range(0, '"', '"', open)
	close := n.State()
	n.Range(close, '"', '"', end)
	n.Accept(end)
	all, err := branches(re)
	if err != nil {
		return nil, err
	}
	for _, branch := range all {
		parts, from, to := anchors(branch)
		at := n.State()
		n.Skip(open, at)
		if !from {
			b.runes(at, 0, utf8.MaxRune, at)
		}
		for _, p := range parts {
			if at, err = b.add(at, p); err != nil {
				return nil, err
			}
		}
		if !to {
			rest := n.State()
			n.Skip(at, rest)
			b.runes(rest, 0, utf8.MaxRune, rest)
			at = rest
		}
		n.Skip(at, close)
	}
	if n.Full() || lo == 0 && hi < 0 {
		return n, nil
	}
	return n.Limit(lo, hi, b.chars)
}

// parsePattern parses an ECMA-262 expression with Go's parser, whose syntax is
// nearly the same.
func parsePattern(source string) (*syntax.Regexp, error) {
	if len(source) > maxPattern {
		return nil, fmt.Errorf("not supported: it is longer than %d bytes", maxPattern)
	}
	source, err := translate(source)
	if err != nil {
		return nil, err
	}
	re, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		var e *syntax.Error
		if errors.As(err, &e) {
			return nil, fmt.Errorf("not supported: %s %.40q", e.Code, e.Expr)
		}
		return nil, fmt.Errorf("not supported: %w", err)
	}
	return re, nil
}

// ECMA-262's white space and its complement, for inside of brackets. Go's own lists,
// which each begins and ends with, are parts of these: beside a hyphen they make
// no range, where a character would.
const (
	spaceClass   = `\s\x{0b}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}\s`
	noSpaceClass = `\w\x{00}-\x{08}\x{0e}-\x{1f}\x{21}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}` +
		`\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff}\w`
)

// translate spells what the two syntaxes say differently: . and \s and \S, \uXXXX;
// and refuses what looks around or back.
func translate(s string) (string, error) {
	var b strings.Builder
	class := false
	for i := 0; i < len(s); i++ {
		switch ch := s[i]; {
		case ch == '\\' && i+1 < len(s):
			i++
			switch e := s[i]; {
			case e == 'u' && i+4 < len(s) && isHex(s[i+1:i+5]):
				r, n := unicodeEscape(s[i-1:])
				fmt.Fprintf(&b, `\x{%x}`, r)
				i += n - 2
			case e == 'x' && (i+2 >= len(s) || !isHex(s[i+1:i+3])):
				return "", errors.New(`not supported: \x without two digits`)
			case e == 'u' || e == 'c' || e == 'k':
				return "", fmt.Errorf(`not supported: \%c`, e)
			case e >= '1' && e <= '9':
				return "", fmt.Errorf(`not supported: the back reference \%c`, e)
			case e == 'b' || e == 'B':
				return "", fmt.Errorf(`not supported: the word boundary \%c`, e)
			case e == 'A' || e == 'z' || e == 'Z' || e == 'Q' || e == 'E' || e == 'C' || e == 'a':
				return "", fmt.Errorf(`not supported: \%c is not of JSON Schema's syntax`, e)
			case e == 's' && class:
				b.WriteString(spaceClass)
			case e == 'S' && class:
				b.WriteString(noSpaceClass)
			case e == 's':
				b.WriteString("[" + spaceClass + "]")
			case e == 'S':
				b.WriteString("[^" + spaceClass + "]")
			default:
				b.WriteByte('\\')
				b.WriteByte(e)
			}
		case class:
			if ch == '[' {
				b.WriteByte('\\') // Go reads [:alpha:] there
			}
			class = ch != ']'
			b.WriteByte(ch)
		case ch == '[':
			class = true
			b.WriteByte(ch)
			if i+1 < len(s) && s[i+1] == '^' {
				i++
				b.WriteByte('^')
			}
			if i+1 < len(s) && s[i+1] == ']' {
				return "", errors.New("not supported: empty brackets")
			}
		case ch == '.':
			b.WriteString(`[^\n\r\x{2028}\x{2029}]`)
		case ch == '(' && i+1 < len(s) && s[i+1] == '?':
			rest := s[i+2:]
			named := strings.HasPrefix(rest, "<") && !strings.HasPrefix(rest, "<=") && !strings.HasPrefix(rest, "<!")
			if !strings.HasPrefix(rest, ":") && !named {
				return "", fmt.Errorf("not supported: %.4s (looking around, flags)", s[i:])
			}
			b.WriteByte(ch)
		default:
			b.WriteByte(ch)
		}
	}
	return b.String(), nil
}

// unicodeEscape gives the character of the \uXXXX that s begins with, and its
// length: twice that where a pair of surrogates is one character.
func unicodeEscape(s string) (r rune, length int) {
	unit := func(s string) rune {
		n, _ := strconv.ParseUint(s[2:6], 16, 16) // isHex has seen it
		return rune(n)
	}
	r = unit(s)
	if len(s) >= 12 && s[6:8] == `\u` && isHex(s[8:12]) {
		if pair := utf16.DecodeRune(r, unit(s[6:])); pair != unicode.ReplacementChar {
			return pair, 12
		}
	}
	return r, 6
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// maxBranches bounds the alternatives of a pattern.
const maxBranches = 64

// branches are a pattern's alternatives at its top. Alternatives at the ends of a
// sequence that hold ^ or $ become alternatives of the whole.
func branches(re *syntax.Regexp) ([]*syntax.Regexp, error) {
	switch re.Op {
	case syntax.OpCapture:
		return branches(re.Sub[0])
	case syntax.OpAlternate:
		var all []*syntax.Regexp
		for _, s := range re.Sub {
			more, err := branches(s)
			if all = append(all, more...); err != nil || len(all) > maxBranches {
				return nil, cmp.Or(err, errors.New("not supported: too many alternatives with ^ or $"))
			}
		}
		return all, nil
	case syntax.OpConcat:
		for _, i := range []int{0, len(re.Sub) - 1} {
			options := alternatives(re.Sub[i])
			if options == nil || !anchored(re.Sub[i]) {
				continue
			}
			all := &syntax.Regexp{Op: syntax.OpAlternate}
			for _, o := range options {
				parts := append(slices.Clone(re.Sub[:i]), parts(o)...)
				all.Sub = append(all.Sub, &syntax.Regexp{Op: syntax.OpConcat, Sub: append(parts, re.Sub[i+1:]...)})
			}
			return branches(all)
		}
	}
	return []*syntax.Regexp{re}, nil
}

// alternatives are what an expression stands for one of; nil if that is no choice.
func alternatives(re *syntax.Regexp) []*syntax.Regexp {
	switch re.Op {
	case syntax.OpCapture:
		if a := alternatives(re.Sub[0]); a != nil {
			return a
		}
		return re.Sub
	case syntax.OpAlternate:
		return re.Sub
	case syntax.OpQuest:
		return []*syntax.Regexp{re.Sub[0], {Op: syntax.OpEmptyMatch}}
	}
	return nil
}

// parts are the members of a sequence.
func parts(re *syntax.Regexp) []*syntax.Regexp {
	if re.Op == syntax.OpConcat {
		return re.Sub
	}
	return []*syntax.Regexp{re}
}

// anchored says that an expression holds ^ or $.
func anchored(re *syntax.Regexp) bool {
	return re.Op == syntax.OpBeginText || re.Op == syntax.OpEndText || slices.ContainsFunc(re.Sub, anchored)
}

// anchors takes ^ and $ off the ends of a branch.
func anchors(re *syntax.Regexp) (all []*syntax.Regexp, from, to bool) {
	all = parts(re)
	for len(all) > 0 && all[0].Op == syntax.OpBeginText {
		from, all = true, all[1:]
	}
	for len(all) > 0 && all[len(all)-1].Op == syntax.OpEndText {
		to, all = true, all[:len(all)-1]
	}
	return all, from, to
}

// patterns builds the automaton of an expression over characters that are written
// as JSON has them inside of strings.
type patterns struct {
	n     *grammar.NFA
	chars []int32 // states before which a character begins
}

// runes leads from a state with any character from lo to hi to another.
func (b *patterns) runes(from int32, lo, hi rune, to int32) {
	b.chars = append(b.chars, from)
	plain := lo
	for r := lo; r <= min(hi, '\\'); r++ {
		e := escape(r)
		if e == "" {
			continue
		}
		if plain < r {
			b.n.Runes(from, plain, r-1, to)
		}
		plain = r + 1
		last := b.n.Text(from, e)
		if b.n.Full() {
			return
		}
		b.n.Skip(last, to)
	}
	if plain <= hi {
		b.n.Runes(from, plain, hi, to)
	}
}

// folded leads from a state with the other cases of a character to another. No
// pattern has the flag for that, see translate: Go's parser spells [Yy] so.
func (b *patterns) folded(from int32, r rune, to int32) {
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		b.runes(from, f, f, to)
	}
}

// add appends an expression and gives the state behind it.
func (b *patterns) add(at int32, re *syntax.Regexp) (int32, error) {
	if b.n.Full() {
		return at, nil // the automaton's error says so
	}
	switch re.Op {
	case syntax.OpEmptyMatch:
		return at, nil
	case syntax.OpNoMatch:
		return b.n.State(), nil // nothing leads there
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			to := b.n.State()
			b.runes(at, r, r, to)
			if re.Flags&syntax.FoldCase != 0 {
				b.folded(at, r, to)
			}
			at = to
		}
		return at, nil
	case syntax.OpCharClass:
		to := b.n.State()
		for i := 0; i < len(re.Rune); i += 2 {
			b.runes(at, re.Rune[i], re.Rune[i+1], to)
		}
		return to, nil
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		to := b.n.State()
		if re.Op == syntax.OpAnyCharNotNL {
			b.runes(at, 0, '\n'-1, to)
			b.runes(at, '\n'+1, utf8.MaxRune, to)
		} else {
			b.runes(at, 0, utf8.MaxRune, to)
		}
		return to, nil
	case syntax.OpCapture:
		return b.add(at, re.Sub[0])
	case syntax.OpConcat:
		for _, s := range re.Sub {
			var err error
			if at, err = b.add(at, s); err != nil {
				return at, err
			}
		}
		return at, nil
	case syntax.OpAlternate:
		to := b.n.State()
		for _, s := range re.Sub {
			from := b.n.State()
			b.n.Skip(at, from)
			end, err := b.add(from, s)
			if err != nil {
				return at, err
			}
			b.n.Skip(end, to)
		}
		return to, nil
	case syntax.OpQuest:
		return b.repeat(at, re.Sub[0], 0, 1)
	case syntax.OpStar:
		return b.repeat(at, re.Sub[0], 0, -1)
	case syntax.OpPlus:
		return b.repeat(at, re.Sub[0], 1, -1)
	case syntax.OpRepeat:
		return b.repeat(at, re.Sub[0], re.Min, re.Max)
	case syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine:
		return at, errors.New("not supported: ^ or $ elsewhere than at the ends of the pattern or of its alternatives")
	}
	return at, fmt.Errorf("not supported: %.40q", re.String())
}

// repeat appends an expression several times; most is -1 for no limit.
func (b *patterns) repeat(at int32, re *syntax.Regexp, least, most int) (int32, error) {
	var err error
	for range least {
		if at, err = b.add(at, re); err != nil || b.n.Full() {
			return at, err
		}
	}
	if most < 0 {
		loop := b.n.State()
		b.n.Skip(at, loop)
		end, err := b.add(loop, re)
		b.n.Skip(end, loop)
		return loop, err
	}
	to := b.n.State()
	b.n.Skip(at, to)
	for range most - least {
		from := b.n.State() // of its own, so that a loop inside leads nowhere else
		b.n.Skip(at, from)
		if at, err = b.add(from, re); err != nil || b.n.Full() {
			return at, err
		}
		b.n.Skip(at, to)
	}
	return to, nil
}
