package delta

import (
	"strings"
	"unicode/utf8"
)

// HoldOut divides a text into the part that choices may go by and the last third,
// which what they come to is measured on: at the end of a line if there is one near,
// else of a word.
func HoldOut(text string) (use, rest string) {
	at := len(text) / 3 * 2
	near := text[:at]
	if i := strings.LastIndexByte(near, '\n'); i > at/2 {
		at = i + 1
	} else if i := strings.LastIndexByte(near, ' '); i > at/2 {
		at = i + 1
	}
	for at < len(text) && !utf8.RuneStart(text[at]) {
		at++
	}
	return text[:at], text[at:]
}
