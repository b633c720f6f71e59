// Package mask finds what names a person in a text and replaces it by a label.
//
// It is made of rules: shapes of numbers with their check digits where there are some, and words that
// stand before them. Rules are quick, explain themselves and send nothing anywhere; they don't know names, and
// miss what is written in a way nobody thought of. docs/data.md has how much is found on a set written by
// hand.
package mask

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Kind is what a span is.
type Kind string

// The kinds.
const (
	Email   Kind = "email"
	Phone   Kind = "phone"
	ID      Kind = "id" // identity, social security and passport numbers
	Card    Kind = "card"
	Address Kind = "address"
	Plate   Kind = "plate" // of vehicles
)

// Kinds are all kinds, in the order in which they are looked for: of spans that overlap
// the earlier kind's wins.
var Kinds = []Kind{Email, ID, Card, Phone, Plate, Address}

// ParseKinds reads a list of kinds divided by commas; "all" is all of them.
func ParseKinds(list string) ([]Kind, error) {
	var kinds []Kind
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(strings.ToLower(name))
		switch {
		case name == "all":
			kinds = append(kinds, Kinds...)
		case slices.Contains(Kinds, Kind(name)):
			kinds = append(kinds, Kind(name))
		default:
			return nil, fmt.Errorf("%q is nothing that can be masked; there are: all email id card phone plate address", name)
		}
	}
	return kinds, nil
}

// Span is a place in a text, in bytes.
type Span struct {
	Start, End int
	Kind       Kind
}

// Masker masks some kinds. The zero value masks nothing.
type Masker struct{ kinds []Kind }

// New returns a Masker of the kinds.
func New(kinds ...Kind) *Masker {
	m := &Masker{}
	for _, k := range Kinds {
		if slices.Contains(kinds, k) {
			m.kinds = append(m.kinds, k)
		}
	}
	return m
}

// Find returns the spans in order; they don't overlap and don't go over the end of a line.
func (m *Masker) Find(text string) []Span {
	var all []Span
	at := 0
	for line := range strings.Lines(text) {
		for _, s := range m.line(line) {
			all = append(all, Span{s.Start + at, s.End + at, s.Kind})
		}
		at += len(line)
	}
	return all
}

// view is a line with what several finders need.
type view struct {
	text    string
	numbers []Span // of digits alone: identity numbers, cards, telephones
}

// line finds the spans of a line.
func (m *Masker) line(text string) []Span {
	// Most lines have nothing: neither an @ nor a digit, nor a house's number written out.
	digits := strings.ContainsAny(text, "0123456789０１２３４５６７８９")
	if !digits && !strings.Contains(text, "@") && !strings.ContainsAny(text, "号弄巷") {
		return nil
	}
	v := &view{text: text}
	if digits {
		eachChain(text, func(c *chain) { v.numbers = append(v.numbers, c.numbers(m.kinds)...) })
	}
	var all []Span
	byStart := func(a, b Span) int { return a.Start - b.Start }
	for _, k := range m.kinds {
		spans := finders[k](v)
		slices.SortStableFunc(spans, byStart)
		earlier, end := slices.Clone(all), 0
		for _, s := range spans {
			// The first of the earlier kinds' that ends behind this one's start is the only one that may overlap it.
			i, _ := slices.BinarySearchFunc(earlier, s.Start, func(o Span, at int) int { return o.End - at - 1 })
			if s.Start < end || i < len(earlier) && earlier[i].Start < s.End {
				continue
			}
			end = s.End
			all = append(all, s)
		}
		slices.SortFunc(all, byStart)
	}
	return all
}

// Label is what stands in place of a span.
func Label(k Kind) string { return "[" + strings.ToUpper(string(k)) + "]" }

// Apply replaces every span by its label and counts them in counts, which may be nil.
func (m *Masker) Apply(text string, counts map[Kind]int) string {
	spans := m.Find(text)
	if len(spans) == 0 {
		return text
	}
	var b strings.Builder
	at := 0
	for _, s := range spans {
		b.WriteString(text[at:s.Start])
		b.WriteString(Label(s.Kind))
		at = s.End
		if counts != nil {
			counts[s.Kind]++
		}
	}
	b.WriteString(text[at:])
	return b.String()
}

var finders = map[Kind]func(*view) []Span{
	Email: findEmails, ID: findIDs, Card: findNumbers(Card), Phone: findNumbers(Phone), Plate: findPlates, Address: findAddresses,
}

// lazily is an expression that is compiled when it is first used: programs that link this package and mask nothing do
// not wait for it.
func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
