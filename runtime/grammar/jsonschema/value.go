package jsonschema

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of the text of a schema.
const (
	maxSchemaBytes = 4 << 20
	maxDepth       = 100
	maxExponent    = 400 // of numbers: more is no float64
)

// value is a JSON value whose object keeps the order of its members.
type value struct {
	kind    kind
	members []member
	index   map[string]int // of members by their keys, if they are many
	items   []*value
	size    int    // of values: this one and those in it
	text    string // of a string; of a number as it is written
	yes     bool
	hash    [16]byte // equal for equal texts, except for spaces and escapes
	inner   bool     // it is in a schema with an $id: not the root, to which # leads
}

type member struct {
	key string
	v   *value
}

type kind byte

const (
	null kind = iota
	boolean
	number
	str
	array
	object
)

func (k kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

// manyMembers is from how many members on an object has an index of them.
const manyMembers = 16

// get gives an object's member, nil if there is none.
func (v *value) get(key string) *value {
	if v.index != nil {
		if i, ok := v.index[key]; ok {
			return v.members[i].v
		}
		return nil
	}
	for _, m := range v.members {
		if m.key == key {
			return m.v
		}
	}
	return nil
}

// parse reads one JSON value.
func parse(data []byte) (*value, error) {
	if len(data) > maxSchemaBytes {
		return nil, &Error{"#", fmt.Sprintf("the schema is longer than %d MiB", maxSchemaBytes>>20)}
	}
	if !utf8.Valid(data) {
		return nil, &Error{"#", "the schema is not UTF-8"}
	}
	if at := loneSurrogate(data); at >= 0 {
		return nil, &Error{"#", fmt.Sprintf("at byte %d: %s is half of a character: no text has it", at, data[at:at+6])}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := parseValue(d, "#", 0)
	if err == nil {
		if _, e := d.Token(); e != io.EOF {
			err = errors.New("something follows the schema")
		}
	}
	var e *Error
	if err != nil && !errors.As(err, &e) {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the text ends early")
		}
		return nil, &Error{"#", fmt.Sprintf("the schema is no JSON: at byte %d: %v", d.InputOffset(), err)}
	}
	return v, err
}

// loneSurrogate finds an escape that is half of a pair, -1 for none: the decoder
// would take U+FFFD for it, another text than what is meant.
func loneSurrogate(data []byte) int {
	for i := 0; i+1 < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		if i++; data[i] != 'u' || i+5 > len(data) || !isHex(string(data[i+1:i+5])) {
			continue
		}
		r, n := unicodeEscape(string(data[i-1 : min(i+11, len(data))]))
		if utf16.IsSurrogate(r) {
			return i - 1
		}
		i += n - 2
	}
	return -1
}

func parseValue(d *json.Decoder, at string, depth int) (*value, error) {
	if depth > maxDepth {
		return nil, &Error{at, fmt.Sprintf("nested more than %d deep", maxDepth)}
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	v := &value{size: 1}
	h := sha256.New()
	switch t := t.(type) {
	case nil:
		v.kind = null
	case bool:
		v.kind, v.yes = boolean, t
	case string:
		v.kind, v.text = str, t
	case json.Number:
		v.kind, v.text = number, string(t)
		if err := checkNumber(v.text); err != nil {
			return nil, &Error{at, err.Error()}
		}
	case json.Delim:
		if t == '[' {
			v.kind = array
			for d.More() {
				k, err := parseValue(d, at+"/"+strconv.Itoa(len(v.items)), depth+1)
				if err != nil {
					return nil, err
				}
				v.items = append(v.items, k)
				v.size += k.size
				h.Write(k.hash[:])
			}
		} else {
			v.kind = object
			if err := v.parseMembers(d, at, depth, h); err != nil {
				return nil, err
			}
		}
		if _, err := d.Token(); err != nil { // the closing bracket
			return nil, err
		}
	}
	fmt.Fprintf(h, "%d %t %q", v.kind, v.yes, v.text)
	copy(v.hash[:], h.Sum(nil))
	return v, nil
}

func (v *value) parseMembers(d *json.Decoder, at string, depth int, h io.Writer) error {
	seen := map[string]int{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, _ := t.(string) // the decoder lets nothing else through
		if _, ok := seen[key]; ok {
			return &Error{pointer(at, key), "the name comes twice"}
		}
		seen[key] = len(v.members)
		k, err := parseValue(d, pointer(at, key), depth+1)
		if err != nil {
			return err
		}
		v.members = append(v.members, member{key, k})
		v.size += k.size
		fmt.Fprintf(h, "%q", key)
		_, _ = h.Write(k.hash[:]) // a hash never fails
	}
	if len(seen) >= manyMembers {
		v.index = seen
	}
	return nil
}

// markInner marks what lies in schemas below v that have an $id: there # leads to
// these. An equal text elsewhere may mean another thing, so it gets another hash.
func (v *value) markInner(inner bool) {
	if v.inner = inner; inner {
		v.hash[0] ^= 1
	}
	for _, k := range v.items {
		k.markInner(inner || k.hasID())
	}
	for _, m := range v.members {
		m.v.markInner(inner || m.v.hasID())
	}
}

// hasID says that v is a resource by itself. An $id that is a fragment was once only
// a name.
func (v *value) hasID() bool {
	id := v.get("$id")
	return id != nil && id.kind == str && !strings.HasPrefix(id.text, "#")
}

// checkNumber refuses what is no float64.
func checkNumber(text string) error {
	_, exp, _ := strings.Cut(strings.ToLower(text), "e")
	n := 0
	if exp != "" {
		var err error
		if n, err = strconv.Atoi(exp); err != nil {
			n = math.MaxInt
		}
	}
	if _, err := strconv.ParseFloat(text, 64); err != nil || n > maxExponent || n < -maxExponent || len(text) > 2*maxExponent {
		return fmt.Errorf("the number %.20s is out of range", text)
	}
	return nil
}

// maxPointer bounds pointers in errors: each of many values below a long name has one.
const maxPointer = 1 << 10

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// pointer extends a JSON pointer.
func pointer(at, key string) string {
	return shorten(shorten(at) + "/" + pointerEscapes.Replace(shorten(key)))
}

// shorten cuts a pointer that is too long to be read.
func shorten(at string) string {
	if len(at) <= maxPointer {
		return at
	}
	return strings.ToValidUTF8(at[:maxPointer], "") + "..."
}

// equal compares values as JSON Schema does: 1 and 1.0 are the same.
func equal(a, b *value) bool {
	if a.kind != b.kind || len(a.items) != len(b.items) || len(a.members) != len(b.members) {
		return false
	}
	switch a.kind {
	case boolean:
		return a.yes == b.yes
	case str:
		return a.text == b.text
	case number:
		return compareDecimals(parseDecimal(a.text), parseDecimal(b.text)) == 0
	}
	for i := range a.items {
		if !equal(a.items[i], b.items[i]) {
			return false
		}
	}
	for _, m := range a.members {
		other := b.get(m.key)
		if other == nil || !equal(m.v, other) {
			return false
		}
	}
	return true
}

// write appends the value as compact JSON.
func (v *value) write(b []byte) []byte {
	switch v.kind {
	case null:
		return append(b, "null"...)
	case boolean:
		return strconv.AppendBool(b, v.yes)
	case number:
		return append(b, v.text...)
	case str:
		return appendString(b, v.text)
	case array:
		b = append(b, '[')
		for i, k := range v.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = k.write(b)
		}
		return append(b, ']')
	}
	b = append(b, '{')
	for i, m := range v.members {
		if i > 0 {
			b = append(b, ',')
		}
		b = m.v.write(append(appendString(b, m.key), ':'))
	}
	return append(b, '}')
}

// appendString appends a JSON string with no more escapes than it needs.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		if e := escape(r); e != "" {
			b = append(b, e...)
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// escape is how a character must be written inside a string; "" is as itself.
func escape(r rune) string {
	switch r {
	case '"':
		return `\"`
	case '\\':
		return `\\`
	case '\b':
		return `\b`
	case '\f':
		return `\f`
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if r < 0x20 {
		return fmt.Sprintf(`\u%04x`, r)
	}
	return ""
}
