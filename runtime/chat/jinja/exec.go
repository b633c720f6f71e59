package jinja

import (
	"errors"
	"fmt"
)

// exec runs statements up to the first break or continue. Errors get the line
// of the innermost statement.
func (st *state) exec(body []stmt, sc *scope) (control, error) {
	if err := st.enter(); err != nil {
		return ctlNext, err
	}
	defer st.leave()
	for _, s := range body {
		err := st.step(1)
		var ctl control
		if err == nil {
			ctl, err = s.exec(st, sc)
		}
		if err != nil {
			var at *Error
			if !errors.As(err, &at) {
				err = &Error{Line: s.at(), Err: err}
			}
			return ctlNext, err
		}
		if ctl != ctlNext {
			return ctl, nil
		}
	}
	return ctlNext, nil
}

// capture runs statements and returns what they write.
func (st *state) capture(body []stmt, sc *scope) (string, error) {
	outer := st.out
	if err := st.alloc(64); err != nil {
		return "", err
	}
	buf := &output{st: st, max: st.limits.Output}
	st.out = buf
	_, err := st.exec(body, sc)
	st.out = outer
	return buf.b.String(), err
}

func (s *dataStmt) exec(st *state, _ *scope) (control, error) {
	return ctlNext, st.out.write(s.text)
}

func (s *outputStmt) exec(st *state, sc *scope) (control, error) {
	v, err := st.eval(s.x, sc)
	if err != nil {
		return ctlNext, err
	}
	text, err := st.str(v)
	if err != nil {
		return ctlNext, err
	}
	return ctlNext, st.out.write(text)
}

func (s *ifStmt) exec(st *state, sc *scope) (control, error) {
	for i, c := range s.conds {
		v, err := st.eval(c, sc)
		if err != nil {
			return ctlNext, err
		}
		if truth(v) {
			return st.exec(s.bodies[i], sc)
		}
	}
	return st.exec(s.els, sc)
}

func (s *setStmt) exec(st *state, sc *scope) (control, error) {
	v, err := st.eval(s.x, sc)
	if err != nil {
		return ctlNext, err
	}
	return ctlNext, st.assign(s.target, v, sc)
}

// assign binds a value to a target in the innermost scope.
func (st *state) assign(t target, v Value, sc *scope) error {
	switch {
	case t.tuple != nil:
		items, err := st.list(v)
		if err != nil {
			return err
		}
		if len(items) != len(t.tuple) {
			return fmt.Errorf("cannot unpack %d values into %d names", len(items), len(t.tuple))
		}
		for i, sub := range t.tuple {
			if err := st.assign(sub, items[i], sc); err != nil {
				return err
			}
		}
		return nil
	case t.attr != "":
		o, _ := sc.get(t.name)
		ns, ok := o.(*namespace)
		if !ok {
			return fmt.Errorf("cannot set an attribute of '%.40s': it is not a namespace", t.name)
		}
		return st.dictSet(ns.d, t.attr, v)
	}
	room, indexed := cap(sc.names), sc.index != nil
	sc.set(t.name, v)
	if n := cap(sc.names); n > room {
		if err := st.allocN(n, 48); err != nil {
			return err
		}
	}
	if sc.index != nil && (!indexed || cap(sc.names) > room) {
		return st.allocN(cap(sc.names), 64)
	}
	return nil
}

func (s *setBlockStmt) exec(st *state, sc *scope) (control, error) {
	inner, err := st.newScope(sc)
	if err != nil {
		return ctlNext, err
	}
	text, err := st.capture(s.body, inner)
	if err != nil {
		return ctlNext, err
	}
	var v Value = text
	if s.filter != nil {
		if v, err = st.filterText(s.filter, text, sc); err != nil {
			return ctlNext, err
		}
	}
	return ctlNext, st.assign(s.target, v, sc)
}

// filterText applies a chain of filters, whose innermost operand is missing, to
// a text.
func (st *state) filterText(e expr, text string, sc *scope) (Value, error) {
	f, ok := e.(*filterExpr)
	if !ok {
		return nil, errors.New("a filter is expected here")
	}
	if err := st.enter(); err != nil {
		return nil, err
	}
	defer st.leave()
	var x Value = text
	if f.x != nil {
		var err error
		if x, err = st.filterText(f.x, text, sc); err != nil {
			return nil, err
		}
	}
	return st.applyFilter(f, x, sc)
}

func (s *filterStmt) exec(st *state, sc *scope) (control, error) {
	inner, err := st.newScope(sc)
	if err != nil {
		return ctlNext, err
	}
	text, err := st.capture(s.body, inner)
	if err != nil {
		return ctlNext, err
	}
	v, err := st.filterText(s.filter, text, sc)
	if err != nil {
		return ctlNext, err
	}
	out, err := st.str(v)
	if err != nil {
		return ctlNext, err
	}
	return ctlNext, st.out.write(out)
}

func (s *withStmt) exec(st *state, sc *scope) (control, error) {
	inner, err := st.newScope(sc)
	if err != nil {
		return ctlNext, err
	}
	for i, t := range s.targets {
		v, err := st.eval(s.vals[i], sc)
		if err != nil {
			return ctlNext, err
		}
		if err := st.assign(t, v, inner); err != nil {
			return ctlNext, err
		}
	}
	return st.exec(s.body, inner)
}

func (s *loopCtlStmt) exec(*state, *scope) (control, error) { return s.ctl, nil }

// macro is a macro, or the body of a call block, with the scope it was defined
// in.
type macro struct {
	def *macroDef
	sc  *scope
}

func (s *macroStmt) exec(st *state, sc *scope) (control, error) {
	if err := st.alloc(64); err != nil {
		return ctlNext, err
	}
	return ctlNext, st.assign(target{name: s.macro.name}, &macro{s.macro, sc}, sc)
}

func (s *callStmt) exec(st *state, sc *scope) (control, error) {
	v, err := st.callWith(s.call, sc, &macro{s.caller, sc})
	if err != nil {
		return ctlNext, err
	}
	text, err := st.str(v)
	if err != nil {
		return ctlNext, err
	}
	return ctlNext, st.out.write(text)
}

func (st *state) callMacro(m *macro, a *args) (Value, error) {
	def := m.def
	sc, err := st.newScope(m.sc)
	if err != nil {
		return nil, err
	}
	rest := &List{kind: kindTuple}
	if n := len(def.params); len(a.pos) > n {
		if !def.usesArgs {
			return nil, fmt.Errorf("macro '%s' takes not more than %d arguments, %d were given", def.name, n, len(a.pos))
		}
		rest.items = a.pos[n:]
	}
	extra := NewDict()
	var caller Value
	for i, name := range a.names {
		known := false
		for j, p := range def.params {
			if p == name {
				if j < len(a.pos) {
					return nil, fmt.Errorf("macro '%s' got several values for '%.40s'", def.name, name)
				}
				known = true
			}
		}
		switch {
		case known:
		case name == "caller" && def.usesCalls:
			caller = a.kw[i]
		case def.usesKwargs:
			if err := st.dictSet(extra, name, a.kw[i]); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("macro '%s' has no parameter '%.40s'", def.name, name)
		}
	}
	firstDefault := len(def.params) - len(def.defaults)
	for i, p := range def.params {
		var v Value
		if i < len(a.pos) {
			v = a.pos[i]
		} else if named, ok := a.named(p); ok {
			v = named
		} else if i >= firstDefault {
			if v, err = st.eval(def.defaults[i-firstDefault], sc); err != nil {
				return nil, err
			}
		} else {
			v = &Undefined{fmt.Sprintf("parameter '%.40s' was not provided", p)}
		}
		if err := st.assign(target{name: p}, v, sc); err != nil {
			return nil, err
		}
	}
	if def.usesArgs {
		sc.set("varargs", rest)
	}
	if def.usesKwargs {
		sc.set("kwargs", extra)
	}
	if def.usesCalls {
		if caller == nil {
			caller = &Undefined{"no caller defined"}
		}
		sc.set("caller", caller)
	}
	return st.capture(def.body, sc)
}
