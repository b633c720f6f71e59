package tokenizer

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// wordPiece splits a text into words and each word into the longest tokens
// from the left. GGUF spells a token that begins a word with ▁ in front and
// one inside a word bare (BERT's ## is gone).
type wordPiece struct {
	t       *Tokenizer
	longest int // bytes of the longest token
}

// maxWord is the number of characters above which BERT calls a word unknown.
const maxWord = 100

func (t *Tokenizer) initWordPiece() error {
	if err := t.buildIndex(t.cfg.Tokens, nil); err != nil {
		return err
	}
	p := &wordPiece{t: t}
	for _, s := range t.cfg.Tokens {
		p.longest = max(p.longest, len(s))
	}
	t.encode = p
	return nil
}

func (p *wordPiece) encode(w *scratch, text string, _ bool) {
	text = p.normalize(text)
	begin, chars := -1, 0
	end := func(i int) {
		if begin >= 0 {
			p.word(w, text[begin:i], chars)
			begin = -1
		}
	}
	for i, r := range text {
		switch {
		case unicode.IsSpace(r):
			end(i)
		case isPunct(r) || isIdeograph(r):
			end(i)
			begin, chars = i, 1
			end(i + len(string(r)))
		case begin < 0:
			begin, chars = i, 1
		default:
			chars++
		}
	}
	end(len(text))
}

// normalize drops control characters and what is not text, and as configured
// accents and capitals.
func (p *wordPiece) normalize(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r == 0 || r == unicode.ReplacementChar || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs):
			return -1
		}
		return r
	}, text)
	if p.t.cfg.StripAccents {
		text = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Mn, r) {
				return -1
			}
			return r
		}, norm.NFD.String(text))
	}
	if p.t.cfg.Lowercase {
		text = strings.ToLower(text)
	}
	return text
}

// word appends the tokens of one word of n characters.
func (p *wordPiece) word(w *scratch, word string, n int) {
	from := len(w.out)
	if n <= maxWord {
		w.text = append(append(w.text[:0], spaceMark...), word...)
		rest := string(w.text)
		for rest != "" {
			k := min(len(rest), p.longest)
			id := int32(-1)
			for ; k > 0; k-- {
				if id = p.t.index.find(rest[:k]); id >= 0 {
					break
				}
			}
			if id < 0 {
				w.out = w.out[:from]
				break
			}
			w.out = append(w.out, id)
			rest = rest[k:]
		}
	}
	if len(w.out) == from {
		w.out = append(w.out, p.t.cfg.UNK)
	}
}

func isPunct(r rune) bool {
	if r < 128 {
		return r > ' ' && r < 127 && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}
	return unicode.IsPunct(r)
}

// isIdeograph tells whether r is a Chinese character, each of which is a word.
// The bounds are those of BERT's code, with the Hugging Face tokenizers'
// 2B920 for 2B820.
func isIdeograph(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF ||
		r >= 0x20000 && r <= 0x2A6DF || r >= 0x2A700 && r <= 0x2B73F ||
		r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF ||
		r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}
