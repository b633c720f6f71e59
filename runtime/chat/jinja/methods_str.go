package jinja

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// stringMethods are the methods of Python's str that templates may call.
var stringMethods map[string]method

func init() {
	// Assigned here because format reaches attr, which reads this table.
	stringMethods = map[string]method{
		"capitalize":   textMethod("capitalize", capitalize),
		"casefold":     textMethod("casefold", strings.ToLower),
		"center":       padMethod("center"),
		"count":        strCount,
		"endswith":     affixMethod("endswith", strings.HasSuffix),
		"find":         findMethod("find", false, false),
		"format":       strFormat,
		"index":        findMethod("index", false, true),
		"isalnum":      classMethod("isalnum", func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
		"isalpha":      classMethod("isalpha", unicode.IsLetter),
		"isascii":      strIsASCII,
		"isdecimal":    classMethod("isdecimal", unicode.IsDigit),
		"isdigit":      classMethod("isdigit", unicode.IsDigit),
		"islower":      caseMethod("islower", unicode.IsLower, unicode.IsUpper),
		"isnumeric":    classMethod("isnumeric", unicode.IsNumber),
		"isspace":      classMethod("isspace", isSpace),
		"isupper":      caseMethod("isupper", unicode.IsUpper, unicode.IsLower),
		"join":         strJoin,
		"ljust":        padMethod("ljust"),
		"lower":        textMethod("lower", strings.ToLower),
		"lstrip":       stripMethod("lstrip", true, false),
		"partition":    partitionMethod("partition", strings.Index),
		"removeprefix": trimAffixMethod("removeprefix", strings.TrimPrefix),
		"removesuffix": trimAffixMethod("removesuffix", strings.TrimSuffix),
		"replace":      strReplace,
		"rfind":        findMethod("rfind", true, false),
		"rindex":       findMethod("rindex", true, true),
		"rjust":        padMethod("rjust"),
		"rpartition":   partitionMethod("rpartition", strings.LastIndex),
		"rsplit":       splitMethod("rsplit", true),
		"rstrip":       stripMethod("rstrip", false, true),
		"split":        splitMethod("split", false),
		"splitlines":   strSplitlines,
		"startswith":   affixMethod("startswith", strings.HasPrefix),
		"strip":        stripMethod("strip", true, true),
		"swapcase":     textMethod("swapcase", swapCase),
		"title":        textMethod("title", titleCase),
		"upper":        textMethod("upper", strings.ToUpper),
		"zfill":        padMethod("zfill"),
	}
}

// text returns a text argument, or otherwise when it is missing.
func textArg(fn string, v Value, otherwise string) (string, error) {
	switch v := v.(type) {
	case nil:
		return otherwise, nil
	case string:
		return v, nil
	}
	return "", fmt.Errorf("%s() expects a text, not %s", fn, typeName(v))
}

func intArg(fn string, v Value, otherwise int64) (int64, error) {
	if v == nil {
		return otherwise, nil
	}
	if i, ok := asInt(v); ok {
		return i, nil
	}
	return 0, fmt.Errorf("%s() expects an integer, not %s", fn, typeName(v))
}

// mapText applies f, whose result is at most three times as long, to s.
func (st *state) mapText(s string, f func(string) string) (Value, error) {
	if err := st.allocN(len(s), 3); err != nil {
		return nil, err
	}
	return f(s), nil
}

func textMethod(name string, f func(string) string) method {
	return func(st *state, recv Value, a *args) (Value, error) {
		if _, err := a.bind(name, 0); err != nil {
			return nil, err
		}
		return st.mapText(recv.(string), f)
	}
}

func capitalize(s string) string {
	if s == "" {
		return s
	}
	first := firstRune(s)
	return strings.ToTitle(first) + strings.ToLower(s[len(first):])
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

// titleCase is str.title: a capital after everything that has no case.
func titleCase(s string) string {
	prev := false
	return strings.Map(func(r rune) rune {
		cased := unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r)
		was := prev
		prev = cased
		if was {
			return unicode.ToLower(r)
		}
		return unicode.ToTitle(r)
	}, s)
}

func classMethod(name string, is func(rune) bool) method {
	return func(st *state, recv Value, a *args) (Value, error) {
		if _, err := a.bind(name, 0); err != nil {
			return nil, err
		}
		s := recv.(string)
		for _, r := range s {
			if !is(r) {
				return false, st.scan(len(s))
			}
		}
		return s != "", st.scan(len(s))
	}
}

func caseMethod(name string, want, other func(rune) bool) method {
	return func(st *state, recv Value, a *args) (Value, error) {
		if _, err := a.bind(name, 0); err != nil {
			return nil, err
		}
		s := recv.(string)
		found := strings.IndexFunc(s, want) >= 0 && strings.IndexFunc(s, other) < 0
		return found, st.scan(2 * len(s))
	}
}

func strIsASCII(st *state, recv Value, a *args) (Value, error) {
	if _, err := a.bind("isascii", 0); err != nil {
		return nil, err
	}
	s := recv.(string)
	return isASCII(s), st.scan(len(s))
}

// window resolves the optional start and end arguments of the searching
// methods; it returns the text between them and how many characters and bytes
// come before.
func (st *state) window(fn, s string, start, end Value) (part string, chars, bytes int, err error) {
	if err := st.scan(len(s)); err != nil || start == nil && end == nil {
		return s, 0, 0, err
	}
	var bounds [2]*int64
	for i, v := range []Value{start, end} {
		if v == nil || v == None {
			continue
		}
		n, err := intArg(fn, v, 0)
		if err != nil {
			return "", 0, 0, err
		}
		bounds[i] = &n
	}
	n := utf8.RuneCountInString(s)
	from, to, _, err := sliceBounds(n, bounds[0], bounds[1], nil)
	if err != nil {
		return "", 0, 0, err
	}
	a := byteOffset(s, int(from))
	if bounds[0] != nil && *bounds[0] > int64(n) || from > to {
		return "", -1, 0, nil // nothing, not even an empty text, is found here
	}
	return s[a : a+byteOffset(s[a:], int(to-from))], int(from), a, nil
}

func affixMethod(name string, has func(s, affix string) bool) method {
	return func(st *state, recv Value, a *args) (Value, error) {
		p, err := a.bind(name, 1, "affix", "start", "end")
		if err != nil {
			return nil, err
		}
		s, chars, _, err := st.window(name, recv.(string), p[1], p[2])
		if err != nil || chars < 0 {
			return false, err
		}
		affixes := []Value{p[0]}
		if l, ok := p[0].(*List); ok && l.kind == kindTuple {
			affixes = l.items
		}
		for _, v := range affixes {
			affix, err := textArg(name, v, "")
			if err == nil {
				err = st.scan(len(affix))
			}
			if err != nil || has(s, affix) {
				return err == nil, err
			}
		}
		return false, nil
	}
}

func findMethod(name string, last, must bool) method {
	return func(st *state, recv Value, a *args) (Value, error) {
		p, err := a.bind(name, 1, "sub", "start", "end")
		if err != nil {
			return nil, err
		}
		sub, err := textArg(name, p[0], "")
		if err != nil {
			return nil, err
		}
		s, chars, _, err := st.window(name, recv.(string), p[1], p[2])
		if err != nil {
			return nil, err
		}
		at := -1
		if chars >= 0 {
			if at = strings.Index(s, sub); last {
				at = strings.LastIndex(s, sub)
			}
		}
		if at < 0 {
			if must {
				return nil, errors.New("substring not found")
			}
			return int64(-1), nil
		}
		return int64(chars + utf8.RuneCountInString(s[:at])), nil
	}
}

func strCount(st *state, recv Value, a *args) (Value, error) {
	p, err := a.bind("count", 1, "sub", "start", "end")
	if err != nil {
		return nil, err
	}
	sub, err := textArg("count", p[0], "")
	if err != nil {
		return nil, err
	}
	s, chars, _, err := st.window("count", recv.(string), p[1], p[2])
	if err != nil || chars < 0 {
		return int64(0), err
	}
	return int64(strings.Count(s, sub)), nil
}

// strip removes characters at the ends: those in chars, or whitespace when
// chars is nil.
func (st *state) strip(s string, chars Value, left, right bool) (string, error) {
	is := isSpace
	if chars != nil && chars != None {
		set, err := textArg("strip", chars, "")
		if err != nil {
			return "", err
		}
		in := map[rune]bool{}
		if err := st.alloc(16 * len(set)); err != nil {
			return "", err
		}
		for _, r := range set {
			in[r] = true
		}
		is = func(r rune) bool { return in[r] }
	}
	if err := st.scan(len(s)); err != nil {
		return "", err
	}
	if left {
		s = strings.TrimLeftFunc(s, is)
	}
	if right {
		s = strings.TrimRightFunc(s, is)
	}
	return s, nil
}

func stripMethod(name string, left, right bool) method {
	return func(st *state, recv Value, a *args) (Value, error) {
		p, err := a.bind(name, 0, "chars")
		if err != nil {
			return nil, err
		}
		return st.strip(recv.(string), p[0], left, right)
	}
}

func trimAffixMethod(name string, trim func(s, affix string) string) method {
	return func(st *state, recv Value, a *args) (Value, error) {
		p, err := a.bind(name, 1, "affix")
		if err != nil {
			return nil, err
		}
		affix, err := textArg(name, p[0], "")
		if err != nil {
			return nil, err
		}
		return trim(recv.(string), affix), st.scan(len(affix))
	}
}

// pad fills s up to width characters; align is '<', '>' or '^'.
func (st *state) pad(s string, width int64, fill string, align byte) (string, error) {
	if err := st.scan(len(s)); err != nil {
		return "", err
	}
	n := width - int64(utf8.RuneCountInString(s))
	if n <= 0 {
		return s, nil
	}
	if n > math.MaxInt32 {
		return "", st.alloc(-1)
	}
	if err := st.allocN(int(n), len(fill)); err != nil {
		return "", err
	}
	if err := st.alloc(len(s)); err != nil {
		return "", err
	}
	left := int64(0)
	switch align {
	case '>':
		left = n
	case '^':
		left = n / 2
	}
	return strings.Repeat(fill, int(left)) + s + strings.Repeat(fill, int(n-left)), nil
}

func padMethod(name string) method {
	return func(st *state, recv Value, a *args) (Value, error) {
		p, err := a.bind(name, 1, "width", "fillchar")
		if err != nil {
			return nil, err
		}
		width, err := intArg(name, p[0], 0)
		if err != nil {
			return nil, err
		}
		fill, err := textArg(name, p[1], " ")
		if err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(fill) != 1 {
			return nil, errors.New("the fill character must be exactly one character long")
		}
		s := recv.(string)
		switch name {
		case "ljust":
			return st.pad(s, width, fill, '<')
		case "rjust":
			return st.pad(s, width, fill, '>')
		case "zfill":
			sign := ""
			if s != "" && (s[0] == '-' || s[0] == '+') {
				sign, s = s[:1], s[1:]
			}
			out, err := st.pad(s, width-int64(len(sign)), "0", '>')
			return sign + out, err
		}
		// str.center puts an odd blank left when the width is odd.
		n := width - int64(utf8.RuneCountInString(s))
		if n > 0 && n%2 == 1 && width%2 == 1 {
			if s, err = st.pad(s, width-n/2, fill, '>'); err != nil {
				return nil, err
			}
			return st.pad(s, width, fill, '<')
		}
		return st.pad(s, width, fill, '^')
	}
}
