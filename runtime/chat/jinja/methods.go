package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// dictMethods are the methods of Python's dict that templates may call.
var dictMethods = map[string]method{
	"get": func(st *state, recv Value, a *args) (Value, error) {
		p, err := a.bind("get", 1, "key", "default")
		if err != nil {
			return nil, err
		}
		v, ok, err := st.dictGet(recv.(*Dict), p[0])
		if err != nil || ok {
			return v, err
		}
		if p[1] == nil {
			return None, nil
		}
		return p[1], nil
	},
	"keys": func(st *state, recv Value, a *args) (Value, error) {
		items, err := st.copyItems(recv.(*Dict).keys)
		return &List{items: items, kind: kindView, label: "dict_keys"}, err
	},
	"values": func(st *state, recv Value, a *args) (Value, error) {
		items, err := st.copyItems(recv.(*Dict).vals)
		return &List{items: items, kind: kindView, label: "dict_values"}, err
	},
	"items": func(st *state, recv Value, a *args) (Value, error) {
		return st.pairs(recv.(*Dict), kindView)
	},
	"copy": func(st *state, recv Value, a *args) (Value, error) { return st.dictCopy(recv.(*Dict)) },
	"pop": func(st *state, recv Value, a *args) (Value, error) {
		p, err := a.bind("pop", 1, "key", "default")
		if err != nil {
			return nil, err
		}
		v, ok, err := st.dictDelete(recv.(*Dict), p[0])
		if err != nil || ok {
			return v, err
		}
		if p[1] == nil {
			return nil, errors.New("pop(): there is no such key")
		}
		return p[1], nil
	},
	"setdefault": func(st *state, recv Value, a *args) (Value, error) {
		p, err := a.bind("setdefault", 1, "key", "default")
		if err != nil {
			return nil, err
		}
		v, ok, err := st.dictGet(recv.(*Dict), p[0])
		if err != nil || ok {
			return v, err
		}
		if p[1] == nil {
			p[1] = None
		}
		return p[1], st.dictSet(recv.(*Dict), p[0], p[1])
	},
	"update": func(st *state, recv Value, a *args) (Value, error) {
		return None, st.dictUpdate(recv.(*Dict), a)
	},
	"clear": func(_ *state, recv Value, a *args) (Value, error) {
		*recv.(*Dict) = *NewDict()
		return None, nil
	},
}

// pairs returns the entries of d as tuples.
func (st *state) pairs(d *Dict, kind listKind) (Value, error) {
	if err := st.allocN(len(d.keys), 4*listItemBytes); err != nil {
		return nil, err
	}
	out := &List{items: make([]Value, len(d.keys)), kind: kind, label: "dict_items"}
	for i, k := range d.keys {
		out.items[i] = &List{items: []Value{k, d.vals[i]}, kind: kindTuple}
	}
	return out, nil
}

// dictUpdate adds a mapping or pairs, given as the one positional argument, and
// the named arguments to d: what dict() and dict.update() take.
func (st *state) dictUpdate(d *Dict, a *args) error {
	if len(a.pos) > 1 {
		return errors.New("a dictionary is made from one mapping and named arguments")
	}
	for _, v := range a.pos {
		if src, ok := v.(*Dict); ok {
			if src == d {
				continue
			}
			for i, k := range src.keys {
				if err := st.dictSet(d, k, src.vals[i]); err != nil {
					return err
				}
			}
			continue
		}
		pairs, err := st.list(v)
		if err != nil {
			return err
		}
		for _, p := range pairs {
			kv, err := st.list(p)
			if err != nil {
				return err
			}
			if len(kv) != 2 {
				return errors.New("a dictionary is made from pairs")
			}
			if err := st.dictSet(d, kv[0], kv[1]); err != nil {
				return err
			}
		}
	}
	for i, n := range a.names {
		if err := st.dictSet(d, n, a.kw[i]); err != nil {
			return err
		}
	}
	return nil
}

var tupleMethods = map[string]method{
	"index": listIndex,
	"count": listCount,
}

// listMethods are the methods of Python's list that templates may call.
var listMethods = map[string]method{
	"index": listIndex,
	"count": listCount,
	"append": func(st *state, recv Value, a *args) (Value, error) {
		p, err := a.bind("append", 1, "object")
		if err != nil {
			return nil, err
		}
		return None, st.listInsert(recv.(*List), len(recv.(*List).items), p)
	},
	"insert": func(st *state, recv Value, a *args) (Value, error) {
		p, err := a.bind("insert", 2, "index", "object")
		if err != nil {
			return nil, err
		}
		at, err := intArg("insert", p[0], 0)
		if err != nil {
			return nil, err
		}
		l := recv.(*List)
		from, _, _, err := sliceBounds(len(l.items), &at, nil, nil)
		if err != nil {
			return nil, err
		}
		return None, st.listInsert(l, int(from), p[1:])
	},
	"extend": func(st *state, recv Value, a *args) (Value, error) {
		p, err := a.bind("extend", 1, "iterable")
		if err != nil {
			return nil, err
		}
		items, err := st.list(p[0])
		if err != nil {
			return nil, err
		}
		return None, st.listInsert(recv.(*List), len(recv.(*List).items), items)
	},
	"pop": func(st *state, recv Value, a *args) (Value, error) {
		p, err := a.bind("pop", 0, "index")
		if err != nil {
			return nil, err
		}
		at, err := intArg("pop", p[0], -1)
		if err != nil {
			return nil, err
		}
		l := recv.(*List)
		i, ok := index(at, len(l.items))
		if !ok {
			return nil, errors.New("pop(): index out of range")
		}
		return st.listRemove(l, i)
	},
	"remove": func(st *state, recv Value, a *args) (Value, error) {
		i, err := listIndex(st, recv, a)
		if err != nil {
			return nil, err
		}
		at, _ := asInt(i)
		_, err = st.listRemove(recv.(*List), int(at))
		return None, err
	},
	"reverse": func(st *state, recv Value, a *args) (Value, error) {
		l := recv.(*List)
		reverse(l.items)
		return None, st.step(len(l.items))
	},
	"copy": func(st *state, recv Value, a *args) (Value, error) {
		items, err := st.copyItems(recv.(*List).items)
		return &List{items: items}, err
	},
	"clear": func(_ *state, recv Value, a *args) (Value, error) {
		recv.(*List).items = nil
		return None, nil
	},
}

func (st *state) listInsert(l *List, at int, items []Value) error {
	if err := st.allocN(len(items), listItemBytes); err != nil {
		return err
	}
	if len(l.items)+len(items) > maxItems {
		return &LimitError{What: "elements of a list", Limit: maxItems, Unit: "elements"}
	}
	if at == len(l.items) {
		l.items = append(l.items, items...)
		return nil
	}
	tail, err := st.copyItems(l.items[at:])
	if err != nil {
		return err
	}
	l.items = append(append(l.items[:at], items...), tail...)
	return nil
}

func (st *state) listRemove(l *List, i int) (Value, error) {
	v := l.items[i]
	l.items = append(l.items[:i], l.items[i+1:]...)
	return v, st.step(1 + (len(l.items)-i)/16)
}

func listIndex(st *state, recv Value, a *args) (Value, error) {
	p, err := a.bind("index", 1, "value")
	if err != nil {
		return nil, err
	}
	for i, v := range recv.(*List).items {
		if eq, err := st.equal(v, p[0]); err != nil || eq {
			return int64(i), err
		}
	}
	return nil, errors.New("the value is not in the list")
}

func listCount(st *state, recv Value, a *args) (Value, error) {
	p, err := a.bind("count", 1, "value")
	if err != nil {
		return nil, err
	}
	n := int64(0)
	for _, v := range recv.(*List).items {
		eq, err := st.equal(v, p[0])
		if err != nil {
			return nil, err
		}
		n += toInt(eq)
	}
	return n, nil
}

// globals are the functions every template can call.
var globals = map[string]Value{
	"range":           &Func{"range", newRange},
	"namespace":       &Func{"namespace", newNamespace},
	"dict":            &Func{"dict", newDict},
	"cycler":          &Func{"cycler", newCycler},
	"joiner":          &Func{"joiner", newJoiner},
	"raise_exception": &Func{"raise_exception", raise},
}

func raise(st *state, a *args) (Value, error) {
	p, err := a.bind("raise_exception", 1, "message")
	if err != nil {
		return nil, err
	}
	msg, err := st.str(p[0])
	if err != nil {
		return nil, err
	}
	if len(msg) > 1000 {
		msg = strings.ToValidUTF8(msg[:1000], "") + "..."
	}
	return nil, &RaisedError{Message: msg}
}

func newRange(_ *state, a *args) (Value, error) {
	p, err := a.bind("range", 1, "start", "stop", "step")
	if err != nil {
		return nil, err
	}
	r := &Range{0, 0, 1}
	if p[1] == nil {
		p[0], p[1] = nil, p[0]
	}
	for i, to := range []*int64{&r.start, &r.stop, &r.step} {
		if *to, err = intArg("range", p[i], *to); err != nil {
			return nil, err
		}
	}
	if r.step == 0 {
		return nil, errors.New("range() arg 3 must not be zero")
	}
	if n := r.len(); n < 0 || n > maxRange {
		return nil, &LimitError{What: "a range", Limit: maxRange, Unit: "elements"}
	}
	return r, nil
}

func newDict(st *state, a *args) (Value, error) {
	d := NewDict()
	return d, st.dictUpdate(d, a)
}

func newNamespace(st *state, a *args) (Value, error) {
	if err := st.alloc(dictItemBytes); err != nil {
		return nil, err
	}
	ns := &namespace{NewDict()}
	return ns, st.dictUpdate(ns.d, a)
}

// cycler is jinja2's cycler(a, b, ...).
type cycler struct {
	items []Value
	i     int
}

func newCycler(_ *state, a *args) (Value, error) {
	if len(a.pos) == 0 {
		return nil, errors.New("cycler() needs at least one item")
	}
	return &cycler{items: a.pos}, nil
}

func (c *cycler) attr(name string) (Value, error) {
	switch name {
	case "current":
		return c.items[c.i], nil
	case "next":
		return &Func{"next", func(*state, *args) (Value, error) {
			v := c.items[c.i]
			c.i = (c.i + 1) % len(c.items)
			return v, nil
		}}, nil
	case "reset":
		return &Func{"reset", func(*state, *args) (Value, error) {
			c.i = 0
			return None, nil
		}}, nil
	}
	return &Undefined{fmt.Sprintf("'Cycler' has no attribute '%.60s'", name)}, nil
}

// joiner is jinja2's joiner(sep): nothing at the first call, then sep.
type joiner struct {
	sep  Value
	used bool
}

func newJoiner(_ *state, a *args) (Value, error) {
	p, err := a.bind("joiner", 0, "sep")
	if err != nil {
		return nil, err
	}
	if p[0] == nil {
		p[0] = ", "
	}
	return &joiner{sep: p[0]}, nil
}

func (j *joiner) call() Value {
	if !j.used {
		j.used = true
		return ""
	}
	return j.sep
}
