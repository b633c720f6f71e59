package suite

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/ledge-run/ledge/runtime/nearest"
	"github.com/ledge-run/ledge/runtime/strictyaml"
)

// reader turns nodes into values.
type reader struct {
	strictyaml.Reader
	vars map[string]string
}

// list gives the entries of a list; a single value is a list of one.
func (r *reader) list(n *yaml.Node) ([]*yaml.Node, error) {
	if n = strictyaml.Value(n); n.Kind != yaml.SequenceNode && n.Tag == "!!null" {
		return nil, r.Errorf(n, "there is no value")
	}
	return r.List(n)
}

// fill puts the values of vars in the place of their ${name}.
func (r *reader) fill(n *yaml.Node, text string) (string, error) {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(text, "${")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		name, rest, ok := strings.Cut(after, "}")
		if !ok {
			return "", r.Errorf(n, "${ has no end: }")
		}
		v, ok := r.vars[name]
		if !ok {
			return "", r.Errorf(n, "${%s} has no value in vars%s", r.Clip(name), nearest.Hint(r.Clip(name), slices.Sorted(maps.Keys(r.vars))))
		}
		b.WriteString(v)
		text = rest
	}
}

// texts reads one text or a list of them, which may have to be all different.
func (r *reader) texts(n *yaml.Node, different bool) ([]string, error) {
	nodes, err := r.list(n)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, n := range nodes {
		s, err := r.Text(n)
		if err != nil {
			return nil, err
		}
		if different && slices.Contains(all, s) {
			return nil, r.Errorf(n, "%q stands twice in the list", r.Clip(s))
		}
		all = append(all, s)
	}
	return all, nil
}

// numbersTo reads one number or a list of them, all different.
func (r *reader) numbersTo(to *[]int, least, most int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		nodes, err := r.list(n)
		if err != nil {
			return err
		}
		*to = nil
		for _, n := range nodes {
			v, err := r.Number(n, least, most)
			if err != nil {
				return err
			}
			if slices.Contains(*to, v) {
				return r.Errorf(n, "%d stands twice in the list", v)
			}
			*to = append(*to, v)
		}
		return nil
	}
}

// positive reads a number above 0.
func (r *reader) positive(n *yaml.Node) (float64, error) {
	s, err := r.Text(n)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v > 0 && v < 1e12) {
		return 0, r.Errorf(n, "%q is no number above 0", r.Clip(s))
	}
	return v, nil
}

func (r *reader) duration(n *yaml.Node) (time.Duration, error) {
	s, err := r.Text(n)
	if err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second || d > 30*24*time.Hour {
		return 0, r.Errorf(n, "%q is no time of a second or more, such as 90s or 10m", r.Clip(s))
	}
	return d, nil
}

// pairs reads a mapping of texts to texts.
func (r *reader) pairs(n *yaml.Node, of string) (map[string]string, error) {
	n = strictyaml.Value(n)
	if n.Kind != yaml.MappingNode {
		return nil, r.Errorf(n, "%s is written as NAME: value, not as %s", of, r.What(n))
	}
	m := map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if _, twice := m[key.Value]; twice || key.Kind != yaml.ScalarNode || key.Value == "" || strings.ContainsAny(key.Value, "=\x00 ${}") {
			return nil, r.Errorf(key, "%q is no new name", r.Clip(key.Value))
		}
		v, err := r.Text(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		m[key.Value] = v
	}
	return m, nil
}

// readVars reads the values of vars and replaces those that are set. A value may
// not refer to others.
func (r *reader) readVars(root *yaml.Node, set map[string]string) error {
	if root.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(root.Content); i += 2 {
			if root.Content[i].Value != "vars" {
				continue
			}
			vars, err := r.pairs(root.Content[i+1], "vars")
			if err != nil {
				return err
			}
			r.vars = vars
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if _, ok := r.vars[name]; !ok {
			return r.Errorf(nil, "%s is set, but vars has no %s%s", name, name, nearest.Hint(name, slices.Sorted(maps.Keys(r.vars))))
		}
		r.vars[name] = set[name]
	}
	return nil
}
