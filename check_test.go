package ledge_test

import (
	"encoding/json"
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
		{ledge.WithBatch(1 << 40), "batch is 1099511627776: 0 is 512 tokens, 65536 are the most"},
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
