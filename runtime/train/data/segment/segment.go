// Package segment divides Chinese and English texts into words.
//
// Chinese is divided by the most probable sequence of dictionary words, each taken by
// itself (a unigram model, found by dynamic programming), and what the dictionary leaves as
// single characters by a hidden Markov model of the characters' places in words (begin,
// middle, end, single; Xue 2003, "Chinese Word Segmentation as Character Tagging"), whose
// probabilities are counted on the dictionary itself. That is how jieba works; words.gz is
// made from its dictionary. How often the two agree is in docs/data.md.
package segment

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

//go:embed words.gz
var wordsGz []byte

// dictionary is what is known of Chinese words.
type dictionary struct {
	logs    map[string]float32 // logarithm of a word's probability; absent is no word, beginning that of a longer one
	unknown float32            // of a character that is no word
	hmm     markov
}

// beginning marks what only begins words.
const beginning = float32(-1e9)

var load = sync.OnceValues(func() (*dictionary, error) {
	d, err := parse(wordsGz)
	if err != nil {
		return nil, fmt.Errorf("segment: the dictionary: %w", err)
	}
	return d, nil
})

// parse reads the format of make_words.py.
func parse(data []byte) (*dictionary, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	d := &dictionary{logs: make(map[string]float32, 160_000)}
	total := 0.0
	var before []rune
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSuffix(line, "\n")
		word := strings.TrimFunc(line, unicode.IsDigit)
		var shared, level int
		if _, err := fmt.Sscanf(strings.Replace(line, word, " ", 1), "%d %d", &shared, &level); err != nil || shared > len(before) {
			return nil, fmt.Errorf("the line %q is damaged", line)
		}
		before = append(before[:shared:shared], []rune(word)...)
		count := math.Exp2(float64(level)/4) - 0.5
		total += count
		w := string(before)
		d.logs[w] = float32(math.Log(count))
		d.hmm.count(before, count)
		for i := range before {
			if p := string(before[:i]); i > 0 {
				if _, ok := d.logs[p]; !ok {
					d.logs[p] = beginning
				}
			}
		}
	}
	for w, l := range d.logs {
		if l != beginning {
			d.logs[w] = l - float32(math.Log(total))
		}
	}
	d.unknown = float32(-math.Log(total))
	d.hmm.finish()
	return d, nil
}

// Words calls emit for every word and every punctuation mark of a text in order; white space is
// left out. Words of letters and digits are as they stand.
func Words(text string, emit func(word string)) error {
	d, err := load()
	if err != nil {
		return err
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case unicode.Is(unicode.Han, r):
			end := i + n
			for end < len(text) {
				r, n := utf8.DecodeRuneInString(text[end:])
				if !unicode.Is(unicode.Han, r) {
					break
				}
				end += n
			}
			d.divide(text[i:end], emit)
			i = end
		case unicode.IsSpace(r):
			i += n
		case alnum(r):
			end := i + n
			for end < len(text) {
				r, n := utf8.DecodeRuneInString(text[end:])
				if !alnum(r) && !(strings.ContainsRune(".'’-_", r) && end+n < len(text) && alnumAt(text[end+n:])) {
					break
				}
				end += n
			}
			emit(text[i:end])
			i = end
		default:
			emit(text[i : i+n])
			i += n
		}
	}
	return nil
}

func alnum(r rune) bool {
	return !unicode.Is(unicode.Han, r) && (unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r))
}

func alnumAt(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return alnum(r)
}

// maxRun bounds how many characters are looked at together.
const maxRun = 4096

// divide divides Chinese characters without anything between.
func (d *dictionary) divide(s string, emit func(string)) {
	places := make([]int, 0, len(s)/3+1) // where the characters begin, and the end
	for i := range s {
		places = append(places, i)
	}
	if len(places) > maxRun {
		d.divide(s[:places[maxRun]], emit)
		d.divide(s[places[maxRun]:], emit)
		return
	}
	places = append(places, len(s))
	n := len(places) - 1
	best := make([]float32, n+1) // from each character to the end
	next := make([]int, n)
	for i := n - 1; i >= 0; i-- {
		best[i] = float32(math.Inf(-1))
		for j := i + 1; j <= n; j++ {
			l, ok := d.logs[s[places[i]:places[j]]]
			if j == i+1 && (!ok || l == beginning) {
				l = d.unknown
			} else if !ok {
				break
			} else if l == beginning {
				continue
			}
			if v := l + best[j]; v > best[i] {
				best[i], next[i] = v, j
			}
		}
		// Where a character only stands alone, longer words may still begin with it.
	}
	single := -1 // first of the single characters in a row
	flush := func(to int) {
		if single < 0 {
			return
		}
		part := s[places[single]:places[to]]
		if to-single == 1 {
			emit(part)
		} else {
			d.hmm.divide(part, emit)
		}
		single = -1
	}
	for i := 0; i < n; i = next[i] {
		if next[i] == i+1 {
			if single < 0 {
				single = i
			}
			continue
		}
		flush(i)
		emit(s[places[i]:places[next[i]]])
	}
	flush(n)
}
