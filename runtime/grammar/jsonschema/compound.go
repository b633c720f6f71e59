package jsonschema

import (
	"fmt"
	"strconv"

	"github.com/ledge-run/ledge/runtime/grammar"
)

// property is one of an object's.
type property struct {
	key      string
	value    int32
	required bool
}

// object defines the rule of a schema's objects.
func (c *compiler) object(id int32, v *value, at string) error {
	props, more, err := c.properties(v, at)
	if err != nil {
		return err
	}
	n := grammar.NewNFA()
	// Before each property there are two states: nothing stands in the object yet, or
	// something does and a comma must come.
	first, later, end := n.State(), n.State(), n.State()
	n.Range(0, '{', '{', first)
	n.Accept(end)
	for _, p := range props {
		nextFirst, nextLater := n.State(), n.State()
		key := string(appendString(nil, p.key)) + ":"
		c.member(n, first, key, p.value, nextLater)
		c.member(n, c.comma(n, later), key, p.value, nextLater)
		if !p.required {
			n.Skip(first, nextFirst)
			n.Skip(later, nextLater)
		}
		if first, later = nextFirst, nextLater; n.Full() {
			break
		}
	}
	if more >= 0 {
		key, err := c.otherKey(at, props)
		if err != nil {
			return err
		}
		loop := n.State()
		n.Skip(later, loop)
		for _, from := range []int32{first, c.comma(n, loop)} {
			colon, value := n.State(), n.State()
			n.Call(from, key, colon)
			n.Range(colon, ':', ':', value)
			n.Call(c.space(n, value), more, loop)
		}
		n.Range(loop, '}', '}', end)
	}
	n.Range(first, '}', '}', end)
	n.Range(later, '}', '}', end)
	return c.define(id, n)
}

// member leads from a state with a property to another.
func (c *compiler) member(n *grammar.NFA, from int32, key string, value, to int32) {
	n.Call(c.space(n, n.Text(from, key)), value, to)
}

// comma leads from a state with a comma to a new one.
func (c *compiler) comma(n *grammar.NFA, from int32) int32 { return c.space(n, n.Text(from, ",")) }

// space leads on with a space or, as well, without.
func (c *compiler) space(n *grammar.NFA, from int32) int32 {
	if !c.o.Spaces {
		return from
	}
	to := n.State()
	n.Skip(from, to)
	n.Range(from, ' ', ' ', to)
	return to
}

// properties reads what an object has; more is the rule of properties without a
// name in the schema, -1 if there are none.
func (c *compiler) properties(v *value, at string) (props []property, more int32, err error) {
	named := v.get("properties")
	required, err := requiredOf(v, at)
	if err != nil {
		return nil, 0, err
	}
	if named != nil && named.kind != object {
		return nil, 0, &Error{pointer(at, "properties"), fmt.Sprintf("it must be an object, not %s", named.kind)}
	}
	other := v.get("additionalProperties")
	forbidden := other != nil && other.kind == boolean && !other.yes
	more = -1
	switch {
	case forbidden:
	case other != nil && other.kind != boolean:
		more, err = c.schema(other, pointer(at, "additionalProperties"))
	case named == nil && len(required.list) == 0:
		more, err = c.anyValue()
	}
	if err != nil {
		return nil, 0, err
	}
	if named != nil {
		for _, m := range named.members {
			r, err := c.schema(m.v, pointer(pointer(at, "properties"), m.key))
			if err != nil {
				return nil, 0, err
			}
			props = append(props, property{m.key, r, required.set[m.key]})
		}
	}
	for i, key := range required.list {
		if named != nil && named.get(key) != nil {
			continue
		}
		if forbidden {
			return nil, 0, &Error{pointer(at, "required") + "/" + strconv.Itoa(i), fmt.Sprintf("%.60q is required, but is no property, and others are forbidden: nothing satisfies it", key)}
		}
		r := more
		if r < 0 {
			if r, err = c.anyValue(); err != nil {
				return nil, 0, err
			}
		}
		props = append(props, property{key, r, true})
	}
	return props, more, c.propertyCount(v, at, props, more)
}

// names are different names in their order.
type names struct {
	list []string
	set  map[string]bool
}

func requiredOf(v *value, at string) (names, error) {
	list := v.get("required")
	if list == nil {
		return names{}, nil
	}
	out := names{set: make(map[string]bool, len(list.items))}
	for _, k := range list.items {
		if k.kind == str && !out.set[k.text] {
			out.set[k.text] = true
			out.list = append(out.list, k.text)
		}
	}
	if list.kind != array || len(out.list) != len(list.items) {
		return names{}, &Error{pointer(at, "required"), "it must be a list of different strings"}
	}
	return out, nil
}

// propertyCount accepts minProperties and maxProperties only where they say nothing.
func (c *compiler) propertyCount(v *value, at string, props []property, more int32) error {
	lo, hi, err := lengths(v, at, "minProperties", "maxProperties")
	if err != nil {
		return err
	}
	required := 0
	for _, p := range props {
		if p.required {
			required++
		}
	}
	if int(lo) > required {
		return &Error{pointer(at, "minProperties"), "not supported, unless as many properties are required"}
	}
	if hi >= 0 && (more >= 0 || int(hi) < len(props)) {
		return &Error{pointer(at, "maxProperties"), "not supported, unless there are no more properties"}
	}
	return nil
}

// otherKey is the rule of the names of properties that the schema does not name.
// They have no escapes: those could spell a name that it does.
func (c *compiler) otherKey(at string, props []property) (int32, error) {
	if len(props) == 0 && c.anyKey != 0 {
		return c.anyKey - 1, nil
	}
	id, err := c.g.Declare(at)
	if err != nil {
		return 0, err
	}
	if len(props) == 0 {
		c.anyKey = id + 1
		return id, c.anyString(id, 0, -1)
	}
	var names []string
	for _, p := range props {
		names = append(names, string(appendString(nil, p.key)))
	}
	n := grammar.NewNFA()
	inside, end := n.State(), n.State()
	n.Range(0, '"', '"', inside)
	n.Range(inside, '"', '"', end)
	n.Accept(end)
	n.Runes(inside, 0x20, '"'-1, inside)
	n.Runes(inside, '"'+1, '\\'-1, inside)
	n.Runes(inside, '\\'+1, 0x10ffff, inside)
	if n, err = n.Without(names); err != nil {
		return 0, &Error{at, err.Error()}
	}
	return id, c.define(id, n)
}

// array defines the rule of a schema's arrays.
func (c *compiler) array(id int32, v *value, at string) error {
	lo, hi, err := lengths(v, at, "minItems", "maxItems")
	if err != nil {
		return err
	}
	if u := v.get("uniqueItems"); u != nil && !(u.kind == boolean && !u.yes) && (hi < 0 || hi > 1) {
		return &Error{pointer(at, "uniqueItems"), "not supported"}
	}
	var first []int32
	if p := v.get("prefixItems"); p != nil {
		if p.kind != array {
			return &Error{pointer(at, "prefixItems"), fmt.Sprintf("it must be a list of schemas, not %s", p.kind)}
		}
		for i, k := range p.items {
			r, err := c.schema(k, pointer(at, "prefixItems")+"/"+strconv.Itoa(i))
			if err != nil {
				return err
			}
			first = append(first, r)
		}
	}
	items, rest := v.get("items"), int32(-1)
	switch {
	case items != nil && items.kind == array:
		return &Error{pointer(at, "items"), "a list of schemas is not supported: since draft 2020-12 it is called prefixItems"}
	case items != nil:
		rest, err = c.schema(items, pointer(at, "items"))
	case len(first) == 0 || int(lo) > len(first):
		rest, err = c.anyValue()
	}
	if err != nil {
		return err
	}
	if items == nil && len(first) > 0 && (hi < 0 || int(hi) > max(len(first), int(lo))) {
		hi = int32(max(len(first), int(lo))) // what is not described is left out
	}
	return c.define(id, c.list(first, rest, int(lo), int(hi)))
}

// list is the automaton of arrays with lo to hi (-1: any number of) items: those of
// first, then of rest, if that is a rule.
func (c *compiler) list(first []int32, rest int32, lo, hi int) *grammar.NFA {
	n := grammar.NewNFA()
	at, end := n.State(), n.State()
	n.Range(0, '[', '[', at)
	n.Accept(end)
	for i := 0; !n.Full(); i++ {
		if i >= lo {
			n.Range(at, ']', ']', end)
		}
		item := rest
		if i < len(first) {
			item = first[i]
		}
		if item < 0 || i == hi {
			break
		}
		from := at
		if i > 0 {
			from = c.comma(n, at)
		}
		if hi < 0 && i > 0 && i >= lo && i >= len(first) {
			n.Call(from, item, at) // as often as one likes
			break
		}
		to := n.State()
		n.Call(from, item, to)
		at = to
	}
	return n
}
