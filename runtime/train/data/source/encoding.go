package source

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// encodings by the names that users and HTML give them.
var encodings = map[string]encoding.Encoding{
	"utf-8": encoding.Nop, "utf8": encoding.Nop,
	"utf-16le": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), "utf-16": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM),
	"utf-16be": unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
	"gb18030":  simplifiedchinese.GB18030, "gbk": simplifiedchinese.GB18030, "gb2312": simplifiedchinese.GB18030,
	"iso-8859-1": charmap.Windows1252, "latin1": charmap.Windows1252, "windows-1252": charmap.Windows1252,
}

const knownEncodings = "utf-8 utf-16 utf-16le utf-16be gb18030 gbk gb2312 iso-8859-1 windows-1252"

// encodingNamed finds an encoding; "" is nil: find out.
func encodingNamed(name string) (encoding.Encoding, error) {
	if name == "" {
		return nil, nil
	}
	e, ok := encodings[strings.ToLower(name)]
	if !ok {
		return nil, fmt.Errorf("the encoding %q is not known; known: %s", name, knownEncodings)
	}
	return e, nil
}

// sample is how much of a file its encoding is told by.
const sample = 1 << 20

// detect tells the encoding of a file by its beginning: a byte order mark, else
// UTF-8 if it is that, else what HTML says of itself, else GB18030 if that makes
// common Chinese of it, else UTF-8 if it is that but for a few bytes, or JSON, which has
// to be. Latin encodings cannot be told from each other, so they are refused unless
// named. whole says that head is all there is.
func detect(head []byte, whole bool, format Format) (encoding.Encoding, error) {
	switch {
	case bytes.HasPrefix(head, []byte{0xEF, 0xBB, 0xBF}):
		return encoding.Nop, nil
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}), bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		return unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM), nil
	}
	if !whole { // the end of the sample may cut a character
		for i := 0; i < utf8.UTFMax && len(head) > 0 && !utf8.Valid(head); i++ {
			if r, n := utf8.DecodeLastRune(head); r != utf8.RuneError || n > 1 {
				break
			}
			head = head[:len(head)-1]
		}
	}
	if utf8.Valid(head) {
		return encoding.Nop, nil
	}
	if format == HTML {
		if e, err := encodingNamed(metaCharset(head)); err == nil && e != nil {
			return e, nil
		}
	}
	if commonChinese(head) {
		return simplifiedchinese.GB18030, nil
	}
	first, wrong, right := -1, 0, 0
	for at := 0; at < len(head); {
		r, n := utf8.DecodeRune(head[at:])
		switch {
		case r == utf8.RuneError && n == 1:
			if wrong++; first < 0 {
				first = at
			}
		case n > 1:
			right++
		}
		at += n
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return nil, fmt.Errorf("it is no text: it has bytes of value 0")
	}
	if format == JSONLines || wrong*20 < right {
		return encoding.Nop, nil
	}
	return nil, fmt.Errorf("byte %d is not UTF-8, and the encoding could not be told: name it (%s)", first+1, knownEncodings)
}

// metaCharset is what <meta charset=...> says within the first 1,024 bytes, where
// the HTML standard wants it.
func metaCharset(head []byte) string {
	s := strings.ToLower(string(head[:min(len(head), 1024)]))
	_, s, ok := strings.Cut(s, "charset=")
	if !ok {
		return ""
	}
	s = strings.TrimLeft(s, "\"' ")
	if end := strings.IndexAny(s, "\"'>; /"); end >= 0 {
		s = s[:end]
	}
	return s
}

// commonChinese reports whether nearly all of what is not ASCII makes characters of
// GB2312, the common ones: two bytes from 0xA1 on. Text in a Latin encoding has
// such bytes mostly singly, between ASCII.
func commonChinese(b []byte) bool {
	common, other := 0, 0
	for i := 0; i < len(b); {
		switch {
		case b[i] < 0x80:
			i++
		case i+1 < len(b) && b[i] >= 0xA1 && b[i] <= 0xF7 && b[i+1] >= 0xA1 && b[i+1] != 0xFF:
			common++
			i += 2
		case i+1 < len(b) && b[i] >= 0x81 && b[i+1] >= 0x30 && b[i+1] != 0x7F && b[i+1] != 0xFF: // GBK, or half of four bytes
			other++
			i += 2
		case i+1 == len(b):
			i++ // cut
		default:
			return false
		}
	}
	return common > 0 && common >= 9*other
}

// decoded reads r as UTF-8. A byte order mark is taken off.
func decoded(r io.Reader, e encoding.Encoding) io.Reader {
	if e == encoding.Nop {
		return transform.NewReader(r, unicode.BOMOverride(transform.Nop))
	}
	return transform.NewReader(r, e.NewDecoder())
}
