package jsonschema

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ledge-run/ledge/runtime/grammar"
)

// Options say how the JSON is written.
type Options struct {
	// Spaces lets a space stand after each colon and comma, as many models write
	// it. Without them, the JSON is compact.
	Spaces bool
}

// Error is what is wrong with a schema, or not supported.
type Error struct {
	Pointer string // JSON pointer, as a fragment: #/properties/a
	Reason  string
}

func (e *Error) Error() string {
	// A name may hold anything; the message is one line.
	at := strconv.QuoteToGraphic(e.Pointer)
	return "JSON schema at " + at[1:len(at)-1] + ": " + e.Reason
}

// Compile makes the grammar of a schema.
func Compile(schema []byte, o Options) (*grammar.Grammar, error) {
	root, err := parse(schema)
	if err != nil {
		return nil, err
	}
	root.markInner(false)
	c := &compiler{root: root, o: o, g: grammar.New(), rules: map[[16]byte]int32{}, refs: map[[16]byte]target{}}
	id, err := c.schema(root, "#")
	if err == nil {
		err = c.g.Finish(id)
	}
	var rule *grammar.RuleError
	if errors.As(err, &rule) {
		return nil, &Error{rule.Name, rule.Err.Error()}
	}
	if err != nil {
		return nil, err
	}
	return c.g, nil
}

type compiler struct {
	root  *value
	o     Options
	g     *grammar.Grammar
	rules map[[16]byte]int32  // of schemas, by hash
	refs  map[[16]byte]target // where those that are references lead
	depth int

	free        *grammar.Automaton // of strings
	any, anyKey int32              // rules plus 1, 0 until needed
}

// annotations say nothing about what is valid.
var annotations = []string{"$schema", "$id", "id", "$comment", "$defs", "definitions", "title", "description", "default", "examples",
	"example", "deprecated", "readOnly", "writeOnly", "contentMediaType", "contentEncoding", "contentSchema", "$vocabulary"}

// keywordsOf are the assertions about each type.
var keywordsOf = map[string][]string{
	"object":  {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
	"array":   {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"},
	"string":  {"minLength", "maxLength", "pattern", "format"},
	"number":  {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
	"integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
	"boolean": nil, "null": nil,
}

// types in the order in which they are tried.
var types = []string{"object", "array", "string", "number", "integer", "boolean", "null"}

func isAnnotation(key string) bool {
	return slices.Contains(annotations, key) || strings.HasPrefix(key, "x-")
}

// only refuses assertions beside a keyword that leaves them no meaning here.
func only(v *value, at, keyword string, but ...string) error {
	for _, m := range v.members {
		if m.key != keyword && !slices.Contains(but, m.key) && !isAnnotation(m.key) {
			return &Error{pointer(at, m.key), fmt.Sprintf("not supported beside %s", keyword)}
		}
	}
	return nil
}

// define makes an automaton a rule's.
func (c *compiler) define(id int32, n *grammar.NFA) error { return c.g.Define(id, n) }

// schema gives the rule for a schema.
func (c *compiler) schema(v *value, at string) (int32, error) {
	v, at, err := c.resolve(v, at)
	if err != nil {
		return 0, err
	}
	if c.depth++; c.depth > 4*maxDepth {
		return 0, &Error{at, fmt.Sprintf("schemas refer to each other more than %d deep", 4*maxDepth)}
	}
	defer func() { c.depth-- }()
	if id, ok := c.rules[v.hash]; ok {
		return id, nil
	}
	if v.kind != object && v.kind != boolean {
		return 0, &Error{at, fmt.Sprintf("a schema must be an object or a boolean, not %s", v.kind)}
	}
	if v.kind == boolean && v.yes {
		return c.anyValue()
	}
	id, err := c.g.Declare(at)
	if err != nil {
		return 0, err
	}
	c.rules[v.hash] = id
	if v.kind == boolean {
		return id, c.define(id, grammar.NewNFA())
	}
	return id, c.body(id, v, at)
}

// target is a schema, and the pointer to it.
type target struct {
	v  *value
	at string
}

// resolve follows references.
func (c *compiler) resolve(v *value, at string) (*value, string, error) {
	p := target{v, at}
	var passed [][16]byte
	for range maxDepth {
		to, known := c.refs[p.v.hash]
		if !known {
			var err error
			if to, err = c.follow(p); err != nil {
				return nil, "", err
			}
		}
		if to.v == nil {
			for _, h := range passed {
				c.refs[h] = p
			}
			return p.v, p.at, nil
		}
		passed = append(passed, p.v.hash)
		p = to
	}
	return nil, "", &Error{p.at, "references lead to references without an end"}
}

// follow goes where a reference leads, nowhere if it is none.
func (c *compiler) follow(p target) (target, error) {
	ref := p.v.get("$ref")
	if p.v.kind != object || ref == nil {
		return target{}, nil
	}
	here := pointer(p.at, "$ref")
	if ref.kind != str {
		return target{}, &Error{here, fmt.Sprintf("it must be a string, not %s", ref.kind)}
	}
	if err := only(p.v, p.at, "$ref"); err != nil {
		return target{}, err
	}
	if p.v.inner {
		return target{}, &Error{here, "not supported below an $id, from where it leads: only the root may have one"}
	}
	to, err := c.find(ref.text)
	if err != nil {
		return target{}, &Error{here, err.Error()}
	}
	return target{to, shorten(ref.text)}, nil
}

var pointerUnescapes = strings.NewReplacer("~1", "/", "~0", "~")

// find gives what a reference means.
func (c *compiler) find(ref string) (*value, error) {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok || path != "" && path[0] != '/' {
		return nil, fmt.Errorf("%.60q is not supported: references are JSON pointers into this schema, such as #/$defs/NAME", ref)
	}
	path, err := url.PathUnescape(path)
	if err != nil {
		return nil, fmt.Errorf("%.60q is no JSON pointer: %w", ref, err)
	}
	v := c.root
	if path == "" {
		return v, nil
	}
	for _, key := range strings.Split(path[1:], "/") {
		key = pointerUnescapes.Replace(key)
		var next *value
		switch v.kind {
		case object:
			next = v.get(key)
		case array:
			if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(v.items) {
				next = v.items[i]
			}
		}
		if next == nil {
			return nil, fmt.Errorf("%.60q leads nowhere", ref)
		}
		v = next
	}
	return v, nil
}

// body defines the rule of a schema that is an object.
func (c *compiler) body(id int32, v *value, at string) error {
	if err := c.known(v, at); err != nil {
		return err
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		if k := v.get(key); k != nil {
			return c.combined(id, v, k, at, key)
		}
	}
	if v.get("enum") != nil || v.get("const") != nil {
		return c.values(id, v, at)
	}
	kinds, err := c.types(v, at)
	if err != nil {
		return err
	}
	if kinds == nil {
		r, err := c.anyValue()
		if err != nil {
			return err
		}
		return c.oneOf(id, []int32{r})
	}
	if len(kinds) == 1 {
		return c.typed(id, kinds[0], v, at)
	}
	var parts []int32
	for _, k := range kinds {
		part, err := c.g.Declare(at)
		if err != nil {
			return err
		}
		if err := c.typed(part, k, v, at); err != nil {
			return err
		}
		parts = append(parts, part)
	}
	return c.oneOf(id, parts)
}

// known refuses keywords that would be ignored.
func (c *compiler) known(v *value, at string) error {
	for _, m := range v.members {
		switch m.key {
		case "type", "enum", "const", "anyOf", "oneOf", "allOf", "nullable":
			continue
		}
		if isAnnotation(m.key) {
			continue
		}
		found := false
		for _, list := range keywordsOf {
			found = found || slices.Contains(list, m.key)
		}
		if !found {
			return &Error{pointer(at, m.key), "this keyword is not supported"}
		}
	}
	return nil
}

// oneOf defines a rule that is one of others.
func (c *compiler) oneOf(id int32, rules []int32) error {
	n := grammar.NewNFA()
	end := n.State()
	n.Accept(end)
	for _, r := range rules {
		n.Call(0, r, end)
	}
	return c.define(id, n)
}

// typed defines a rule for one type of a schema.
func (c *compiler) typed(id int32, kind string, v *value, at string) error {
	switch kind {
	case "object":
		return c.object(id, v, at)
	case "array":
		return c.array(id, v, at)
	case "string":
		return c.stringRule(id, v, at)
	case "number", "integer":
		n, err := c.numberOf(v, at, kind == "integer")
		if err != nil {
			return err
		}
		return c.define(id, n.automaton())
	}
	texts := []string{"null"}
	if kind == "boolean" {
		texts = []string{"true", "false"}
	}
	return c.define(id, oneText(texts))
}

// oneText is the automaton of some texts.
func oneText(texts []string) *grammar.NFA {
	n := grammar.NewNFA()
	for _, t := range texts {
		if end := n.Text(0, t); !n.Full() {
			n.Accept(end)
		}
	}
	return n
}

// types gives the types that a schema allows, nil for any. Without "type" they are
// those that its other keywords speak of.
func (c *compiler) types(v *value, at string) ([]string, error) {
	var out []string
	t := v.get("type")
	if t == nil {
		for _, k := range types[:5] {
			has := func(key string) bool { return v.get(key) != nil }
			if k != "integer" && slices.ContainsFunc(keywordsOf[k], has) {
				out = append(out, k)
			}
		}
	} else {
		list := []*value{t}
		if t.kind == array {
			list = t.items
		}
		if len(list) > len(types) {
			return nil, &Error{pointer(at, "type"), "it lists a type twice"}
		}
		for _, k := range list {
			if k.kind != str || !slices.Contains(types, k.text) {
				return nil, &Error{pointer(at, "type"), "it must be one of " + strings.Join(types, ", ") + ", or a list of these"}
			}
			if !slices.Contains(out, k.text) {
				out = append(out, k.text)
			}
		}
		if len(out) == 0 {
			return nil, &Error{pointer(at, "type"), "it lists no type"}
		}
	}
	if slices.Contains(out, "number") {
		out = slices.DeleteFunc(out, func(k string) bool { return k == "integer" })
	}
	yes, err := nullable(v, at)
	if yes && out != nil && !slices.Contains(out, "null") {
		out = append(out, "null")
	}
	return out, err
}

// nullable reads OpenAPI's keyword.
func nullable(v *value, at string) (bool, error) {
	n := v.get("nullable")
	if n != nil && n.kind != boolean {
		return false, &Error{pointer(at, "nullable"), "it must be true or false"}
	}
	return n != nil && n.yes, nil
}

// anyValue gives the rule of any JSON value.
func (c *compiler) anyValue() (int32, error) {
	if c.any != 0 {
		return c.any - 1, nil
	}
	id, err := c.g.Declare("#")
	if err != nil {
		return 0, err
	}
	c.any = id + 1
	var parts []int32
	for _, k := range types {
		if k == "integer" {
			continue
		}
		part, err := c.g.Declare("#")
		if err != nil {
			return 0, err
		}
		if err := c.typed(part, k, &value{kind: object}, "#"); err != nil {
			return 0, err
		}
		parts = append(parts, part)
	}
	return id, c.oneOf(id, parts)
}
