package jinja

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

func partitionMethod(name string, find func(s, sep string) int) method {
	return func(st *state, recv Value, a *args) (Value, error) {
		p, err := a.bind(name, 1, "sep")
		if err != nil {
			return nil, err
		}
		s := recv.(string)
		sep, err := textArg(name, p[0], "")
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, errors.New("empty separator")
		}
		if err := st.alloc(4*listItemBytes + len(s)/64); err != nil {
			return nil, err
		}
		out := []Value{s, "", ""}
		if name == "rpartition" {
			out = []Value{"", "", s}
		}
		if i := find(s, sep); i >= 0 {
			out = []Value{s[:i], sep, s[i+len(sep):]}
		}
		return &List{items: out, kind: kindTuple}, st.scan(len(s))
	}
}

// replace is str.replace; count is negative for all.
func (st *state) replace(s, old, with string, count int64) (string, error) {
	n := strings.Count(s, old)
	if err := st.scan(len(s)); err != nil {
		return "", err
	}
	if count >= 0 && count < int64(n) {
		n = int(count)
	}
	if n == 0 {
		return s, nil
	}
	if err := st.allocN(n, len(with)); err != nil {
		return "", err
	}
	if err := st.alloc(len(s)); err != nil {
		return "", err
	}
	return strings.Replace(s, old, with, n), nil
}

func strReplace(st *state, recv Value, a *args) (Value, error) {
	p, err := a.bind("replace", 2, "old", "new", "count")
	if err != nil {
		return nil, err
	}
	old, err := textArg("replace", p[0], "")
	if err != nil {
		return nil, err
	}
	with, err := textArg("replace", p[1], "")
	if err != nil {
		return nil, err
	}
	count, err := intArg("replace", p[2], -1)
	if err != nil {
		return nil, err
	}
	return st.replace(recv.(string), old, with, count)
}

func strJoin(st *state, recv Value, a *args) (Value, error) {
	p, err := a.bind("join", 1, "iterable")
	if err != nil {
		return nil, err
	}
	items, err := st.list(p[0])
	if err != nil {
		return nil, err
	}
	return st.joinValues(items, recv.(string), false)
}

// joinValues joins items, made into texts if convert is set.
func (st *state) joinValues(items []Value, sep string, convert bool) (Value, error) {
	if err := st.allocN(len(items), 16); err != nil {
		return nil, err
	}
	parts := make([]string, len(items))
	n := 0
	for i, v := range items {
		s, ok := v.(string)
		if !ok {
			if !convert {
				return nil, fmt.Errorf("join(): item %d is %s, not a text", i, typeName(v))
			}
			var err error
			if s, err = st.str(v); err != nil {
				return nil, err
			}
		}
		parts[i] = s
		if n += len(s); n > math.MaxInt32 {
			return nil, st.alloc(-1)
		}
	}
	return st.joinStrings(parts, sep, n)
}

func splitMethod(name string, fromRight bool) method {
	return func(st *state, recv Value, a *args) (Value, error) {
		p, err := a.bind(name, 0, "sep", "maxsplit")
		if err != nil {
			return nil, err
		}
		limit, err := intArg(name, p[1], -1)
		if err != nil {
			return nil, err
		}
		if p[0] == None {
			p[0] = nil
		}
		sep, err := textArg(name, p[0], "")
		if err != nil {
			return nil, err
		}
		if p[0] != nil && sep == "" {
			return nil, errors.New("empty separator")
		}
		s := recv.(string)
		if err := st.scan(len(s)); err != nil {
			return nil, err
		}
		if p[0] == nil {
			return st.splitSpace(s, limit, fromRight)
		}
		out := &List{}
		for ; limit != 0; limit-- {
			if err := st.alloc(listItemBytes); err != nil {
				return nil, err
			}
			i := strings.Index(s, sep)
			if fromRight {
				i = strings.LastIndex(s, sep)
			}
			if i < 0 {
				break
			}
			if fromRight {
				out.items, s = append(out.items, s[i+len(sep):]), s[:i]
			} else {
				out.items, s = append(out.items, s[:i]), s[i+len(sep):]
			}
		}
		out.items = append(out.items, s)
		if fromRight {
			reverse(out.items)
		}
		return out, nil
	}
}

// splitSpace splits at runs of whitespace.
func (st *state) splitSpace(s string, limit int64, fromRight bool) (Value, error) {
	out := &List{}
	for {
		if fromRight {
			s = strings.TrimRightFunc(s, isSpace)
		} else {
			s = strings.TrimLeftFunc(s, isSpace)
		}
		if s == "" {
			break
		}
		if err := st.alloc(listItemBytes); err != nil {
			return nil, err
		}
		i := strings.IndexFunc(s, isSpace)
		if fromRight {
			i = strings.LastIndexFunc(s, isSpace)
		}
		if i < 0 || limit == 0 {
			out.items = append(out.items, s)
			break
		}
		limit--
		if fromRight {
			_, n := utf8.DecodeRuneInString(s[i:])
			out.items, s = append(out.items, s[i+n:]), s[:i]
		} else {
			out.items, s = append(out.items, s[:i]), s[i:]
		}
	}
	if fromRight {
		reverse(out.items)
	}
	return out, nil
}

func reverse(items []Value) {
	for i, j := 0, len(items)-1; i < j; i, j = i+1, j-1 {
		items[i], items[j] = items[j], items[i]
	}
}

func strSplitlines(st *state, recv Value, a *args) (Value, error) {
	p, err := a.bind("splitlines", 0, "keepends")
	if err != nil {
		return nil, err
	}
	lines, err := st.splitLines(recv.(string), p[0] != nil && truth(p[0]))
	if err != nil {
		return nil, err
	}
	out := &List{items: make([]Value, len(lines))}
	for i, s := range lines {
		out.items[i] = s
	}
	return out, nil
}

// splitLines is str.splitlines.
func (st *state) splitLines(s string, keep bool) ([]string, error) {
	if err := st.scan(len(s)); err != nil {
		return nil, err
	}
	var out []string
	for s != "" {
		if err := st.alloc(2 * listItemBytes); err != nil {
			return nil, err
		}
		i := strings.IndexAny(s, "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029")
		if i < 0 {
			return append(out, s), nil
		}
		n := len(firstRune(s[i:]))
		if strings.HasPrefix(s[i:], "\r\n") {
			n = 2
		}
		if keep {
			out = append(out, s[:i+n])
		} else {
			out = append(out, s[:i])
		}
		s = s[i+n:]
	}
	return out, nil
}
