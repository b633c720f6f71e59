package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/ledge-run/ledge/runtime/chat/jinja"
)

// Message is one turn of a conversation, in OpenAI's JSON form.
type Message struct {
	Role       string     `json:"role"` // system, user, assistant, tool
	Content    string     `json:"content"`
	Reasoning  string     `json:"reasoning_content,omitempty"` // what the assistant thought before
	ToolCalls  []ToolCall `json:"tool_calls,omitempty"`        // of the assistant
	ToolCallID string     `json:"tool_call_id,omitempty"`      // of a tool: the call it answers
	Name       string     `json:"name,omitempty"`              // of a tool or a speaker
}

// ToolCall is a call of a function that the assistant asks for.
type ToolCall struct {
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type,omitempty"` // "function"
	Function FunctionCall `json:"function"`
}

// FunctionCall names a function and its arguments: a JSON object, or, as
// OpenAI sends it, a JSON text that holds one.
type FunctionCall struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
}

// UnmarshalJSON also accepts content that is null or a list of text parts.
func (m *Message) UnmarshalJSON(data []byte) error {
	type plain Message
	var in struct {
		plain
		Content json.RawMessage `json:"content"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return PlainError(err)
	}
	*m = Message(in.plain)
	content := bytes.TrimSpace(in.Content)
	if len(content) == 0 || content[0] != '[' {
		if len(content) > 0 && json.Unmarshal(content, &m.Content) != nil {
			return fmt.Errorf("content is %s, and must be a string or an array of text parts", kindOf(content))
		}
		return nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(content, &parts); err != nil {
		return fmt.Errorf("a part of content: %w", PlainError(err))
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Type != "text" {
			return fmt.Errorf("a message holds a part of type %q: only text is supported", p.Type)
		}
		b.WriteString(p.Text)
	}
	m.Content = b.String()
	return nil
}

// PlainError says in JSON's words, not Go's, which field is what, and what it must be.
// Errors other than those of encoding/json about types stay as they are.
func PlainError(err error) error {
	var t *json.UnmarshalTypeError
	if !errors.As(err, &t) {
		return err
	}
	field, is, must := strings.TrimPrefix(t.Field, "plain."), t.Value, t.Type.String()
	if field == "" {
		field = "it"
	}
	switch word, _, _ := strings.Cut(is, " "); word { // a number may be given with its value
	case "array", "object":
		is = "an " + word
	default:
		is = "a " + word
	}
	switch t.Type.Kind() {
	case reflect.String:
		must = "a string"
	case reflect.Slice:
		must = "an array"
	case reflect.Struct, reflect.Map:
		must = "an object"
	case reflect.Float64:
		must = "one that a double holds"
	}
	return fmt.Errorf("%s is %s, and must be %s", field, is, must)
}

// kindOf names what a JSON text holds.
func kindOf(text []byte) string {
	switch text[0] {
	case '{':
		return "an object"
	case 't', 'f':
		return "a bool"
	}
	return "a number"
}

// MergeSystem returns the conversation with its system messages put in front of
// the first user message, a blank line between: the usual way to give
// instructions to a model whose template has no system role. Without a user
// message the instructions become one.
func MergeSystem(messages []Message) []Message {
	var system []string
	var out []Message
	for _, m := range messages {
		if m.Role == "system" || m.Role == "developer" {
			if m.Content != "" {
				system = append(system, m.Content)
			}
			continue
		}
		out = append(out, m)
	}
	if len(system) == 0 {
		return out
	}
	text := strings.Join(system, "\n\n")
	for i := range out {
		if out[i].Role == "user" {
			out[i].Content = text + "\n\n" + out[i].Content
			return out
		}
	}
	return append([]Message{{Role: "user", Content: text}}, out...)
}

// message is what a template sees of a message: only the keys it has.
func (t *Template) message(m *Message, s style) (jinja.Value, error) {
	d := jinja.NewDict().Set("role", m.Role)
	if s.typedContent {
		d.Set("content", jinja.NewList(jinja.NewDict().Set("type", "text").Set("text", m.Content)))
	} else {
		d.Set("content", m.Content)
	}
	if m.Reasoning != "" {
		for _, key := range t.thoughts {
			d.Set(key, m.Reasoning)
		}
	}
	if len(m.ToolCalls) > 0 {
		calls := make([]jinja.Value, 0, len(m.ToolCalls))
		for i := range m.ToolCalls {
			c, err := m.ToolCalls[i].value(s)
			if err != nil {
				return nil, fmt.Errorf("tool call %d: %w", i, err)
			}
			calls = append(calls, c)
		}
		d.Set("tool_calls", jinja.NewList(calls...))
	}
	if m.ToolCallID != "" {
		d.Set("tool_call_id", m.ToolCallID)
	}
	if m.Name != "" {
		d.Set("name", m.Name)
	}
	return d, nil
}

func (c *ToolCall) value(s style) (jinja.Value, error) {
	args, err := c.Function.arguments()
	if err != nil {
		return nil, err
	}
	if s.textArgs {
		if args, err = jinja.ToJSON(args); err != nil {
			return nil, err
		}
	}
	d := jinja.NewDict()
	if c.ID != "" {
		d.Set("id", c.ID)
	}
	return d.Set("type", "function").Set("function", jinja.NewDict().Set("name", c.Function.Name).Set("arguments", args)), nil
}

// arguments decodes the arguments to a mapping. None, or null, are an empty one.
func (f *FunctionCall) arguments() (jinja.Value, error) {
	v, err := fromText(f.Arguments)
	if s, ok := v.(string); ok && err == nil {
		v, err = fromText([]byte(s))
	}
	if err != nil {
		return nil, fmt.Errorf("the arguments of %q: %w", f.Name, err)
	}
	if v == jinja.None {
		return jinja.NewDict(), nil
	}
	if _, ok := v.(*jinja.Dict); !ok {
		return nil, errors.New("the arguments of a call must be a JSON object")
	}
	return v, nil
}

// fromText decodes JSON; a blank text is None.
func fromText(text []byte) (jinja.Value, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return jinja.None, nil
	}
	return jinja.FromJSON(text)
}
