package eval

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"

	"github.com/ledge-run/ledge/runtime/chat"
	"github.com/ledge-run/ledge/runtime/engine"
)

// Prompting is how an item becomes a prompt.
type Prompting struct {
	System   string
	Template string // with {text} and {options}; "" is the text alone
	Raw      bool   // without the model's chat template
	Examples []Item // shown before, with their answers
}

// placeholders of a template.
const (
	textMark    = "{text}"
	optionsMark = "{options}"
)

// Check refuses a template in which the text has no place.
func (p *Prompting) Check() error {
	if p.Template != "" && !strings.Contains(p.Template, textMark) {
		return errors.New("the template has no {text}")
	}
	if p.Raw && p.System != "" {
		return errors.New("without a chat template there is no system message: put it into the template")
	}
	return nil
}

// Draw keeps n examples, drawn by a seed; 0 keeps all.
func (p *Prompting) Draw(n int, seed uint64) error {
	if n > len(p.Examples) {
		return fmt.Errorf("%d examples were asked for, there are %d", n, len(p.Examples))
	}
	if n > 0 {
		r := rand.New(rand.NewPCG(seed, 0x73686f7473))
		p.Examples = slices.Clone(p.Examples)
		r.Shuffle(len(p.Examples), func(i, j int) { p.Examples[i], p.Examples[j] = p.Examples[j], p.Examples[i] })
		p.Examples = p.Examples[:n]
	}
	return nil
}

func (p *Prompting) fill(i *Item) string {
	if p.Template == "" {
		return i.Text
	}
	var options strings.Builder
	for n, o := range i.Options {
		if n > 0 {
			options.WriteByte('\n')
		}
		options.WriteString("- " + o)
	}
	return strings.NewReplacer(textMark, i.Text, optionsMark, options.String()).Replace(p.Template)
}

// messages is the conversation that asks for an item.
func (p *Prompting) messages(i *Item, t Task) []chat.Message {
	var m []chat.Message
	if p.System != "" {
		m = append(m, chat.Message{Role: "system", Content: p.System})
	}
	for k := range p.Examples {
		e := &p.Examples[k]
		m = append(m, chat.Message{Role: "user", Content: p.fill(e)}, chat.Message{Role: "assistant", Content: e.right(t)})
	}
	return append(m, chat.Message{Role: "user", Content: p.fill(i)})
}

// text is the text that asks for an item without a chat template: examples with
// their answers, divided by empty lines.
func (p *Prompting) text(i *Item, t Task) string {
	var b strings.Builder
	for k := range p.Examples {
		e := &p.Examples[k]
		ask := p.fill(e)
		b.WriteString(ask + joint(ask) + e.right(t) + "\n\n")
	}
	b.WriteString(p.fill(i))
	return b.String()
}

// joint is what stands between a text and its answer: a space, unless the text ends
// in one.
func joint(text string) string {
	if r := []rune(text); len(r) == 0 || unicode.IsSpace(r[len(r)-1]) {
		return ""
	}
	return " "
}

// tokens is the prompt for an item.
func (p *Prompting) tokens(m *engine.Model, i *Item, t Task) ([]int32, error) {
	if p.Raw {
		return m.EncodePrompt(p.text(i, t), false), nil
	}
	return m.ChatPrompt(p.messages(i, t), chat.RenderOptions{AddGenerationPrompt: true, Extra: map[string]any{"enable_thinking": false}})
}

// pair is a context with one of its continuations: the tokens of both, and how many
// are the context's. prompt is that of tokens, with a chat template.
func (p *Prompting) pair(m *engine.Model, i *Item, t Task, prompt []int32, option string) (tokens []int32, context int) {
	if !p.Raw {
		return append(slices.Clone(prompt), m.Encode(option, false, false)...), len(prompt)
	}
	// As lm-evaluation-harness has it: spaces at the context's end belong to the
	// continuation, and the tokens are those of the whole text, since they may cross
	// the border.
	text := p.text(i, t)
	end := strings.TrimRightFunc(text, unicode.IsSpace)
	tokens = m.EncodePrompt(text+joint(text)+option, false)
	return tokens, len(m.EncodePrompt(end, false))
}
