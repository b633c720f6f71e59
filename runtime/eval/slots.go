package eval

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Slots are how well JSON objects were predicted, field by field. A field that is
// absent, null or "" is empty. A field that has the right value counts as found; one
// that is not empty and wrong counts as wrong, one that should not be empty and is
// not right as missed. Precision is found/(found+wrong), recall found/(found+missed),
// F1 2 found/(2 found+wrong+missed): a wrong value is both wrong and missed.
// Scored are the fields that occur in any of the right objects; what a prediction
// has besides is not looked at. Fields of objects within objects are "outer.inner"; a
// dot or backslash that a name has itself is written with a backslash before it.
type Slots struct {
	Items  int     `json:"items"`
	Valid  float64 `json:"json_valid"` // share of outputs that are one JSON object and nothing else
	Found  float64 `json:"json_found"` // share in which there is a JSON object at all
	Exact  float64 `json:"exact"`      // share with every scored field right, the empty ones too
	Micro  Average `json:"slots"`
	Fields []Field `json:"fields"`
}

// Field are the figures of one field.
type Field struct {
	Name     string  `json:"name"`
	Accuracy float64 `json:"accuracy"` // share that are right, or rightly empty
	Average
	Support int `json:"support"` // items in which it is not empty
}

// parseObject reads exactly one JSON object.
func parseObject(text []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if v == nil {
		return nil, errors.New("it is null")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows it")
	}
	return v, nil
}

// maxStarts bounds how many opening braces are tried for an object in a text.
const maxStarts = 64

// FindObject gives the first JSON object in a text; whole says that the text is
// nothing else but white space.
func FindObject(text string) (object map[string]any, whole bool) {
	if v, err := parseObject([]byte(text)); err == nil {
		return v, true
	}
	for range maxStarts {
		at := strings.IndexByte(text, '{')
		if at < 0 {
			return nil, false
		}
		text = text[at:]
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var v map[string]any
		if d.Decode(&v) == nil && v != nil {
			return v, false
		}
		text = text[1:]
	}
	return nil, false
}

// An object whose name as a field is longer than this is one field, with all that is
// in it: otherwise names would take memory with the square of a hostile text's length.
const maxFieldName = 512

// escape makes a key a part of a field's name that has no dots of its own.
var escape = strings.NewReplacer(`\`, `\\`, `.`, `\.`)

// fields calls f with all fields of an object, by their names.
func fields(v map[string]any, prefix string, f func(name string, value any)) {
	for k, x := range v {
		name := prefix + escape.Replace(k)
		if inner, ok := x.(map[string]any); ok && len(name) < maxFieldName {
			fields(inner, name+".", f)
		} else {
			f(name, x)
		}
	}
}

// flatten lists an object's fields that are not empty, as texts that are equal where
// the values are.
func flatten(v map[string]any) map[string]string {
	out := map[string]string{}
	fields(v, "", func(name string, value any) {
		if value != nil && value != "" {
			out[name] = string(canonical(nil, value))
		}
	})
	return out
}

// canonical appends a value so that equal ones are spelled alike and others are not:
// numbers by their value, objects with their keys in order. What has parts has their
// number before them, and a text its length, so that nothing needs quoting.
func canonical(b []byte, x any) []byte {
	text := func(s string) { b = append(append(strconv.AppendInt(b, int64(len(s)), 10), ':'), s...) }
	switch x := x.(type) {
	case nil:
		return append(b, 'z')
	case bool:
		return strconv.AppendBool(b, x)
	case string:
		b = append(b, 's')
		text(x)
	case json.Number:
		b = append(b, 'n')
		text(decimal(x.String()))
	case []any:
		b = append(strconv.AppendInt(append(b, 'l'), int64(len(x)), 10), ':')
		for _, v := range x {
			b = canonical(b, v)
		}
	case map[string]any:
		b = append(strconv.AppendInt(append(b, 'o'), int64(len(x)), 10), ':')
		for _, k := range slices.Sorted(maps.Keys(x)) {
			text(k)
			b = canonical(b, x[k])
		}
	}
	return b
}

// decimal spells a JSON number exactly and in one way: digits without zeros at either
// end, then the power of ten they are multiplied with. An exponent beyond 64 bits stays
// as it is.
func decimal(number string) string {
	digits, sign := strings.CutPrefix(number, "-")
	digits, exponent, _ := strings.Cut(strings.ToLower(digits), "e")
	whole, fraction, _ := strings.Cut(digits, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	short := strings.TrimRight(digits, "0")
	if short == "" {
		return "0"
	}
	power := int64(0)
	if exponent != "" {
		var err error
		if power, err = strconv.ParseInt(exponent, 10, 64); err != nil || power > 1<<62 || power < -1<<62 {
			return number
		}
	}
	power += int64(len(digits)-len(short)) - int64(len(fraction))
	if sign {
		short = "-" + short
	}
	return short + "e" + strconv.FormatInt(power, 10)
}

// slotCounter adds items up.
type slotCounter struct {
	fields  []string
	known   map[string]bool // of fields
	right   []map[string]string
	got     []map[string]string
	object  []bool
	valid   int
	objects int
}

func (c *slotCounter) add(right, got map[string]any, whole bool) {
	c.right, c.got = append(c.right, flatten(right)), append(c.got, flatten(got))
	if c.known == nil {
		c.known = map[string]bool{}
	}
	fields(right, "", func(name string, _ any) {
		if !c.known[name] {
			c.known[name] = true
			c.fields = append(c.fields, name)
		}
	})
	if whole {
		c.valid++
	}
	c.object = append(c.object, got != nil)
	if got != nil {
		c.objects++
	}
}

// slots sums up; exact tells of each item whether all of it is right.
func (c *slotCounter) slots() (s Slots, exact []bool) {
	n := len(c.right)
	s = Slots{Items: n, Valid: ratio(c.valid, n), Found: ratio(c.objects, n), Fields: []Field{}}
	slices.Sort(c.fields)
	exact = slices.Clone(c.object)
	var tp, predicted, is int
	for _, name := range c.fields {
		var hit, some, want, ok int
		for i := range n {
			r, g := c.right[i][name], c.got[i][name]
			if r == g {
				ok++
			} else {
				exact[i] = false
			}
			if r != "" {
				want++
			}
			if g != "" {
				some++
				if r == g {
					hit++
				}
			}
		}
		s.Fields = append(s.Fields, Field{name, ratio(ok, n), averageOf(hit, some, want), want})
		tp, predicted, is = tp+hit, predicted+some, is+want
	}
	s.Micro = averageOf(tp, predicted, is)
	count := 0
	for _, e := range exact {
		if e {
			count++
		}
	}
	s.Exact = ratio(count, n)
	return s, exact
}
