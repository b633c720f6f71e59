package jinja

import (
	"slices"
	"strconv"
	"strings"
)

// tuple parses expressions with commas between them: one without a comma is
// itself. Conditional expressions are allowed when cond is set.
func (p *parser) tuple(cond bool) (expr, error) {
	return p.tupleIn(cond, false)
}

func (p *parser) tupleIn(cond, parens bool) (expr, error) {
	var items []expr
	isTuple := false
	for {
		t := p.cur()
		if t.kind == tokVarEnd || t.kind == tokBlockEnd || p.isOp(")") || !cond && p.isName("recursive") {
			break
		}
		var x expr
		var err error
		if cond {
			x, err = p.expression()
		} else {
			x, err = p.or()
		}
		if err != nil {
			return nil, err
		}
		items = append(items, x)
		if !p.skipOp(",") {
			break
		}
		isTuple = true
	}
	if !isTuple {
		if len(items) == 1 {
			return items[0], nil
		}
		if !parens {
			return nil, p.errorf("expected an expression, found %v", p.cur())
		}
	}
	return &listExpr{items, true}, nil
}

// expression parses "a if b else c".
func (p *parser) expression() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	x, err := p.or()
	if err != nil {
		return nil, err
	}
	for p.skipName("if") {
		cond, err := p.or()
		if err != nil {
			return nil, err
		}
		c := &condExpr{cond: cond, then: x}
		if p.skipName("else") {
			if c.els, err = p.expression(); err != nil {
				return nil, err
			}
		}
		x = c
	}
	return x, nil
}

func (p *parser) or() (expr, error) {
	l, err := p.and()
	for err == nil && p.skipName("or") {
		var r expr
		r, err = p.and()
		l = &logicExpr{false, l, r}
	}
	return l, err
}

func (p *parser) and() (expr, error) {
	l, err := p.not()
	for err == nil && p.skipName("and") {
		var r expr
		r, err = p.not()
		l = &logicExpr{true, l, r}
	}
	return l, err
}

func (p *parser) not() (expr, error) {
	if !p.isName("not") {
		return p.compare()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	p.i++
	x, err := p.not()
	return &unaryExpr{"not", x}, err
}

func (p *parser) compare() (expr, error) {
	l, err := p.sum()
	if err != nil {
		return nil, err
	}
	var c *compareExpr
	for {
		t := p.cur()
		op := ""
		switch {
		case t.kind == tokOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.text):
			op = t.text
			p.i++
		case p.skipName("in"):
			op = "in"
		case p.isName("not") && p.peek(1).kind == tokName && p.peek(1).text == "in":
			op = "not in"
			p.i += 2
		}
		if op == "" {
			if c != nil {
				return c, nil
			}
			return l, nil
		}
		r, err := p.sum()
		if err != nil {
			return nil, err
		}
		if c == nil {
			c = &compareExpr{l: l}
		}
		c.ops, c.rs = append(c.ops, op), append(c.rs, r)
	}
}

// leftAssoc parses operands separated by one of the operators.
func (p *parser) leftAssoc(operand func() (expr, error), ops ...string) (expr, error) {
	l, err := operand()
	for err == nil {
		t := p.cur()
		if t.kind != tokOp || !slices.Contains(ops, t.text) {
			return l, nil
		}
		p.i++
		var r expr
		r, err = operand()
		l = &binaryExpr{t.text, l, r}
	}
	return nil, err
}

func (p *parser) sum() (expr, error) { return p.leftAssoc(p.concat, "+", "-") }

func (p *parser) concat() (expr, error) {
	x, err := p.product()
	if err != nil || !p.isOp("~") {
		return x, err
	}
	c := &concatExpr{items: []expr{x}}
	for p.skipOp("~") {
		if x, err = p.product(); err != nil {
			return nil, err
		}
		c.items = append(c.items, x)
	}
	return c, nil
}

func (p *parser) product() (expr, error) { return p.leftAssoc(p.power, "*", "/", "//", "%") }

func (p *parser) power() (expr, error) { return p.leftAssoc(p.unary, "**") }

func (p *parser) unary() (expr, error) { return p.unaryWith(true) }

func (p *parser) unaryWith(filters bool) (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	var x expr
	var err error
	if p.isOp("-") || p.isOp("+") {
		op := p.next().text
		x, err = p.unaryWith(false)
		x = &unaryExpr{op, x}
	} else {
		x, err = p.primary()
	}
	if err == nil {
		x, err = p.postfix(x)
	}
	if err == nil && filters {
		x, err = p.filterExprs(x)
	}
	return x, err
}

func (p *parser) primary() (expr, error) {
	t := p.cur()
	switch t.kind {
	case tokName:
		p.i++
		switch t.text {
		case "true", "True":
			return &constExpr{true}, nil
		case "false", "False":
			return &constExpr{false}, nil
		case "none", "None":
			return &constExpr{None}, nil
		case "varargs", "kwargs", "caller":
			for _, m := range p.macros {
				m.usesArgs = m.usesArgs || t.text == "varargs"
				m.usesKwargs = m.usesKwargs || t.text == "kwargs"
				m.usesCalls = m.usesCalls || t.text == "caller"
			}
		}
		return &nameExpr{t.text}, nil
	case tokString:
		if p.peek(1).kind != tokString {
			p.i++
			return &constExpr{t.text}, nil
		}
		var b strings.Builder
		for p.cur().kind == tokString {
			b.WriteString(p.next().text)
		}
		return &constExpr{b.String()}, nil
	case tokInt:
		v, err := strconv.ParseInt(t.text, 0, 64)
		if err != nil && strings.Trim(t.text, "0") != "" {
			return nil, p.errorf("the number %.30s does not fit 64 bits", t.text)
		}
		p.i++
		return &constExpr{v}, nil
	case tokFloat:
		v, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			return nil, p.errorf("the number %.30s is out of range", t.text)
		}
		p.i++
		return &constExpr{v}, nil
	case tokOp:
		switch t.text {
		case "(":
			p.i++
			if err := p.enter(); err != nil {
				return nil, err
			}
			defer p.leave()
			x, err := p.tupleIn(true, true)
			if err != nil {
				return nil, err
			}
			return x, p.expectOp(")")
		case "[":
			p.i++
			return p.list()
		case "{":
			p.i++
			return p.dict()
		}
	}
	return nil, p.errorf("expected an expression, found %v", t)
}

func (p *parser) list() (expr, error) {
	l := &listExpr{}
	for !p.isOp("]") {
		if len(l.items) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.isOp("]") {
				break
			}
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, x)
	}
	p.i++
	return l, nil
}

func (p *parser) dict() (expr, error) {
	d := &dictExpr{}
	for !p.isOp("}") {
		if len(d.keys) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
			if p.isOp("}") {
				break
			}
		}
		k, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.expectOp(":"); err != nil {
			return nil, err
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		d.keys, d.vals = append(d.keys, k), append(d.vals, v)
	}
	p.i++
	return d, nil
}
