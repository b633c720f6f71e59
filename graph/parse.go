package graph

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/ledge-run/ledge/graph/dtype"
)

// Parse reads the text form and verifies the graph. An error names the line.
func Parse(text string) (*Graph, error) {
	g := &Graph{}
	started := false
	for i, line := range strings.Split(text, "\n") {
		p := &lineParser{rest: strings.TrimSpace(line)}
		if p.rest == "" || strings.HasPrefix(p.rest, "//") {
			continue
		}
		var err error
		switch {
		case p.word("graph"):
			if started {
				err = errors.New("a second graph begins; a text holds one")
				break
			}
			started = true
			err = p.graph(g)
		case !started:
			err = errors.New("the first line must be: graph \"name\"")
		case p.word("state"):
			err = p.state(g)
		case p.word("output"):
			err = p.output(g)
		default:
			err = p.node(g)
		}
		if err == nil && p.rest != "" {
			err = fmt.Errorf("%q is left over", p.rest)
		}
		if err != nil {
			return nil, fmt.Errorf("graph text, line %d: %w", i+1, err)
		}
	}
	if !started {
		return nil, errors.New("graph text: is empty")
	}
	if err := Verify(g); err != nil {
		return nil, err
	}
	return g, nil
}

// lineParser eats one line from the left.
type lineParser struct{ rest string }

func (p *lineParser) skip() { p.rest = strings.TrimLeft(p.rest, " \t") }

func (p *lineParser) lit(s string) bool {
	if strings.HasPrefix(p.rest, s) {
		p.rest = p.rest[len(s):]
		p.skip()
		return true
	}
	return false
}

// word eats s if it stands as a whole word.
func (p *lineParser) word(s string) bool {
	if after, ok := strings.CutPrefix(p.rest, s); ok && (after == "" || after[0] == ' ') {
		p.rest = after
		p.skip()
		return true
	}
	return false
}

func (p *lineParser) until(stop string) string {
	i := strings.IndexAny(p.rest, stop)
	if i < 0 {
		i = len(p.rest)
	}
	s := p.rest[:i]
	p.rest = p.rest[i:]
	p.skip()
	return s
}

func (p *lineParser) quoted() (string, error) {
	q, err := strconv.QuotedPrefix(p.rest)
	if err != nil {
		return "", fmt.Errorf("want a quoted name at %q", p.rest)
	}
	p.rest = p.rest[len(q):]
	p.skip()
	return strconv.Unquote(q)
}

// pair eats name=value; ok is false if no pair comes next.
func (p *lineParser) pair() (name, value string, ok bool, err error) {
	i := strings.IndexByte(p.rest, '=')
	if i <= 0 || strings.ContainsAny(p.rest[:i], " :@\"") {
		return "", "", false, nil
	}
	name, p.rest = p.rest[:i], p.rest[i+1:]
	if strings.HasPrefix(p.rest, `"`) {
		value, err = p.quoted()
		return name, value, true, err
	}
	return name, p.until(" "), true, nil
}

// pairs eats name=value pairs and gives each to set.
func (p *lineParser) pairs(set func(name, value string) error) error {
	for {
		name, value, ok, err := p.pair()
		if err != nil || !ok {
			return err
		}
		if err := set(name, value); err != nil {
			return fmt.Errorf("%s=%s: %w", name, value, err)
		}
	}
}

func (p *lineParser) ints(fields map[string]*int) error {
	return p.pairs(func(name, value string) (err error) {
		f, ok := fields[name]
		if !ok {
			return errors.New("unknown name")
		}
		*f, err = atoi(value)
		return err
	})
}

func (p *lineParser) graph(g *Graph) (err error) {
	if g.Name, err = p.quoted(); err != nil {
		return err
	}
	return p.ints(map[string]*int{"T": &g.Max.T, "S": &g.Max.S, "R": &g.Max.R, "P": &g.Max.P})
}

func (p *lineParser) state(g *Graph) (err error) {
	var s StateDecl
	if s.Name, err = p.quoted(); err != nil {
		return err
	}
	s.Kind = StateKind(p.until(" "))
	fields := map[string]*int{"heads": &s.KVHeads, "key": &s.KeyDim, "value": &s.ValueDim, "window": &s.Window, "bytes": &s.Bytes, "elems": &s.Elems}
	err = p.pairs(func(name, value string) (err error) {
		if name == "type" {
			s.DType, err = dtype.Parse(value)
			return err
		}
		f, ok := fields[name]
		if !ok {
			return errors.New("unknown name")
		}
		*f, err = atoi(value)
		return err
	})
	g.States = append(g.States, s)
	return err
}

func (p *lineParser) output(g *Graph) error {
	name, err := p.quoted()
	if err != nil {
		return err
	}
	n, err := p.ref(g)
	g.Outputs = append(g.Outputs, Output{name, n})
	return err
}

func (p *lineParser) ref(g *Graph) (*Node, error) {
	text := p.until(",) ")
	id, err := atoi(strings.TrimPrefix(text, "%"))
	if err != nil || !strings.HasPrefix(text, "%") || id >= len(g.Nodes) {
		return nil, fmt.Errorf("%q is no earlier node", text)
	}
	return g.Nodes[id], nil
}

func (p *lineParser) node(g *Graph) (err error) {
	n := &Node{ID: len(g.Nodes), Layer: -1}
	if id := p.until("= "); id != fmt.Sprintf("%%%d", n.ID) {
		return fmt.Errorf("want node %%%d, have %q", n.ID, id)
	}
	if !p.lit("=") {
		return errors.New("want = after the node's number")
	}
	if n.Op, err = ParseOp(p.until("( ")); err != nil {
		return err
	}
	if n.Op == OpInput || n.Op == OpWeight {
		if n.Name, err = p.quoted(); err != nil {
			return err
		}
	} else if n.In, err = p.inputs(g); err != nil {
		return err
	}
	if proto := ops[n.Op].attr; proto != nil {
		if n.Attr, err = p.attr(proto); err != nil {
			return err
		}
		if ops[n.Op].bare && n.Attr == proto {
			n.Attr = nil
		}
	}
	if !p.lit(":") {
		return fmt.Errorf("want : and a type at %q", p.rest)
	}
	if n.Type, err = p.typ(); err != nil {
		return err
	}
	if p.lit("@") {
		if n.Layer, err = atoi(p.until(" ")); err != nil {
			return err
		}
	}
	if n.Name == "" && strings.HasPrefix(p.rest, `"`) {
		if n.Name, err = p.quoted(); err != nil {
			return err
		}
	}
	marks := map[string]*string{"device": &n.Device, "kernel": &n.Kernel, "format": &n.Format}
	err = p.pairs(func(name, value string) error {
		if marks[name] == nil {
			return errors.New("unknown name")
		}
		*marks[name] = value
		return nil
	})
	g.Nodes = append(g.Nodes, n)
	return err
}

func (p *lineParser) inputs(g *Graph) (in []*Node, err error) {
	if !p.lit("(") {
		return nil, fmt.Errorf("want ( at %q", p.rest)
	}
	for !p.lit(")") {
		if len(in) > 0 && !p.lit(",") {
			return nil, fmt.Errorf("want , or ) at %q", p.rest)
		}
		n, err := p.ref(g)
		if err != nil {
			return nil, err
		}
		in = append(in, n)
	}
	return in, nil
}

func (p *lineParser) typ() (t Type, err error) {
	if p.word("none") {
		return Type{}, nil
	}
	if t.DType, err = dtype.Parse(p.until("[ ")); err != nil {
		return t, err
	}
	i := strings.IndexByte(p.rest, ']')
	if i < 0 {
		return t, fmt.Errorf("want a shape at %q", p.rest)
	}
	t.Shape, err = dtype.ParseShape(p.rest[:i+1])
	p.rest = p.rest[i+1:]
	p.skip()
	return t, err
}

// attr reads the fields of an attribute struct of proto's type.
func (p *lineParser) attr(proto Attr) (Attr, error) {
	v := reflect.New(reflect.TypeOf(proto)).Elem()
	fields := map[string]reflect.Value{}
	eachField(v, "", func(name string, f reflect.Value) { fields[name] = f })
	err := p.pairs(func(name, value string) error {
		f, ok := fields[name]
		if !ok {
			return errors.New("unknown attribute")
		}
		return setField(f, value)
	})
	return v.Interface().(Attr), err
}

func setField(f reflect.Value, s string) error {
	switch f.Interface().(type) {
	case dtype.Shape:
		shape, err := dtype.ParseShape(s)
		f.Set(reflect.ValueOf(shape))
		return err
	case []int:
		var list []int
		for _, w := range strings.FieldsFunc(strings.Trim(s, "[]"), func(r rune) bool { return r == ',' }) {
			n, err := atoi(w)
			if err != nil {
				return err
			}
			list = append(list, n)
		}
		f.Set(reflect.ValueOf(list))
		return nil
	}
	switch f.Kind() {
	case reflect.String:
		f.SetString(s)
	case reflect.Int:
		n, err := atoi(s)
		f.SetInt(int64(n))
		return err
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		f.SetBool(b)
		return err
	case reflect.Float32:
		x, err := strconv.ParseFloat(s, 32)
		f.SetFloat(x)
		return err
	default:
		return fmt.Errorf("cannot read a %s", f.Kind())
	}
	return nil
}

// atoi reads a size: no sign, no more than nine digits.
func atoi(s string) (int, error) {
	if s == "" || len(s) > 9 || strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("%q is no number", s)
	}
	return strconv.Atoi(s)
}
