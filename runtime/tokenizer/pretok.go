package tokenizer

import "unicode/utf8"

// A rule matches at one place: it returns the end of its match in s starting
// at i, or i when there is none. i < len(s). The end of s counts as the end of
// the text. A rule must run in time linear in what it matches plus the run of
// space it stands on, so that a hostile text cannot make splitting quadratic.
type rule func(t *[bmp]class, s string, i int) int

// A stage is a regular expression as a list of alternatives, tried in order.
// It cuts a text into its matches and what lies between them.
type stage []rule

// split cuts s by the stages, each working on the pieces of the one before,
// and calls emit for every piece in order. The pieces join to s.
func split(t *[bmp]class, stages []stage, s string, emit func(string)) {
	if len(stages) == 0 {
		emit(s)
		return
	}
	gap := 0
	for i := 0; i < len(s); {
		end := i
		for _, r := range stages[0] {
			if end = r(t, s, i); end > i {
				break
			}
		}
		if end == i {
			_, i = next(t, s, i)
			continue
		}
		if gap < i {
			split(t, stages[1:], s[gap:i], emit)
		}
		split(t, stages[1:], s[i:end], emit)
		i, gap = end, end
	}
	if gap < len(s) {
		split(t, stages[1:], s[gap:], emit)
	}
}

// skip returns the end of the longest run of b in s from i, of at most max code
// points (0: no limit).
func skip(t *[bmp]class, s string, i int, b set, max int) int {
	for n := 0; i < len(s) && (max == 0 || n < max); n++ {
		c, j := next(t, s, i)
		if !b.has(c) {
			break
		}
		i = j
	}
	return i
}

// run matches body{1,max}: one to max code points (0: no limit).
func run(body set, max int) rule {
	return func(t *[bmp]class, s string, i int) int { return skip(t, s, i, body, max) }
}

// word matches lead?body+tail*: what a lead may be and a tail holds is one code
// point and any number of code points.
func word(lead, body, tail set) rule { return wordMax(lead, body, tail, 0) }

// wordMax is word with at most tailMax code points in the tail (0: no limit).
func wordMax(lead, body, tail set, tailMax int) rule {
	return func(t *[bmp]class, s string, i int) int {
		c, j := next(t, s, i)
		end := j
		if lead.has(c) && j < len(s) {
			end = skip(t, s, j, body, 0)
		}
		if end == j { // no lead, or nothing after it
			if !body.has(c) {
				return i
			}
			end = skip(t, s, j, body, 0)
		}
		if tail == nothing {
			return end
		}
		return skip(t, s, end, tail, tailMax)
	}
}

// contraction matches 's 't 're 've 'm 'll 'd; with fold in any case.
func contraction(fold bool) rule {
	lower := func(b byte) byte {
		if fold && 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		return b
	}
	return func(_ *[bmp]class, s string, i int) int {
		if s[i] != '\'' || i+1 >= len(s) {
			return i
		}
		a := lower(s[i+1])
		switch a {
		case 's', 't', 'm', 'd':
			return i + 2
		}
		if i+2 < len(s) {
			b := lower(s[i+2])
			if a == 'r' && b == 'e' || a == 'v' && b == 'e' || a == 'l' && b == 'l' {
				return i + 3
			}
		}
		return i
	}
}

// lineEnds matches \s*[\r\n]+, and \s*[\r\n] too, whose greedy \s* reaches as far:
// a run of space up to its last line end.
func lineEnds(t *[bmp]class, s string, i int) int {
	end := i
	for i < len(s) {
		c, j := next(t, s, i)
		if c&clsSpace == 0 {
			break
		}
		if i = j; c&clsNewline != 0 {
			end = i
		}
	}
	return end
}

// trailing matches \s+(?!\S): a run of space without its last code point when
// something other than space follows.
func trailing(t *[bmp]class, s string, i int) int {
	last := i
	for i < len(s) {
		c, j := next(t, s, i)
		if c&clsSpace == 0 {
			return last
		}
		last, i = i, j
	}
	return i
}

// trailingSteps matches \s{n}(?!\S) for the first n of steps that fits.
func trailingSteps(steps ...int) rule {
	return func(t *[bmp]class, s string, i int) int {
		for _, n := range steps {
			end := i
			for k := 0; k < n; k++ {
				j := skip(t, s, end, set{any: clsSpace}, 1)
				if j == end {
					end = i
					break
				}
				end = j
			}
			if end > i && skip(t, s, end, set{not: clsSpace}, 1) == end {
				return end
			}
		}
		return i
	}
}

// cased matches a word as upper-case letters followed by lower-case ones:
// lead?U*l+ or else lead?U+l*, with U and l sharing the letters without case
// and the marks; with suffix a contraction belongs to the word. not is taken
// out of both U and l.
func cased(lead set, suffix bool, not class) rule {
	upper, lower := set{any: clsUpper, not: not}, set{any: clsLower, not: not}
	short := contraction(true)
	// body returns the ends of U*l+ and of U+l* from i; i where there is none.
	body := func(t *[bmp]class, s string, i int) (first, second int) {
		first, end := i, i
		for end < len(s) {
			c, j := next(t, s, end)
			if !upper.has(c) {
				break
			}
			if end = j; lower.has(c) {
				first = j // l+ may begin with this one, and ends here
			}
		}
		second = end
		if tail := skip(t, s, end, lower, 0); tail > end {
			first = tail
			if second > i {
				second = tail
			}
		}
		return first, second
	}
	return func(t *[bmp]class, s string, i int) int {
		c, j := next(t, s, i)
		end := i
		var with, without int // ends of lead?U+l*
		if lead.has(c) && j < len(s) {
			if first, second := body(t, s, j); first > j {
				end = first
			} else if second > j {
				with = second
			}
		}
		if end == i {
			end, without = body(t, s, i)
		}
		if end == i {
			end = max(with, i)
		}
		if end == i {
			end = max(without, i)
		}
		if suffix && end > i && end < len(s) {
			return short(t, s, end)
		}
		return end
	}
}

// fromRight matches number runs as groups of three counted from the right:
// 1234567 is 1 234 567.
func fromRight(number set) rule {
	return func(t *[bmp]class, s string, i int) int {
		if i > 0 {
			r, _ := utf8.DecodeLastRuneInString(s[:i])
			if number.has(classOf(t, r)) { // the first group is behind us
				return skip(t, s, i, number, 3)
			}
		}
		n := 0
		for j := i; j < len(s); n++ {
			c, k := next(t, s, j)
			if !number.has(c) {
				break
			}
			j = k
		}
		if n%3 == 0 {
			return skip(t, s, i, number, 3)
		}
		return skip(t, s, i, number, n%3)
	}
}

// phrase matches lead?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+: letters with their
// marks, single spaces between them included.
func phrase(lead set) rule {
	letter, mark := set{any: clsLetter}, set{any: clsMark}
	one := func(t *[bmp]class, s string, i int) int {
		if j := skip(t, s, i, letter, 1); j > i {
			return skip(t, s, j, mark, 0)
		}
		return i
	}
	return func(t *[bmp]class, s string, i int) int {
		c, j := next(t, s, i)
		if lead.has(c) {
			if one(t, s, j) == j {
				return i
			}
		} else {
			j = i
		}
		end := one(t, s, j)
		if end == j {
			return i
		}
		for end < len(s) {
			k := end
			if s[k] == ' ' {
				k++
			}
			e := one(t, s, k)
			if e == k {
				break
			}
			end = e
		}
		return end
	}
}

// punctWord matches one ASCII punctuation mark followed by ASCII letters.
func punctWord(t *[bmp]class, s string, i int) int {
	if t[s[i]]&clsASCIIPunct == 0 || s[i] >= utf8.RuneSelf {
		return i
	}
	if end := skip(t, s, i+1, set{any: clsASCIILetter}, 0); end > i+1 {
		return end
	}
	return i
}
