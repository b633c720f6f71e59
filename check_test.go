package ledge_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledge-run/ledge"
)

// TestOptionsOutOfRange: Open and Devices refuse the same.
func TestOptionsOutOfRange(t *testing.T) {
	path := tinyModel()
	defer os.RemoveAll(filepath.Dir(path))
	for _, c := range []struct {
		opt ledge.Option
		say string
	}{
		{ledge.WithGPULayers(-2), "gpu_layers is -2: -1 is as many as fit"},
		{ledge.WithThreads(1_000_000), "threads is 1000000: 0 is one for each fast core, 1024 are the most"},
		{ledge.WithThreads(-2), "negative"},
		{ledge.WithBatch(1 << 30), "batch is 1073741824: 0 is 512 tokens, 65536 are the most"},
		{ledge.WithBatch(-1), "negative"},
		{ledge.WithLimits(ledge.Limits{MaxWatts: -1}), "max_watts is -1"},
		{ledge.WithLimits(ledge.Limits{MaxCelsius: math.NaN()}), "max_celsius NaN"},
		{ledge.WithCacheType("f17"), "f17"},
	} {
		m, err := ledge.Open(ctx, path, c.opt)
		if err == nil || m != nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("Open gives %v, want an error about %q", err, c.say)
		}
		if _, err := ledge.Devices(ctx, c.opt); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("Devices gives %v, want an error about %q", err, c.say)
		}
	}
}

// TestSettingsOutOfRange: whatever is asked refuses the same, and the session goes on.
func TestSettingsOutOfRange(t *testing.T) {
	m := open(t)
	s := m.NewSession()
	defer s.Close()
	hi := []ledge.Message{{Role: "user", Content: "Hi!"}}
	for _, c := range []struct {
		opt ledge.GenerateOption
		say string
	}{
		{ledge.MaxTokens(-1), "max_tokens is -1: 0 is no limit"},
		{ledge.TopK(-1), "top_k is -1: 0 is off"},
		{ledge.Logprobs(-2), "logprobs is -2: -1 is none, and the model has 263 tokens"},
		{ledge.Logprobs(264), "logprobs is 264: -1 is none"},
		{ledge.Stop("a", ""), "stop[1] is empty"},
		{ledge.Constrain(nil), "the constraint is nil"},
		{ledge.Tools(json.RawMessage("{")), "tool 0: "},
		{ledge.Tools(json.RawMessage(`{"name":"f"}`), json.RawMessage("1")), "tool 1: a tool must be a JSON object"},
		{ledge.JSONSchema([]byte("{")), "JSON"},
	} {
		_, _, err := generate(s, "abc", c.opt)
		_, prompt := m.ChatPrompt(hi, c.opt)
		for name, err := range map[string]error{"Generate": err, "Chat": last(s.Chat(ctx, hi, c.opt)), "ChatPrompt": prompt} {
			if err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("%s gives %v, want an error about %q", name, err, c.say)
			}
		}
		if r := s.Usage().Reason; r != ledge.ReasonError {
			t.Errorf("%s: the reason is %q", c.say, r)
		}
	}
	edge := []ledge.GenerateOption{ledge.MaxTokens(1), ledge.TopK(0), ledge.Logprobs(263), ledge.Stop()}
	if _, ids, err := generate(s, "abc", edge...); err != nil || len(ids) != 1 {
		t.Error(ids, err)
	}
}

// TestIncompleteMessages: a conversation in which there is nothing to answer is refused.
func TestIncompleteMessages(t *testing.T) {
	m := open(t)
	s := m.NewSession()
	defer s.Close()
	parsed := func(text string) (c ledge.Message) {
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Error(err)
		}
		return c
	}
	hi := ledge.Message{Role: "user", Content: "Hi!"}
	call := ledge.ToolCall{ID: "1", Type: "function", Function: ledge.FunctionCall{Name: "f"}}
	const noRole, noContent = "there is no role: system, user", "there is no content, nor a call of a tool"
	for _, c := range []struct {
		name     string
		messages []ledge.Message
		say      string
	}{
		{"nil", nil, "there is nothing to answer"},
		{"none", []ledge.Message{}, "there is nothing to answer"},
		{"zero", []ledge.Message{{}}, "messages[0]: " + noRole},
		{"no role", []ledge.Message{hi, {Content: "Hi!"}}, "messages[1]: " + noRole},
		{"no role before", []ledge.Message{{Content: "Hi!"}, hi}, "messages[0]: " + noRole},
		{"no content", []ledge.Message{hi, {Role: "user"}}, "messages[1]: " + noContent},
		{"null", []ledge.Message{parsed(`{"role":"user","content":null}`)}, "messages[0]: " + noContent},
		{"absent", []ledge.Message{parsed(`{"role":"user"}`)}, "messages[0]: " + noContent},
		{"meant", []ledge.Message{parsed(`{"role":"user","content":""}`)}, ""},
		{"no parts", []ledge.Message{parsed(`{"role":"user","content":[]}`)}, ""},
		{"no content before", []ledge.Message{{Role: "assistant"}, hi}, ""},
		{"a call", []ledge.Message{hi, {Role: "assistant", ToolCalls: []ledge.ToolCall{call}}}, ""},
		{"what a tool gives", []ledge.Message{hi, {Role: "assistant", ToolCalls: []ledge.ToolCall{call}}, {Role: "tool", ToolCallID: "1"}}, ""},
		{"nothing that a tool gives", []ledge.Message{hi, {Role: "assistant", ToolCalls: []ledge.ToolCall{call}}, {Role: "tool"}}, ""},
	} {
		_, err := m.ChatPrompt(c.messages)
		for what, err := range map[string]error{"ChatPrompt": err, "Chat": last(s.Chat(ctx, c.messages, ledge.MaxTokens(1)))} {
			if (err == nil) != (c.say == "") || err != nil && !strings.Contains(err.Error(), c.say) || errors.Is(err, ledge.ErrEmptyPrompt) != (len(c.messages) == 0) {
				t.Errorf("%s, %s: %v, want %q", c.name, what, err, c.say)
			}
		}
	}
}
