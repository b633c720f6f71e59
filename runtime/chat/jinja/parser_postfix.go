package jinja

import (
	"slices"
	"strconv"
)

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
