package grammar

import "unicode/utf8"

// splitUTF8 gives the characters from lo to hi as sequences of ranges of bytes,
// each of which is one range for every byte of the characters' UTF-8.
func splitUTF8(lo, hi rune, each func([][2]byte)) {
	// Where lengths change, and around the surrogates, which have no UTF-8.
	for _, part := range [...][2]rune{{0, 0x7f}, {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, utf8.MaxRune}} {
		if a, b := max(lo, part[0]), min(hi, part[1]); a <= b {
			splitSameLength(a, b, each)
		}
	}
}

// splitSameLength is splitUTF8 for characters of the same number of bytes: it
// cuts until all but the last bytes of a part are either equal or free.
func splitSameLength(lo, hi rune, each func([][2]byte)) {
	for bits := 6; bits < 24; bits += 6 {
		mask := rune(1)<<bits - 1
		if lo|mask >= hi|mask {
			break // the bytes above are equal
		}
		if lo&mask != 0 {
			splitSameLength(lo, lo|mask, each)
			splitSameLength((lo|mask)+1, hi, each)
			return
		}
		if hi&mask != mask {
			splitSameLength(lo, hi&^mask-1, each)
			splitSameLength(hi&^mask, hi, each)
			return
		}
	}
	var a, b [4]byte
	n := utf8.EncodeRune(a[:], lo)
	utf8.EncodeRune(b[:], hi)
	classes := make([][2]byte, n)
	for i := range classes {
		classes[i] = [2]byte{a[i], b[i]}
	}
	each(classes)
}
