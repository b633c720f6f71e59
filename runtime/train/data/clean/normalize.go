// Package clean normalises texts and measures what tells good ones from bad ones.
package clean

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Form is a Unicode normalisation form (Unicode Standard Annex 15).
type Form string

// The forms. NFC writes each character in one way; NFKC also replaces what is only
// another look of a character: ﬁ by fi, ² by 2, ① by 1, full width by half width.
const (
	NFC    Form = "nfc"
	NFKC   Form = "nfkc"
	AsItIs Form = "none"
)

// Width says what becomes of full-width ASCII (U+FF01 to U+FF5E).
type Width string

// Chinese punctuation is full width by right (，！？), while full-width letters and digits are a
// leftover of old encodings: WidthAlnum makes only those half width.
const (
	WidthKeep  Width = "keep"
	WidthAlnum Width = "alnum"
	WidthHalf  Width = "half"
)

// Normalizer brings texts into one form. Whatever it is set to: line ends become \n,
// control and invisible characters go, every other white space in a line becomes
// a plain space, white space at the ends of lines and of the text goes, and more than
// two empty lines in a row become two.
type Normalizer struct {
	Form     Form  // "" is NFC
	Width    Width // "" is WidthKeep
	Collapse bool  // runs of spaces and tabs within a line become one space, indentation goes
}

// Check reports settings that do not exist.
func (n Normalizer) Check() error {
	switch n.Form {
	case "", NFC, NFKC, AsItIs:
	default:
		return fmt.Errorf("the normalisation %q is not one of: nfc nfkc none", n.Form)
	}
	switch n.Width {
	case "", WidthKeep, WidthAlnum, WidthHalf:
	default:
		return fmt.Errorf("the width %q is not one of: keep alnum half", n.Width)
	}
	return nil
}

// invisible reports characters that show nothing and mean nothing in a text: controls, zero-width
// spaces, soft hyphens, marks of direction, non-characters. The joiners U+200C and U+200D stay:
// emoji and Persian need them.
func invisible(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < 0x20 || r >= 0x7F && r < 0xA0:
		return true
	case r == 0xAD, r == 0x200B, r == 0x200E, r == 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2060 && r <= 0x206F, r == 0xFEFF:
		return true
	}
	return r&0xFFFE == 0xFFFE || r >= 0xFDD0 && r <= 0xFDEF
}

// Apply normalises a text. Doing it twice changes nothing more.
func (n Normalizer) Apply(text string) string {
	// Half width may make spaces, and leaving out invisible characters may bring together what
	// composes: so the form comes last, over what is otherwise done.
	text = n.characters(text)
	switch n.Form {
	case AsItIs:
	case NFKC:
		if !norm.NFKC.IsNormalString(text) {
			text = n.characters(norm.NFKC.String(text)) // it makes spaces, too
		}
	default:
		text = norm.NFC.String(text)
	}
	return n.lines(text)
}

// characters maps single characters.
func (n Normalizer) characters(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r >= ' ' && r < 0x7F || r == '\n':
			return r
		case r == '\r' || r == 0x85 || r == 0x2028 || r == 0x2029 || r == '\v' || r == '\f':
			return '\n'
		case invisible(r):
			return -1
		case r == 0x3000:
			if n.Width == WidthHalf || n.Form == NFKC {
				return ' '
			}
			return r
		case r != '\t' && unicode.Is(unicode.Zs, r):
			return ' '
		case r > 0xFF00 && r < 0xFF5F:
			half := r - 0xFEE0
			if n.Width == WidthHalf || n.Width == WidthAlnum && (half >= '0' && half <= '9' || half >= 'A' && half <= 'Z' || half >= 'a' && half <= 'z') {
				return half
			}
		}
		return r
	}, text)
}

// lines trims and counts lines.
func (n Normalizer) lines(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	empty := 0
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, " \t\u3000")
		if n.Collapse {
			line = strings.Join(strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == 0x3000 }), " ")
		}
		if line == "" {
			empty++
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n\n\n"[:min(empty, 2)+1])
		}
		empty = 0
		b.WriteString(line)
	}
	if n.Collapse {
		return b.String()
	}
	// The indentation of the first line stays only where others have some, too: it may be code.
	return strings.TrimLeftFunc(b.String(), func(r rune) bool { return r == '\n' })
}

// Units are what a text is counted and compared in: a word of a language that
// divides its words, or one Chinese, Japanese or Korean character. It calls emit for
// each unit in order; punctuation and space are none.
func Units(text string, emit func(unit string, cjk bool)) {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case IsCJK(r):
			emit(text[i:i+n], true)
			i += n
		case wordRune(r):
			end := i + n
			for end < len(text) {
				r, n := utf8.DecodeRuneInString(text[end:])
				if IsCJK(r) || !wordRune(r) && !(isApostrophe(r) && end+n < len(text) && letterAt(text[end+n:])) {
					break
				}
				end += n
			}
			emit(text[i:end], false)
			i = end
		default:
			i += n
		}
	}
}

func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

func isApostrophe(r rune) bool { return r == '\'' || r == '’' }

func letterAt(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(r)
}

// IsCJK reports characters of scripts that do not divide words by spaces and have
// thousands of characters.
func IsCJK(r rune) bool {
	return r >= 0x2E80 && (r >= 0x4E00 && r <= 0x9FFF || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana))
}
