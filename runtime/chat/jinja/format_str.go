package jinja

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// strFormat is str.format.
func strFormat(st *state, recv Value, a *args) (Value, error) {
	s := recv.(string)
	var p printer
	p.st = st
	auto := 0
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			i = len(s)
		}
		if err := p.write(s[:i]); err != nil {
			return nil, err
		}
		s = s[i:]
		if s == "" {
			break
		}
		if len(s) > 1 && s[1] == s[0] {
			if err := p.write(s[:1]); err != nil {
				return nil, err
			}
			s = s[2:]
			continue
		}
		end := strings.IndexByte(s, '}')
		if s[0] == '}' || end < 0 {
			return nil, errors.New("single '{' or '}' encountered in format string")
		}
		field := s[1:end]
		s = s[end+1:]
		if strings.Contains(field, "{") {
			return nil, errors.New("fields within the fields of a format string are not supported")
		}
		out, err := st.formatField(field, a, &auto)
		if err != nil {
			return nil, err
		}
		if err := p.write(out); err != nil {
			return nil, err
		}
	}
	return p.b.String(), nil
}

// formatField resolves "name.attr[0]!r:spec".
func (st *state) formatField(field string, a *args, auto *int) (string, error) {
	field, layout, _ := strings.Cut(field, ":")
	path, conversion, _ := strings.Cut(field, "!")
	name := path
	if i := strings.IndexAny(path, ".["); i >= 0 {
		name, path = path[:i], path[i:]
	} else {
		path = ""
	}
	if name == "" {
		name = strconv.Itoa(*auto)
		*auto++
	}
	var v Value
	if i, err := strconv.Atoi(name); err == nil {
		if i < 0 || i >= len(a.pos) {
			return "", fmt.Errorf("replacement index %d out of range for positional args tuple", i)
		}
		v = a.pos[i]
	} else if x, ok := a.named(name); ok {
		v = x
	} else {
		return "", fmt.Errorf("format: there is no argument '%.40s'", name)
	}
	for path != "" {
		var key Value
		var err error
		if path[0] == '.' {
			n := strings.IndexAny(path[1:], ".[") + 1
			if n == 0 {
				n = len(path)
			}
			v, err = st.attr(v, path[1:n])
			path = path[n:]
		} else {
			n := strings.IndexByte(path, ']')
			if n < 0 {
				return "", errors.New("missing ']' in format string")
			}
			key = path[1:n]
			if i, err := strconv.ParseInt(path[1:n], 10, 64); err == nil {
				key = i
			}
			v, err = st.item(v, key)
			path = path[n+1:]
			if path != "" && path[0] != '.' && path[0] != '[' {
				return "", errors.New("only '.' or '[' may follow ']' in format field specifier")
			}
		}
		if err != nil {
			return "", err
		}
	}
	switch conversion {
	case "":
	case "s":
		s, err := st.str(v)
		if err != nil {
			return "", err
		}
		v = s
	case "r", "a":
		s, err := st.repr(v)
		if err != nil {
			return "", err
		}
		v = s
	default:
		return "", fmt.Errorf("unknown conversion '%.10s'", conversion)
	}
	if layout == "" {
		return st.str(v)
	}
	f, err := parseSpec(layout)
	if err != nil {
		return "", err
	}
	return st.formatSpec(f, v)
}

// parseSpec parses [[fill]align][sign][#][0][width][,][.precision][type].
func parseSpec(s string) (spec, error) {
	f := spec{fill: " ", precision: -1}
	isAlign := func(c byte) bool { return strings.IndexByte("<>^=", c) >= 0 }
	if s != "" {
		if first := firstRune(s); len(s) > len(first) && isAlign(s[len(first)]) {
			f.fill, f.align, s = first, s[len(first)], s[len(first)+1:]
		} else if isAlign(s[0]) {
			f.align, s = s[0], s[1:]
		}
	}
	if s != "" && strings.IndexByte("+- ", s[0]) >= 0 {
		if s[0] != '-' {
			f.sign = s[0]
		}
		s = s[1:]
	}
	if strings.HasPrefix(s, "#") {
		f.alternate, s = true, s[1:]
	}
	if strings.HasPrefix(s, "0") {
		if f.align == 0 {
			f.fill, f.align = "0", '='
		}
		s = s[1:]
	}
	width, i, err := digitsAt(s, 0)
	if err != nil {
		return f, err
	}
	f.width, s = width, s[i:]
	if s != "" && (s[0] == ',' || s[0] == '_') {
		f.group, s = s[0], s[1:]
	}
	if strings.HasPrefix(s, ".") {
		if f.precision, i, err = digitsAt(s, 1); err != nil {
			return f, err
		}
		s = s[i:]
	}
	if len(s) == 1 {
		f.verb, s = s[0], ""
	}
	if s != "" {
		return f, errors.New("invalid format specifier")
	}
	return f, nil
}

// formatSpec is Python's format(v, spec).
func (st *state) formatSpec(f spec, v Value) (string, error) {
	if s, ok := v.(string); ok {
		if f.verb != 0 && f.verb != 's' {
			return "", fmt.Errorf("unknown format code '%c' for a text", f.verb)
		}
		if f.align == 0 || f.align == '=' {
			f.align = '<'
		}
		return st.fit(f, s, true)
	}
	_, _, isFloat, ok := number(v)
	if !ok {
		return "", fmt.Errorf("unsupported format for a value of type %s", typeName(v))
	}
	switch {
	case f.verb == 0 && !isFloat, f.verb == 'n':
		f.verb = 'd'
	case strings.IndexByte("dxXobeEfFgG%\x00", f.verb) < 0:
		return "", fmt.Errorf("unknown format code '%c' for a number", f.verb)
	}
	return st.formatNumber(f, v)
}
