package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// str is Python's str(v), what output shows of a value.
func (st *state) str(v Value) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case *Undefined:
		return "", nil
	case int64:
		return strconv.FormatInt(v, 10), st.alloc(24)
	}
	return st.repr(v)
}

// repr is Python's repr(v).
func (st *state) repr(v Value) (string, error) {
	p := &printer{st: st}
	err := p.repr(v, 0)
	return p.b.String(), err
}

// printer builds the text of a value within the budget.
type printer struct {
	st *state
	b  strings.Builder
}

func (p *printer) write(s string) error {
	if err := p.st.alloc(len(s)); err != nil {
		return err
	}
	p.b.WriteString(s)
	return nil
}

func (p *printer) repr(v Value, depth int) error {
	if depth > maxDataDepth {
		return errDeep
	}
	if err := p.st.step(1); err != nil {
		return err
	}
	switch v := v.(type) {
	case noneType:
		return p.write("None")
	case bool:
		if v {
			return p.write("True")
		}
		return p.write("False")
	case int64:
		return p.write(strconv.FormatInt(v, 10))
	case Number:
		return p.write(string(v))
	case float64:
		return p.write(floatRepr(v))
	case string:
		return p.quote(v)
	case *Undefined:
		return p.write("Undefined")
	case *Range:
		s := fmt.Sprintf("range(%d, %d)", v.start, v.stop)
		if v.step != 1 {
			s = fmt.Sprintf("range(%d, %d, %d)", v.start, v.stop, v.step)
		}
		return p.write(s)
	case *List:
		open, end := "[", "]"
		switch v.kind {
		case kindTuple:
			open, end = "(", ")"
			if len(v.items) == 1 {
				end = ",)"
			}
		case kindView:
			open, end = v.label+"([", "])"
		case kindGenerator:
			return p.write("<generator object>")
		}
		return p.list(open, end, len(v.items), func(i int) error { return p.repr(v.items[i], depth+1) })
	case *Dict:
		return p.dict(v, depth)
	case *namespace:
		if err := p.write("<Namespace "); err != nil {
			return err
		}
		if err := p.dict(v.d, depth); err != nil {
			return err
		}
		return p.write(">")
	case *macro:
		return p.write("<Macro '" + v.def.name + "'>")
	}
	return p.write("<" + typeName(v) + ">")
}

func (p *printer) list(open, end string, n int, item func(int) error) error {
	if err := p.write(open); err != nil {
		return err
	}
	for i := 0; i < n; i++ {
		if i > 0 {
			if err := p.write(", "); err != nil {
				return err
			}
		}
		if err := item(i); err != nil {
			return err
		}
	}
	return p.write(end)
}

func (p *printer) dict(d *Dict, depth int) error {
	return p.list("{", "}", len(d.keys), func(i int) error {
		if err := p.repr(d.keys[i], depth+1); err != nil {
			return err
		}
		if err := p.write(": "); err != nil {
			return err
		}
		return p.repr(d.vals[i], depth+1)
	})
}

// quote writes a Python string literal: in single quotes unless there are only
// single quotes inside.
func (p *printer) quote(s string) error {
	q := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	if err := p.st.scan(len(s)); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteRune(q)
	for _, r := range s {
		switch {
		case r == q || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r) || r == Mark:
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		// Escapes can be ten times the text: keep the budget close.
		if b.Len() > 4096 {
			if err := p.write(b.String()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	b.WriteRune(q)
	return p.write(b.String())
}

// floatRepr is Python's repr of a float: the shortest text that reads back.
func floatRepr(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	if exp, err := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:]); err == nil && (exp < -4 || exp >= 16) {
		return s
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
