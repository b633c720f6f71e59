package jinja

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// method is a method of a built-in type.
type method func(st *state, recv Value, a *args) (Value, error)

// boundMethod is a method taken from its object.
type boundMethod struct {
	recv Value
	fn   method
}

func methodsOf(v Value) map[string]method {
	switch v := v.(type) {
	case string:
		return stringMethods
	case *Dict:
		return dictMethods
	case *List:
		switch v.kind {
		case kindList:
			return listMethods
		case kindTuple:
			return tupleMethods
		}
	}
	return nil
}

// attr is v.name: an attribute or method, else an item of that key.
func (st *state) attr(v Value, name string) (Value, error) {
	if m, ok := methodsOf(v)[name]; ok {
		return &boundMethod{v, m}, st.alloc(32)
	}
	switch v := v.(type) {
	case *Dict:
		x, ok, err := st.dictGet(v, name)
		if ok || err != nil {
			return x, err
		}
	case *Undefined:
		return nil, v.err()
	case *namespace:
		if x, ok := v.d.Get(name); ok {
			return x, nil
		}
	case *List:
		for i, n := range v.names {
			if n == name {
				return v.items[i], nil
			}
		}
	case *loop:
		return v.attr(name)
	case *cycler:
		return v.attr(name)
	case *macro:
		if name == "name" {
			return v.def.name, nil
		}
	}
	return undefinedAttr(v, name), nil
}

// item is v[key]: an item, else, for text keys, an attribute.
func (st *state) item(v, key Value) (Value, error) {
	switch c := v.(type) {
	case *Undefined:
		return nil, c.err()
	case *Dict:
		x, ok, err := st.dictGet(c, key)
		if ok {
			return x, err
		}
		var limit *LimitError
		if errors.As(err, &limit) {
			return nil, err
		}
	case *List:
		if i, ok := asInt(key); ok && c.kind <= kindTuple {
			if i, ok := index(i, len(c.items)); ok {
				return c.items[i], nil
			}
		}
	case *Range:
		if i, ok := asInt(key); ok {
			if i, ok := index(i, c.len()); ok {
				return c.at(i), nil
			}
		}
	case string:
		if i, ok := asInt(key); ok {
			return st.charAt(c, i)
		}
	}
	if name, ok := key.(string); ok {
		return st.attr(v, name)
	}
	k, err := st.str(key)
	if err != nil {
		return nil, err
	}
	return undefinedAttr(v, k), nil
}

// index resolves a possibly negative index into n elements.
func index(i int64, n int) (int, bool) {
	if i < 0 {
		i += int64(n)
	}
	return int(i), i >= 0 && i < int64(n)
}

// charAt returns character i of s.
func (st *state) charAt(s string, i int64) (Value, error) {
	if err := st.scan(len(s)); err != nil {
		return nil, err
	}
	rest := s
	if i < 0 {
		for i++; i < 0 && rest != ""; i++ {
			_, n := utf8.DecodeLastRuneInString(rest)
			rest = rest[:len(rest)-n]
		}
		if rest != "" {
			_, n := utf8.DecodeLastRuneInString(rest)
			return rest[len(rest)-n:], nil
		}
	} else {
		for ; i > 0 && rest != ""; i-- {
			rest = rest[len(firstRune(rest)):]
		}
		if rest != "" {
			return firstRune(rest), nil
		}
	}
	return &Undefined{"string index out of range"}, nil
}

// sliceBounds resolves Python's start:stop:step over n elements.
func sliceBounds(n int, start, stop, step *int64) (from, to, by int64, err error) {
	by = 1
	if step != nil {
		by = *step
	}
	if by == 0 {
		return 0, 0, 0, errors.New("slice step cannot be zero")
	}
	lo, hi := int64(0), int64(n)
	if by < 0 {
		lo, hi = -1, int64(n)-1
	}
	clip := func(p *int64, otherwise int64) int64 {
		if p == nil {
			return otherwise
		}
		i := *p
		if i < 0 {
			i += int64(n)
		}
		return min(max(i, lo), hi)
	}
	if by > 0 {
		return clip(start, lo), clip(stop, hi), by, nil
	}
	return clip(start, hi), clip(stop, lo), by, nil
}

func (st *state) slice(v Value, start, stop, step *int64) (Value, error) {
	switch c := v.(type) {
	case string:
		return st.sliceString(c, start, stop, step)
	case *List:
		if c.kind > kindTuple {
			break
		}
		from, to, by, err := sliceBounds(len(c.items), start, stop, step)
		if err != nil {
			return nil, err
		}
		n := (&Range{from, to, by}).len()
		if err := st.allocN(n+1, listItemBytes); err != nil {
			return nil, err
		}
		out := &List{items: make([]Value, 0, n), kind: c.kind}
		for i := 0; i < n; i++ {
			out.items = append(out.items, c.items[from])
			from += by
		}
		return out, nil
	case *Range:
		from, to, by, err := sliceBounds(c.len(), start, stop, step)
		if err != nil {
			return nil, err
		}
		// A step past the end may as well be just past it: no overflow then.
		by = min(max(by, -maxRange-1), maxRange+1)
		return &Range{c.start + from*c.step, c.start + to*c.step, by * c.step}, nil
	case *Undefined:
		return nil, c.err()
	}
	return nil, fmt.Errorf("'%s' object cannot be sliced", typeName(v))
}

func (st *state) sliceString(s string, start, stop, step *int64) (Value, error) {
	if err := st.scan(len(s)); err != nil {
		return nil, err
	}
	ascii := isASCII(s)
	n := len(s)
	if !ascii {
		n = utf8.RuneCountInString(s)
	}
	from, to, by, err := sliceBounds(n, start, stop, step)
	if err != nil {
		return nil, err
	}
	if by == 1 {
		if from >= to {
			return "", nil
		}
		if ascii {
			return s[from:to], nil
		}
		a := byteOffset(s, int(from))
		return s[a : a+byteOffset(s[a:], int(to-from))], nil
	}
	if err := st.allocN(n, 4); err != nil {
		return nil, err
	}
	runes := []rune(s)
	var b strings.Builder
	for i, left := from, (&Range{from, to, by}).len(); left > 0; left-- {
		b.WriteRune(runes[i])
		i += by
	}
	return b.String(), st.alloc(b.Len())
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// byteOffset returns where character n of s begins.
func byteOffset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}
