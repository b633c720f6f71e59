package home

import (
	"strings"
	"unicode"
)

// Normal is a sentence as the model reads it, in the one way it is written: in lower
// case, with ASCII's punctuation for that of Chinese and of full width, single spaces,
// no pictures, and no mark at its end but a question's, with digits for numbers and clocks. Speech has none of
// these, and every way of writing the same would have to be learnt.
func Normal(text string) string {
	text = strings.Map(func(r rune) rune {
		if r >= 0xff01 && r <= 0xff5e { // full width forms stand in ASCII's order
			r -= 0xff01 - '!'
		}
		switch {
		case strings.ContainsRune("。．｡", r):
			r = '.'
		case strings.ContainsRune("、，､", r):
			r = ','
		case strings.ContainsRune("‘’`´", r):
			r = '\''
		case strings.ContainsRune("“”「」『』", r):
			r = '"'
		case strings.ContainsRune("‐‑‒–−", r):
			r = '-'
		case r == '…' || r == '—':
			r = ' '
		case r >= 0x1f000 && r <= 0x1faff || r >= 0x2300 && r <= 0x23ff || r >= 0x2600 && r <= 0x27bf || r >= 0x2b00 && r <= 0x2bff || r == 0x20e3 || r == 0x200d || r == 0xfe0f: // emoji and what joins them
			r = ' '
		case r == '℃':
			r = '度'
		}
		return unicode.ToLower(r)
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	text = strings.TrimRight(text, " .,!;:~")
	for _, w := range wordings {
		text = w.apply(text)
	}
	for range 8 { // what one has written may complete what the other looks for; no sentence takes more than two
		was := text
		if text = clocks(digits(text)); text == was {
			break
		}
	}
	return text
}
