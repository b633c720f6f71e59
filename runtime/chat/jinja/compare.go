package jinja

import (
	"fmt"
	"strings"
)

func (st *state) compareOp(op string, l, r Value) (bool, error) {
	switch op {
	case "==", "!=":
		eq, err := st.equal(l, r)
		return eq == (op == "=="), err
	case "in", "not in":
		in, err := st.contains(r, l)
		return in == (op == "in"), err
	}
	c, err := st.order(l, r, 0)
	if err != nil {
		return false, err
	}
	switch op {
	case "<":
		return c == -1, nil
	case "<=":
		return c == -1 || c == 0, nil
	case ">":
		return c == 1, nil
	default:
		return c == 1 || c == 0, nil
	}
}

func (st *state) equal(l, r Value) (bool, error) { return st.equalAt(l, r, 0) }

var errDeep = &LimitError{What: "depth of a value", Limit: maxDataDepth, Unit: "levels; does it contain itself?"}

func (st *state) equalAt(l, r Value, depth int) (bool, error) {
	if depth > maxDataDepth {
		return false, errDeep
	}
	if err := st.step(1); err != nil {
		return false, err
	}
	if li, lf, lFloat, ok := number(l); ok {
		ri, rf, rFloat, ok := number(r)
		if !ok {
			return false, nil
		}
		if lFloat || rFloat {
			return lf == rf, nil
		}
		return li == ri, nil
	}
	switch a := l.(type) {
	case string:
		b, ok := r.(string)
		if !ok || len(a) != len(b) {
			return false, nil
		}
		return a == b, st.scan(len(a))
	case *List:
		b, ok := r.(*List)
		if !ok || a.kind != b.kind || len(a.items) != len(b.items) {
			return false, nil
		}
		for i, x := range a.items {
			if i >= len(b.items) {
				return false, nil
			}
			if eq, err := st.equalAt(x, b.items[i], depth+1); err != nil || !eq {
				return false, err
			}
		}
		return true, nil
	case *Dict:
		b, ok := r.(*Dict)
		if !ok || len(a.keys) != len(b.keys) {
			return false, nil
		}
		for i, k := range a.keys {
			y, ok, err := st.dictGet(b, k)
			if err != nil || !ok {
				return false, err
			}
			if eq, err := st.equalAt(a.vals[i], y, depth+1); err != nil || !eq {
				return false, err
			}
		}
		return true, nil
	case *Range:
		b, ok := r.(*Range)
		return ok && *a == *b, nil
	case *Undefined:
		_, ok := r.(*Undefined)
		return ok, nil
	}
	return l == r, nil // None, Number, and identity of the rest
}

// order compares two values of an ordered type: -1, 0, 1, or 2 when a nan is
// not ordered.
func (st *state) order(l, r Value, depth int) (int, error) {
	if depth > maxDataDepth {
		return 0, errDeep
	}
	if err := st.step(1); err != nil {
		return 0, err
	}
	if li, lf, lFloat, ok := number(l); ok {
		if ri, rf, rFloat, ok := number(r); ok {
			switch {
			case lFloat || rFloat:
				return orderOf(lf, rf), nil
			default:
				return orderOf(li, ri), nil
			}
		}
	}
	switch a := l.(type) {
	case string:
		if b, ok := r.(string); ok {
			return strings.Compare(a, b), st.scan(min(len(a), len(b)))
		}
	case *List:
		if b, ok := r.(*List); ok && a.kind == b.kind && a.kind <= kindTuple {
			for i := 0; i < len(a.items) && i < len(b.items); i++ {
				eq, err := st.equalAt(a.items[i], b.items[i], depth+1)
				if err != nil {
					return 0, err
				}
				if !eq {
					return st.order(a.items[i], b.items[i], depth+1)
				}
			}
			return orderOf(len(a.items), len(b.items)), nil
		}
	case *Undefined:
		return 0, a.err()
	}
	if u, ok := r.(*Undefined); ok {
		return 0, u.err()
	}
	return 0, fmt.Errorf("'%s' and '%s' have no order", typeName(l), typeName(r))
}

func orderOf[T int | int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	}
	return 2
}

// contains is Python's "item in container".
func (st *state) contains(container, item Value) (bool, error) {
	switch c := container.(type) {
	case string:
		s, ok := item.(string)
		if !ok {
			return false, fmt.Errorf("'in <string>' requires string as left operand, not %s", typeName(item))
		}
		return strings.Contains(c, s), st.scan(len(c) + len(s))
	case *Dict:
		_, ok, err := st.dictGet(c, item)
		return ok, err
	case *List, *Range, *Undefined:
		q, err := st.iterate(container)
		if err != nil {
			return false, err
		}
		for {
			v, ok, err := q.next(st)
			if err != nil || !ok {
				return false, err
			}
			if eq, err := st.equal(v, item); err != nil || eq {
				return eq, err
			}
		}
	}
	return false, fmt.Errorf("argument of type '%s' is not iterable", typeName(container))
}
