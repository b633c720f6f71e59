package chat

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/chat/jinja"
)

func mustNew(t *testing.T, source string) *Template {
	t.Helper()
	tmpl, err := New(source, Options{BOS: "<s>", EOS: "</s>", Now: goldenNow})
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func render(t *testing.T, tmpl *Template, o RenderOptions, messages ...Message) string {
	t.Helper()
	out, err := tmpl.Render(messages, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestChatML(t *testing.T) {
	tmpl, err := ChatML(Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := render(t, tmpl, RenderOptions{AddGenerationPrompt: true}, Message{Role: "system", Content: "S"}, Message{Role: "user", Content: "U"})
	want := "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !tmpl.Fallback() || !tmpl.SupportsSystem() || tmpl.SupportsTools() {
		t.Errorf("fallback %v, %+v", tmpl.Fallback(), tmpl.Capabilities())
	}
	if _, err := New(" \n", Options{}); !errors.Is(err, ErrNoTemplate) {
		t.Errorf("an empty template gives %v", err)
	}
}

const noSystem = `{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}`

func TestMergeSystem(t *testing.T) {
	tmpl := mustNew(t, noSystem)
	if tmpl.SupportsSystem() {
		t.Fatal("the template is said to support a system message")
	}
	conversation := []Message{{Role: "system", Content: "Be kind."}, {Role: "user", Content: "Hi"}, {Role: "assistant", Content: "Yes?"}}
	var raised *jinja.RaisedError
	if _, err := tmpl.Render(conversation, RenderOptions{}); !errors.As(err, &raised) || raised.Message != "no system role" {
		t.Errorf("got %v, want the template's refusal", err)
	}
	if got, want := render(t, tmpl, RenderOptions{MergeSystem: true}, conversation...), "[user]Be kind.\n\nHi[assistant]Yes?"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if conversation[1].Content != "Hi" {
		t.Error("the caller's messages were changed")
	}
	for _, c := range []struct{ in, want []Message }{
		{[]Message{{Role: "system", Content: "A"}, {Role: "developer", Content: "B"}}, []Message{{Role: "user", Content: "A\n\nB"}}},
		{[]Message{{Role: "system"}, {Role: "user", Content: "x"}}, []Message{{Role: "user", Content: "x"}}},
		{nil, nil},
	} {
		if got := MergeSystem(c.in); !reflect.DeepEqual(got, c.want) {
			t.Errorf("MergeSystem(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

func TestCapabilities(t *testing.T) {
	loop := `{% for m in messages %}{{ m.role }}:`
	for _, c := range []struct {
		name, source string
		want         Capabilities
	}{
		{"plain", loop + `{{ m.content }};{% endfor %}`, Capabilities{System: true}},
		{"tools", `{{ tools | tojson }}` + loop + `{{ m.content }};{% endfor %}`, Capabilities{System: true, Tools: true}},
		{"tools needed", `{% for t in tools %}{{ t.function.name }}{% endfor %}` + loop + `{{ m.content }};{% endfor %}`, Capabilities{System: true, Tools: true}},
		{"calls", loop + `{{ m.content }}{% for c in m.tool_calls %}{{ c.function.name }}{% for k, v in c.function.arguments.items() %}{{ k }}{{ v }}{% endfor %}{% endfor %};{% endfor %}`, Capabilities{System: true, ToolCalls: true}},
		{"text arguments", loop + `{{ m.content }}{% for c in m.tool_calls %}{{ c.function.name + c.function.arguments }}{% endfor %};{% endfor %}`, Capabilities{System: true, ToolCalls: true, TextArgs: true}},
		{"typed content", loop + `{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %};{% endfor %}`, Capabilities{System: true, TypedContent: true}},
		{"no system", noSystem, Capabilities{}},
		{"nothing", `hello`, Capabilities{}},
	} {
		tmpl := mustNew(t, c.source)
		if got := tmpl.Capabilities(); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if _, err := tmpl.Render(modeCalls[1:2], RenderOptions{AddGenerationPrompt: true}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestRenderVariables(t *testing.T) {
	tmpl := mustNew(t, `{{ bos_token }}{{ eos_token }}|{{ strftime_now('%d %b %Y') }}|{{ tools | tojson }}|{{ enable_thinking }}|{{ x }}|{{ messages | tojson }}`)
	got := render(t, tmpl, RenderOptions{
		Tools: rawTools(`{"name":"f","description":"d","parameters":{"z":1,"a":2}}`, `{"type":"function","function":{"name":"g"}}`),
		Extra: map[string]any{"enable_thinking": true, "x": map[string]any{"b": []any{1.5, nil}, "a": 2}},
	}, Message{Role: "assistant", Content: "c", Reasoning: "r", Name: "n", ToolCallID: "i", ToolCalls: []ToolCall{{ID: "1", Function: FunctionCall{Name: "f", Arguments: json.RawMessage(`"{\"k\": 1}"`)}}}})
	want := `<s></s>|05 Mar 2026|[{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"z": 1, "a": 2}}}, {"type": "function", "function": {"name": "g"}}]|True|{'a': 2, 'b': [1.5, None]}|` +
		`[{"role": "assistant", "content": "c", "reasoning_content": "r", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": {"k": 1}}}], "tool_call_id": "i", "name": "n"}]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	thinking := mustNew(t, `{% for m in messages %}{{ m.thinking }}{{ m.content }}{% endfor %}`)
	if got := render(t, thinking, RenderOptions{}, Message{Role: "assistant", Content: "c", Reasoning: "r"}); got != "rc" {
		t.Errorf("got %q, want the reasoning before the content", got)
	}
}

func TestRenderRefusals(t *testing.T) {
	tmpl := mustNew(t, `{{ messages | length }}`)
	call := func(args string) []Message {
		return []Message{{Role: "assistant", ToolCalls: []ToolCall{{Function: FunctionCall{Name: "f", Arguments: json.RawMessage(args)}}}}}
	}
	for _, c := range []struct {
		reason   string
		messages []Message
		o        RenderOptions
	}{
		{"message 0: tool call 0", call(`[1]`), RenderOptions{}},
		{"message 0: tool call 0", call(`"nonsense"`), RenderOptions{}},
		{"tool 0", nil, RenderOptions{Tools: rawTools(`[]`)}},
		{"tool 0", nil, RenderOptions{Tools: rawTools(`{}`)}},
		{"tool 0", nil, RenderOptions{Tools: rawTools(`{`)}},
		{`variable "f"`, nil, RenderOptions{Extra: map[string]any{"f": func() {}}}},
	} {
		if _, err := tmpl.Render(c.messages, c.o); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("got %v, want an error about %s", err, c.reason)
		}
	}
	for _, source := range []string{`{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}`, `{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}`} {
		var limit *jinja.LimitError
		if _, err := New(source, Options{}); !errors.As(err, &limit) {
			t.Errorf("New of a hostile template gives %v, want a LimitError", err)
		}
	}
	if _, err := New(`{% if %}`, Options{}); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("New of a broken template gives %v, want the line", err)
	}
}

// TestNoArguments: a call without arguments has none in every way of saying so.
func TestNoArguments(t *testing.T) {
	tmpl := mustNew(t, `{% for m in messages %}{% for c in m.tool_calls %}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}`)
	for _, args := range []string{``, ` `, `null`, `{}`, `""`, `" "`, `"null"`, `"{}"`} {
		call := ToolCall{Function: FunctionCall{Name: "f", Arguments: json.RawMessage(args)}}
		if got := render(t, tmpl, RenderOptions{}, Message{Role: "assistant", ToolCalls: []ToolCall{call}}); got != "{}" {
			t.Errorf("%q gives %s", args, got)
		}
	}
	out, err := json.Marshal(Message{Role: "assistant", ToolCalls: []ToolCall{{Function: FunctionCall{Name: "f"}}}})
	if want := `{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f"}}]}`; err != nil || string(out) != want {
		t.Errorf("marshalled: %s, %v", out, err)
	}
}

func TestMessageJSON(t *testing.T) {
	for in, want := range map[string]Message{
		`{"role":"user","content":"a"}`:       {Role: "user", Content: "a"},
		`{"role":"assistant","content":null}`: {Role: "assistant"},
		`{"role":"assistant"}`:                {Role: "assistant"},
		`{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`: {Role: "user", Content: "ab"},
		`{"role":"assistant","content":"","reasoning_content":"r","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]}`: {
			Role: "assistant", Reasoning: "r", ToolCalls: []ToolCall{{ID: "1", Type: "function", Function: FunctionCall{Name: "f", Arguments: json.RawMessage(`"{}"`)}}}},
	} {
		var got Message
		if err := json.Unmarshal([]byte(in), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		`{"content":[{"type":"image_url"}]}`:           `a message holds a part of type "image_url": only text is supported`,
		`{"content":5}`:                                "content is a number, and must be a string or an array of text parts",
		`{"content":{}}`:                               "content is an object, and must be a string or an array of text parts",
		`{"content":true}`:                             "content is a bool, and must be a string or an array of text parts",
		`{"content":["a"]}`:                            "a part of content: it is a string, and must be an object",
		`{"content":[{"type":"text","text":[]}]}`:      "a part of content: text is an array, and must be a string",
		`{"role":1}`:                                   "role is a number, and must be a string",
		`{"role":"a","tool_calls":{}}`:                 "tool_calls is an object, and must be an array",
		`{"role":"a","tool_calls":[{"function":"f"}]}`: "tool_calls.function is a string, and must be an object",
		`[]`: "it is an array, and must be an object",
	} {
		var m Message
		if err := json.Unmarshal([]byte(in), &m); err == nil || err.Error() != want {
			t.Errorf("%s: %v, not %q", in, err, want)
		}
	}
}

func TestStrftime(t *testing.T) {
	at := time.Date(2024, 12, 30, 0, 5, 9, 123456000, time.UTC)
	for format, want := range map[string]string{
		"%d %b %Y": "30 Dec 2024", "%-d/%-m": "30/12", "%I:%M %p": "12:05 AM", "%-M": "5", "%H": "00", "%-H": "0",
		"%j %u %w %V %G": "365 1 1 01 2025", "%f": "123456", "%e|": "30|", "%%": "%", "%Z%z": "", "": "",
	} {
		if got, err := strftime(at, format); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", format, got, err, want)
		}
	}
	for _, format := range []string{"%", "%-", "%Q", strings.Repeat("x", 2000)} {
		if got, err := strftime(at, format); err == nil {
			t.Errorf("%q: got %q, want an error", format, got)
		}
	}
}

// TestConcurrent renders one template from several goroutines.
func TestConcurrent(t *testing.T) {
	tmpl := mustNew(t, `{% set ns = namespace(s='') %}{% for m in messages %}{% set ns.s = ns.s ~ m.content %}{% endfor %}{{ ns.s }}`)
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 50 {
				if out, err := tmpl.Render(modeMulti, RenderOptions{}); err != nil || !strings.HasSuffix(out, "Thanks!") {
					t.Errorf("got %q, %v", out, err)
				}
			}
		}()
	}
	wg.Wait()
}

// TestLongConversation renders what a long chat costs: budgets grow with it.
func TestLongConversation(t *testing.T) {
	var messages []Message
	for range 500 {
		messages = append(messages, Message{Role: "user", Content: strings.Repeat("word ", 200)}, Message{Role: "assistant", Content: strings.Repeat("text\n", 200)})
	}
	// For every message, a look at all others, and the text cut up.
	tmpl := mustNew(t, `{% for m in messages %}{% set ns = namespace(last=0) %}{% for n in messages %}{% if n.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{{ m.content.split('</think>')[-1].strip('\n') }}{% endfor %}`)
	if out := render(t, tmpl, RenderOptions{}, messages...); len(out) < 900_000 {
		t.Errorf("got %d bytes", len(out))
	}
}

// FuzzConversation renders arbitrary conversations with templates that look at
// all of a message.
func FuzzConversation(f *testing.F) {
	for _, m := range modes {
		data, err := json.Marshal(m.messages)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "get_weather")
	}
	f.Add([]byte(`[{"role":"user","content":[{"type":"text","text":"\ud800"}]}]`), `"`)
	var templates []*Template
	for _, source := range []string{chatML, `{{ messages | tojson(indent=2) }}{{ messages }}{{ tools }}`, noSystem} {
		tmpl, err := New(source, Options{Now: goldenNow})
		if err != nil {
			f.Fatal(err)
		}
		templates = append(templates, tmpl)
	}
	f.Fuzz(func(t *testing.T, data []byte, tool string) {
		var messages []Message
		if json.Unmarshal(data, &messages) != nil {
			return
		}
		for _, tmpl := range templates {
			_, err := tmpl.Render(messages, RenderOptions{Tools: rawTools(tool), MergeSystem: true})
			if err != nil && strings.Contains(err.Error(), "internal error") {
				t.Fatal(err)
			}
		}
	})
}
