package ledge

import (
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/runtime/chat"
)

// What options may be at most: more is a mistake.
const (
	maxThreads = 1024
	maxBatch   = 1 << 16
)

// argumentError is an option or a message that cannot be. libledge, which has it from
// here, knows it by its method.
type argumentError struct{ text string }

func (e *argumentError) Error() string { return e.text }

// Argument says that the caller's argument is wrong.
func (e *argumentError) Argument() {}

func argument(format string, args ...any) error {
	return &argumentError{fmt.Sprintf(format, args...)}
}

// check refuses options that are out of range. Those that depend on the model are the
// engine's to refuse. The names are those of ledge.h.
func (c *config) check() error {
	layers := c.o.GPULayers
	switch {
	case c.err != nil:
		return c.err
	case layers != nil && *layers < -1:
		return argument("gpu_layers is %d: -1 is as many as fit", *layers)
	case c.o.Threads < 0 || c.o.Batch < 0:
		return fmt.Errorf("threads %d, batch %d: none may be negative", c.o.Threads, c.o.Batch)
	case c.o.Threads > maxThreads:
		return fmt.Errorf("threads is %d: 0 is one for each fast core, %d are the most", c.o.Threads, maxThreads)
	case c.o.Batch > maxBatch:
		return fmt.Errorf("batch is %d: 0 is 512 tokens, %d are the most", c.o.Batch, maxBatch)
	}
	if l := c.limits; !(l.Watts >= 0 && l.Celsius >= 0 && l.BatteryFloor >= 0) {
		return argument("max_watts is %g, max_celsius %g, battery_floor %g: 0 is no limit", l.Watts, l.Celsius, l.BatteryFloor)
	}
	return nil
}

// check refuses settings that are out of range for a model with vocab tokens. Those of
// the sampler it refuses itself, by the same names.
func (g *generation) check(vocab int) error {
	switch {
	case g.err != nil:
		return g.err
	case g.set.MaxTokens < 0:
		return argument("max_tokens is %d: 0 is no limit", g.set.MaxTokens)
	case g.set.Sampler.TopK < 0:
		return argument("top_k is %d: 0 is off", g.set.Sampler.TopK)
	case g.logprobs < -1 || g.logprobs > vocab:
		return argument("logprobs is %d: -1 is none, and the model has %d tokens", g.logprobs, vocab)
	}
	for i, text := range g.set.Stop {
		if text == "" {
			return argument("stop[%d] is empty: leave it out, or give a text that ends the generation", i)
		}
	}
	if g.set.Grammar != nil && len(g.set.Stop) > 0 {
		return argument("a JSON schema and a stop text exclude each other: the JSON would not be whole")
	}
	return chat.CheckTools(g.render.Tools)
}

// errNoMessages reports a conversation without a message.
var errNoMessages error = &kindError{ErrEmptyPrompt, errors.New("messages: there are none, and so there is nothing to answer")}

// checkMessages refuses a conversation in which there is nothing to answer.
func checkMessages(messages []Message) error {
	for i, m := range messages {
		if m.Role == "" {
			return argument("messages[%d]: there is no role: system, user, assistant, tool or another that the model's template has", i)
		}
	}
	n := len(messages)
	if n == 0 {
		return errNoMessages
	}
	// Older ones may be without content: conversations that others have kept have such answers.
	if !messages[n-1].says() {
		return argument("messages[%d]: there is no content, nor a call of a tool", n-1)
	}
	return nil
}

// says reports whether a message says anything. What a tool gives may be nothing.
func (m *Message) says() bool {
	return m.Content != "" || m.empty || m.Reasoning != "" || len(m.ToolCalls) > 0 || m.ToolCallID != "" || m.Role == "tool"
}
