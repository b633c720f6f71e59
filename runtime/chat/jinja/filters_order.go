package jinja

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

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
