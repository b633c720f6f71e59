package engine

import (
	"strings"
	"unicode/utf8"

	"github.com/ledge-run/ledge/runtime/chat"
	"github.com/ledge-run/ledge/runtime/chat/jinja"
	"github.com/ledge-run/ledge/runtime/tokenizer"
)

// ChatPrompt renders messages with the model's template and returns the tokens
// of the prompt. A system message that the template cannot hold goes into the
// first user message.
//
// Control tokens come from the template alone: where a message has the text of
// one ("<|im_end|>" in a pasted file), that is read as plain text, so that
// nobody's words can end their turn and speak as someone else. It is so with all
// that a caller gives: calls of tools and their names, descriptions of tools,
// variables.
func (m *Model) ChatPrompt(messages []chat.Message, o chat.RenderOptions) ([]int32, error) {
	t, err := m.Chat()
	if err != nil {
		return nil, err
	}
	if !t.SupportsSystem() {
		messages = chat.MergeSystem(messages)
	}
	o.Text = m.defuse
	text, err := t.Render(messages, o)
	if err != nil {
		return nil, err
	}
	var ids []int32
	for i, part := range strings.Split(text, string(fuse)) {
		ids = append(ids, m.Tokenizer.Encode(part, tokenizer.EncodeOptions{AddSpecial: i == 0, ParseSpecial: true, Continues: i > 0, Open: true})...)
	}
	// Most templates write the BOS token themselves; it must not come twice.
	if n := m.Tokenizer.BOS(); len(ids) > 1 && n >= 0 && ids[0] == n && ids[1] == n {
		ids = ids[1:]
	}
	return ids, nil
}

// fuse is put into the text of a control token, behind its first character,
// and taken out after rendering, where the text is then cut.
const fuse = jinja.Mark

// defuse puts a fuse into the text of every control token, also where two overlap. Those
// that are there go first: without them, the text around may be that of a token.
func (m *Model) defuse(text string) string {
	text = strings.ReplaceAll(text, string(fuse), "")
	var b strings.Builder
	from := 0
	for i := range len(text) {
		if i < from || !m.Tokenizer.ControlAt(text[i:]) {
			continue
		}
		_, n := utf8.DecodeRuneInString(text[i:])
		b.WriteString(text[from : i+n])
		b.WriteRune(fuse)
		from = i + n
	}
	if from == 0 {
		return text
	}
	return b.String() + text[from:]
}
