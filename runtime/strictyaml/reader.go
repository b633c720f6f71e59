// Package strictyaml reads YAML files that people write, such as recipes and suites: every key
// is a known one, every value is what its key asks for, and what is wrong is an Error that
// names the line, the column and what may have been meant.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/ledge-run/ledge/runtime/nearest"
)

// MaxBytes bounds a file.
const MaxBytes = 1 << 20

// Error is what is wrong with a file, and where: lines and columns count from 1; 0
// where the whole file is meant.
type Error struct {
	File         string // or what Reader.From says
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

// Load reads a file's bytes: no more than show Document that it is too long.
func Load(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// Reader turns nodes into values.
type Reader struct {
	File    string // for messages
	Kind    string // of file: recipe, suite
	Example string // for messages: says where there is one
	Most    int    // bytes of a value that a message quotes; 0 for all

	// From has the nodes that are not the file's own, and where they are from; may be nil.
	From map[*yaml.Node]string

	// Expand gives the text that a node's stands for; nil for itself.
	Expand func(n *yaml.Node, text string) (string, error)
}

// Errorf says what is wrong with a node, or with the file if it is nil.
func (r *Reader) Errorf(n *yaml.Node, format string, args ...any) error {
	e := &Error{File: r.File, Text: fmt.Sprintf(format, args...)}
	if s, ok := r.From[n]; ok {
		e.File = s
	} else if n != nil {
		e.Line, e.Column = n.Line, n.Column
	}
	return e
}

// syntax says where YAML itself is broken.
func (r *Reader) syntax(err error) error {
	e := &Error{File: r.File, Text: "no valid YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	var load *yaml.LoadError
	if errors.As(err, &load) {
		e.Line, e.Column, e.Text = load.Mark.Line, load.Mark.Column, "no valid YAML: "+load.Message
	}
	return e
}

// Document parses YAML down to the node of its one mapping.
func (r *Reader) Document(data []byte) (*yaml.Node, error) {
	if len(data) > MaxBytes {
		return nil, r.Errorf(nil, "the file is longer than %d bytes: that is no %s", MaxBytes, r.Kind)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && (doc.Kind != yaml.DocumentNode || len(doc.Content) != 1) {
		return nil, r.Errorf(nil, "the file says nothing: %s", r.Example)
	}
	if err != nil {
		return nil, r.syntax(err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, r.syntax(err)
		}
		return nil, r.Errorf(nil, "there are several documents (---) in the file: a %s is one", r.Kind)
	}
	return doc.Content[0], nil
}

// Value follows an alias to what it stands for.
func Value(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// What says what a node is, for messages.
func (r *Reader) What(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "keys with values"
	}
	if n.Tag == "!!null" {
		return "nothing"
	}
	return strconv.Quote(r.Clip(n.Value))
}

// Clip keeps a text of the file short enough for a message.
func (r *Reader) Clip(s string) string {
	if r.Most > 0 && len(s) > r.Most {
		return strings.ToValidUTF8(s[:r.Most], "") + "..."
	}
	return s
}

// Handlers read the values of keys.
type Handlers map[string]func(n *yaml.Node) error

// Fields reads a mapping whose keys are all known.
func (r *Reader) Fields(n *yaml.Node, of string, known Handlers) error {
	n = Value(n)
	keys := slices.Sorted(maps.Keys(known))
	if n.Kind != yaml.MappingNode {
		return r.Errorf(n, "%s is written as keys with values, not as %s; keys: %s", of, r.What(n), strings.Join(keys, ", "))
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], n.Content[i+1]
		read, ok := known[key.Value]
		if !ok || key.Kind != yaml.ScalarNode {
			name := r.Clip(key.Value)
			return r.Errorf(key, "unknown key %q in %s%s; keys: %s", name, of, nearest.Hint(name, keys), strings.Join(keys, ", "))
		}
		if line := seen[key.Value]; line > 0 {
			return r.Errorf(key, "%s is said twice; the first time in line %d", key.Value, line)
		}
		seen[key.Value] = key.Line
		if err := read(Value(v)); err != nil {
			return err
		}
	}
	return nil
}

// List gives the entries of a list; a single value is a list of one.
func (r *Reader) List(n *yaml.Node) ([]*yaml.Node, error) {
	n = Value(n)
	if n.Kind != yaml.SequenceNode {
		return []*yaml.Node{n}, nil
	}
	if len(n.Content) == 0 {
		return nil, r.Errorf(n, "the list is empty")
	}
	all := make([]*yaml.Node, len(n.Content))
	for i, c := range n.Content {
		all[i] = Value(c)
	}
	return all, nil
}

// Text reads a text, which may be empty.
func (r *Reader) Text(n *yaml.Node) (string, error) {
	n = Value(n)
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return "", r.Errorf(n, "a text is wanted here, not %s", r.What(n))
	}
	text := n.Value
	if r.Expand != nil {
		var err error
		if text, err = r.Expand(n, text); err != nil {
			return "", err
		}
	}
	if strings.ContainsRune(text, 0) {
		return "", r.Errorf(n, "the text has a zero byte in it")
	}
	return text, nil
}

// TextTo reads a text that must not be empty.
func (r *Reader) TextTo(to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) (err error) {
		if *to, err = r.Text(n); err == nil && strings.TrimSpace(*to) == "" {
			return r.Errorf(n, "the text is empty")
		}
		return err
	}
}

// Number reads a whole number between bounds.
func (r *Reader) Number(n *yaml.Node, least, most int) (int, error) {
	s, err := r.Text(n)
	if err != nil {
		return 0, err
	}
	v, err := strconv.Atoi(strings.ReplaceAll(s, "_", ""))
	if err != nil || v < least || v > most {
		return 0, r.Errorf(n, "%q is no whole number from %d to %d", r.Clip(s), least, most)
	}
	return v, nil
}

// NumberTo reads a whole number between bounds.
func (r *Reader) NumberTo(to *int, least, most int) func(*yaml.Node) error {
	return func(n *yaml.Node) (err error) { *to, err = r.Number(n, least, most); return err }
}

// BoolTo reads true or false.
func (r *Reader) BoolTo(to *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := r.Text(n)
		if err == nil && s != "true" && s != "false" {
			return r.Errorf(n, "%q is neither true nor false", r.Clip(s))
		}
		*to = s == "true"
		return err
	}
}
