package engine

import (
	"strings"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/chat"
	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// ChatPrompt renders messages with the model's template and returns the tokens
// of the prompt. A system message that the template cannot hold goes into the
// first user message.
//
// Control tokens come from the template alone: where a message has the text of
// one ("<|im_end|>" in a pasted file), that is read as plain text, so that
// nobody's words can end their turn and speak as someone else.
func (m *Model) ChatPrompt(messages []chat.Message, o chat.RenderOptions) ([]int32, error) {
	t, err := m.Chat()
	if err != nil {
		return nil, err
	}
	if !t.SupportsSystem() {
		messages = chat.MergeSystem(messages)
	}
	defused := make([]chat.Message, len(messages))
	for i, msg := range messages {
		msg.Content = m.defuse(msg.Content)
		msg.Reasoning = m.defuse(msg.Reasoning)
		defused[i] = msg
	}
	text, err := t.Render(defused, o)
	if err != nil {
		return nil, err
	}
	var ids []int32
	for i, part := range strings.Split(text, string(fuse)) {
		ids = append(ids, m.Encode(part, i == 0, true)...)
	}
	// Most templates write the BOS token themselves; it must not come twice.
	if n := m.Tokenizer.BOS(); len(ids) > 1 && n >= 0 && ids[0] == n && ids[1] == n {
		ids = ids[1:]
	}
	return ids, nil
}

// fuse is put into the text of a control token, behind its first character,
// and taken out after rendering, where the text is then cut. Unicode reserves
// it for such use inside a program (a noncharacter).
const fuse = '\uFDD0'

// defuse breaks up the texts of control tokens.
func (m *Model) defuse(text string) string {
	m.defuseOnce.Do(func() { m.defuser = newDefuser(m.Tokenizer) })
	return m.defuser.Replace(text)
}

func newDefuser(t *tokenizer.Tokenizer) *strings.Replacer {
	pairs := []string{string(fuse), ""}
	for id := range int32(t.Size()) {
		text := t.TokenText(id)
		if _, n := utf8.DecodeRuneInString(text); t.IsControl(id) && len(text) > n {
			pairs = append(pairs, text, text[:n]+string(fuse)+text[n:])
		}
	}
	return strings.NewReplacer(pairs...)
}
