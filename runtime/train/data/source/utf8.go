package source

import (
	"fmt"
	"unicode/utf8"
)

// invalid says what is wrong with a text that is not UTF-8, or is nil.
func invalid(b []byte) error {
	if utf8.Valid(b) {
		return nil
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return fmt.Errorf("byte %d of the line is 0x%02x, which is not UTF-8", i+1, b[i])
		}
		i += n
	}
	return nil
}
