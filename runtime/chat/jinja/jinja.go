// Package jinja renders the subset of the Jinja template language that chat
// templates of language models are written in.
//
// A template comes out of a downloaded model file, so it is hostile input. The
// package is an interpreter with a budget: source size, nesting, evaluation
// steps, evaluation depth, memory built and output written are all bounded, and
// a template that exceeds a bound is refused with a [LimitError] that names it.
// Nothing a template does can reach files, the network, the clock (unless the
// caller hands it over as a function) or Go values.
//
// Behaviour follows Python's jinja2 3.1 in a sandboxed environment with
// trim_blocks, lstrip_blocks and the loopcontrols extension, which is how
// Hugging Face transformers renders chat templates: Python's string, list and
// dictionary methods, its repr, its % and format mini-languages, its integer
// division and its truth values. What chat templates never use is refused with
// its name: include, import, extends, block, autoescape, arbitrary precision
// arithmetic.
//
// Language: https://jinja.palletsprojects.com/en/stable/templates/
package jinja

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Template is a parsed template. It is immutable and safe for concurrent use.
type Template struct {
	source string
	body   []stmt
	limits Limits
}

// Compile parses source. Limits left at zero take their defaults.
func Compile(source string, limits Limits) (*Template, error) {
	limits = limits.withDefaults()
	if len(source) > limits.Source {
		return nil, &LimitError{What: "template source", Limit: int64(limits.Source), Unit: "bytes"}
	}
	if !utf8.ValidString(source) {
		return nil, &Error{Line: 1, Err: errors.New("the template is not valid UTF-8")}
	}
	body, err := parse(source, limits.Nesting)
	if err != nil {
		return nil, err
	}
	return &Template{source: source, body: body, limits: limits}, nil
}

// Source returns the text the template was compiled from.
func (t *Template) Source() string { return t.source }

// Render evaluates the template with the given variables and returns its
// output. Values in vars may be changed by the template (Python's lists and
// dictionaries are mutable): hand over fresh ones each time.
func (t *Template) Render(vars *Dict) (string, error) {
	out, _, err := t.RenderUsage(vars)
	return out, err
}

// RenderUsage is Render that also says how much of its budget a template used.
func (t *Template) RenderUsage(vars *Dict) (out string, used Usage, err error) {
	st := &state{limits: t.limits}
	st.allow(vars)
	// The interpreter is written not to panic; if a defect makes it do so, a
	// template must still not take the process down.
	defer func() {
		if r := recover(); r != nil {
			out, err = "", fmt.Errorf("jinja: internal error, please report it: %v", r)
		}
	}()
	root := &scope{}
	for name, fn := range globals {
		root.set(name, fn)
	}
	if vars != nil {
		for i, k := range vars.keys {
			if s, ok := k.(string); ok {
				root.set(s, vars.vals[i])
			}
		}
	}
	buf := &output{st: st, max: st.limits.Output}
	st.out = buf
	_, err = st.exec(t.body, &scope{parent: root})
	used = Usage{Steps: st.steps, Memory: st.memory, Depth: st.deepest}
	if err != nil {
		return "", used, err
	}
	return buf.b.String(), used, nil
}

// Error is a failure at a line of the template.
type Error struct {
	Line int // 1-based
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, printable(e.Err.Error())) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// RaisedError is what a template reports through raise_exception.
type RaisedError struct{ Message string }

func (e *RaisedError) Error() string { return "the template refuses: " + printable(e.Message) }

// printable replaces control characters, which could steer a terminal, in
// messages that quote a template.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return '?'
	}, s)
}

// output collects what a template, a macro or a set block writes.
type output struct {
	b   strings.Builder
	st  *state
	max int // bytes
}

func (o *output) write(s string) error {
	if len(s) > o.max-o.b.Len() {
		return &LimitError{What: "output", Limit: int64(o.max), Unit: "bytes"}
	}
	if err := o.st.alloc(len(s)); err != nil {
		return err
	}
	o.b.WriteString(s)
	return nil
}
