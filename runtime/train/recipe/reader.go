package recipe

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/nearest"
	"github.com/ledge-run/ledge/runtime/strictyaml"
)

// reader turns nodes into values. Its From has those that a setting gave, and the setting.
type reader struct{ strictyaml.Reader }

// replace puts the value of a setting in its place in the tree.
func (r *reader) replace(root *yaml.Node, setting string) error {
	fail := func(format string, args ...any) error {
		return &Error{File: setting, Text: fmt.Sprintf(format, args...)}
	}
	key, text, ok := strings.Cut(setting, "=")
	if !ok || key == "" {
		return fail("a setting is written as KEY=VALUE, such as train.rate=3e-3")
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return fail("the value is empty, or no YAML")
	}
	at := root
	names := strings.Split(key, ".")
	for i, name := range names {
		if at.Kind != yaml.MappingNode {
			return fail("%s has no keys", strings.Join(names[:i], "."))
		}
		value := find(at, name)
		if value == nil {
			k := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}
			value = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			r.From[k], r.From[value] = setting, setting
			at.Content = append(at.Content, k, value)
		}
		if i+1 < len(names) {
			if value.Kind == yaml.AliasNode { // what else has the anchor stays as it is
				return fail("%s is an alias in the file: say it there", strings.Join(names[:i+1], "."))
			}
			at = value
			continue
		}
		*value = *doc.Content[0]
		r.mark(value, setting)
	}
	return nil
}

// exchange takes away the one of two keys of a section that the file has, if a setting
// has given the other: of the two only one can be said.
func (r *reader) exchange(root *yaml.Node, section, a, b string) {
	s := find(root, section)
	if s == nil || s.Kind != yaml.MappingNode {
		return
	}
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		given, other := find(s, pair[0]), find(s, pair[1])
		if _, ok := r.From[given]; given == nil || !ok || other == nil {
			continue
		}
		if _, ok := r.From[other]; ok {
			continue
		}
		for i := 0; i+1 < len(s.Content); i += 2 {
			if s.Content[i+1] == other {
				s.Content = append(s.Content[:i:i], s.Content[i+2:]...)
				break
			}
		}
	}
}

func find(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// mark notes what comes from a setting.
func (r *reader) mark(n *yaml.Node, setting string) {
	r.From[n] = setting
	for _, c := range n.Content {
		r.mark(c, setting)
	}
}

// pathTo reads a path, which starts in the file's folder; one that a setting gives
// starts where the program runs.
func (r *reader) pathTo(to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		err := r.TextTo(to)(n)
		if _, ok := r.From[n]; err == nil && !ok {
			*to = r.path(*to)
		}
		return err
	}
}

func (r *reader) listTo(to *[]string, one func(*string) func(*yaml.Node) error) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		nodes, err := r.List(n)
		if err != nil {
			return err
		}
		*to = nil
		for _, n := range nodes {
			var s string
			if err := one(&s)(n); err != nil {
				return err
			}
			*to = append(*to, s)
		}
		return nil
	}
}

// wordTo reads one of some words.
func (r *reader) wordTo(to *string, words ...string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := r.Text(n)
		if err == nil && !slices.Contains(words, s) {
			return r.Errorf(n, "%q is none of %s%s", r.Clip(s), strings.Join(words, ", "), nearest.Hint(r.Clip(s), words))
		}
		*to = s
		return err
	}
}

// typeTo reads an element type.
func (r *reader) typeTo(to *dtype.DType, of ...dtype.DType) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := r.Text(n)
		if err != nil {
			return err
		}
		d, err := dtype.Parse(s)
		if err != nil || !slices.Contains(of, d) {
			var names []string
			for _, d := range of {
				names = append(names, strings.ToUpper(d.String()))
			}
			return r.Errorf(n, "%q is none of %s", r.Clip(s), strings.Join(names, ", "))
		}
		*to = d
		return nil
	}
}

func (r *reader) floatTo(to *float64, least, most float64) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := r.Text(n)
		if err != nil {
			return err
		}
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(v) || v < least || v > most {
			return r.Errorf(n, "%q is no number from %g to %g", r.Clip(s), least, most)
		}
		*to = v
		return nil
	}
}
