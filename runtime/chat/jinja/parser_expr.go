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

// postfix parses attributes, subscripts and calls.
func (p *parser) postfix(x expr) (expr, error) {
	for {
		switch {
		case p.isOp(".") || p.isOp("["):
			var err error
			if x, err = p.subscript(x); err != nil {
				return nil, err
			}
		case p.isOp("("):
			args, err := p.callArgs()
			if err != nil {
				return nil, err
			}
			x = &callExpr{x, args}
		default:
			return x, nil
		}
	}
}

func (p *parser) subscript(x expr) (expr, error) {
	if p.skipOp(".") {
		switch t := p.next(); t.kind {
		case tokName:
			return &attrExpr{x, t.text}, nil
		case tokInt:
			v, err := strconv.ParseInt(t.text, 10, 64)
			if err != nil {
				return nil, p.errorf("the index %.30s does not fit 64 bits", t.text)
			}
			return &itemExpr{x, &constExpr{v}}, nil
		default:
			return nil, p.errorf("expected a name after '.', found %v", t)
		}
	}
	p.i++ // [
	var parts [3]expr
	n, slice := 0, false
	for !p.isOp("]") {
		if p.skipOp(":") {
			slice = true
			if n++; n > 2 {
				return nil, p.errorf("too many ':' in a slice")
			}
			continue
		}
		if parts[n] != nil {
			break
		}
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		parts[n] = e
	}
	if !slice && p.isOp(",") && parts[0] != nil { // a tuple as key
		key := &listExpr{items: []expr{parts[0]}, tuple: true}
		for p.skipOp(",") {
			e, err := p.expression()
			if err != nil {
				return nil, err
			}
			key.items = append(key.items, e)
		}
		parts[0] = key
	}
	if err := p.expectOp("]"); err != nil {
		return nil, err
	}
	if slice {
		return &sliceExpr{x, parts[0], parts[1], parts[2]}, nil
	}
	if parts[0] == nil {
		return nil, p.errorf("expected an expression between '[' and ']'")
	}
	return &itemExpr{x, parts[0]}, nil
}

// filterExprs parses filters, tests and calls after an operand.
func (p *parser) filterExprs(x expr) (expr, error) {
	var err error
	for err == nil {
		switch {
		case p.isOp("|"):
			x, err = p.filters(x, false)
		case p.isName("is"):
			x, err = p.test(x)
		case p.isOp("("):
			var args argExprs
			args, err = p.callArgs()
			x = &callExpr{x, args}
		default:
			return x, nil
		}
	}
	return nil, err
}

// filters parses "|a|b(1)", or "a|b(1)" when inline.
func (p *parser) filters(x expr, inline bool) (expr, error) {
	for inline || p.isOp("|") {
		if !inline {
			p.i++
		}
		inline = false
		name, err := p.dottedName()
		if err != nil {
			return nil, err
		}
		var args argExprs
		if p.isOp("(") {
			if args, err = p.callArgs(); err != nil {
				return nil, err
			}
		}
		x = &filterExpr{x, name, args}
	}
	return x, nil
}

func (p *parser) dottedName() (string, error) {
	name, err := p.expectName()
	if err != nil {
		return "", err
	}
	for p.skipOp(".") {
		part, err := p.expectName()
		if err != nil {
			return "", err
		}
		name += "." + part
	}
	return name, nil
}

func (p *parser) test(x expr) (expr, error) {
	p.i++ // is
	negated := p.skipName("not")
	name, err := p.dottedName()
	if err != nil {
		return nil, err
	}
	t := &testExpr{x: x, name: name}
	switch c := p.cur(); {
	case p.isOp("("):
		if t.args, err = p.callArgs(); err != nil {
			return nil, err
		}
	case c.kind == tokName && !slices.Contains([]string{"else", "or", "and", "is", "if", "in", "not", "recursive"}, c.text),
		c.kind == tokString, c.kind == tokInt, c.kind == tokFloat, p.isOp("["), p.isOp("{"):
		if err := p.enter(); err != nil {
			return nil, err
		}
		defer p.leave()
		arg, err := p.primary()
		if err == nil {
			arg, err = p.postfix(arg)
		}
		if err != nil {
			return nil, err
		}
		t.args.pos = []expr{arg}
	}
	if negated {
		return &unaryExpr{"not", t}, nil
	}
	return t, nil
}

// callArgs parses "(a, *b, c=1, **d)".
func (p *parser) callArgs() (argExprs, error) {
	var a argExprs
	p.i++ // (
	for first := true; !p.isOp(")"); first = false {
		if !first {
			if err := p.expectOp(","); err != nil {
				return a, err
			}
			if p.isOp(")") {
				break
			}
		}
		var err error
		switch {
		case p.skipOp("*"):
			if a.star != nil || a.dblStar != nil {
				return a, p.errorf("misplaced '*' in a call")
			}
			a.star, err = p.expression()
		case p.skipOp("**"):
			if a.dblStar != nil {
				return a, p.errorf("misplaced '**' in a call")
			}
			a.dblStar, err = p.expression()
		case p.cur().kind == tokName && p.peek(1).kind == tokOp && p.peek(1).text == "=":
			a.names = append(a.names, p.next().text)
			p.i++
			var x expr
			x, err = p.expression()
			a.kw = append(a.kw, x)
		default:
			if len(a.kw) > 0 || a.star != nil || a.dblStar != nil {
				return a, p.errorf("a positional argument follows a named one")
			}
			var x expr
			x, err = p.expression()
			a.pos = append(a.pos, x)
		}
		if err != nil {
			return a, err
		}
	}
	p.i++
	return a, nil
}
