package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/bench/nearest"
)

// Error is what is wrong with a file, and where: lines and columns count from 1; 0
// where the whole file is meant.
type Error struct {
	File         string // or the setting that replaces a part of it
	Line, Column int
	Text         string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s, line %d, column %d: %s", e.File, e.Line, e.Column, e.Text)
}

// reader turns nodes into values.
type reader struct {
	file string
	set  map[*yaml.Node]string // nodes that a setting gave, and the setting
}

func (r *reader) errorf(n *yaml.Node, format string, args ...any) error {
	e := &Error{File: r.file, Text: fmt.Sprintf(format, args...)}
	if s, ok := r.set[n]; ok {
		e.File = s
	} else if n != nil {
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

// document parses YAML down to the node of its one mapping.
func (r *reader) document(data []byte) (*yaml.Node, error) {
	if len(data) > maxBytes {
		return nil, r.errorf(nil, "the file is longer than %d bytes: that is no recipe", maxBytes)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && (doc.Kind != yaml.DocumentNode || len(doc.Content) != 1) {
		return nil, r.errorf(nil, "the file says nothing: docs/training.md has an example of a recipe")
	}
	if err != nil {
		return nil, r.syntax(err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, r.syntax(err)
		}
		return nil, r.errorf(nil, "there are several documents (---) in the file: a recipe is one")
	}
	return doc.Content[0], nil
}

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
			r.set[k], r.set[value] = setting, setting
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
		if _, ok := r.set[given]; given == nil || !ok || other == nil {
			continue
		}
		if _, ok := r.set[other]; ok {
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
	r.set[n] = setting
	for _, c := range n.Content {
		r.mark(c, setting)
	}
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
	return strconv.Quote(clip(n.Value))
}

// clip keeps a text of the file short enough for a message.
func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "..."
	}
	return s
}

// handlers read the values of keys.
type handlers map[string]func(n *yaml.Node) error

// fields reads a mapping whose keys are all known.
func (r *reader) fields(n *yaml.Node, of string, known handlers) error {
	n = value(n)
	keys := slices.Sorted(maps.Keys(known))
	if n.Kind != yaml.MappingNode {
		return r.errorf(n, "%s is written as keys with values, not as %s; keys: %s", of, what(n), strings.Join(keys, ", "))
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], n.Content[i+1]
		read, ok := known[key.Value]
		if !ok || key.Kind != yaml.ScalarNode {
			return r.errorf(key, "unknown key %q in %s%s; keys: %s", clip(key.Value), of, nearest.Hint(clip(key.Value), keys), strings.Join(keys, ", "))
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

func (r *reader) text(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return "", r.errorf(n, "a text is wanted here, not %s", what(n))
	}
	if strings.ContainsRune(n.Value, 0) {
		return "", r.errorf(n, "the text has a zero byte in it")
	}
	return n.Value, nil
}

func (r *reader) textTo(to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) (err error) {
		if *to, err = r.text(n); err == nil && strings.TrimSpace(*to) == "" {
			return r.errorf(n, "the text is empty")
		}
		return err
	}
}

// pathTo reads a path, which starts in the file's folder; one that a setting gives
// starts where the program runs.
func (r *reader) pathTo(to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		err := r.textTo(to)(n)
		if _, ok := r.set[n]; err == nil && !ok {
			*to = r.path(*to)
		}
		return err
	}
}

// list gives the entries of a list; a single value is a list of one.
func (r *reader) list(n *yaml.Node) ([]*yaml.Node, error) {
	if n.Kind != yaml.SequenceNode {
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

func (r *reader) listTo(to *[]string, one func(*string) func(*yaml.Node) error) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		nodes, err := r.list(n)
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
		s, err := r.text(n)
		if err == nil && !slices.Contains(words, s) {
			return r.errorf(n, "%q is none of %s%s", clip(s), strings.Join(words, ", "), nearest.Hint(clip(s), words))
		}
		*to = s
		return err
	}
}

// typeTo reads an element type.
func (r *reader) typeTo(to *dtype.DType, of ...dtype.DType) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := r.text(n)
		if err != nil {
			return err
		}
		d, err := dtype.Parse(s)
		if err != nil || !slices.Contains(of, d) {
			var names []string
			for _, d := range of {
				names = append(names, strings.ToUpper(d.String()))
			}
			return r.errorf(n, "%q is none of %s", clip(s), strings.Join(names, ", "))
		}
		*to = d
		return nil
	}
}

// number reads a whole number between bounds.
func (r *reader) number(n *yaml.Node, least, most int64) (int64, error) {
	s, err := r.text(n)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
	if err != nil || v < least || v > most {
		return 0, r.errorf(n, "%q is no whole number from %d to %d", clip(s), least, most)
	}
	return v, nil
}

func (r *reader) intTo(to *int, least, most int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, err := r.number(n, int64(least), int64(most))
		*to = int(v)
		return err
	}
}

func (r *reader) floatTo(to *float64, least, most float64) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := r.text(n)
		if err != nil {
			return err
		}
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(v) || v < least || v > most {
			return r.errorf(n, "%q is no number from %g to %g", clip(s), least, most)
		}
		*to = v
		return nil
	}
}

func (r *reader) boolTo(to *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := r.text(n)
		if err == nil && s != "true" && s != "false" {
			return r.errorf(n, "%q is neither true nor false", clip(s))
		}
		*to = s == "true"
		return err
	}
}
