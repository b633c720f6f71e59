package ledge

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/ledge-run/ledge/runtime/chat"
)

// Message is one turn of a conversation. Its JSON form is OpenAI's. Each has a role, and
// the last has Content, a Reasoning, calls of tools or the call that it answers; that of a
// tool may have none, and an empty content will do if JSON has it.
type Message struct {
	Role       string     `json:"role"` // system, user, assistant, tool
	Content    string     `json:"content"`
	Reasoning  string     `json:"reasoning_content,omitempty"` // what the assistant thought before
	ToolCalls  []ToolCall `json:"tool_calls,omitempty"`        // of the assistant
	ToolCallID string     `json:"tool_call_id,omitempty"`      // of a tool: the call it answers
	Name       string     `json:"name,omitempty"`              // of a tool or a speaker

	empty bool // it came from JSON that has an empty content, and so is meant
}

// ToolCall is a call of a function that the assistant asks for.
type ToolCall struct {
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type,omitempty"` // "function"
	Function FunctionCall `json:"function"`
}

// FunctionCall names a function and its arguments: a JSON object, or a JSON
// string that holds one; nothing, or null, is an empty one.
type FunctionCall struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
}

// UnmarshalJSON also accepts content that is null or a list of text parts.
func (m *Message) UnmarshalJSON(data []byte) error {
	var in chat.Message
	if err := json.Unmarshal(data, &in); err != nil {
		return wrap(err)
	}
	*m = Message{Role: in.Role, Content: in.Content, Reasoning: in.Reasoning, ToolCallID: in.ToolCallID, Name: in.Name}
	var has struct{ Content *json.RawMessage } // nil also for null
	m.empty = in.Content == "" && json.Unmarshal(data, &has) == nil && has.Content != nil
	for _, c := range in.ToolCalls {
		m.ToolCalls = append(m.ToolCalls, ToolCall{c.ID, c.Type, FunctionCall(c.Function)})
	}
	return nil
}

func (m Message) inner() chat.Message {
	out := chat.Message{Role: m.Role, Content: m.Content, Reasoning: m.Reasoning, ToolCallID: m.ToolCallID, Name: m.Name}
	for _, c := range m.ToolCalls {
		out.ToolCalls = append(out.ToolCalls, chat.ToolCall{ID: c.ID, Type: c.Type, Function: chat.FunctionCall(c.Function)})
	}
	return out
}

// Tools describes functions that the model may call, each a JSON object in
// OpenAI's form; for Session.Chat. What is none is refused everywhere.
func Tools(tools ...json.RawMessage) GenerateOption {
	tools = slices.Clone(tools)
	return set(func(g *generation) { g.render.Tools = tools })
}

// TemplateVars sets variables of the chat template, such as enable_thinking;
// for Session.Chat. Values are those that encoding/json gives.
func TemplateVars(vars map[string]any) GenerateOption {
	vars = maps.Clone(vars)
	return set(func(g *generation) { g.render.Extra = vars })
}

func (m *Model) chatPrompt(messages []Message, g *generation) ([]int32, error) {
	if err := checkMessages(messages); err != nil {
		return nil, err
	}
	inner := make([]chat.Message, len(messages))
	for i, k := range messages {
		inner[i] = k.inner()
	}
	return m.m.ChatPrompt(inner, g.render)
}

// ChatPrompt gives the tokens that [Session.Chat] would have the model read.
//
// Errors: [ErrClosed], [ErrEmptyPrompt] without a message, those of messages that are
// incomplete and of settings that are out of range, and those of the template.
func (m *Model) ChatPrompt(messages []Message, opts ...GenerateOption) ([]int32, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	g := newGeneration(opts)
	if err := g.check(m.info.Vocab); err != nil {
		return nil, wrap(err)
	}
	tokens, err := m.chatPrompt(messages, g)
	return tokens, wrap(err)
}
