package jinja

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"strconv"
	"strings"
)

// FromJSON decodes JSON text; objects keep the order of their keys.
func FromJSON(data []byte) (Value, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := decodeJSON(dec, 0)
	if err != nil {
		return nil, fmt.Errorf("decoding JSON: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("decoding JSON: there is text after the value")
	}
	return v, nil
}

func decodeJSON(dec *json.Decoder, depth int) (Value, error) {
	if depth > maxDataDepth {
		return nil, fmt.Errorf("nested more than %d levels deep", maxDataDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch t := tok.(type) {
	case nil:
		return None, nil
	case bool, string:
		return t, nil
	case json.Number:
		return numberFromJSON(string(t))
	case json.Delim:
		if t == '[' {
			l := &List{}
			for dec.More() {
				v, err := decodeJSON(dec, depth+1)
				if err != nil {
					return nil, err
				}
				l.items = append(l.items, v)
			}
			_, err := dec.Token()
			return l, err
		}
		d := NewDict()
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeJSON(dec, depth+1)
			if err != nil {
				return nil, err
			}
			name, ok := key.(string)
			if !ok {
				return nil, errors.New("an object key is not a string")
			}
			d.Set(name, v)
		}
		_, err := dec.Token()
		return d, err
	}
	return nil, fmt.Errorf("unexpected %v", tok)
}

func numberFromJSON(s string) (Value, error) {
	if !strings.ContainsAny(s, ".eE") {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return i, nil
		}
		return Number(s), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return nil, err
	}
	return f, nil
}

// ToJSON encodes a value as Python's json.dumps(v, ensure_ascii=False) does.
func ToJSON(v Value) (string, error) {
	st := &state{limits: Limits{Steps: math.MaxInt64, Memory: math.MaxInt64}}
	e := &jsonEncoder{printer: printer{st: st}, comma: ", ", colon: ": "}
	err := e.value(v, 0)
	return e.b.String(), err
}

// jsonEncoder is Python's json.dumps.
type jsonEncoder struct {
	printer
	ascii        bool
	sortKeys     bool
	multiline    bool
	indent       string
	comma, colon string
}

// toJSON is the tojson filter as transformers defines it: json.dumps without
// escapes of HTML or, unless asked for, of other scripts.
func filterToJSON(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys")
	if err != nil {
		return nil, err
	}
	e := &jsonEncoder{printer: printer{st: st}, comma: ", ", colon: ": "}
	e.ascii = p[0] != nil && truth(p[0])
	e.sortKeys = p[3] != nil && truth(p[3])
	switch n := p[1].(type) {
	case nil, noneType:
	case int64:
		if n > 1000 {
			return nil, &LimitError{What: "the indent of tojson", Limit: 1000, Unit: "blanks"}
		}
		e.multiline, e.indent, e.comma = true, strings.Repeat(" ", int(max(n, 0))), ","
	case string:
		e.multiline, e.indent, e.comma = true, n, ","
	default:
		return nil, fmt.Errorf("tojson: indent must be a number or a text, not %s", typeName(n))
	}
	if p[2] != nil && p[2] != None {
		sep, err := st.list(p[2])
		if err != nil {
			return nil, err
		}
		if len(sep) != 2 {
			return nil, errors.New("tojson: separators must be two texts")
		}
		comma, ok1 := sep[0].(string)
		colon, ok2 := sep[1].(string)
		if !ok1 || !ok2 {
			return nil, errors.New("tojson: separators must be two texts")
		}
		e.comma, e.colon = comma, colon
	}
	if err := e.value(x, 0); err != nil {
		return nil, err
	}
	return e.b.String(), nil
}

func (e *jsonEncoder) value(v Value, depth int) error {
	if depth > maxDataDepth {
		return errDeep
	}
	if err := e.st.step(1); err != nil {
		return err
	}
	switch v := v.(type) {
	case noneType:
		return e.write("null")
	case bool:
		return e.write(strconv.FormatBool(v))
	case int64:
		return e.write(strconv.FormatInt(v, 10))
	case Number:
		return e.write(string(v))
	case float64:
		return e.write(jsonFloat(v))
	case string:
		return e.text(v)
	case *List:
		if v.kind > kindTuple {
			break
		}
		return e.container("[", "]", len(v.items), depth, func(i int) error { return e.value(v.items[i], depth+1) })
	case *Dict:
		return e.dict(v, depth)
	}
	return fmt.Errorf("an object of type %s is not JSON serializable", typeName(v))
}

func jsonFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case math.IsNaN(f):
		return "NaN"
	}
	return floatRepr(f)
}

func (e *jsonEncoder) container(open, end string, n, depth int, item func(int) error) error {
	if err := e.write(open); err != nil || n == 0 {
		if err != nil {
			return err
		}
		return e.write(end)
	}
	for i := 0; i < n; i++ {
		if i > 0 {
			if err := e.write(e.comma); err != nil {
				return err
			}
		}
		if err := e.newline(depth + 1); err != nil {
			return err
		}
		if err := item(i); err != nil {
			return err
		}
	}
	if err := e.newline(depth); err != nil {
		return err
	}
	return e.write(end)
}

func (e *jsonEncoder) newline(depth int) error {
	if !e.multiline {
		return nil
	}
	if err := e.write("\n"); err != nil {
		return err
	}
	for ; depth > 0; depth-- {
		if err := e.write(e.indent); err != nil {
			return err
		}
	}
	return nil
}

func (e *jsonEncoder) dict(d *Dict, depth int) error {
	order := make([]int, len(d.keys))
	for i := range order {
		order[i] = i
	}
	if err := e.st.allocN(len(order), 8); err != nil {
		return err
	}
	if e.sortKeys {
		var failed error
		sort.SliceStable(order, func(i, j int) bool {
			if failed != nil {
				return false
			}
			c, err := e.st.order(d.keys[order[i]], d.keys[order[j]], 0)
			failed = err
			return c < 0
		})
		if failed != nil {
			return failed
		}
	}
	return e.container("{", "}", len(order), depth, func(i int) error {
		if err := e.key(d.keys[order[i]]); err != nil {
			return err
		}
		if err := e.write(e.colon); err != nil {
			return err
		}
		return e.value(d.vals[order[i]], depth+1)
	})
}

func (e *jsonEncoder) key(k Value) error {
	switch k := k.(type) {
	case string:
		return e.text(k)
	case int64:
		return e.text(strconv.FormatInt(k, 10))
	case bool:
		return e.text(strconv.FormatBool(k))
	case float64:
		return e.text(jsonFloat(k))
	case noneType:
		return e.text("null")
	}
	return fmt.Errorf("keys must be str, int, float, bool or None, not %s", typeName(k))
}

// text writes a JSON string.
func (e *jsonEncoder) text(s string) error {
	if err := e.st.scan(len(s)); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r < ' ' || e.ascii && r > '~' && r < 0x10000 && r != Mark:
			fmt.Fprintf(&b, `\u%04x`, r)
		case e.ascii && r > '~' && r != Mark:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			b.WriteRune(r)
		}
		// Escapes can be six times the text: keep the budget close.
		if b.Len() > 4096 {
			if err := e.write(b.String()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	b.WriteByte('"')
	return e.write(b.String())
}
