package feed

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/ledge-run/ledge/runtime/tokenizer"
	"github.com/ledge-run/ledge/runtime/train/template"
)

// example is what is trained on at once: its tokens, each after the first a label of
// the one before, and how many at its beginning are its prompt.
type example struct {
	tokens []int32
	prompt int
}

// encoder turns records into examples.
type encoder struct {
	t        *tokenizer.Tokenizer
	head     []piece // of the template: before the completion
	tail     []piece // after it
	bos, eos []int32
	context  int
	long     string
}

// piece is a part of a template: text, a token that is no text, or the prompt.
type piece struct {
	text   string
	token  int32 // -1 for none
	prompt bool
	trim   bool // the prompt without white space around it
}

// trimmed is a text without white space around it: what Python's strip removes, and so the templates' trim.
func trimmed(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}

// newEncoder reads the template; special tokens in it, as <|im_start|>, are those of the
// vocabulary, while in data they are text.
func newEncoder(t *tokenizer.Tokenizer, s Settings) (*encoder, error) {
	if t.EOS() < 0 {
		return nil, fmt.Errorf("the tokenizer has no token that ends a text (tokenizer.ggml.eos_token_id)")
	}
	e := &encoder{t: t, eos: []int32{t.EOS()}, context: s.Context, long: s.Long}
	if t.AddsBOS() && t.BOS() >= 0 {
		e.bos = []int32{t.BOS()}
	}
	if err := template.Check(s.Template); err != nil {
		return nil, fmt.Errorf("the template %q %w", s.Template, err)
	}
	before, rest, plain := strings.Cut(s.Template, template.Prompt)
	if !plain {
		before, rest, _ = strings.Cut(s.Template, template.Trimmed)
	}
	between, after, _ := strings.Cut(rest, template.Completion)
	var special []int32
	for id := range int32(t.Size()) {
		if t.IsControl(id) && t.TokenText(id) != "" {
			special = append(special, id)
		}
	}
	e.head = append(divide(t, special, before), piece{token: -1, prompt: true, trim: !plain})
	e.head = append(e.head, divide(t, special, between)...)
	e.tail = divide(t, special, after)
	return e, nil
}

// divide finds the special tokens in a text: at each place the longest.
func divide(t *tokenizer.Tokenizer, special []int32, text string) []piece {
	var all []piece
	from := 0
	for at := 0; at < len(text); {
		best := int32(-1)
		for _, id := range special {
			if s := t.TokenText(id); strings.HasPrefix(text[at:], s) && (best < 0 || len(s) > len(t.TokenText(best))) {
				best = id
			}
		}
		if best < 0 {
			at++
			continue
		}
		all = append(all, piece{text: text[from:at], token: -1}, piece{token: best})
		at += len(t.TokenText(best))
		from = at
	}
	return append(all, piece{text: text[from:], token: -1})
}

// fill encodes pieces: texts that stand side by side are encoded as one, as they are
// when the model is used.
func (e *encoder) fill(tokens []int32, pieces []piece, prompt string) []int32 {
	var text strings.Builder
	flush := func() {
		tokens = append(tokens, e.plain(text.String())...)
		text.Reset()
	}
	for _, p := range pieces {
		switch {
		case p.token >= 0:
			flush()
			tokens = append(tokens, p.token)
		case p.prompt && p.trim:
			text.WriteString(trimmed(prompt))
		case p.prompt:
			text.WriteString(prompt)
		default:
			text.WriteString(p.text)
		}
	}
	flush()
	return tokens
}

func (e *encoder) plain(text string) []int32 {
	if text == "" {
		return nil
	}
	return e.t.Encode(text, tokenizer.EncodeOptions{})
}

// encode makes the examples of a record: more than one of a long text that is cut. What
// is cut or left out because it is too long is counted.
func (e *encoder) encode(r record, n *Counts) ([]example, error) {
	tokens := slices.Clone(e.bos)
	prompt := 0
	if r.Text != nil {
		tokens = append(append(tokens, e.plain(*r.Text)...), e.eos...)
	} else {
		tokens = e.fill(tokens, e.head, *r.Prompt)
		prompt = len(tokens)
		tokens = e.complete(tokens, *r.Completion)
		tokens = append(e.fill(tokens, e.tail, ""), e.eos...)
	}
	most := e.context + 1 // the last token is a label only
	switch {
	case len(tokens) < 2:
		return nil, fmt.Errorf("it has no two tokens")
	case len(tokens) <= most:
		return []example{{tokens, prompt}}, nil
	case e.long == "refuse":
		return nil, &tooLong{len(tokens) - 1, e.context}
	case e.long == "skip":
		n.Long++
		return nil, nil
	case prompt >= most:
		// Nothing of the completion would be left.
		n.Long++
		return nil, nil
	}
	n.Cut++
	if r.Text == nil {
		return []example{{tokens[:most], prompt}}, nil
	}
	// Pieces overlap by a token: each but the first text's is a label once.
	var all []example
	for at := 0; at+1 < len(tokens); at += e.context {
		all = append(all, example{tokens: tokens[at:min(at+most, len(tokens))]})
	}
	return all, nil
}

// tooLong refuses an example. It is not malformed: that such lines are left out does not
// leave it out.
type tooLong struct{ tokens, context int }

func (l *tooLong) Error() string {
	return fmt.Sprintf("it has %d tokens and the context %d: shorten it, or say data: long: cut or skip", l.tokens, l.context)
}

// complete adds a completion. Vocabularies that put a space before every text would put
// one into the middle of this: there, what follows the prompt's tokens is taken from the
// encoding of both, if it begins with them.
func (e *encoder) complete(tokens []int32, completion string) []int32 {
	apart := e.plain(completion)
	if e.t.Model() != "llama" || len(tokens) == 0 {
		return append(tokens, apart...)
	}
	const mark = "a"
	first, both := e.plain(mark), e.plain(mark+completion)
	if len(both) > len(first) && slices.Equal(both[:len(first)], first) {
		return append(tokens, both[len(first):]...)
	}
	return append(tokens, apart...)
}
