package engine

import (
	"context"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/chat"
	"github.com/ledge-run/ledge/runtime/sched"
	"github.com/ledge-run/ledge/runtime/tokenizer"
)

const topCount = backend.TopCount

// Encode turns text into tokens. addSpecial adds what the model wants at the
// ends (BOS), parseSpecial reads control tokens written in the text.
func (m *Model) Encode(text string, addSpecial, parseSpecial bool) []int32 {
	return m.Tokenizer.Encode(text, tokenizer.EncodeOptions{AddSpecial: addSpecial, ParseSpecial: parseSpecial})
}

// ChatPrompt renders messages with the model's template and returns the tokens
// of the prompt. A system message that the template cannot hold goes into the
// first user message.
func (m *Model) ChatPrompt(messages []chat.Message, o chat.RenderOptions) ([]int32, error) {
	t, err := m.Chat()
	if err != nil {
		return nil, err
	}
	if !t.SupportsSystem() {
		messages = chat.MergeSystem(messages)
	}
	text, err := t.Render(messages, o)
	if err != nil {
		return nil, err
	}
	ids := m.Encode(text, true, true)
	// Most templates write the BOS token themselves; it must not come twice.
	if n := m.Tokenizer.BOS(); len(ids) > 1 && n >= 0 && ids[0] == n && ids[1] == n {
		ids = ids[1:]
	}
	return ids, nil
}

// Logits runs tokens as one sequence and gives each the rows of logits in
// order, in pieces: rows for tokens first, first+1, ...
func (m *Model) Logits(ctx context.Context, tokens []int32, each func(first int, logits []float32) error) error {
	st := m.sched.NewStream(nil)
	defer st.Discard()
	return st.RunAll(ctx, tokens, each)
}

// Embed gives the final hidden row, normed, of the last token.
func (m *Model) Embed(ctx context.Context, tokens []int32) ([]float32, error) {
	if err := m.CheckPrompt(tokens); err != nil {
		return nil, err
	}
	st := m.sched.NewStream(tokens)
	defer st.Discard()
	if err := st.Run(ctx, tokens[st.Len():], sched.Hidden); err != nil {
		return nil, err
	}
	return append([]float32(nil), st.Hidden...), nil
}
