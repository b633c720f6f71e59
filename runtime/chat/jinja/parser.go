package jinja

import (
	"errors"
	"fmt"
	"slices"
)

// parser turns tokens into statements by recursive descent. Its recursion is
// bounded by the nesting limit.
type parser struct {
	tokens     []token
	i          int
	depth, max int
	loops      int         // loops around the current statement
	closures   int         // macros and call blocks seen so far
	macros     []*macroDef // around the current statement
}

func parse(src string, nesting int) ([]stmt, error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens, max: nesting}
	body, _, err := p.body(nil, "")
	return body, err
}

func (p *parser) cur() token { return p.peek(0) }

func (p *parser) peek(n int) token {
	if p.i+n < len(p.tokens) {
		return p.tokens[p.i+n]
	}
	line := int32(1)
	if len(p.tokens) > 0 {
		line = p.tokens[len(p.tokens)-1].line
	}
	return token{kind: tokEOF, line: line}
}

func (p *parser) next() token {
	t := p.cur()
	p.i++
	return t
}

func (p *parser) errorf(format string, args ...any) error {
	return &Error{Line: int(p.cur().line), Err: fmt.Errorf(format, args...)}
}

// enter and leave bracket every recursion of the parser.
func (p *parser) enter() error {
	p.depth++
	if p.depth > p.max {
		return &Error{Line: int(p.cur().line), Err: &LimitError{What: "nesting", Limit: int64(p.max), Unit: "levels"}}
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

func (p *parser) isOp(op string) bool {
	t := p.cur()
	return t.kind == tokOp && t.text == op
}

func (p *parser) isName(name string) bool {
	t := p.cur()
	return t.kind == tokName && t.text == name
}

func (p *parser) skipOp(op string) bool {
	if p.isOp(op) {
		p.i++
		return true
	}
	return false
}

func (p *parser) skipName(name string) bool {
	if p.isName(name) {
		p.i++
		return true
	}
	return false
}

func (p *parser) expectOp(op string) error {
	if !p.skipOp(op) {
		return p.errorf("expected '%s', found %v", op, p.cur())
	}
	return nil
}

func (p *parser) expectName() (string, error) {
	if t := p.cur(); t.kind != tokName {
		return "", p.errorf("expected a name, found %v", t)
	}
	return p.next().text, nil
}

func (p *parser) blockEnd() error {
	if t := p.cur(); t.kind != tokBlockEnd {
		return p.errorf("expected the end of the block tag, found %v", t)
	}
	p.i++
	return nil
}

// body parses statements up to a block tag named in ends, whose name it
// consumes and returns. With no ends it parses up to the end of the template.
func (p *parser) body(ends []string, opener string) ([]stmt, string, error) {
	if err := p.enter(); err != nil {
		return nil, "", err
	}
	defer p.leave()
	var out []stmt
	for {
		t := p.next()
		switch t.kind {
		case tokEOF:
			if ends != nil {
				return nil, "", p.errorf("{%% %s %%} is not closed: {%% %s %%} is missing", opener, ends[len(ends)-1])
			}
			return out, "", nil
		case tokData:
			out = append(out, &dataStmt{pos(t.line), t.text})
		case tokVarBegin:
			x, err := p.tuple(true)
			if err != nil {
				return nil, "", err
			}
			if end := p.cur(); end.kind != tokVarEnd {
				return nil, "", p.errorf("expected '}}', found %v", end)
			}
			p.i++
			out = append(out, &outputStmt{pos(t.line), x})
		case tokBlockBegin:
			name, err := p.expectName()
			if err != nil {
				return nil, "", err
			}
			if slices.Contains(ends, name) {
				return out, name, nil
			}
			s, err := p.statement(name, pos(t.line))
			if err != nil {
				return nil, "", err
			}
			out = append(out, s)
		}
	}
}

// closedBody parses the end of an opening tag, a body and its closing tag.
func (p *parser) closedBody(opener string) ([]stmt, error) {
	if err := p.blockEnd(); err != nil {
		return nil, err
	}
	body, _, err := p.body([]string{"end" + opener}, opener)
	if err != nil {
		return nil, err
	}
	if opener == "macro" || opener == "call" {
		p.closures++
	}
	return body, p.blockEnd()
}

func (p *parser) statement(name string, at pos) (stmt, error) {
	switch name {
	case "if":
		return p.ifStatement(at)
	case "for":
		return p.forStatement(at)
	case "set":
		return p.setStatement(at)
	case "macro":
		return p.macroStatement(at)
	case "call":
		return p.callStatement(at)
	case "filter":
		f, err := p.filters(nil, true)
		if err != nil {
			return nil, err
		}
		body, err := p.closedBody(name)
		return &filterStmt{at, f, body}, err
	case "with":
		return p.withStatement(at)
	case "generation":
		body, err := p.closedBody(name)
		return &withStmt{pos: at, body: body}, err
	case "print":
		x, err := p.tuple(true)
		if err != nil {
			return nil, err
		}
		return &outputStmt{at, x}, p.blockEnd()
	case "break", "continue":
		if p.loops == 0 {
			return nil, p.errorf("'%s' outside a loop", name)
		}
		ctl := ctlBreak
		if name == "continue" {
			ctl = ctlContinue
		}
		return &loopCtlStmt{at, ctl}, p.blockEnd()
	case "include", "import", "from", "extends", "block", "autoescape", "trans", "do", "debug":
		return nil, p.errorf("'{%% %s %%}' is not supported in chat templates", name)
	}
	return nil, p.errorf("unknown or misplaced tag '%.40s'", name)
}

func (p *parser) ifStatement(at pos) (stmt, error) {
	s := &ifStmt{pos: at}
	for {
		cond, err := p.tuple(false)
		if err != nil {
			return nil, err
		}
		if err := p.blockEnd(); err != nil {
			return nil, err
		}
		body, end, err := p.body([]string{"elif", "else", "endif"}, "if")
		if err != nil {
			return nil, err
		}
		s.conds, s.bodies = append(s.conds, cond), append(s.bodies, body)
		if end == "elif" {
			continue
		}
		if end == "else" {
			s.els, err = p.closedBody("if")
			return s, err
		}
		return s, p.blockEnd()
	}
}

func (p *parser) forStatement(at pos) (stmt, error) {
	s := &forStmt{pos: at}
	var err error
	if s.target, err = p.targets(false); err != nil {
		return nil, err
	}
	if !p.skipName("in") {
		return nil, p.errorf("expected 'in', found %v", p.cur())
	}
	if s.iter, err = p.tuple(false); err != nil {
		return nil, err
	}
	if p.skipName("if") {
		if s.cond, err = p.expression(); err != nil {
			return nil, err
		}
	}
	s.recursive = p.skipName("recursive")
	if err := p.blockEnd(); err != nil {
		return nil, err
	}
	closures := p.closures
	p.loops++
	body, end, err := p.body([]string{"else", "endfor"}, "for")
	p.loops--
	if err != nil {
		return nil, err
	}
	s.body, s.captures = body, p.closures > closures
	if end == "else" {
		s.els, err = p.closedBody("for")
		return s, err
	}
	return s, p.blockEnd()
}

func (p *parser) setStatement(at pos) (stmt, error) {
	to, err := p.targets(true)
	if err != nil {
		return nil, err
	}
	if p.skipOp("=") {
		x, err := p.tuple(true)
		if err != nil {
			return nil, err
		}
		return &setStmt{at, to, x}, p.blockEnd()
	}
	s := &setBlockStmt{pos: at, target: to}
	if p.isOp("|") {
		if s.filter, err = p.filters(nil, false); err != nil {
			return nil, err
		}
	}
	s.body, err = p.closedBody("set")
	return s, err
}

// targets parses what a for or set assigns to; namespace attributes are allowed
// in a set.
func (p *parser) targets(namespace bool) (target, error) {
	if err := p.enter(); err != nil {
		return target{}, err
	}
	defer p.leave()
	var list []target
	for {
		var t target
		if p.skipOp("(") {
			inner, err := p.targets(namespace)
			if err != nil {
				return target{}, err
			}
			if err := p.expectOp(")"); err != nil {
				return target{}, err
			}
			t = inner
		} else {
			name, err := p.expectName()
			if err != nil {
				return target{}, err
			}
			switch name {
			case "true", "false", "none", "True", "False", "None", "loop":
				return target{}, p.errorf("cannot assign to '%s'", name)
			}
			t.name = name
			if namespace && p.skipOp(".") {
				if t.attr, err = p.expectName(); err != nil {
					return target{}, err
				}
			}
		}
		list = append(list, t)
		if !p.skipOp(",") {
			break
		}
		if p.cur().kind != tokName && !p.isOp("(") || p.isName("in") {
			return target{tuple: list}, nil // a trailing comma
		}
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return target{tuple: list}, nil
}

func (p *parser) withStatement(at pos) (stmt, error) {
	s := &withStmt{pos: at}
	for p.cur().kind != tokBlockEnd {
		if len(s.targets) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		name, err := p.expectName()
		if err != nil {
			return nil, err
		}
		if err := p.expectOp("="); err != nil {
			return nil, err
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		s.targets, s.vals = append(s.targets, target{name: name}), append(s.vals, x)
	}
	var err error
	s.body, err = p.closedBody("with")
	return s, err
}

func (p *parser) macroStatement(at pos) (stmt, error) {
	name, err := p.expectName()
	if err != nil {
		return nil, err
	}
	m := &macroDef{name: name}
	if err := p.macroRest(m, "macro"); err != nil {
		return nil, err
	}
	return &macroStmt{at, m}, nil
}

func (p *parser) callStatement(at pos) (stmt, error) {
	m := &macroDef{name: "caller"}
	if p.isOp("(") {
		if err := p.signature(m); err != nil {
			return nil, err
		}
	}
	x, err := p.unary()
	if err != nil {
		return nil, err
	}
	call, ok := x.(*callExpr)
	if !ok {
		return nil, p.errorf("expected a call of a macro in {%% call %%}")
	}
	if err := p.macroBody(m, "call"); err != nil {
		return nil, err
	}
	return &callStmt{at, call, m}, nil
}

func (p *parser) macroRest(m *macroDef, opener string) error {
	if err := p.signature(m); err != nil {
		return err
	}
	return p.macroBody(m, opener)
}

func (p *parser) macroBody(m *macroDef, opener string) error {
	p.macros = append(p.macros, m)
	loops := p.loops
	p.loops = 0
	var err error
	m.body, err = p.closedBody(opener)
	p.loops = loops
	p.macros = p.macros[:len(p.macros)-1]
	return err
}

// signature parses "(a, b=1)".
func (p *parser) signature(m *macroDef) error {
	if err := p.expectOp("("); err != nil {
		return err
	}
	for !p.isOp(")") {
		if len(m.params) > 0 {
			if err := p.expectOp(","); err != nil {
				return err
			}
		}
		name, err := p.expectName()
		if err != nil {
			return err
		}
		m.params = append(m.params, name)
		if p.skipOp("=") {
			x, err := p.expression()
			if err != nil {
				return err
			}
			m.defaults = append(m.defaults, x)
		} else if len(m.defaults) > 0 {
			return &Error{Line: int(p.cur().line), Err: errors.New("a parameter without a default follows one with a default")}
		}
	}
	p.i++
	return nil
}
