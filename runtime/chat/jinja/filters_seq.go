package jinja

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

func filterLength(st *state, x Value, _ *args) (Value, error) {
	switch v := x.(type) {
	case string:
		return int64(utf8.RuneCountInString(v)), st.scan(len(v))
	case *List:
		if v.kind != kindGenerator {
			return int64(len(v.items)), nil
		}
	case *Dict:
		return int64(len(v.keys)), nil
	case *Range:
		return int64(v.len()), nil
	case *Undefined:
		return int64(0), nil
	}
	return nil, fmt.Errorf("object of type '%s' has no len()", typeName(x))
}

func filterList(st *state, x Value, _ *args) (Value, error) {
	items, err := st.list(x)
	if err != nil {
		return nil, err
	}
	items, err = st.copyItems(items)
	return &List{items: items}, err
}

func filterFirst(st *state, x Value, _ *args) (Value, error) {
	q, err := st.iterate(x)
	if err != nil {
		return nil, err
	}
	v, ok, err := q.next(st)
	if err == nil && !ok {
		return &Undefined{"no first item, the sequence was empty"}, nil
	}
	return v, err
}

func filterLast(st *state, x Value, _ *args) (Value, error) {
	if s, ok := x.(string); ok && s != "" {
		return st.charAt(s, -1)
	}
	items, err := st.list(x)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return &Undefined{"no last item, the sequence was empty"}, nil
	}
	return items[len(items)-1], nil
}

func filterReverse(st *state, x Value, _ *args) (Value, error) {
	if s, ok := x.(string); ok {
		by := int64(-1)
		return st.slice(s, nil, nil, &by)
	}
	items, err := st.list(x)
	if err != nil {
		return nil, err
	}
	items, err = st.copyItems(items)
	reverse(items)
	return &List{items: items, kind: kindGenerator}, err
}

func filterItems(st *state, x Value, _ *args) (Value, error) {
	switch v := x.(type) {
	case *Undefined:
		return &List{kind: kindGenerator}, nil
	case *Dict:
		return st.pairs(v, kindGenerator)
	}
	return nil, errors.New("can only get item pairs from a mapping")
}

func filterAttr(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("attr", 1, "name")
	if err != nil {
		return nil, err
	}
	name, err := textArg("attr", p[0], "")
	if err != nil {
		return nil, err
	}
	if _, ok := x.(*Dict); ok { // the filter looks at attributes only
		if _, ok := dictMethods[name]; !ok {
			return undefinedAttr(x, name), nil
		}
	}
	return st.attr(x, name)
}

// attrGetter returns a function that takes an attribute, "a.b.0" or an index,
// of a value; otherwise, if not nil, stands for what is undefined.
func (st *state) attrGetter(attribute, otherwise Value) (func(Value) (Value, error), error) {
	var path []Value
	switch v := attribute.(type) {
	case nil, noneType:
		return func(v Value) (Value, error) { return v, nil }, nil
	case int64:
		path = []Value{v}
	case string:
		if err := st.alloc(len(v) * 16); err != nil {
			return nil, err
		}
		for _, part := range strings.Split(v, ".") {
			if i, err := strconv.ParseInt(part, 10, 64); err == nil && i >= 0 {
				path = append(path, i)
			} else {
				path = append(path, part)
			}
		}
	default:
		return nil, fmt.Errorf("an attribute must be a text or an index, not %s", typeName(v))
	}
	return func(v Value) (Value, error) {
		for _, key := range path {
			if err := st.step(1); err != nil {
				return nil, err
			}
			var err error
			if v, err = st.item(v, key); err != nil {
				return nil, err
			}
			if _, ok := v.(*Undefined); ok && otherwise != nil {
				v = otherwise
			}
		}
		return v, nil
	}, nil
}

func filterJoin(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("join", 0, "d", "attribute")
	if err != nil {
		return nil, err
	}
	sep, err := st.str(given(p[0], ""))
	if err != nil {
		return nil, err
	}
	items, err := st.list(x)
	if err != nil {
		return nil, err
	}
	if p[1] != nil && p[1] != None {
		get, err := st.attrGetter(p[1], nil)
		if err != nil {
			return nil, err
		}
		if items, err = st.mapItems(items, get); err != nil {
			return nil, err
		}
	}
	return st.joinValues(items, sep, true)
}

func (st *state) mapItems(items []Value, f func(Value) (Value, error)) ([]Value, error) {
	if err := st.allocN(len(items), listItemBytes); err != nil {
		return nil, err
	}
	out := make([]Value, len(items))
	for i, v := range items {
		err := st.step(1)
		if err == nil {
			out[i], err = f(v)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// listOrNothing is list, but what is false has no items: so do jinja2's map and
// select take None.
func (st *state) listOrNothing(x Value) ([]Value, error) {
	if !truth(x) {
		return nil, nil
	}
	return st.list(x)
}

func filterMap(st *state, x Value, a *args) (Value, error) {
	items, err := st.listOrNothing(x)
	if err != nil {
		return nil, err
	}
	var f func(Value) (Value, error)
	if attribute, ok := a.named("attribute"); ok && len(a.pos) == 0 {
		otherwise, _ := a.named("default")
		if otherwise == None {
			otherwise = nil
		}
		if f, err = st.attrGetter(attribute, otherwise); err != nil {
			return nil, err
		}
	} else {
		if len(a.pos) == 0 {
			return nil, errors.New("map requires a filter argument")
		}
		name, _ := a.pos[0].(string)
		filter, ok := filters[name]
		if !ok {
			return nil, fmt.Errorf("there is no filter named '%.40s'", name)
		}
		rest := &args{pos: a.pos[1:], names: a.names, kw: a.kw}
		f = func(v Value) (Value, error) {
			if err := st.enter(); err != nil {
				return nil, err
			}
			defer st.leave()
			return filter(st, v, rest)
		}
	}
	out, err := st.mapItems(items, f)
	return &List{items: out, kind: kindGenerator}, err
}

// selectFilter is select, reject, selectattr or rejectattr: the items for which
// a test (by default, truth) holds or fails.
func selectFilter(name string, byAttr, want bool) filterFunc {
	return func(st *state, x Value, a *args) (Value, error) {
		pos := a.pos
		get := func(v Value) (Value, error) { return v, nil }
		if byAttr {
			if len(pos) == 0 {
				return nil, fmt.Errorf("%s misses the attribute", name)
			}
			var err error
			if get, err = st.attrGetter(pos[0], nil); err != nil {
				return nil, err
			}
			pos = pos[1:]
		}
		holds := func(v Value) (bool, error) { return truth(v), nil }
		if len(pos) > 0 {
			test, ok := pos[0].(string)
			if !ok {
				return nil, fmt.Errorf("%s: the test must be named by a text", name)
			}
			rest := &args{pos: pos[1:], names: a.names, kw: a.kw}
			holds = func(v Value) (bool, error) { return st.test(test, v, rest) }
		}
		items, err := st.listOrNothing(x)
		if err != nil {
			return nil, err
		}
		out := &List{kind: kindGenerator}
		for _, v := range items {
			if err := st.alloc(listItemBytes); err != nil {
				return nil, err
			}
			k, err := get(v)
			if err != nil {
				return nil, err
			}
			ok, err := holds(k)
			if err != nil {
				return nil, err
			}
			if ok == want {
				out.items = append(out.items, v)
			}
		}
		return out, nil
	}
}

func filterBatch(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("batch", 1, "linecount", "fill_with")
	if err != nil {
		return nil, err
	}
	n, err := intArg("batch", p[0], 1)
	if err != nil {
		return nil, err
	}
	items, err := st.list(x)
	if err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, errors.New("batch: the line count must be at least 1")
	}
	out := &List{kind: kindGenerator}
	for len(items) > 0 {
		k := int(min(n, int64(len(items))))
		row, err := st.copyItems(items[:k])
		if err != nil {
			return nil, err
		}
		items = items[k:]
		if missing := n - int64(k); missing > 0 && p[1] != nil && p[1] != None {
			pad, err := st.repeat(&List{items: []Value{p[1]}}, missing)
			if err != nil {
				return nil, err
			}
			row = append(row, pad.(*List).items...)
		}
		if err := st.alloc(3 * listItemBytes); err != nil {
			return nil, err
		}
		out.items = append(out.items, &List{items: row})
	}
	return out, nil
}

func filterSlice(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("slice", 1, "slices", "fill_with")
	if err != nil {
		return nil, err
	}
	n, err := intArg("slice", p[0], 1)
	if err != nil {
		return nil, err
	}
	items, err := st.list(x)
	if err != nil {
		return nil, err
	}
	if n < 1 || n > maxRange {
		return nil, fmt.Errorf("slice: the number of slices must be between 1 and %d", maxRange)
	}
	out := &List{kind: kindGenerator}
	each, extra := len(items)/int(n), len(items)%int(n)
	for i := 0; i < int(n); i++ {
		k := each
		if i < extra {
			k++
		}
		row, err := st.copyItems(items[:k])
		if err != nil {
			return nil, err
		}
		items = items[k:]
		if p[1] != nil && p[1] != None && i >= extra {
			row = append(row, p[1])
		}
		if err := st.alloc(3 * listItemBytes); err != nil {
			return nil, err
		}
		out.items = append(out.items, &List{items: row})
	}
	return out, nil
}
