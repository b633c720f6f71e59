package chat

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/ledge-run/ledge/runtime/chat/jinja"
)

// Capabilities say what a template makes of a conversation, found by rendering.
type Capabilities struct {
	System       bool // a system message reaches the prompt
	Tools        bool // descriptions of tools reach the prompt
	ToolCalls    bool // calls of tools and their results reach the prompt
	TypedContent bool // content is given as a list of parts, for the template ignores a text
	TextArgs     bool // arguments of tool calls are given as JSON text, for the template wants no mapping
}

// Capabilities returns what the template supports.
func (t *Template) Capabilities() Capabilities { return t.caps }

// SupportsSystem reports whether a system message reaches the prompt; when not,
// [MergeSystem] is the way.
func (t *Template) SupportsSystem() bool { return t.caps.System }

// SupportsTools reports whether descriptions of tools reach the prompt.
func (t *Template) SupportsTools() bool { return t.caps.Tools }

// Words that no template contains.
const (
	probeUser   = "qzuserqz"
	probeSystem = "qzsystemqz"
	probeTool   = "qztoolqz"
	probeArg    = "qzargqz"
	probeValue  = "qzvalueqz"
	probeResult = "qzresultqz"
)

// probe fills caps. It fails only if the template exceeds a limit.
func (t *Template) probe() error {
	var limit error
	shows := func(s style, messages []Message, tools []json.RawMessage, words ...string) bool {
		vars, err := t.variables(messages, RenderOptions{Tools: tools, AddGenerationPrompt: true}, s)
		if err != nil || limit != nil {
			return false
		}
		out, err := t.tmpl.Render(vars)
		if err != nil {
			var l *jinja.LimitError
			if errors.As(err, &l) {
				limit = err
			}
			return false
		}
		for _, w := range words {
			if !strings.Contains(out, w) {
				return false
			}
		}
		return true
	}
	user := Message{Role: "user", Content: probeUser}
	plain := []Message{user}
	withSystem := []Message{{Role: "system", Content: probeSystem}, user}
	s := style{}
	for _, try := range []style{{}, {typedContent: true}, {emptyLists: true}, {typedContent: true, emptyLists: true}} {
		if shows(try, plain, nil, probeUser) {
			s = try
			break
		}
	}
	t.caps.System = shows(s, withSystem, nil, probeSystem)

	tools := []json.RawMessage{json.RawMessage(`{"type":"function","function":{"name":"` + probeTool + `","description":"A tool.","parameters":{"type":"object","properties":{"` + probeArg + `":{"type":"string","description":"An argument."}},"required":["` + probeArg + `"]}}}`)}
	t.caps.Tools = shows(s, plain, tools, probeTool) || shows(s, withSystem, tools, probeTool)

	calls := []Message{
		user,
		{Role: "assistant", ToolCalls: []ToolCall{{ID: "call00001", Function: FunctionCall{Name: probeTool, Arguments: json.RawMessage(`{"` + probeArg + `":"` + probeValue + `"}`)}}}},
		{Role: "tool", Name: probeTool, ToolCallID: "call00001", Content: probeResult},
	}
	words := []string{probeTool, probeArg, probeValue, probeResult}
	t.caps.ToolCalls = shows(s, calls, tools, words...)
	if !t.caps.ToolCalls {
		s.textArgs = true
		t.caps.ToolCalls = shows(s, calls, tools, words...)
		s.textArgs = t.caps.ToolCalls
	}
	t.style, t.caps.TypedContent, t.caps.TextArgs = s, s.typedContent, s.textArgs
	return limit
}
