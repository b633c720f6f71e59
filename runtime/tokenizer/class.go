package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// class is a set of properties of a code point; a code point has several.
type class uint32

const (
	clsLetter      class = 1 << iota // \p{L}
	clsNumber                        // \p{N}
	clsMark                          // \p{M}
	clsPunct                         // \p{P}
	clsSymbol                        // \p{S}
	clsSpace                         // \s: the property White_Space
	clsNewline                       // CR and LF
	clsBlank                         // U+0020
	clsUpper                         // Lu, Lt, Lm, Lo, M: what an upper-case run may hold
	clsLower                         // Ll, Lm, Lo, M: what a lower-case run may hold
	clsSlash                         // '/'
	clsASCIIPunct                    // ASCII punctuation and symbols
	clsASCIILetter                   // A-Z a-z
	clsASCIIDigit                    // 0-9
	clsHan                           // \p{Han}
	clsHanKana                       // U+4E00-9FA5, Hiragana, Katakana (DeepSeek-V3)
	clsCJK                           // U+0800-4E00-9FA5, Hangul (DeepSeek)
	clsDeepLetter                    // the letters DeepSeek-LLM lists
	clsDeepPunct                     // the punctuation DeepSeek-LLM lists
	clsFalcon                        // \p{P} and $+<=>^~|`
	clsDefault                       // \p{P} and $+<=>^~|
	clsPoro                          // what a word of BLOOM, Poro and Viking holds
	clsAsian                         // scripts that AFMoE keeps together
	clsLF                            // U+000A alone
)

// set matches a code point that has one of the classes in any (all code points
// where any is 0) and none of those in not.
type set struct{ any, not class }

func (s set) has(c class) bool { return (s.any == 0 || c&s.any != 0) && c&s.not == 0 }

const bmp = 1 << 16

// classTable holds the classes of the basic multilingual plane; the other
// planes are looked up in the range tables of package unicode.
var classTable = sync.OnceValue(func() *[bmp]class {
	t := new([bmp]class)
	mark := func(rt *unicode.RangeTable, c class) {
		for _, r := range rt.R16 {
			for x := uint32(r.Lo); x <= uint32(r.Hi); x += uint32(r.Stride) {
				t[x] |= c
			}
		}
	}
	for _, p := range tableClasses {
		mark(p.table, p.class)
	}
	for _, p := range rangeClasses {
		for i := 0; i < len(p.ranges); i += 2 {
			for x := p.ranges[i]; x <= min(p.ranges[i+1], bmp-1); x++ {
				t[x] |= p.class
			}
		}
	}
	for _, p := range asciiClasses {
		for _, r := range p.chars {
			t[r] |= p.class
		}
	}
	const poro = "(|.,!?…。，、।۔،)"
	for x := range t {
		if t[x]&clsSpace == 0 {
			t[x] |= clsPoro
		}
	}
	for _, r := range poro {
		t[r] &^= clsPoro
	}
	return t
})

var tableClasses = []struct {
	table *unicode.RangeTable
	class class
}{
	{unicode.L, clsLetter},
	{unicode.N, clsNumber},
	{unicode.M, clsMark | clsUpper | clsLower},
	{unicode.P, clsPunct | clsFalcon | clsDefault},
	{unicode.S, clsSymbol},
	{unicode.White_Space, clsSpace},
	{unicode.Lu, clsUpper},
	{unicode.Lt, clsUpper},
	{unicode.Lm, clsUpper | clsLower},
	{unicode.Lo, clsUpper | clsLower},
	{unicode.Ll, clsLower},
	{unicode.Han, clsHan},
}

var asciiClasses = []struct {
	chars string
	class class
}{
	{"\r\n", clsNewline},
	{"\n", clsLF},
	{" ", clsBlank},
	{"/", clsSlash},
	{"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", clsASCIIPunct},
	{"$+<=>^~|`", clsFalcon},
	{"$+<=>^~|", clsDefault},
}

// rangeClasses are the classes that a pre-tokenizer's own expression spells
// out as ranges (pairs of first and last code point).
var rangeClasses = []struct {
	ranges []rune
	class  class
}{
	{[]rune{'A', 'Z', 'a', 'z'}, clsASCIILetter},
	{[]rune{'0', '9'}, clsASCIIDigit},
	{[]rune{0x4E00, 0x9FA5, 0x3040, 0x309F, 0x30A0, 0x30FF}, clsHanKana},
	{[]rune{0x0800, 0x4E00, 0x4E01, 0x9FA5, 0xAC00, 0xD7FF}, clsCJK},
	{[]rune{'!', '/', ':', '~', 0xFF01, 0xFF0F, 0xFF1A, 0xFF5E, 0x2018, 0x201F, 0x3001, 0x3002}, clsDeepPunct},
	{[]rune{0x4E00, 0x9FFF, 0x3400, 0x4DBF, 0xF900, 0xFAFF, 0x3040, 0x30FF, 0xFF65, 0xFF9F,
		0x2F00, 0x2FDF, 0x0E40, 0x0E7F, 0x0E80, 0x0EFF, 0x1780, 0x17FF, 0x1000, 0x109F,
		0xAA60, 0xAA7F, 0xA9E0, 0xA9FF, 0xAC00, 0xD7AF, 0x1100, 0x11FF}, clsAsian},
	{deepLetters, clsDeepLetter},
}

// deepLetters are the cased letters that DeepSeek-LLM's expression lists.
var deepLetters = []rune{
	'A', 'Z', 'a', 'z', 0xB5, 0xB5, 0xC0, 0xD6, 0xD8, 0xF6, 0xF8, 0x1BA, 0x1BC, 0x1BF,
	0x1C4, 0x293, 0x295, 0x2AF, 0x370, 0x373, 0x376, 0x377, 0x37B, 0x37D, 0x37F, 0x37F,
	0x386, 0x386, 0x388, 0x38A, 0x38C, 0x38C, 0x38E, 0x3A1, 0x3A3, 0x3F5, 0x3F7, 0x481,
	0x48A, 0x52F, 0x531, 0x556, 0x10A0, 0x10C5, 0x13A0, 0x13F5, 0x13F8, 0x13FD,
	0x1C90, 0x1CBA, 0x1CBD, 0x1CBF, 0x1D00, 0x1D2B, 0x1D6B, 0x1D77, 0x1D79, 0x1D9A,
	0x1E00, 0x1F15, 0x1F18, 0x1F1D, 0x1F20, 0x1F45, 0x1F48, 0x1F4D, 0x1F50, 0x1F57,
	0x1F59, 0x1F59, 0x1F5B, 0x1F5B, 0x1F5D, 0x1F5D, 0x1F5F, 0x1F7D, 0x1F80, 0x1FB4,
	0x1FB6, 0x1FBC, 0x1FBE, 0x1FBE, 0x1FC2, 0x1FC4, 0x1FC6, 0x1FCC, 0x1FD0, 0x1FD3,
	0x1FD6, 0x1FDB, 0x1FE0, 0x1FEC, 0x1FF2, 0x1FF4, 0x1FF6, 0x1FFC, 0x2102, 0x2102,
	0x2107, 0x2107, 0x210A, 0x2113, 0x2115, 0x2115, 0x2119, 0x211D, 0x2124, 0x2124,
	0x2126, 0x2126, 0x2128, 0x2128, 0x212A, 0x212D, 0x212F, 0x2134, 0x2139, 0x2139,
	0x213C, 0x213F, 0x2145, 0x2149, 0x214E, 0x214E, 0x2183, 0x2184, 0x2C00, 0x2C7B,
	0x2C7E, 0x2CE4, 0x2CEB, 0x2CEE, 0x2CF2, 0x2CF3, 0xA640, 0xA66D, 0xA680, 0xA69B,
	0xA722, 0xA76F, 0xA771, 0xA787, 0xA78B, 0xA78E, 0xAB70, 0xABBF, 0xFB00, 0xFB06,
	0xFB13, 0xFB17, 0xFF21, 0xFF3A, 0xFF41, 0xFF5A, 0x10400, 0x1044F, 0x104B0, 0x104D3,
	0x104D8, 0x104FB, 0x10C80, 0x10CB2, 0x10CC0, 0x10CF2, 0x118A0, 0x118DF, 0x1E900, 0x1E943,
}

// classOf returns the classes of r.
func classOf(t *[bmp]class, r rune) class {
	if uint32(r) < bmp {
		return t[r]
	}
	c := clsPoro
	for _, p := range tableClasses {
		if unicode.Is(p.table, r) {
			c |= p.class
		}
	}
	for _, p := range rangeClasses {
		for i := 0; i < len(p.ranges); i += 2 {
			if p.ranges[i] <= r && r <= p.ranges[i+1] {
				c |= p.class
			}
		}
	}
	return c
}

// next returns the classes of the code point at s[i] and the index after it;
// i < len(s). A byte that is not UTF-8 counts as U+FFFD, a symbol.
func next(t *[bmp]class, s string, i int) (class, int) {
	if b := s[i]; b < utf8.RuneSelf {
		return t[b], i + 1
	}
	return nextWide(t, s, i)
}

func nextWide(t *[bmp]class, s string, i int) (class, int) {
	r, n := utf8.DecodeRuneInString(s[i:])
	return classOf(t, r), i + n
}
