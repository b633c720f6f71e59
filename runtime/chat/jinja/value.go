package jinja

import (
	"encoding/json"
	"fmt"
	"math"
	"sort"
)

// Value is a value of the template language: None, bool, int64, float64,
// string, Number, *List, *Dict, *Range, *Undefined, or something callable.
// It is never nil.
type Value = any

// Mark is a character by which who gives texts to a template finds a place in them
// again after rendering: no filter writes it as an escape. Unicode reserves it for
// use inside a program (a noncharacter).
const Mark = '\uFDD0'

type noneType struct{}

// None is Python's None.
var None Value = noneType{}

// Number is an integer from JSON that does not fit 64 bits, kept as its text:
// it can be printed and encoded, not computed with.
type Number string

// Undefined is the value of a name or attribute that does not exist. It prints
// as nothing and is false; computing with it is an error.
type Undefined struct{ what string }

func (u *Undefined) err() error { return fmt.Errorf("%s", u.what) }

type listKind uint8

const (
	kindList listKind = iota
	kindTuple
	kindView      // dict.keys(), values(), items(): no indexing
	kindGenerator // what map, select and the like give: always true, good for one pass
)

// List is a Python list, or with another kind a tuple, a view or a generator.
type List struct {
	items []Value
	kind  listKind
	names []string // of the fields of a named tuple (groupby)
	label string   // of a view: dict_items and so on
}

// NewList makes a list.
func NewList(items ...Value) *List { return &List{items: items} }

// Len returns the number of elements.
func (l *List) Len() int { return len(l.items) }

// At returns element i.
func (l *List) At(i int) Value { return l.items[i] }

// Range is Python's range.
type Range struct{ start, stop, step int64 }

func (r *Range) len() int {
	if r.step > 0 && r.start < r.stop {
		return int((uint64(r.stop)-uint64(r.start)-1)/uint64(r.step) + 1)
	}
	if r.step < 0 && r.start > r.stop {
		return int((uint64(r.start)-uint64(r.stop)-1)/-uint64(r.step) + 1)
	}
	return 0
}

func (r *Range) at(i int) int64 { return r.start + int64(i)*r.step }

// Dict is a Python dictionary: it keeps the order of insertion.
type Dict struct {
	keys  []Value
	vals  []Value
	index map[any]int
}

// NewDict makes an empty dictionary.
func NewDict() *Dict { return &Dict{index: map[any]int{}} }

// Set sets a string key, keeping its place if it exists, and returns d.
func (d *Dict) Set(key string, v Value) *Dict {
	d.put(key, key, v)
	return d
}

// Get returns the value of a string key.
func (d *Dict) Get(key string) (Value, bool) {
	i, ok := d.index[key]
	if !ok {
		return nil, false
	}
	return d.vals[i], true
}

// Len returns the number of entries.
func (d *Dict) Len() int { return len(d.keys) }

// put sets a key whose hash (see hashKey) is h.
func (d *Dict) put(h any, key, v Value) {
	if i, ok := d.index[h]; ok {
		d.vals[i] = v
		return
	}
	d.index[h] = len(d.keys)
	d.keys, d.vals = append(d.keys, key), append(d.vals, v)
}

// tupleKey is the hash of a tuple: its repr.
type tupleKey string

// undefinedKey is the hash of what is undefined.
type undefinedKey struct{}

// hashKey returns what identifies v as a dictionary key. Numbers that are equal
// have the same, as in Python.
func (st *state) hashKey(v Value) (any, error) {
	switch v := v.(type) {
	case string:
		return v, st.scan(len(v))
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case float64:
		if i := int64(v); float64(i) == v {
			return i, nil
		}
		if math.IsNaN(v) {
			return nil, fmt.Errorf("nan cannot be a key")
		}
		return v, nil
	case int64, noneType, Number, *Func, *macro, *namespace:
		return v, nil
	case *Undefined:
		return undefinedKey{}, nil
	case *List:
		if v.kind == kindTuple {
			s, err := st.repr(v) // which bounds the depth
			if err != nil {
				return nil, err
			}
			for _, e := range v.items {
				if _, err := st.hashKey(e); err != nil {
					return nil, err
				}
			}
			return tupleKey(s), nil
		}
	}
	return nil, fmt.Errorf("unhashable type: '%s'", typeName(v))
}

func (st *state) dictGet(d *Dict, key Value) (Value, bool, error) {
	h, err := st.hashKey(key)
	if err != nil {
		return nil, false, err
	}
	i, ok := d.index[h]
	if !ok {
		return nil, false, nil
	}
	return d.vals[i], true, nil
}

func (st *state) dictSet(d *Dict, key, v Value) error {
	h, err := st.hashKey(key)
	if err != nil {
		return err
	}
	if _, ok := d.index[h]; !ok {
		if err := st.alloc(dictItemBytes); err != nil {
			return err
		}
	}
	d.put(h, key, v)
	return nil
}

func (st *state) dictDelete(d *Dict, key Value) (Value, bool, error) {
	h, err := st.hashKey(key)
	if err != nil {
		return nil, false, err
	}
	i, ok := d.index[h]
	if !ok {
		return nil, false, nil
	}
	if err := st.step(len(d.keys)); err != nil {
		return nil, false, err
	}
	v := d.vals[i]
	d.keys = append(d.keys[:i], d.keys[i+1:]...)
	d.vals = append(d.vals[:i], d.vals[i+1:]...)
	delete(d.index, h)
	for k, j := range d.index {
		if j > i {
			d.index[k] = j - 1
		}
	}
	return v, true, nil
}

func (st *state) dictCopy(d *Dict) (*Dict, error) {
	if err := st.allocN(len(d.keys), dictItemBytes); err != nil {
		return nil, err
	}
	c := &Dict{keys: append([]Value(nil), d.keys...), vals: append([]Value(nil), d.vals...), index: make(map[any]int, len(d.keys))}
	for k, i := range d.index {
		c.index[k] = i
	}
	return c, nil
}

// namespace is what namespace() makes: the one thing whose attributes a
// template can set.
type namespace struct{ d *Dict }

// Func is a function a template can call.
type Func struct {
	name string
	fn   func(st *state, a *args) (Value, error)
}

// NewFunc makes a function of positional arguments for templates, such as
// strftime_now. Its result must be a Value.
func NewFunc(name string, fn func(args ...Value) (Value, error)) *Func {
	return &Func{name, func(_ *state, a *args) (Value, error) {
		if len(a.names) > 0 {
			return nil, fmt.Errorf("%s() takes no named arguments", name)
		}
		return fn(a.pos...)
	}}
}

// FromGo converts what encoding/json could have decoded (nil, bool, numbers,
// strings, slices, maps), Values, and, through their JSON, other Go values.
// Maps are ordered by key, having no order of their own.
func FromGo(v any) (Value, error) { return fromGo(v, 0) }

func fromGo(v any, depth int) (Value, error) {
	if depth > maxDataDepth {
		return nil, fmt.Errorf("a variable is nested more than %d levels deep", maxDataDepth)
	}
	switch v := v.(type) {
	case nil:
		return None, nil
	case bool, int64, float64, string, Number, noneType, *List, *Dict, *Func:
		return v, nil
	case int:
		return int64(v), nil
	case json.RawMessage:
		return FromJSON(v)
	case []string:
		l := &List{}
		for _, s := range v {
			l.items = append(l.items, s)
		}
		return l, nil
	case []any:
		l := &List{}
		for _, e := range v {
			x, err := fromGo(e, depth+1)
			if err != nil {
				return nil, err
			}
			l.items = append(l.items, x)
		}
		return l, nil
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		d := NewDict()
		for _, k := range keys {
			x, err := fromGo(v[k], depth+1)
			if err != nil {
				return nil, err
			}
			d.Set(k, x)
		}
		return d, nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("a variable of type %T cannot be given to a template: %w", v, err)
	}
	return FromJSON(data)
}

// MapTexts gives v with f applied to every text in it, the keys of dictionaries
// included. v stays as it is.
func MapTexts(v Value, f func(string) string) Value {
	switch v := v.(type) {
	case string:
		return f(v)
	case *List:
		l := *v
		l.items = make([]Value, len(v.items))
		for i, e := range v.items {
			l.items[i] = MapTexts(e, f)
		}
		return &l
	case *Dict:
		hashes := make([]any, len(v.keys))
		for h, i := range v.index {
			hashes[i] = h
		}
		d := NewDict()
		for i, key := range v.keys {
			if k, ok := key.(string); ok {
				key, hashes[i] = f(k), f(k)
			}
			d.put(hashes[i], key, MapTexts(v.vals[i], f))
		}
		return d
	}
	return v
}

// typeName is Python's name of v's type, for messages.
func typeName(v Value) string {
	switch v := v.(type) {
	case noneType:
		return "NoneType"
	case bool:
		return "bool"
	case int64, Number:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case *List:
		return [...]string{"list", "tuple", "dict view", "generator"}[v.kind]
	case *Dict:
		return "dict"
	case *Range:
		return "range"
	case *Undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	case *macro:
		return "Macro"
	case *loop:
		return "LoopContext"
	}
	return "function"
}

// truth is Python's bool(v).
func truth(v Value) bool {
	switch v := v.(type) {
	case bool:
		return v
	case noneType, *Undefined:
		return false
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case *List:
		return v.kind == kindGenerator || len(v.items) > 0
	case *Dict:
		return len(v.keys) > 0
	case *Range:
		return v.len() > 0
	}
	return true
}

func undefinedName(name string) *Undefined {
	return &Undefined{fmt.Sprintf("'%.60s' is undefined", name)}
}

func undefinedAttr(v Value, name string) *Undefined {
	return &Undefined{fmt.Sprintf("'%s' has no attribute '%.60s'", typeName(v), name)}
}
