package clean

import (
	"hash/maphash"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Measures are what the rules look at. Shares are between 0 and 1.
type Measures struct {
	Bytes, Chars int
	Units        int // words and CJK characters
	Words        int // of them, words
	Han          int
	WordChars    int // characters in words

	ZH, EN        float64 // share of Han and of Latin letters among all letters
	Alpha         float64 // share of words that have a letter (CJK characters count as such)
	Symbols       float64 // hashes and ellipses per unit
	Bullets       float64 // share of lines that begin with a bullet
	Ellipses      float64 // share of lines that end with an ellipsis
	Broken        float64 // share of U+FFFD and private characters
	DupLines      float64 // share of lines that occurred before
	DupLineChars  float64 // share of characters in such lines
	DupParagraphs float64 // the same of paragraphs
	DupParaChars  float64
	Stop          int         // different ones of eight English stop words
	Top           [5]float64  // 2 to 4: share of characters in the most frequent run of as many units
	Dup           [11]float64 // 5 to 10: share of characters in runs of as many units that occurred before
}

var seed = maphash.MakeSeed()

// gopherStop are the stop words of Gopher's rule: a text must have two of them.
var gopherStop = []string{"the", "be", "to", "of", "and", "that", "have", "with"}

// Measure looks at a text. With repetition false the shares of repeated lines and runs
// stay 0: they are most of the work.
func Measure(text string, repetition bool) Measures {
	m := Measures{Bytes: len(text)}
	var letters, latin, broken, alpha int
	for _, r := range text {
		m.Chars++
		switch {
		case r < utf8.RuneSelf:
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				letters++
				latin++
			}
		case unicode.Is(unicode.Han, r):
			m.Han++
			letters++
		case unicode.IsLetter(r):
			letters++
			if unicode.Is(unicode.Latin, r) {
				latin++
			}
		case r == utf8.RuneError || unicode.Is(unicode.Co, r):
			broken++
		}
	}
	var stop [8]bool
	var units []unit
	Units(text, func(u string, cjk bool) {
		m.Units++
		n := 1
		if cjk {
			alpha++
		} else {
			n = utf8.RuneCountInString(u)
			m.Words++
			m.WordChars += n
			if strings.ContainsFunc(u, unicode.IsLetter) {
				alpha++
			}
			if len(u) <= 4 {
				for i, s := range gopherStop {
					stop[i] = stop[i] || strings.EqualFold(s, u)
				}
			}
		}
		if repetition {
			units = append(units, unit{maphash.String(seed, u), n})
		}
	})
	for _, s := range stop {
		if s {
			m.Stop++
		}
	}
	m.ZH, m.EN = share(m.Han, letters), share(latin, letters)
	m.Alpha, m.Broken = share(alpha, m.Units), share(broken, m.Chars)
	m.Symbols = float64(strings.Count(text, "#")+strings.Count(text, "...")+strings.Count(text, "…")) / float64(max(m.Units, 1))
	m.lines(text, repetition)
	if repetition {
		m.runs(units)
	}
	return m
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func (m *Measures) lines(text string, repetition bool) {
	var lines, bullets, ellipses, dup, dupChars, chars int
	seen := map[uint64]bool{}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		lines++
		for _, b := range []string{"•", "‣", "▪", "●", "·", "* ", "- ", "– "} {
			if strings.HasPrefix(line, b) {
				bullets++
				break
			}
		}
		if strings.HasSuffix(line, "...") || strings.HasSuffix(line, "…") {
			ellipses++
		}
		if repetition {
			n := utf8.RuneCountInString(line)
			chars += n
			h := maphash.String(seed, line)
			if seen[h] {
				dup++
				dupChars += n
			}
			seen[h] = true
		}
	}
	m.Bullets, m.Ellipses = share(bullets, lines), share(ellipses, lines)
	if !repetition {
		return
	}
	m.DupLines, m.DupLineChars = share(dup, lines), share(dupChars, chars)
	clear(seen)
	paragraphs := 0
	dup, dupChars = 0, 0
	for p := range strings.SplitSeq(text, "\n\n") {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		paragraphs++
		h := maphash.String(seed, p)
		if seen[h] {
			dup++
			dupChars += utf8.RuneCountInString(p)
		}
		seen[h] = true
	}
	m.DupParagraphs, m.DupParaChars = share(dup, paragraphs), share(dupChars, m.Chars)
}

// unit is a unit by its hash, with its length in characters.
type unit struct {
	hash  uint64
	chars int
}

// runs measures repeated runs of 2 to 10 units by their hashes (a polynomial in the
// units' hashes, so that a run's hash is had from the one before it).
func (m *Measures) runs(units []unit) {
	total := 0
	for _, u := range units {
		total += u.chars
	}
	if total == 0 {
		return
	}
	const base = 0x9E3779B97F4A7C15 | 1
	for n := 2; n <= 10; n++ {
		if len(units) < n {
			return
		}
		power := uint64(1) // base^(n-1)
		for range n - 1 {
			power *= base
		}
		var h uint64
		chars := 0
		if n <= 4 {
			counts := make(map[uint64]int, len(units))
			best := 0
			for i, u := range units {
				if i >= n {
					h -= units[i-n].hash * power
					chars -= units[i-n].chars
				}
				h = h*base + u.hash
				chars += u.chars
				if i < n-1 {
					continue
				}
				counts[h]++
				if k := counts[h]; k > 1 {
					best = max(best, k*chars)
				}
			}
			m.Top[n] = min(1, float64(best)/float64(total))
			continue
		}
		// Of runs that occurred before, each character counts once.
		seen := make(map[uint64]bool, len(units))
		dup, covered := 0, 0 // units before covered are counted
		for i, u := range units {
			if i >= n {
				h -= units[i-n].hash * power
			}
			h = h*base + u.hash
			if i < n-1 {
				continue
			}
			if seen[h] {
				for k := max(covered, i-n+1); k <= i; k++ {
					dup += units[k].chars
				}
				covered = i + 1
			}
			seen[h] = true
		}
		m.Dup[n] = float64(dup) / float64(total)
	}
}
