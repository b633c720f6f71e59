package jinja

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDigits bounds the precision of number formats.
const maxDigits = 1000

// spec is one conversion of Python's % or format: "%-08.3f", "{:>10}".
type spec struct {
	fill      string
	align     byte // '<', '>', '^', '=' or 0 for the type's own
	sign      byte // '+', ' ' or 0
	alternate bool
	group     byte // ',', '_' or 0
	width     int64
	precision int64 // -1 if not given
	verb      byte  // 0 if not given
}

// digitsAt reads a decimal number at s[i:].
func digitsAt(s string, i int) (n int64, next int, err error) {
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		if n = n*10 + int64(s[i]-'0'); n > math.MaxInt32 {
			return 0, i, &LimitError{What: "a width in a format", Limit: math.MaxInt32, Unit: "characters"}
		}
	}
	return n, i, nil
}

// percent is Python's format % values.
func (st *state) percent(format string, values Value) (Value, error) {
	var tuple []Value
	dict, _ := values.(*Dict)
	if l, ok := values.(*List); ok && l.kind == kindTuple {
		tuple = l.items
	} else {
		tuple = []Value{values}
	}
	used := 0
	var p printer
	p.st = st
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			break
		}
		if err := p.write(format[:i]); err != nil {
			return nil, err
		}
		format = format[i+1:]
		f := spec{fill: " ", precision: -1}
		var v Value
		i = 0
		if strings.HasPrefix(format, "(") {
			end := strings.IndexByte(format, ')')
			if end < 0 {
				return nil, errors.New("incomplete format key")
			}
			if dict == nil {
				return nil, errors.New("format requires a mapping")
			}
			x, ok, err := st.dictGet(dict, format[1:end])
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, fmt.Errorf("format: there is no key '%.40s'", format[1:end])
			}
			v, i = x, end+1
		}
		for ; i < len(format) && strings.IndexByte("#0- +", format[i]) >= 0; i++ {
			switch c := format[i]; {
			case c == '#':
				f.alternate = true
			case c == '-':
				f.align = '<'
			case c == '0':
				f.fill = "0"
			case c == '+' || f.sign == 0:
				f.sign = c
			}
		}
		var err error
		if f.width, i, err = digitsAt(format, i); err != nil {
			return nil, err
		}
		if i < len(format) && format[i] == '.' {
			if f.precision, i, err = digitsAt(format, i+1); err != nil {
				return nil, err
			}
		}
		if i >= len(format) {
			return nil, errors.New("incomplete format")
		}
		f.verb = format[i]
		format = format[i+1:]
		if f.verb == '%' {
			if err := p.write("%"); err != nil {
				return nil, err
			}
			continue
		}
		if v == nil {
			if used >= len(tuple) {
				return nil, errors.New("not enough arguments for format string")
			}
			v = tuple[used]
			used++
		}
		s, err := st.percentOne(f, v)
		if err != nil {
			return nil, err
		}
		if err := p.write(s); err != nil {
			return nil, err
		}
	}
	if err := p.write(format); err != nil {
		return nil, err
	}
	mapping := false // Python takes whatever has items for a mapping
	switch v := values.(type) {
	case *Dict, *Range:
		mapping = true
	case *List:
		mapping = v.kind == kindList
	}
	if used < len(tuple) && !mapping {
		return nil, errors.New("not all arguments converted during string formatting")
	}
	return p.b.String(), nil
}

func (st *state) percentOne(f spec, v Value) (string, error) {
	switch f.verb {
	case 's', 'r', 'a':
		s, err := st.str(v)
		if f.verb != 's' {
			s, err = st.repr(v)
		}
		if err != nil {
			return "", err
		}
		if f.align == 0 {
			f.align = '>'
		}
		f.fill = " "
		return st.fit(f, s, true)
	case 'c':
		if i, ok := asInt(v); ok {
			if i < 0 || i > utf8.MaxRune {
				return "", errors.New("%c arg not in range")
			}
			v = string(rune(i))
		}
		s, ok := v.(string)
		if !ok || utf8.RuneCountInString(s) != 1 {
			return "", errors.New("%c requires int or char")
		}
		return st.fit(f, s, false)
	case 'd', 'i', 'u':
		if x, ok := v.(float64); ok && math.Abs(x) < math.MaxInt64 {
			v = int64(x)
		}
		f.verb = 'd'
	case 'x', 'X', 'o', 'e', 'E', 'f', 'F', 'g', 'G':
	default:
		return "", fmt.Errorf("unsupported format character %q", f.verb)
	}
	if f.fill == "0" && f.align == 0 {
		f.align = '='
	} else {
		f.fill = " "
	}
	return st.formatNumber(f, v)
}

// fit cuts a text to the precision (if cut is set) and fills it to the width.
func (st *state) fit(f spec, s string, cut bool) (string, error) {
	if cut && f.precision >= 0 && f.precision < int64(len(s)) {
		s = s[:byteOffset(s, int(f.precision))]
	}
	align := f.align
	if align == 0 {
		align = '>'
	}
	return st.pad(s, f.width, f.fill, align)
}

// formatNumber formats an integer or float.
func (st *state) formatNumber(f spec, v Value) (string, error) {
	i, x, isFloat, ok := number(v)
	var err error
	if !ok {
		return "", fmt.Errorf("a number is required for the format '%c', not %s", f.verb, typeName(v))
	}
	if f.precision > maxDigits {
		return "", &LimitError{What: "the precision of a format", Limit: maxDigits, Unit: "digits"}
	}
	var s, prefix string
	neg := false
	switch f.verb {
	case 'd', 'x', 'X', 'o', 'b':
		if isFloat {
			return "", fmt.Errorf("the format '%c' needs an integer, not float", f.verb)
		}
		neg = i < 0
		u := uint64(i)
		if neg {
			u = -u
		}
		base := map[byte]int{'d': 10, 'x': 16, 'X': 16, 'o': 8, 'b': 2}[f.verb]
		s = strconv.FormatUint(u, base)
		if n := int(f.precision) - len(s); n > 0 {
			s = strings.Repeat("0", n) + s
		}
		if f.alternate && f.verb != 'd' {
			prefix = "0" + string(f.verb)
		}
		if f.verb == 'X' {
			s = strings.ToUpper(s)
		}
	default:
		if math.Signbit(x) && !math.IsNaN(x) {
			neg, x = true, -x
		}
		if s = formatFloat(f, x); f.verb == 'G' {
			s = strings.ToUpper(s)
		}
	}
	if neg {
		prefix = "-" + prefix
	} else if f.sign != 0 {
		prefix = string(f.sign) + prefix
	}
	if f.group != 0 {
		if s, err = st.groupDigits(f, s, f.width-int64(len(prefix))); err != nil {
			return "", err
		}
	}
	if f.align == '=' {
		body, err := st.pad(s, f.width-int64(len(prefix)), f.fill, '>')
		return prefix + body, err
	}
	return st.fit(f, prefix+s, false)
}

// formatFloat formats a number that is not negative.
func formatFloat(f spec, x float64) string {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return strings.TrimPrefix(floatRepr(x), "-")
	}
	precision := int(f.precision)
	switch f.verb {
	case 0:
		if precision < 0 {
			return floatRepr(x)
		}
		s := formatFloat(spec{verb: 'g', precision: f.precision}, x)
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		return s
	case 'e', 'E', 'f', 'F', '%':
		if precision < 0 {
			precision = 6
		}
		if f.verb == '%' {
			return f.point(strconv.FormatFloat(x*100, 'f', precision, 64)) + "%"
		}
		if f.verb == 'F' {
			f.verb = 'f'
		}
		return f.point(strconv.FormatFloat(x, f.verb, precision, 64))
	}
	// g: that many significant digits, without trailing zeros
	if precision < 0 {
		precision = 6
	}
	precision = max(precision, 1)
	e := strconv.FormatFloat(x, 'e', precision-1, 64)
	mantissa, exponent, _ := strings.Cut(e, "e")
	n, err := strconv.Atoi(exponent)
	if err == nil && n >= -4 && n < precision {
		mantissa, exponent = strconv.FormatFloat(x, 'f', precision-1-n, 64), ""
	} else {
		exponent = "e" + exponent
	}
	if f.alternate {
		return f.point(mantissa + exponent)
	}
	return trimZeros(mantissa) + exponent
}

// point puts a point behind digits that have none, if that was asked for.
func (f spec) point(s string) string {
	if !f.alternate || strings.Contains(s, ".") {
		return s
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		return s[:i] + "." + s[i:]
	}
	return s + "."
}

func trimZeros(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// groupDigits puts a separator between thousands of the integer part, or between
// each four of its digits if they are of another base than 10. Zeros that fill it to
// the width are digits, too.
func (st *state) groupDigits(f spec, s string, width int64) (string, error) {
	size := 3
	if f.verb == 'x' || f.verb == 'X' || f.verb == 'o' || f.verb == 'b' {
		size = 4
	}
	n := strings.IndexFunc(s, func(r rune) bool { return !isHexDigit(r) || size == 3 && r > '9' })
	if n < 0 {
		n = len(s)
	}
	if f.fill == "0" && f.align == '=' && n > 0 {
		width -= int64(len(s) - n)
		// One of size+1 characters is a separator, but not the first.
		whole, err := st.pad(s[:n], width-(width-1)/int64(size+1), "0", '>')
		if err != nil {
			return "", err
		}
		s, n = whole+s[n:], len(whole)
	}
	var b strings.Builder
	for i := 0; i < n; i++ {
		if i > 0 && (n-i)%size == 0 {
			b.WriteByte(f.group)
		}
		b.WriteByte(s[i])
	}
	return b.String() + s[n:], st.alloc(b.Len())
}

func isHexDigit(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'f' || 'A' <= r && r <= 'F'
}
