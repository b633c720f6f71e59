// Package chat turns a conversation into the prompt a model was trained on, by
// rendering the model's own chat template.
//
// The template is a Jinja program found in the model file (GGUF key
// tokenizer.chat_template). It is hostile input: package
// [github.com/ledge-run/ledge/runtime/chat/jinja] renders it within a budget
// and refuses what exceeds it, with the reason.
//
// The variables given to a template are those of Hugging Face transformers:
// messages, tools and documents (None when there are none, or an empty list for
// a template that fails on None),
// add_generation_prompt, bos_token, eos_token, strftime_now, raise_exception.
// A rendered prompt carries its own special tokens: tokenize it with special
// tokens recognised and without adding a beginning-of-text token again.
package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ledge-run/ledge/runtime/chat/jinja"
)

// Limits bound what a template may use; zero fields take their defaults.
type Limits = jinja.Limits

// Options are what a template needs to know beyond a conversation.
type Options struct {
	BOS, EOS string           // texts of the beginning- and end-of-text tokens, empty if the model has none
	Now      func() time.Time // for templates that state the date; time.Now if nil
	Limits   Limits
}

// Template is a chat template ready to render. It is safe for concurrent use.
type Template struct {
	tmpl     *jinja.Template
	opts     Options
	caps     Capabilities
	style    style
	fallback bool
	thoughts []string // keys under which the template looks for a message's reasoning
}

// RenderOptions are the particulars of one rendering.
type RenderOptions struct {
	// Tools are function descriptions in OpenAI's form,
	// {"type":"function","function":{"name":...}}, or the inner object alone.
	// The order of their keys is kept.
	Tools []json.RawMessage
	// AddGenerationPrompt ends the prompt with the opening of the assistant's turn.
	AddGenerationPrompt bool
	// MergeSystem applies [MergeSystem] when the template does not support a
	// system message.
	MergeSystem bool
	// Extra are further variables, such as enable_thinking. They override others
	// of their name. Values are those encoding/json gives, or jinja values.
	Extra map[string]any
	// Text, if set, is applied to every text of the messages, Tools and Extra before
	// the template sees it, wherever it stands: in arguments, as the name of one.
	Text func(string) string
}

// texts applies Text.
func (o *RenderOptions) texts(v jinja.Value) jinja.Value {
	if o.Text == nil {
		return v
	}
	return jinja.MapTexts(v, o.Text)
}

// ErrNoTemplate says that a model has no chat template; [ChatML] is the usual
// stand-in.
var ErrNoTemplate = errors.New("the model has no chat template")

// New compiles a template and finds out what it supports by rendering a few
// short conversations. A template that exceeds a limit doing so is refused.
func New(source string, o Options) (*Template, error) {
	if strings.TrimSpace(source) == "" {
		return nil, ErrNoTemplate
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	tmpl, err := jinja.Compile(source, o.Limits)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	t := &Template{tmpl: tmpl, opts: o, thoughts: []string{"reasoning_content"}}
	if !strings.Contains(source, "reasoning_content") {
		for _, key := range []string{"reasoning", "thinking"} {
			if strings.Contains(source, "."+key) || strings.Contains(source, "'"+key+"'") || strings.Contains(source, `"`+key+`"`) {
				t.thoughts = append(t.thoughts, key)
			}
		}
	}
	if err := t.probe(); err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	return t, nil
}

const chatML = `{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}
`

// ChatML returns the ChatML template, to be used when a model has none; its
// [Template.Fallback] is true, so that users can be told.
func ChatML(o Options) (*Template, error) {
	t, err := New(chatML, o)
	if err != nil {
		return nil, err
	}
	t.fallback = true
	return t, nil
}

// Fallback reports whether the template is a stand-in and not the model's own.
func (t *Template) Fallback() bool { return t.fallback }

// Source returns the text of the template.
func (t *Template) Source() string { return t.tmpl.Source() }

// Render returns the prompt of a conversation. A template that refuses the
// conversation gives a [jinja.RaisedError], one that exceeds a limit a
// [jinja.LimitError].
func (t *Template) Render(messages []Message, o RenderOptions) (string, error) {
	if o.MergeSystem && !t.caps.System {
		messages = MergeSystem(messages)
	}
	vars, err := t.variables(messages, o, t.style)
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	out, err := t.tmpl.Render(vars)
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	return out, nil
}

// style is the form in which a template wants messages.
type style struct {
	typedContent bool // content is [{"type":"text","text":...}], not a text
	textArgs     bool // arguments of tool calls are JSON text, not a mapping
	emptyLists   bool // no tools or documents are empty lists, not None
}

// variables builds what the template sees, in the order transformers uses.
func (t *Template) variables(messages []Message, o RenderOptions, s style) (*jinja.Dict, error) {
	list := make([]jinja.Value, 0, len(messages))
	for i := range messages {
		m, err := t.message(&messages[i], s)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
		list = append(list, o.texts(m))
	}
	vars := jinja.NewDict().Set("messages", jinja.NewList(list...))
	var none jinja.Value = jinja.None
	if s.emptyLists {
		none = jinja.NewList()
	}
	tools := none
	if len(o.Tools) > 0 {
		list = make([]jinja.Value, 0, len(o.Tools))
		for i, raw := range o.Tools {
			v, err := tool(raw)
			if err != nil {
				return nil, fmt.Errorf("tool %d: %w", i, err)
			}
			list = append(list, o.texts(v))
		}
		tools = jinja.NewList(list...)
	}
	vars.Set("tools", tools).Set("documents", none).
		Set("add_generation_prompt", o.AddGenerationPrompt).
		Set("bos_token", t.opts.BOS).Set("eos_token", t.opts.EOS).
		Set("strftime_now", jinja.NewFunc("strftime_now", t.strftimeNow))
	for name, x := range o.Extra {
		v, err := jinja.FromGo(x)
		if err != nil {
			return nil, fmt.Errorf("variable %q: %w", name, err)
		}
		vars.Set(name, o.texts(v))
	}
	return vars, nil
}

func (t *Template) strftimeNow(args ...jinja.Value) (jinja.Value, error) {
	if len(args) == 1 {
		if format, ok := args[0].(string); ok {
			return strftime(t.opts.Now(), format)
		}
	}
	return nil, errors.New("strftime_now() takes one text, the format")
}

// CheckTools refuses descriptions of tools that are none.
func CheckTools(tools []json.RawMessage) error {
	for i, raw := range tools {
		if _, err := tool(raw); err != nil {
			return fmt.Errorf("tool %d: %w", i, err)
		}
	}
	return nil
}

// tool decodes a function description, adding OpenAI's wrapping if it lacks.
func tool(raw json.RawMessage) (jinja.Value, error) {
	v, err := jinja.FromJSON(raw)
	if err != nil {
		return nil, err
	}
	d, ok := v.(*jinja.Dict)
	if !ok {
		return nil, errors.New("a tool must be a JSON object")
	}
	_, wrapped := d.Get("function")
	_, named := d.Get("name")
	switch {
	case wrapped:
		return d, nil
	case named:
		return jinja.NewDict().Set("type", "function").Set("function", d), nil
	}
	return nil, errors.New(`a tool must have a "function" or a "name"`)
}
