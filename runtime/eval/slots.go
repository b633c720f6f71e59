package eval

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Slots are how well JSON objects were predicted, field by field. A field that is
// absent, null or "" is empty. A field that has the right value counts as found; one
// that is not empty and wrong counts as wrong, one that should not be empty and is
// not right as missed. Precision is found/(found+wrong), recall found/(found+missed),
// F1 2 found/(2 found+wrong+missed): a wrong value is both wrong and missed.
// Scored are the fields that occur in any of the right objects; what a prediction
// has besides is not looked at. Fields of objects within objects are "outer.inner".
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

// flatten lists an object's fields that are not empty, as texts that are equal where
// the values are.
func flatten(v map[string]any, prefix string, out map[string]string) {
	for k, x := range v {
		switch x := x.(type) {
		case nil:
		case map[string]any:
			flatten(x, prefix+k+".", out)
		case string:
			if x != "" {
				out[prefix+k] = "s" + x
			}
		default:
			out[prefix+k] = canonical(x)
		}
	}
}

// canonical spells a value so that equal ones are spelled alike: numbers by their
// value, objects with their keys in order.
func canonical(x any) string {
	switch x := x.(type) {
	case json.Number:
		f, err := x.Float64()
		if err != nil {
			return "n" + x.String()
		}
		return fmt.Sprintf("n%g", f+0) // -0 is 0
	case []any:
		parts := make([]string, len(x))
		for i, v := range x {
			parts[i] = canonical(v)
		}
		return fmt.Sprintf("l%q", parts)
	case map[string]any:
		parts := []string{}
		for _, k := range slices.Sorted(maps.Keys(x)) {
			parts = append(parts, k, canonical(x[k]))
		}
		return fmt.Sprintf("o%q", parts)
	}
	return fmt.Sprintf("%T %v", x, x)
}

// slotCounter adds items up.
type slotCounter struct {
	fields  []string
	right   []map[string]string
	got     []map[string]string
	object  []bool
	valid   int
	objects int
}

func (c *slotCounter) add(right, got map[string]any, whole bool) {
	r, g := map[string]string{}, map[string]string{}
	flatten(right, "", r)
	flatten(got, "", g)
	c.right, c.got = append(c.right, r), append(c.got, g)
	for k := range names(right, "") {
		if !slices.Contains(c.fields, k) {
			c.fields = append(c.fields, k)
		}
	}
	if whole {
		c.valid++
	}
	c.object = append(c.object, got != nil)
	if got != nil {
		c.objects++
	}
}

// names gives the names of an object's fields, empty ones too.
func names(v map[string]any, prefix string) map[string]bool {
	out := map[string]bool{}
	for k, x := range v {
		if inner, ok := x.(map[string]any); ok {
			maps.Copy(out, names(inner, prefix+k+"."))
		} else {
			out[prefix+k] = true
		}
	}
	return out
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
