package jinja

import (
	"errors"
	"fmt"
	"sort"
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

// sortKey returns the function by which to sort or group: an attribute, or
// several between commas, in lower case unless caseSensitive.
func (st *state) sortKey(attribute, otherwise Value, caseSensitive bool) (func(Value) (Value, error), error) {
	var gets []func(Value) (Value, error)
	attrs := []Value{attribute}
	if s, ok := attribute.(string); ok && strings.Contains(s, ",") {
		attrs = nil
		for _, part := range strings.Split(s, ",") {
			attrs = append(attrs, part)
		}
	}
	for _, attr := range attrs {
		get, err := st.attrGetter(attr, otherwise)
		if err != nil {
			return nil, err
		}
		gets = append(gets, get)
	}
	one := func(get func(Value) (Value, error), v Value) (Value, error) {
		k, err := get(v)
		if s, ok := k.(string); ok && err == nil && !caseSensitive {
			return st.mapText(s, strings.ToLower)
		}
		return k, err
	}
	return func(v Value) (Value, error) {
		if len(gets) == 1 {
			return one(gets[0], v)
		}
		l := &List{}
		for _, get := range gets {
			k, err := one(get, v)
			if err != nil {
				return nil, err
			}
			l.items = append(l.items, k)
		}
		return l, st.allocN(len(gets)+1, listItemBytes)
	}, nil
}

// sorted returns the items ordered by their keys.
func (st *state) sorted(items []Value, key func(Value) (Value, error), descending bool) ([]Value, []Value, error) {
	if err := st.allocN(len(items), 3*listItemBytes); err != nil {
		return nil, nil, err
	}
	type keyed struct{ key, item Value }
	list := make([]keyed, len(items))
	for i, v := range items {
		k, err := key(v)
		if err != nil {
			return nil, nil, err
		}
		list[i] = keyed{k, v}
	}
	var failed error
	sort.SliceStable(list, func(i, j int) bool {
		if failed != nil {
			return false
		}
		c, err := st.order(list[i].key, list[j].key, 0)
		failed = err
		if descending {
			return c == 1
		}
		return c == -1
	})
	keys, out := make([]Value, len(list)), make([]Value, len(list))
	for i, k := range list {
		keys[i], out[i] = k.key, k.item
	}
	return out, keys, failed
}

func isTrue(v Value) bool { return v != nil && truth(v) }

func filterSort(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("sort", 0, "reverse", "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := st.list(x)
	if err != nil {
		return nil, err
	}
	key, err := st.sortKey(p[2], nil, isTrue(p[1]))
	if err != nil {
		return nil, err
	}
	out, _, err := st.sorted(items, key, isTrue(p[0]))
	return &List{items: out}, err
}

func filterDictsort(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("dictsort", 0, "case_sensitive", "by", "reverse")
	if err != nil {
		return nil, err
	}
	d, ok := x.(*Dict)
	if !ok {
		return nil, fmt.Errorf("dictsort: a mapping is expected, not %s", typeName(x))
	}
	at := int64(0)
	switch given(p[1], "key") {
	case "key":
	case "value":
		at = 1
	default:
		return nil, errors.New(`dictsort: you can only sort by either "key" or "value"`)
	}
	pairs, err := st.pairs(d, kindList)
	if err != nil {
		return nil, err
	}
	key, err := st.sortKey(at, nil, isTrue(p[0]))
	if err != nil {
		return nil, err
	}
	out, _, err := st.sorted(pairs.(*List).items, key, isTrue(p[2]))
	return &List{items: out}, err
}

func filterGroupby(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("groupby", 1, "attribute", "default", "case_sensitive")
	if err != nil {
		return nil, err
	}
	items, err := st.list(x)
	if err != nil {
		return nil, err
	}
	key, err := st.sortKey(p[0], p[1], isTrue(p[2]))
	if err != nil {
		return nil, err
	}
	sorted, keys, err := st.sorted(items, key, false)
	if err != nil {
		return nil, err
	}
	get, err := st.attrGetter(p[0], p[1])
	if err != nil {
		return nil, err
	}
	out := &List{}
	var group *List
	for i, v := range sorted {
		same := false
		if i > 0 {
			if same, err = st.equal(keys[i-1], keys[i]); err != nil {
				return nil, err
			}
		}
		if !same {
			name, err := get(v) // the key as it is written in the first item
			if err != nil {
				return nil, err
			}
			group = &List{}
			out.items = append(out.items, &List{items: []Value{name, group}, kind: kindTuple, names: []string{"grouper", "list"}})
		}
		if err := st.alloc(5 * listItemBytes); err != nil {
			return nil, err
		}
		group.items = append(group.items, v)
	}
	return out, nil
}

func filterUnique(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("unique", 0, "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := st.list(x)
	if err != nil {
		return nil, err
	}
	key, err := st.sortKey(p[1], nil, isTrue(p[0]))
	if err != nil {
		return nil, err
	}
	seen := NewDict()
	out := &List{kind: kindGenerator}
	for _, v := range items {
		k, err := key(v)
		if err != nil {
			return nil, err
		}
		before := seen.Len()
		if err := st.dictSet(seen, k, None); err != nil {
			return nil, err
		}
		if seen.Len() > before {
			out.items = append(out.items, v)
		}
	}
	return out, nil
}

// extremeFilter is min or max: the first item whose key no other passes.
func extremeFilter(name string, want int) filterFunc {
	return func(st *state, x Value, a *args) (Value, error) {
		p, err := a.bind(name, 0, "case_sensitive", "attribute")
		if err != nil {
			return nil, err
		}
		items, err := st.list(x)
		if err != nil {
			return nil, err
		}
		key, err := st.sortKey(p[1], nil, isTrue(p[0]))
		if err != nil {
			return nil, err
		}
		var best, bestKey Value = &Undefined{"no aggregated item, the sequence was empty"}, nil
		for i, v := range items {
			k, err := key(v)
			if err != nil {
				return nil, err
			}
			if i > 0 {
				c, err := st.order(k, bestKey, 0)
				if err != nil {
					return nil, err
				}
				if c != want {
					continue
				}
			}
			best, bestKey = v, k
		}
		return best, nil
	}
}

func filterSum(st *state, x Value, a *args) (Value, error) {
	p, err := a.bind("sum", 0, "attribute", "start")
	if err != nil {
		return nil, err
	}
	items, err := st.list(x)
	if err != nil {
		return nil, err
	}
	get, err := st.attrGetter(p[0], nil)
	if err != nil {
		return nil, err
	}
	total := given(p[1], int64(0))
	for _, v := range items {
		if v, err = get(v); err == nil {
			total, err = st.arith("+", total, v)
		}
		if err == nil {
			err = st.step(1)
		}
		if err != nil {
			return nil, err
		}
	}
	return total, nil
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
