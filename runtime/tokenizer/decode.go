package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// PieceString is Piece as a string.
func (t *Tokenizer) PieceString(id int32, special bool) string {
	if !t.valid(id) {
		return ""
	}
	s := t.cfg.Tokens[id]
	switch t.types[id] {
	case TypeControl, TypeUnknown:
		if special {
			return s
		}
	case TypeUserDefined:
		return s
	case TypeNormal:
		if t.pieces != nil {
			return t.pieces[id]
		}
		return strings.ReplaceAll(s, spaceMark, " ")
	case TypeByte:
		if b, ok := parseByte(s); ok {
			return string([]byte{b})
		}
		return s
	}
	return "" // a control token not to be shown, or an unused one
}

// Piece returns the bytes that id stands for in a text, which need not be whole
// characters. Control tokens have a piece only with special. An id outside the
// vocabulary has none.
func (t *Tokenizer) Piece(id int32, special bool) []byte {
	return []byte(t.PieceString(id, special))
}

// Decode returns the text of ids, byte for byte: it is not UTF-8 where the ids
// end inside a character. Control tokens show only with special. The space that
// Encode puts before a text (AddSpacePrefix, and "bert" before every word) is
// taken off again.
func (t *Tokenizer) Decode(ids []int32, special bool) string {
	var b strings.Builder
	strip := t.cfg.AddSpacePrefix || t.cfg.Model == "bert"
	for _, id := range ids {
		s := t.PieceString(id, special)
		if strip && s != "" && !t.IsControl(id) {
			s = strings.TrimPrefix(s, " ")
			strip = false
		}
		b.WriteString(s)
	}
	return b.String()
}

// Decoder turns a stream of ids into text that is always valid UTF-8: it holds
// back a character until all its bytes have come, and puts U+FFFD for bytes
// that cannot belong to one. It keeps the leading space of the first piece,
// since a generated text continues a prompt. It is for one goroutine.
type Decoder struct {
	t       *Tokenizer
	special bool
	held    []byte // the beginning of a character
}

// NewDecoder returns a Decoder; special is as for Decode.
func (t *Tokenizer) NewDecoder(special bool) *Decoder {
	return &Decoder{t: t, special: special}
}

// Push takes the next id and returns the text that is complete with it.
func (d *Decoder) Push(id int32) string {
	s := d.t.PieceString(id, d.special)
	if len(d.held) == 0 && utf8.ValidString(s) {
		return s
	}
	d.held = append(d.held, s...)
	return d.take(false)
}

// Flush returns what is left, with U+FFFD for a character that was never
// completed, and makes the Decoder ready for another text.
func (d *Decoder) Flush() string { return d.take(true) }

// take removes and returns the text in d.held; with all also the beginning of a
// character at the end.
func (d *Decoder) take(all bool) string {
	var b strings.Builder
	p := d.held
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			if !utf8.FullRune(p) {
				if !all {
					break
				}
				n = len(p) // the parts of one character make one U+FFFD
			}
		}
		b.WriteRune(r)
		p = p[n:]
	}
	d.held = append(d.held[:0], p...)
	return b.String()
}
