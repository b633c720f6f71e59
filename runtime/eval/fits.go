package eval

import (
	"context"
	"fmt"

	"github.com/ledge-run/ledge/runtime/engine"
)

// fits reports the first item that a model has no room for, so that it does not end a
// run of hours, and how many more there are.
func (p *Plan) fits(ctx context.Context, m *engine.Model, d *Data) error {
	var first error
	more := 0
	for i := range d.Items {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := p.itemFits(m, &d.Items[i], d.Task)
		switch {
		case err != nil && first == nil:
			first = err
		case err != nil:
			more++
		}
	}
	if more > 0 {
		return fmt.Errorf("%w; so it is with %d more", first, more)
	}
	return first
}

func (p *Plan) itemFits(m *engine.Model, i *Item, t Task) error {
	if p.By == Generation {
		ids, err := p.tokens(m, i, t)
		if err == nil {
			err = m.CheckPrompt(ids)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", i.Line, err)
		}
		return nil
	}
	pairs := pairs{m: m, p: &p.Prompting, item: i, task: t}
	for _, o := range i.Options {
		if _, _, err := pairs.of(o); err != nil {
			return err
		}
	}
	return nil
}

// pairs makes the pairs of an item's prompt and its options.
type pairs struct {
	m      *engine.Model
	p      *Prompting
	item   *Item
	task   Task
	prompt []int32 // with a chat template: the same for all options
}

// of gives the tokens of the prompt and an option, and how many are the prompt's.
func (k *pairs) of(option string) (tokens []int32, context int, err error) {
	if !k.p.Raw && k.prompt == nil {
		if k.prompt, err = k.p.tokens(k.m, k.item, k.task); err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", k.item.Line, err)
		}
	}
	tokens, context = k.p.pair(k.m, k.item, k.task, k.prompt, option)
	context = min(context, len(tokens)-1)
	if context < 1 {
		return nil, 0, fmt.Errorf("line %d: there is no token before the option %.40q", k.item.Line, option)
	}
	if most := k.m.Options.Context; len(tokens) > most {
		return nil, 0, fmt.Errorf("line %d: the prompt and the option %.40q have %d tokens, more than the context of %d (-c N sets it)", k.item.Line, option, len(tokens), most)
	}
	return tokens, context, nil
}
