package eval

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// NoAnswer stands for an output in which no answer was found.
const NoAnswer = "(no answer)"

// MatchOptions say how an answer is taken from what a model wrote and compared.
type MatchOptions struct {
	// Regexp finds the answer: its first group, or all of it if it has none. The
	// first match counts. Nil takes the whole output, and for options the first that
	// occurs.
	Regexp            *regexp.Regexp
	IgnoreCase        bool
	IgnorePunctuation bool
}

func isPunctuation(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }

// extract takes the answer out of an output.
func (o *MatchOptions) extract(output string) (string, bool) {
	if o.Regexp == nil {
		return strings.TrimSpace(output), true
	}
	m := o.Regexp.FindStringSubmatch(output)
	switch {
	case m == nil:
		return "", false
	case len(m) > 1:
		return strings.TrimSpace(m[1]), true
	}
	return strings.TrimSpace(m[0]), true
}

// option finds which option an output means.
func (o *MatchOptions) option(output string, options []string) string {
	text, ok := o.extract(output)
	if !ok {
		return NoAnswer
	}
	fold := MatchOptions{IgnoreCase: true}
	for _, same := range []*MatchOptions{o, &fold} {
		for _, k := range options {
			if same.normal(text) == same.normal(k) {
				return k
			}
		}
	}
	if o.Regexp != nil {
		return NoAnswer
	}
	// The first that occurs as words of its own; of those at one place the longest.
	where, found := len(text)+1, NoAnswer
	lower := strings.ToLower(text)
	byLength := slices.Clone(options)
	slices.SortStableFunc(byLength, func(a, b string) int { return len(b) - len(a) })
	for _, k := range byLength {
		if at := indexWord(lower, strings.ToLower(k)); at >= 0 && at < where {
			where, found = at, k
		}
	}
	return found
}

// indexWord finds a word that no letter or digit of an alphabet stands beside.
func indexWord(text, word string) int {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return -1
		}
		at := from + i
		if !joins(text[:at], word, true) && !joins(text[at+len(word):], word, false) {
			return at
		}
		from = at + 1
	}
}

// joins says that the text beside a word goes on with it. Chinese and its like write
// words without anything between.
func joins(beside, word string, before bool) bool {
	a, b := []rune(beside), []rune(word)
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	x, y := a[0], b[len(b)-1]
	if before {
		x, y = a[len(a)-1], b[0]
	}
	letter := func(r rune) bool {
		return (unicode.IsLetter(r) || unicode.IsDigit(r)) && !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
	}
	return letter(x) && letter(y)
}

// matches says whether an output is one of the answers.
func (o *MatchOptions) matches(output string, answers []string) bool {
	text, ok := o.extract(output)
	return ok && slices.ContainsFunc(answers, func(a string) bool { return o.normal(text) == o.normal(a) })
}
