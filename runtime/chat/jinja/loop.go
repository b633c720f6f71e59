package jinja

import (
	"errors"
	"fmt"
)

// loop is the variable of that name inside a for: jinja2's LoopContext. Its
// elements are drawn one by one, so that the condition of a filtered loop sees
// what the body did; loop.length and the like draw the rest.
type loop struct {
	st      *state
	stmt    *forStmt
	sc      *scope    // around the loop
	source  *sequence // what is not drawn yet
	ahead   []Value   // drawn, not yet current
	index0  int
	depth0  int
	prev    Value
	cur     Value
	changed Value // last argument of loop.changed(), nil before
}

// draw returns the next element that meets the loop's condition.
func (l *loop) draw() (Value, bool, error) {
	for {
		v, ok, err := l.source.next(l.st)
		if err != nil || !ok {
			return nil, false, err
		}
		if l.stmt.cond == nil {
			return v, true, nil
		}
		sc, err := l.st.newScope(l.sc)
		if err != nil {
			return nil, false, err
		}
		if err := l.st.assign(l.stmt.target, v, sc); err != nil {
			return nil, false, err
		}
		c, err := l.st.eval(l.stmt.cond, sc)
		if err != nil {
			return nil, false, err
		}
		if truth(c) {
			return v, true, nil
		}
	}
}

// peek draws up to n elements ahead (all when n < 0).
func (l *loop) peek(n int) error {
	for n < 0 || len(l.ahead) < n {
		v, ok, err := l.draw()
		if err != nil {
			return err
		}
		if !ok {
			return nil
		}
		if err := l.st.alloc(listItemBytes); err != nil {
			return err
		}
		l.ahead = append(l.ahead, v)
	}
	return nil
}

func (l *loop) advance() (bool, error) {
	var v Value
	if len(l.ahead) > 0 {
		v = l.ahead[0]
		l.ahead = l.ahead[1:]
	} else {
		next, ok, err := l.draw()
		if err != nil || !ok {
			return false, err
		}
		v = next
	}
	l.prev, l.cur = l.cur, v
	l.index0++
	return true, nil
}

func (s *forStmt) exec(st *state, sc *scope) (control, error) {
	v, err := st.eval(s.iter, sc)
	if err != nil {
		return ctlNext, err
	}
	return st.runLoop(s, v, sc, 0)
}

// runLoop runs a loop over a value. A break in its else is one of the loop around it.
func (st *state) runLoop(s *forStmt, over Value, sc *scope, depth int) (control, error) {
	src, err := st.iterate(over)
	if err != nil {
		return ctlNext, err
	}
	if err := st.alloc(256); err != nil {
		return ctlNext, err
	}
	l := &loop{st: st, stmt: s, sc: sc, source: src, index0: -1, depth0: depth}
	inner, err := st.newScope(sc)
	if err != nil {
		return ctlNext, err
	}
	ended := false // the body, in some turn: in jinja2 else stands for no such turn
	for {
		ok, err := l.advance()
		if err != nil {
			return ctlNext, err
		}
		if !ok {
			break
		}
		if err := st.step(1); err != nil {
			return ctlNext, err
		}
		if s.captures && l.index0 > 0 {
			if inner, err = st.newScope(sc); err != nil {
				return ctlNext, err
			}
		} else {
			inner.reset()
		}
		inner.set("loop", l)
		if err := st.assign(s.target, l.cur, inner); err != nil {
			return ctlNext, err
		}
		ctl, err := st.exec(s.body, inner)
		if err != nil {
			return ctlNext, err
		}
		if ctl == ctlBreak {
			break
		}
		ended = ended || ctl == ctlNext
	}
	if ended || s.els == nil {
		return ctlNext, nil
	}
	if inner, err = st.newScope(sc); err != nil {
		return ctlNext, err
	}
	return st.exec(s.els, inner)
}

// recurse is loop(items) in a recursive loop.
func (l *loop) recurse(st *state, a *args) (Value, error) {
	if !l.stmt.recursive {
		return nil, errors.New("the loop is called but it is not marked recursive")
	}
	if len(a.pos) != 1 || len(a.names) > 0 {
		return nil, errors.New("loop() takes one argument")
	}
	if err := st.enter(); err != nil {
		return nil, err
	}
	defer st.leave()
	outer := st.out
	buf := &output{st: st, max: st.limits.Output}
	st.out = buf
	_, err := st.runLoop(l.stmt, a.pos[0], l.sc, l.depth0+1)
	st.out = outer
	return buf.b.String(), err
}

func (l *loop) attr(name string) (Value, error) {
	rest := func() (int64, error) {
		err := l.peek(-1)
		return int64(len(l.ahead)), err
	}
	switch name {
	case "index":
		return int64(l.index0 + 1), nil
	case "index0":
		return int64(l.index0), nil
	case "first":
		return l.index0 == 0, nil
	case "last":
		err := l.peek(1)
		return len(l.ahead) == 0, err
	case "length":
		n, err := rest()
		return n + int64(l.index0) + 1, err
	case "revindex":
		n, err := rest()
		return n + 1, err
	case "revindex0":
		return rest()
	case "depth":
		return int64(l.depth0 + 1), nil
	case "depth0":
		return int64(l.depth0), nil
	case "previtem":
		if l.index0 == 0 {
			return &Undefined{"there is no previous item"}, nil
		}
		return l.prev, nil
	case "nextitem":
		if err := l.peek(1); err != nil {
			return nil, err
		}
		if len(l.ahead) == 0 {
			return &Undefined{"there is no next item"}, nil
		}
		return l.ahead[0], nil
	case "cycle":
		return &Func{"cycle", func(_ *state, a *args) (Value, error) {
			if len(a.pos) == 0 {
				return nil, errors.New("no items for cycling given")
			}
			return a.pos[l.index0%len(a.pos)], nil
		}}, nil
	case "changed":
		return &Func{"changed", func(st *state, a *args) (Value, error) {
			now := &List{items: a.pos, kind: kindTuple}
			if l.changed != nil {
				same, err := st.equal(l.changed, now)
				if err != nil || same {
					return false, err
				}
			}
			l.changed = now
			return true, nil
		}}, nil
	}
	return undefinedAttr(l, name), nil
}

// sequence draws the elements of an iterable one by one.
type sequence struct {
	list *List // its items may grow while they are drawn
	text string
	rng  *Range
	i    int
}

// iterate is Python's iter(v).
func (st *state) iterate(v Value) (*sequence, error) {
	switch v := v.(type) {
	case *List:
		if v.kind == kindGenerator {
			items := v.items
			v.items = nil // a generator can be drawn once
			return &sequence{list: &List{items: items}}, nil
		}
		return &sequence{list: v}, nil
	case *Dict:
		keys, err := st.copyItems(v.keys)
		return &sequence{list: &List{items: keys}}, err
	case string:
		return &sequence{text: v}, nil
	case *Range:
		return &sequence{rng: v}, nil
	case *Undefined:
		return &sequence{}, nil
	}
	return nil, fmt.Errorf("'%s' object is not iterable", typeName(v))
}

func (q *sequence) next(st *state) (Value, bool, error) {
	switch {
	case q.list != nil:
		if q.i >= len(q.list.items) {
			return nil, false, nil
		}
		q.i++
		return q.list.items[q.i-1], true, nil
	case q.rng != nil:
		if q.i >= q.rng.len() {
			return nil, false, nil
		}
		q.i++
		return q.rng.at(q.i - 1), true, nil
	case q.text != "":
		c := firstRune(q.text)
		q.text = q.text[len(c):]
		return c, true, st.alloc(16)
	}
	return nil, false, nil
}

// list is Python's list(v), without a copy if v is a list already: the result
// must not be changed.
func (st *state) list(v Value) ([]Value, error) {
	if l, ok := v.(*List); ok && l.kind != kindGenerator {
		return l.items, nil
	}
	q, err := st.iterate(v)
	if err != nil {
		return nil, err
	}
	if q.list != nil {
		return q.list.items, nil
	}
	var out []Value
	for {
		v, ok, err := q.next(st)
		if err != nil || !ok {
			return out, err
		}
		if err := st.alloc(listItemBytes); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
}

func (st *state) copyItems(items []Value) ([]Value, error) {
	if err := st.allocN(len(items), listItemBytes); err != nil {
		return nil, err
	}
	return append([]Value(nil), items...), nil
}
