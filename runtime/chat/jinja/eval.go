package jinja

import (
	"errors"
	"fmt"
)

// eval evaluates e: every evaluation costs a step and is bounded in depth.
func (st *state) eval(e expr, sc *scope) (Value, error) {
	if err := st.step(1); err != nil {
		return nil, err
	}
	if err := st.enter(); err != nil {
		return nil, err
	}
	v, err := e.eval(st, sc)
	st.leave()
	return v, err
}

// scope holds the variables of a block; names not found are looked up in the
// parent. The first few live in slices, which can be emptied and used again.
type scope struct {
	parent *scope
	names  []string
	vals   []Value
	index  map[string]int // nil while there are few
}

const fewNames = 8

func (sc *scope) find(name string) int {
	if sc.index != nil {
		if i, ok := sc.index[name]; ok {
			return i
		}
		return -1
	}
	for i, n := range sc.names {
		if n == name {
			return i
		}
	}
	return -1
}

func (sc *scope) get(name string) (Value, bool) {
	for ; sc != nil; sc = sc.parent {
		if i := sc.find(name); i >= 0 {
			return sc.vals[i], true
		}
	}
	return nil, false
}

func (sc *scope) set(name string, v Value) {
	if i := sc.find(name); i >= 0 {
		sc.vals[i] = v
		return
	}
	sc.names, sc.vals = append(sc.names, name), append(sc.vals, v)
	if sc.index != nil {
		sc.index[name] = len(sc.names) - 1
	} else if len(sc.names) > fewNames {
		sc.index = make(map[string]int, 2*fewNames)
		for i, n := range sc.names {
			sc.index[n] = i
		}
	}
}

func (sc *scope) reset() {
	clear(sc.vals)
	sc.names, sc.vals, sc.index = sc.names[:0], sc.vals[:0], nil
}

// newScope makes a scope inside another.
func (st *state) newScope(parent *scope) (*scope, error) {
	return &scope{parent: parent}, st.alloc(256)
}

func (e *constExpr) eval(*state, *scope) (Value, error) { return e.v, nil }

func (e *nameExpr) eval(_ *state, sc *scope) (Value, error) {
	if v, ok := sc.get(e.name); ok {
		return v, nil
	}
	return undefinedName(e.name), nil
}

func (e *listExpr) eval(st *state, sc *scope) (Value, error) {
	if err := st.allocN(len(e.items)+1, listItemBytes); err != nil {
		return nil, err
	}
	l := &List{items: make([]Value, len(e.items))}
	if e.tuple {
		l.kind = kindTuple
	}
	for i, x := range e.items {
		v, err := st.eval(x, sc)
		if err != nil {
			return nil, err
		}
		l.items[i] = v
	}
	return l, nil
}

func (e *dictExpr) eval(st *state, sc *scope) (Value, error) {
	if err := st.alloc(dictItemBytes); err != nil {
		return nil, err
	}
	d := NewDict()
	for i, k := range e.keys {
		key, err := st.eval(k, sc)
		if err != nil {
			return nil, err
		}
		v, err := st.eval(e.vals[i], sc)
		if err != nil {
			return nil, err
		}
		if err := st.dictSet(d, key, v); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (e *logicExpr) eval(st *state, sc *scope) (Value, error) {
	l, err := st.eval(e.l, sc)
	if err != nil || truth(l) != e.and {
		return l, err
	}
	return st.eval(e.r, sc)
}

func (e *condExpr) eval(st *state, sc *scope) (Value, error) {
	c, err := st.eval(e.cond, sc)
	switch {
	case err != nil:
		return nil, err
	case truth(c):
		return st.eval(e.then, sc)
	case e.els == nil:
		return &Undefined{"the inline if has no else"}, nil
	}
	return st.eval(e.els, sc)
}

func (e *compareExpr) eval(st *state, sc *scope) (Value, error) {
	l, err := st.eval(e.l, sc)
	if err != nil {
		return nil, err
	}
	for i, op := range e.ops {
		r, err := st.eval(e.rs[i], sc)
		if err != nil {
			return nil, err
		}
		ok, err := st.compareOp(op, l, r)
		if err != nil || !ok {
			return false, err
		}
		l = r
	}
	return true, nil
}

func (e *concatExpr) eval(st *state, sc *scope) (Value, error) {
	parts := make([]string, len(e.items))
	n := 0
	for i, x := range e.items {
		v, err := st.eval(x, sc)
		if err != nil {
			return nil, err
		}
		if parts[i], err = st.str(v); err != nil {
			return nil, err
		}
		n += len(parts[i])
	}
	return st.joinStrings(parts, "", n)
}

func (e *attrExpr) eval(st *state, sc *scope) (Value, error) {
	x, err := st.eval(e.x, sc)
	if err != nil {
		return nil, err
	}
	return st.attr(x, e.name)
}

func (e *itemExpr) eval(st *state, sc *scope) (Value, error) {
	x, err := st.eval(e.x, sc)
	if err != nil {
		return nil, err
	}
	key, err := st.eval(e.key, sc)
	if err != nil {
		return nil, err
	}
	return st.item(x, key)
}

func (e *sliceExpr) eval(st *state, sc *scope) (Value, error) {
	x, err := st.eval(e.x, sc)
	if err != nil {
		return nil, err
	}
	var parts [3]*int64
	for i, p := range []expr{e.start, e.stop, e.step} {
		if p == nil {
			continue
		}
		v, err := st.eval(p, sc)
		if err != nil {
			return nil, err
		}
		switch n := v.(type) {
		case int64:
			parts[i] = &n
		case bool:
			b := toInt(n)
			parts[i] = &b
		case noneType:
		default:
			return nil, errors.New("slice indices must be integers or None")
		}
	}
	return st.slice(x, parts[0], parts[1], parts[2])
}

// args are the evaluated arguments of a call.
type args struct {
	pos   []Value
	names []string // of kw
	kw    []Value
}

func (a *args) named(name string) (Value, bool) {
	for i, n := range a.names {
		if n == name {
			return a.kw[i], true
		}
	}
	return nil, false
}

// bind assigns the arguments to parameters by position and by name; those not
// given are nil. The first required ones must be given.
func (a *args) bind(fn string, required int, params ...string) ([]Value, error) {
	if len(a.pos) > len(params) {
		return nil, fmt.Errorf("%s() takes at most %d arguments, %d were given", fn, len(params), len(a.pos))
	}
	out := make([]Value, len(params))
	copy(out, a.pos)
next:
	for i, n := range a.names {
		for j, p := range params {
			if n == p {
				if out[j] != nil {
					return nil, fmt.Errorf("%s() got several values for '%s'", fn, n)
				}
				out[j] = a.kw[i]
				continue next
			}
		}
		return nil, fmt.Errorf("%s() got an unexpected argument '%.40s'", fn, n)
	}
	for i := 0; i < required; i++ {
		if out[i] == nil {
			return nil, fmt.Errorf("%s() misses the argument '%s'", fn, params[i])
		}
	}
	return out, nil
}

// noArgs are the arguments of a call without any; nobody changes them.
var noArgs = &args{}

func (st *state) evalArgs(a *argExprs, sc *scope) (*args, error) {
	if len(a.pos)+len(a.kw) == 0 && a.star == nil && a.dblStar == nil {
		return noArgs, nil
	}
	if err := st.alloc(64 + 16*(len(a.pos)+2*len(a.kw))); err != nil {
		return nil, err
	}
	out := &args{}
	if n := len(a.pos); n > 0 {
		out.pos = make([]Value, 0, n)
	}
	for _, x := range a.pos {
		v, err := st.eval(x, sc)
		if err != nil {
			return nil, err
		}
		out.pos = append(out.pos, v)
	}
	for i, x := range a.kw {
		v, err := st.eval(x, sc)
		if err != nil {
			return nil, err
		}
		out.names, out.kw = append(out.names, a.names[i]), append(out.kw, v)
	}
	if a.star != nil {
		v, err := st.eval(a.star, sc)
		if err != nil {
			return nil, err
		}
		items, err := st.list(v)
		if err != nil {
			return nil, err
		}
		if err := st.allocN(len(items), listItemBytes); err != nil {
			return nil, err
		}
		out.pos = append(out.pos, items...)
	}
	if a.dblStar != nil {
		v, err := st.eval(a.dblStar, sc)
		if err != nil {
			return nil, err
		}
		d, ok := v.(*Dict)
		if !ok {
			return nil, fmt.Errorf("the argument after ** must be a mapping, not %s", typeName(v))
		}
		if err := st.allocN(len(d.keys), dictItemBytes); err != nil {
			return nil, err
		}
		for i, k := range d.keys {
			name, ok := k.(string)
			if !ok {
				return nil, errors.New("keywords must be strings")
			}
			out.names, out.kw = append(out.names, name), append(out.kw, d.vals[i])
		}
	}
	return out, nil
}

func (e *callExpr) eval(st *state, sc *scope) (Value, error) {
	return st.callWith(e, sc, nil)
}

// callWith evaluates a call, handing caller (of a call block) to the macro.
func (st *state) callWith(e *callExpr, sc *scope, caller Value) (Value, error) {
	fn, err := st.eval(e.fn, sc)
	if err != nil {
		return nil, err
	}
	a, err := st.evalArgs(&e.args, sc)
	if err != nil {
		return nil, err
	}
	if caller != nil {
		a = &args{pos: a.pos, names: append(a.names, "caller"), kw: append(a.kw, caller)}
	}
	return st.call(fn, a)
}

func (st *state) call(fn Value, a *args) (Value, error) {
	switch f := fn.(type) {
	case *Func:
		return f.fn(st, a)
	case *boundMethod:
		return f.fn(st, f.recv, a)
	case *macro:
		return st.callMacro(f, a)
	case *loop:
		return f.recurse(st, a)
	case *joiner:
		return f.call(), nil
	case *Undefined:
		return nil, f.err()
	}
	return nil, fmt.Errorf("'%s' object is not callable", typeName(fn))
}

func (e *filterExpr) eval(st *state, sc *scope) (Value, error) {
	x, err := st.eval(e.x, sc)
	if err != nil {
		return nil, err
	}
	return st.applyFilter(e, x, sc)
}

func (st *state) applyFilter(e *filterExpr, x Value, sc *scope) (Value, error) {
	f, ok := filters[e.name]
	if !ok {
		return nil, fmt.Errorf("there is no filter named '%.40s'", e.name)
	}
	a, err := st.evalArgs(&e.args, sc)
	if err != nil {
		return nil, err
	}
	return f(st, x, a)
}

func (e *testExpr) eval(st *state, sc *scope) (Value, error) {
	x, err := st.eval(e.x, sc)
	if err != nil {
		return nil, err
	}
	a, err := st.evalArgs(&e.args, sc)
	if err != nil {
		return nil, err
	}
	return st.test(e.name, x, a)
}

func (st *state) test(name string, x Value, a *args) (bool, error) {
	f, ok := tests[name]
	if !ok {
		return false, fmt.Errorf("there is no test named '%.40s'", name)
	}
	return f(st, x, a)
}
