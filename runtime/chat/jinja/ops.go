package jinja

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"unicode/utf8"
)

var (
	errOverflow = errors.New("an integer does not fit 64 bits")
	errZeroDiv  = errors.New("division by zero")
)

func toInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// number returns v as an integer or a float; ok is false if it is neither.
func number(v Value) (i int64, f float64, isFloat, ok bool) {
	switch v := v.(type) {
	case bool:
		i = toInt(v)
		return i, float64(i), false, true
	case int64:
		return v, float64(v), false, true
	case float64:
		return 0, v, true, true
	}
	return 0, 0, false, false
}

func (e *unaryExpr) eval(st *state, sc *scope) (Value, error) {
	v, err := st.eval(e.x, sc)
	if err != nil {
		return nil, err
	}
	if e.op == "not" {
		return !truth(v), nil
	}
	i, f, isFloat, ok := number(v)
	switch {
	case !ok:
		if u, is := v.(*Undefined); is {
			return nil, u.err()
		}
		return nil, fmt.Errorf("bad operand type for unary %s: '%s'", e.op, typeName(v))
	case isFloat && e.op == "-":
		return -f, nil
	case isFloat:
		return f, nil
	case e.op == "-":
		if i == math.MinInt64 {
			return nil, errOverflow
		}
		return -i, nil
	}
	return i, nil
}

func (e *binaryExpr) eval(st *state, sc *scope) (Value, error) {
	v, _, err := e.evalSafe(st, sc)
	return v, err
}

// evalSafe is eval that also says whether the result is text marked as safe:
// as in jinja2, adding to a text that went through the filter safe escapes what
// is added. Unlike there, the mark does not outlast the sum.
func (e *binaryExpr) evalSafe(st *state, sc *scope) (Value, bool, error) {
	l, lSafe, err := st.evalSafe(e.l, sc)
	if err != nil {
		return nil, false, err
	}
	r, rSafe, err := st.evalSafe(e.r, sc)
	if err != nil {
		return nil, false, err
	}
	if e.op == "+" && lSafe != rSafe {
		other := &l
		if lSafe {
			other = &r
		}
		if _, ok := (*other).(string); ok {
			if *other, err = filterEscape(st, *other, nil); err != nil {
				return nil, false, err
			}
		}
	}
	v, err := st.arith(e.op, l, r)
	return v, e.op == "+" && (lSafe || rSafe), err
}

func (st *state) evalSafe(e expr, sc *scope) (v Value, safe bool, err error) {
	b, ok := e.(*binaryExpr)
	if !ok {
		f, ok := e.(*filterExpr)
		v, err = st.eval(e, sc)
		return v, ok && (f.name == "safe" || f.name == "e" || f.name == "escape"), err
	}
	if err := st.step(1); err != nil {
		return nil, false, err
	}
	if err := st.enter(); err != nil {
		return nil, false, err
	}
	v, safe, err = b.evalSafe(st, sc)
	st.leave()
	return v, safe, err
}

func (st *state) arith(op string, l, r Value) (Value, error) {
	if li, lf, lFloat, ok := number(l); ok {
		if ri, rf, rFloat, ok := number(r); ok {
			if lFloat || rFloat {
				return arithFloat(op, lf, rf)
			}
			return arithInt(op, li, ri)
		}
	}
	switch op {
	case "+":
		switch a := l.(type) {
		case string:
			if b, ok := r.(string); ok {
				return st.joinStrings([]string{a, b}, "", len(a)+len(b))
			}
		case *List:
			if b, ok := r.(*List); ok && a.kind == b.kind && a.kind <= kindTuple {
				if err := st.allocN(len(a.items)+len(b.items)+1, listItemBytes); err != nil {
					return nil, err
				}
				return &List{items: append(append(make([]Value, 0, len(a.items)+len(b.items)), a.items...), b.items...), kind: a.kind}, nil
			}
		}
	case "*":
		if n, isInt := asInt(r); isInt {
			return st.repeat(l, n)
		}
		if n, isInt := asInt(l); isInt {
			return st.repeat(r, n)
		}
	case "%":
		if f, ok := l.(string); ok {
			return st.percent(f, r)
		}
	}
	for _, v := range []Value{l, r} {
		if u, ok := v.(*Undefined); ok {
			return nil, u.err()
		}
	}
	return nil, fmt.Errorf("unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(l), typeName(r))
}

// asInt returns v as an integer if it is one (or a bool, as in Python).
func asInt(v Value) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		return toInt(v), true
	}
	return 0, false
}

// repeat is a string or list times n.
func (st *state) repeat(v Value, n int64) (Value, error) {
	n = max(n, 0)
	switch v := v.(type) {
	case string:
		if v == "" || n == 0 {
			return "", nil
		}
		if n > math.MaxInt32 {
			return nil, st.alloc(-1)
		}
		if err := st.allocN(int(n), len(v)); err != nil {
			return nil, err
		}
		return strings.Repeat(v, int(n)), nil
	case *List:
		if v.kind > kindTuple {
			break
		}
		if len(v.items) == 0 || n == 0 {
			return &List{kind: v.kind}, st.alloc(listItemBytes)
		}
		if n > maxItems/int64(len(v.items)) {
			return nil, &LimitError{What: "elements of a list", Limit: maxItems, Unit: "elements"}
		}
		if err := st.allocN(int(n)*len(v.items), listItemBytes); err != nil {
			return nil, err
		}
		items := make([]Value, 0, int(n)*len(v.items))
		for i := int64(0); i < n; i++ {
			items = append(items, v.items...)
		}
		return &List{items: items, kind: v.kind}, nil
	case *Undefined:
		return nil, v.err()
	}
	return nil, fmt.Errorf("unsupported operand type(s) for *: '%s' and 'int'", typeName(v))
}

func arithFloat(op string, a, b float64) (Value, error) {
	switch op {
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	case "**":
		if a == 0 && b < 0 {
			return nil, errZeroDiv
		}
		p := math.Pow(a, b)
		if math.IsNaN(p) && !math.IsNaN(a) && !math.IsNaN(b) || math.IsInf(p, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0) {
			return nil, errors.New("the power is not a finite real number")
		}
		return p, nil
	}
	if b == 0 {
		return nil, errZeroDiv
	}
	switch op {
	case "/":
		return a / b, nil
	case "//":
		return math.Floor(a / b), nil
	default: // %: the sign of the divisor
		m := math.Mod(a, b)
		if m != 0 && (m < 0) != (b < 0) {
			m += b
		}
		return m, nil
	}
}

func arithInt(op string, a, b int64) (Value, error) {
	switch op {
	case "+":
		if c := a + b; (c > a) == (b > 0) {
			return c, nil
		}
		return nil, errOverflow
	case "-":
		if c := a - b; (c < a) == (b > 0) {
			return c, nil
		}
		return nil, errOverflow
	case "*":
		return mulInt(a, b)
	case "**":
		return powInt(a, b)
	}
	if b == 0 {
		return nil, errZeroDiv
	}
	if a == math.MinInt64 && b == -1 {
		return nil, errOverflow
	}
	switch op {
	case "/":
		return float64(a) / float64(b), nil
	case "//":
		q := a / b
		if a%b != 0 && (a < 0) != (b < 0) {
			q--
		}
		return q, nil
	default: // %
		m := a % b
		if m != 0 && (m < 0) != (b < 0) {
			m += b
		}
		return m, nil
	}
}

func mulInt(a, b int64) (Value, error) {
	if a == math.MinInt64 || b == math.MinInt64 {
		if a == 0 || b == 0 {
			return int64(0), nil
		}
		if a == 1 || b == 1 {
			return a * b, nil
		}
		return nil, errOverflow
	}
	hi, lo := bits.Mul64(uint64(max(a, -a)), uint64(max(b, -b)))
	if hi != 0 || lo > math.MaxInt64 {
		return nil, errOverflow
	}
	return a * b, nil
}

// powInt is a**b by squaring; with a negative exponent the result is a float.
func powInt(a, b int64) (Value, error) {
	if b < 0 {
		return arithFloat("**", float64(a), float64(b))
	}
	var result, base Value = int64(1), a
	for ; b > 0; b >>= 1 {
		var err error
		if b&1 == 1 {
			if result, err = mulInt(result.(int64), base.(int64)); err != nil {
				return nil, err
			}
		}
		if b > 1 {
			if base, err = mulInt(base.(int64), base.(int64)); err != nil {
				return nil, err
			}
		}
	}
	return result, nil
}

// joinStrings concatenates parts, whose lengths sum to n bytes.
func (st *state) joinStrings(parts []string, sep string, n int) (string, error) {
	if len(parts) > 1 {
		if len(sep) > 0 && len(parts) > math.MaxInt32/len(sep) {
			return "", st.alloc(-1)
		}
		n += (len(parts) - 1) * len(sep)
	}
	if err := st.alloc(n + 16); err != nil {
		return "", err
	}
	return strings.Join(parts, sep), nil
}

// firstRune returns the first character of a non-empty string.
func firstRune(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}
