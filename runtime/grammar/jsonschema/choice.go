package jsonschema

import (
	"fmt"
	"slices"
	"strconv"
)

// maxBranchesOf bounds the branches of oneOf, which are compared pair by pair.
const maxBranchesOf = 256

// combined defines the rule of allOf, anyOf or oneOf.
func (c *compiler) combined(id int32, v, list *value, at, key string) error {
	here := pointer(at, key)
	if err := only(v, at, key, "nullable"); err != nil {
		return err
	}
	if list.kind != array || len(list.items) == 0 {
		return &Error{here, "it must be a list of schemas, and not an empty one"}
	}
	if key == "allOf" && len(list.items) > 1 {
		return &Error{here, "not supported with more than one schema"}
	}
	if key == "oneOf" {
		if len(list.items) > maxBranchesOf {
			return &Error{here, fmt.Sprintf("not supported with more than %d schemas: use anyOf", maxBranchesOf)}
		}
		if err := c.exclusive(list.items, here); err != nil {
			return err
		}
	}
	var rules []int32
	for i, k := range list.items {
		r, err := c.schema(k, here+"/"+strconv.Itoa(i))
		if err != nil {
			return err
		}
		if !slices.Contains(rules, r) {
			rules = append(rules, r)
		}
	}
	yes, err := nullable(v, at)
	if err != nil {
		return err
	}
	if yes {
		r, err := c.g.Declare(at)
		if err == nil {
			err = c.define(r, oneText([]string{"null"}))
		}
		if err != nil {
			return err
		}
		rules = append(rules, r)
	}
	return c.oneOf(id, rules)
}

// values defines the rule of enum or const.
func (c *compiler) values(id int32, v *value, at string) error {
	list, key, err := valuesOf(v, at)
	if err != nil {
		return err
	}
	if err := only(v, at, key, "type", "nullable"); err != nil {
		return err
	}
	if v.get("type") != nil {
		kinds, err := c.types(v, at)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(slices.Clone(list), func(k *value) bool { return !hasType(k, kinds) })
	}
	if yes, err := nullable(v, at); err != nil {
		return err
	} else if yes {
		list = append(slices.Clone(list), &value{kind: null})
	}
	if len(list) == 0 {
		return &Error{pointer(at, key), "no value is of the type: nothing satisfies it"}
	}
	var texts []string
	for _, k := range list {
		texts = append(texts, string(k.write(nil)))
	}
	return c.define(id, oneText(texts))
}

// valuesOf gives the values of enum or const.
func valuesOf(v *value, at string) ([]*value, string, error) {
	if k := v.get("const"); k != nil {
		return []*value{k}, "const", nil
	}
	k := v.get("enum")
	if k.kind != array || len(k.items) == 0 {
		return nil, "", &Error{pointer(at, "enum"), "it must be a list, and not an empty one"}
	}
	return k.items, "enum", nil
}

// hasType says whether a value is of one of the types.
func hasType(v *value, kinds []string) bool {
	switch v.kind {
	case null:
		return slices.Contains(kinds, "null")
	case boolean:
		return slices.Contains(kinds, "boolean")
	case str:
		return slices.Contains(kinds, "string")
	case array:
		return slices.Contains(kinds, "array")
	case object:
		return slices.Contains(kinds, "object")
	}
	return slices.Contains(kinds, "number") || slices.Contains(kinds, "integer") && parseDecimal(v.text).fraction == ""
}

// exclusive refuses a oneOf of which a value could satisfy two schemas: that
// could not be told while it is generated.
func (c *compiler) exclusive(list []*value, at string) error {
	d := &disjointer{c: c, steps: 1 << 22, required: map[*value]names{}}
	for i := range list {
		for j := range i {
			if !d.disjoint(list[j], list[i], 0) {
				return &Error{at, fmt.Sprintf("schemas %d and %d are not told apart by their types, by a required property with different values or by their values: use anyOf if a value may satisfy both", j, i)}
			}
		}
	}
	return nil
}

// disjointer finds out whether schemas have no value in common, carefully: false
// may mean that it does not know.
type disjointer struct {
	c        *compiler
	steps    int              // left: about as many names or values may be looked at
	required map[*value]names // of those schemas that were looked at
}

func (d *disjointer) disjoint(a, b *value, depth int) bool {
	if d.steps -= 4; d.steps < 0 || depth > 8 {
		return false
	}
	a, _, err1 := d.c.resolve(a, "#")
	b, _, err2 := d.c.resolve(b, "#")
	if err1 != nil || err2 != nil || a.kind != object || b.kind != object {
		return false
	}
	for _, p := range [][2]*value{{a, b}, {b, a}} {
		for _, key := range []string{"anyOf", "oneOf", "allOf"} {
			list := p[0].get(key)
			if list == nil || list.kind != array {
				continue
			}
			if yes, err := nullable(p[0], "#"); err != nil || yes {
				return false
			}
			return !slices.ContainsFunc(list.items, func(k *value) bool { return !d.disjoint(k, p[1], depth+1) })
		}
	}
	va, vb := finite(a), finite(b)
	ka, err1 := d.c.types(a, "#")
	kb, err2 := d.c.types(b, "#")
	if err1 != nil || err2 != nil {
		return false
	}
	switch {
	case va != nil && vb != nil:
		return !slices.ContainsFunc(va, func(x *value) bool {
			return slices.ContainsFunc(vb, func(y *value) bool {
				d.steps -= min(x.size, y.size)
				return d.steps < 0 || equal(x, y)
			})
		})
	case va != nil:
		return kb != nil && b.get("type") != nil && !slices.ContainsFunc(va, func(x *value) bool { return hasType(x, kb) })
	case vb != nil:
		return ka != nil && a.get("type") != nil && !slices.ContainsFunc(vb, func(x *value) bool { return hasType(x, ka) })
	}
	if a.get("type") == nil || b.get("type") == nil {
		return false // types that are guessed from keywords are no bound
	}
	shared := slices.DeleteFunc(ka, func(k string) bool {
		return !slices.Contains(kb, k) && !(k == "integer" && slices.Contains(kb, "number")) && !(k == "number" && slices.Contains(kb, "integer"))
	})
	return len(shared) == 0 || len(shared) == 1 && shared[0] == "object" && d.objects(a, b, depth)
}

// objects says whether a required property tells objects apart.
func (d *disjointer) objects(a, b *value, depth int) bool {
	ra, rb := d.requiredOf(a), d.requiredOf(b)
	pa, pb := a.get("properties"), b.get("properties")
	closed := func(v *value) bool {
		k := v.get("additionalProperties")
		return k != nil && k.kind == boolean && !k.yes
	}
	lacks := func(p *value, key string) bool { return p == nil || p.get(key) == nil }
	for _, key := range ra.list {
		if d.steps--; d.steps < 0 {
			return false
		}
		if lacks(pb, key) && closed(b) {
			return true
		}
		if rb.set[key] && !lacks(pa, key) && !lacks(pb, key) && d.disjoint(pa.get(key), pb.get(key), depth+1) {
			return true
		}
	}
	d.steps -= len(rb.list)
	return slices.ContainsFunc(rb.list, func(key string) bool { return lacks(pa, key) && closed(a) })
}

// requiredOf gives the names that a schema requires, none if it is wrong.
func (d *disjointer) requiredOf(v *value) names {
	out, known := d.required[v]
	if !known {
		out, _ = requiredOf(v, "#") // compiling the schema finds the error
		d.required[v] = out
	}
	return out
}

// finite gives the values of enum or const, nil if a schema has neither.
func finite(v *value) []*value {
	if v.get("const") == nil && v.get("enum") == nil {
		return nil
	}
	list, _, err := valuesOf(v, "#")
	if err != nil {
		return nil
	}
	if yes, _ := nullable(v, "#"); yes {
		list = append(slices.Clone(list), &value{kind: null})
	}
	return list
}
