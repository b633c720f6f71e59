package suite

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/ledge-run/ledge/runtime/bench/nearest"
)

// Error is what is wrong with a file, and where: lines and columns count from 1; 0
// where the whole file is meant.
type Error struct {
	File         string
	Line, Column int
	Text         string
}

func (e *Error) Error() string {
	switch {
	case e.Line == 0:
		return e.File + ": " + e.Text
	case e.Column == 0:
		return fmt.Sprintf("%s, line %d: %s", e.File, e.Line, e.Text)
	}
	return fmt.Sprintf("%s, line %d, column %d: %s", e.File, e.Line, e.Column, e.Text)
}

// reader turns nodes into values.
type reader struct {
	file string
	vars map[string]string
}

func (r *reader) errorf(n *yaml.Node, format string, args ...any) error {
	e := &Error{File: r.file, Text: fmt.Sprintf(format, args...)}
	if n != nil {
		e.Line, e.Column = n.Line, n.Column
	}
	return e
}

// syntax says where YAML itself is broken.
func (r *reader) syntax(err error) error {
	e := &Error{File: r.file, Text: "no valid YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	var load *yaml.LoadError
	if errors.As(err, &load) {
		e.Line, e.Column, e.Text = load.Mark.Line, load.Mark.Column, "no valid YAML: "+load.Message
	}
	return e
}

// value follows an alias to what it stands for.
func value(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// what says what a node is, for messages.
func what(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "keys with values"
	}
	if n.Tag == "!!null" {
		return "nothing"
	}
	return strconv.Quote(n.Value)
}

// handlers read the values of keys.
type handlers map[string]func(n *yaml.Node) error

// fields reads a mapping whose keys are all known.
func (r *reader) fields(n *yaml.Node, of string, known handlers) error {
	n = value(n)
	if n.Kind != yaml.MappingNode {
		return r.errorf(n, "%s is written as keys with values, not as %s; keys: %s", of, what(n), strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], n.Content[i+1]
		read, ok := known[key.Value]
		if !ok || key.Kind != yaml.ScalarNode {
			return r.errorf(key, "unknown key %q in %s%s; keys: %s", key.Value, of, nearest.Hint(key.Value, slices.Sorted(maps.Keys(known))),
				strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		if line := seen[key.Value]; line > 0 {
			return r.errorf(key, "%s is said twice; the first time in line %d", key.Value, line)
		}
		seen[key.Value] = key.Line
		if err := read(value(v)); err != nil {
			return err
		}
	}
	return nil
}

// list gives the entries of a list; a single value is a list of one.
func (r *reader) list(n *yaml.Node) ([]*yaml.Node, error) {
	n = value(n)
	if n.Kind != yaml.SequenceNode {
		if n.Tag == "!!null" {
			return nil, r.errorf(n, "there is no value")
		}
		return []*yaml.Node{n}, nil
	}
	if len(n.Content) == 0 {
		return nil, r.errorf(n, "the list is empty")
	}
	all := make([]*yaml.Node, len(n.Content))
	for i, c := range n.Content {
		all[i] = value(c)
	}
	return all, nil
}

// text reads a string, in which ${name} stands for a value of vars.
func (r *reader) text(n *yaml.Node) (string, error) {
	n = value(n)
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return "", r.errorf(n, "a text is wanted here, not %s", what(n))
	}
	var b strings.Builder
	rest := n.Value
	for {
		before, after, ok := strings.Cut(rest, "${")
		b.WriteString(before)
		if !ok {
			break
		}
		name, tail, ok := strings.Cut(after, "}")
		if !ok {
			return "", r.errorf(n, "${ has no end: }")
		}
		v, ok := r.vars[name]
		if !ok {
			return "", r.errorf(n, "${%s} has no value in vars%s", name, nearest.Hint(name, slices.Sorted(maps.Keys(r.vars))))
		}
		b.WriteString(v)
		rest = tail
	}
	if strings.ContainsRune(b.String(), 0) {
		return "", r.errorf(n, "the text has a zero byte in it")
	}
	return b.String(), nil
}

// textTo reads a text that must not be empty.
func (r *reader) textTo(to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) (err error) {
		if *to, err = r.text(n); err == nil && strings.TrimSpace(*to) == "" {
			return r.errorf(n, "the text is empty")
		}
		return err
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
		s, err := r.text(n)
		if err != nil {
			return nil, err
		}
		if different && slices.Contains(all, s) {
			return nil, r.errorf(n, "%q stands twice in the list", s)
		}
		all = append(all, s)
	}
	return all, nil
}

// number reads a whole number between bounds.
func (r *reader) number(n *yaml.Node, least, most int) (int, error) {
	s, err := r.text(n)
	if err != nil {
		return 0, err
	}
	v, err := strconv.Atoi(strings.ReplaceAll(s, "_", ""))
	if err != nil || v < least || v > most {
		return 0, r.errorf(n, "%q is no whole number from %d to %d", s, least, most)
	}
	return v, nil
}

func (r *reader) numberTo(to *int, least, most int) func(*yaml.Node) error {
	return func(n *yaml.Node) (err error) { *to, err = r.number(n, least, most); return err }
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
			v, err := r.number(n, least, most)
			if err != nil {
				return err
			}
			if slices.Contains(*to, v) {
				return r.errorf(n, "%d stands twice in the list", v)
			}
			*to = append(*to, v)
		}
		return nil
	}
}

// positive reads a number above 0.
func (r *reader) positive(n *yaml.Node) (float64, error) {
	s, err := r.text(n)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v > 0 && v < 1e12) {
		return 0, r.errorf(n, "%q is no number above 0", s)
	}
	return v, nil
}

func (r *reader) boolTo(to *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := r.text(n)
		if err != nil {
			return err
		}
		if s != "true" && s != "false" {
			return r.errorf(n, "%q is neither true nor false", s)
		}
		*to = s == "true"
		return nil
	}
}

func (r *reader) duration(n *yaml.Node) (time.Duration, error) {
	s, err := r.text(n)
	if err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second || d > 30*24*time.Hour {
		return 0, r.errorf(n, "%q is no time of a second or more, such as 90s or 10m", s)
	}
	return d, nil
}

// pairs reads a mapping of texts to texts.
func (r *reader) pairs(n *yaml.Node, of string) (map[string]string, error) {
	n = value(n)
	if n.Kind != yaml.MappingNode {
		return nil, r.errorf(n, "%s is written as NAME: value, not as %s", of, what(n))
	}
	m := map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if _, twice := m[key.Value]; twice || key.Kind != yaml.ScalarNode || key.Value == "" || strings.ContainsAny(key.Value, "=\x00 ${}") {
			return nil, r.errorf(key, "%q is no new name", key.Value)
		}
		v, err := r.text(n.Content[i+1])
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
			return r.errorf(nil, "%s is set, but vars has no %s%s", name, name, nearest.Hint(name, slices.Sorted(maps.Keys(r.vars))))
		}
		r.vars[name] = set[name]
	}
	return nil
}
