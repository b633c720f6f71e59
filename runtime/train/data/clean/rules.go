package clean

import (
	"cmp"
	"fmt"
	"strings"
)

// Rules say which texts are kept. The zero value keeps all.
type Rules struct {
	MinUnits  int      `json:"min_units,omitempty"` // words and CJK characters
	MaxUnits  int      `json:"max_units,omitempty"`
	MinChars  int      `json:"min_chars,omitempty"`
	MaxChars  int      `json:"max_chars,omitempty"`
	Languages []string `json:"languages,omitempty"` // zh, en: their scripts' share of the letters must reach MinShare
	MinShare  float64  `json:"min_language_share,omitempty"`
	MaxBroken float64  `json:"max_broken,omitempty"` // share of U+FFFD and private characters
	Gopher    bool     `json:"gopher,omitempty"`
	C4        bool     `json:"c4,omitempty"`
}

// Gopher's rules: Rae et al., "Scaling Language Models: Methods, Analysis & Insights
// from Training Gopher" (arXiv 2112.11446), A1.1, with words read as units so that they
// hold for Chinese; the rules on English stop words and on the length of words are
// for texts that are not mostly Han.
const (
	gopherMinUnits, gopherMaxUnits = 50, 100_000
	gopherMinWord, gopherMaxWord   = 3, 10
	gopherSymbols                  = 0.1
	gopherBullets                  = 0.9
	gopherEllipses                 = 0.3
	gopherAlpha                    = 0.8
	gopherStopWords                = 2
	gopherDupLines                 = 0.30
	gopherDupParagraphs            = 0.30
	gopherDupLineChars             = 0.20
	gopherDupParaChars             = 0.20
)

var (
	gopherTop = [5]float64{2: 0.20, 3: 0.18, 4: 0.16}
	gopherDup = [11]float64{5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
)

// C4's rules on pages: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified
// Text-to-Text Transformer" (JMLR 21, 2020), 2.2: no filler text, no curly braces (code), at
// least five sentences. (Its rules on lines and its list of bad words are not taken over.)
const c4Sentences = 5

// Check reports rules that make no sense.
func (r Rules) Check() error {
	for _, l := range r.Languages {
		if l != "zh" && l != "en" {
			return fmt.Errorf("the language %q is not one of: zh en", l)
		}
	}
	for name, v := range map[string]float64{"share of a language": r.MinShare, "share of broken characters": r.MaxBroken} {
		if v < 0 || v > 1 {
			return fmt.Errorf("the %s is %v: it must be between 0 and 1", name, v)
		}
	}
	if r.MaxUnits > 0 && r.MaxUnits < r.MinUnits || r.MaxChars > 0 && r.MaxChars < r.MinChars {
		return fmt.Errorf("the largest length is below the smallest")
	}
	return nil
}

// repetition reports whether the rules need the shares of what is repeated.
func (r Rules) repetition() bool { return r.Gopher }

// Judge returns the name of the first rule that a text breaks, "" if none.
func (r Rules) Judge(text string) (Measures, string) {
	m := Measure(text, r.repetition())
	switch {
	case m.Units < r.MinUnits || m.Chars < r.MinChars:
		return m, "too short"
	case r.MaxUnits > 0 && m.Units > r.MaxUnits, r.MaxChars > 0 && m.Chars > r.MaxChars:
		return m, "too long"
	case r.MaxBroken > 0 && m.Broken > r.MaxBroken:
		return m, "broken characters"
	}
	if len(r.Languages) > 0 {
		sum := 0.0
		for _, l := range r.Languages {
			if l == "zh" {
				sum += m.ZH
			} else {
				sum += m.EN
			}
		}
		if sum < cmp.Or(r.MinShare, 0.5) {
			return m, "other language"
		}
	}
	if r.Gopher {
		if name := m.gopher(); name != "" {
			return m, "gopher: " + name
		}
	}
	if r.C4 {
		if name := c4(text); name != "" {
			return m, "c4: " + name
		}
	}
	return m, ""
}

func (m *Measures) gopher() string {
	mostlyHan := m.ZH > 0.5
	word := share(m.WordChars, m.Words)
	switch {
	case m.Units < gopherMinUnits:
		return "fewer than 50 words"
	case m.Units > gopherMaxUnits:
		return "more than 100,000 words"
	case !mostlyHan && (word < gopherMinWord || word > gopherMaxWord):
		return "mean length of words not 3 to 10"
	case m.Symbols > gopherSymbols:
		return "hashes and ellipses"
	case m.Bullets > gopherBullets:
		return "lines with bullets"
	case m.Ellipses > gopherEllipses:
		return "lines that end with an ellipsis"
	case m.Alpha < gopherAlpha:
		return "words without letters"
	case !mostlyHan && m.Stop < gopherStopWords:
		return "fewer than 2 English stop words"
	case m.DupLines > gopherDupLines, m.DupLineChars > gopherDupLineChars:
		return "repeated lines"
	case m.DupParagraphs > gopherDupParagraphs, m.DupParaChars > gopherDupParaChars:
		return "repeated paragraphs"
	}
	for n := 2; n <= 4; n++ {
		if m.Top[n] > gopherTop[n] {
			return fmt.Sprintf("one run of %d words is too frequent", n)
		}
	}
	for n := 5; n <= 10; n++ {
		if m.Dup[n] > gopherDup[n] {
			return fmt.Sprintf("repeated runs of %d words", n)
		}
	}
	return ""
}

func c4(text string) string {
	switch {
	case strings.Contains(strings.ToLower(text), "lorem ipsum"):
		return "lorem ipsum"
	case strings.ContainsAny(text, "{}"):
		return "curly braces"
	}
	sentences := 0
	for i, r := range text {
		switch r {
		case '。', '！', '？', '…':
			sentences++
		case '.', '!', '?':
			rest := text[i+1:]
			if rest == "" || strings.ContainsRune(" \n\t\"'”’)", rune(rest[0])) || strings.HasPrefix(rest, "”") || strings.HasPrefix(rest, "’") {
				sentences++
			}
		}
	}
	if sentences < c4Sentences {
		return "fewer than 5 sentences"
	}
	return ""
}
