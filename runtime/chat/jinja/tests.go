package jinja

import "strings"

// testFunc is what follows "is".
type testFunc func(st *state, v Value, a *args) (bool, error)

// tests are the tests of jinja2.
var tests map[string]testFunc

func init() {
	// Assigned here because "filter" and "test" read the tables.
	is := func(f func(Value) bool) testFunc {
		return func(_ *state, v Value, _ *args) (bool, error) { return f(v), nil }
	}
	compare := func(op string) testFunc {
		return func(st *state, v Value, a *args) (bool, error) {
			p, err := a.bind("test", 1, "other")
			if err != nil {
				return false, err
			}
			return st.compareOp(op, v, p[0])
		}
	}
	parity := func(want int64) testFunc {
		return func(st *state, v Value, _ *args) (bool, error) { return st.remains(v, int64(2), want) }
	}
	tests = map[string]testFunc{
		"defined":   is(func(v Value) bool { _, u := v.(*Undefined); return !u }),
		"undefined": is(func(v Value) bool { _, u := v.(*Undefined); return u }),
		"none":      is(func(v Value) bool { return v == None }),
		"boolean":   is(func(v Value) bool { _, ok := v.(bool); return ok }),
		"true":      is(func(v Value) bool { return v == true }),
		"false":     is(func(v Value) bool { return v == false }),
		"integer":   is(isInteger),
		"float":     is(func(v Value) bool { _, ok := v.(float64); return ok }),
		"number":    is(func(v Value) bool { _, _, _, ok := number(v); return ok || isInteger(v) }),
		"string":    is(func(v Value) bool { _, ok := v.(string); return ok }),
		"mapping":   is(func(v Value) bool { _, ok := v.(*Dict); return ok }),
		"iterable":  is(isIterable),
		"sequence": is(func(v Value) bool {
			if l, ok := v.(*List); ok {
				return l.kind <= kindTuple
			}
			return isIterable(v)
		}),
		"callable": is(isCallable),
		"escaped":  is(func(Value) bool { return false }),
		"sameas": func(st *state, v Value, a *args) (bool, error) {
			p, err := a.bind("sameas", 1, "other")
			return err == nil && typeName(v) == typeName(p[0]) && v == p[0], err
		},
		"even": parity(0),
		"odd":  parity(1),
		"divisibleby": func(st *state, v Value, a *args) (bool, error) {
			p, err := a.bind("divisibleby", 1, "num")
			if err != nil {
				return false, err
			}
			return st.remains(v, p[0], 0)
		},
		"lower": textTest(strings.ToLower),
		"upper": textTest(strings.ToUpper),
		"in": func(st *state, v Value, a *args) (bool, error) {
			p, err := a.bind("in", 1, "seq")
			if err != nil {
				return false, err
			}
			return st.contains(p[0], v)
		},
		"filter": func(_ *state, v Value, _ *args) (bool, error) {
			s, _ := v.(string)
			_, ok := filters[s]
			return ok, nil
		},
		"test": func(_ *state, v Value, _ *args) (bool, error) {
			s, _ := v.(string)
			_, ok := tests[s]
			return ok, nil
		},
	}
	for op, names := range map[string][]string{
		"==": {"eq", "equalto", "=="}, "!=": {"ne", "!="},
		"<": {"lt", "lessthan", "<"}, "<=": {"le", "<="},
		">": {"gt", "greaterthan", ">"}, ">=": {"ge", ">="},
	} {
		for _, n := range names {
			tests[n] = compare(op)
		}
	}
}

// remains is whether want is left of v divided by n.
func (st *state) remains(v, n Value, want int64) (bool, error) {
	m, err := st.arith("%", v, n)
	if err != nil {
		return false, err
	}
	return st.equal(m, want)
}

func isInteger(v Value) bool {
	switch v.(type) {
	case int64, Number:
		return true
	}
	return false
}

func isIterable(v Value) bool {
	switch v.(type) {
	case *List, *Dict, *Range, string, *Undefined:
		return true
	}
	return false
}

func isCallable(v Value) bool {
	switch v.(type) {
	case *Func, *boundMethod, *macro, *joiner, *loop, *Undefined:
		return true
	}
	return false
}

// textTest is whether a text, all of it and with some letter, has a case.
func textTest(to func(string) string) testFunc {
	return func(st *state, v Value, _ *args) (bool, error) {
		s, err := st.str(v)
		if err != nil {
			return false, err
		}
		if err := st.allocN(len(s), 6); err != nil {
			return false, err
		}
		return to(s) == s && strings.ToLower(s) != strings.ToUpper(s), nil
	}
}
