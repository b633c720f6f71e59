package engine

import (
	"context"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/sched"
	"github.com/ledge-run/ledge/runtime/tokenizer"
)

const topCount = backend.TopCount

// Encode turns text into tokens. addSpecial adds what the model wants at the
// ends of a text (BOS, with some EOS), parseSpecial reads control tokens written in the text.
func (m *Model) Encode(text string, addSpecial, parseSpecial bool) []int32 {
	return m.Tokenizer.Encode(text, tokenizer.EncodeOptions{AddSpecial: addSpecial, ParseSpecial: parseSpecial})
}

// EncodePrompt turns text into the tokens of a prompt: as Encode with what the model
// wants before a text, but without what it wants after one. An end that is read is
// gone on from by another text, not by an answer. llama.cpp does not generate with a
// model that has add_eos_token (llama-completion ends with an assertion), but for its
// server, which has it read the end.
func (m *Model) EncodePrompt(text string, parseSpecial bool) []int32 {
	return m.Tokenizer.Encode(text, tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: parseSpecial, Open: true})
}

// Logits runs tokens as one sequence and gives each the rows of logits in
// order, in pieces: rows for tokens first, first+1, ...
func (m *Model) Logits(ctx context.Context, tokens []int32, each func(first int, logits []float32) error) error {
	st := m.sched.NewStream(nil)
	defer st.Discard()
	return st.RunAll(ctx, tokens, each)
}

// Feed runs tokens as one sequence and reads nothing: it is for a Tap.
func (m *Model) Feed(ctx context.Context, tokens []int32) error {
	st := m.sched.NewStream(nil)
	defer st.Discard()
	return st.Run(ctx, tokens, sched.Nothing)
}

// Embed gives the final hidden row, normed, of the last token.
func (m *Model) Embed(ctx context.Context, tokens []int32) ([]float32, error) {
	if err := m.checkText(tokens); err != nil {
		return nil, err
	}
	st := m.sched.NewStream(tokens)
	defer st.Discard()
	if err := st.Run(ctx, tokens[st.Len():], sched.Hidden); err != nil {
		return nil, err
	}
	return append([]float32(nil), st.Hidden...), nil
}
