package evalset

import (
	"strings"
	"unicode"
)

// TooNear is the Jaccard similarity from which two sentences count as one.
const TooNear = 0.8

// trigrams are the sets of three neighbouring characters of a text, in lower
// case, without punctuation, with one space between words and at both ends.
func trigrams(text string) map[[3]rune]bool {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	rs := []rune(" " + strings.Join(words, " ") + " ")
	set := map[[3]rune]bool{}
	for i := 0; i+3 <= len(rs); i++ {
		set[[3]rune(rs[i:])] = true
	}
	return set
}

// Jaccard is the share of two texts' trigrams that both have, from 0 to 1.
func Jaccard(a, b string) float64 {
	x := NewIndex(a)
	_, s := x.Nearest(b)
	return s
}

// Index finds the nearest of many sentences.
type Index struct {
	sizes []int             // trigrams of each text
	of    map[[3]rune][]int // texts that have a trigram
}

// NewIndex holds the texts in their order.
func NewIndex(texts ...string) *Index {
	x := &Index{of: map[[3]rune][]int{}}
	for _, t := range texts {
		x.Add(t)
	}
	return x
}

// Add appends a text.
func (x *Index) Add(text string) {
	set := trigrams(text)
	for g := range set {
		x.of[g] = append(x.of[g], len(x.sizes))
	}
	x.sizes = append(x.sizes, len(set))
}

// Nearest is the place of the text with the highest Jaccard similarity, the
// first of several, and that similarity; -1 and 0 if none shares a trigram.
func (x *Index) Nearest(text string) (place int, similarity float64) {
	set, shared := trigrams(text), make(map[int]int)
	for g := range set {
		for _, i := range x.of[g] {
			shared[i]++
		}
	}
	place = -1
	for i, n := range shared {
		s := float64(n) / float64(len(set)+x.sizes[i]-n)
		if s > similarity || s == similarity && i < place {
			place, similarity = i, s
		}
	}
	return place, similarity
}
