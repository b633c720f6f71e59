package feed

import (
	"context"
	"fmt"

	"github.com/ledge-run/ledge/runtime/train/step"
)

// Packing says how examples become steps and parts.
type Packing struct {
	Seed          uint64
	TokensPerStep int     // whole examples until there are so many; at least one
	TokensAtOnce  int     // of a part
	PromptLoss    float64 // what a prompt's tokens count
}

// Feed gives the parts of one step after the other. Epochs follow one another without a
// step that is shorter: examples of the next fill it up.
type Feed struct {
	d     *Data
	p     Packing
	step  int // given last
	seen  int64
	epoch int
	order order
	at    int // in the epoch
}

// New starts before step 1.
func New(d *Data, p Packing) *Feed {
	f := &Feed{d: d, p: p}
	f.begin(0)
	return f
}

func (f *Feed) begin(epoch int) {
	f.epoch, f.at, f.order = epoch, 0, newOrder(f.d.Examples(), f.p.Seed, epoch)
}

// next is the example that comes next.
func (f *Feed) next() int {
	if f.at == f.d.Examples() {
		f.begin(f.epoch + 1)
	}
	return f.order.at(f.at)
}

// choose lists the examples of the next step.
func (f *Feed) choose() []int {
	var chosen []int
	for tokens := 0; ; f.at, f.seen = f.at+1, f.seen+1 {
		i := f.next()
		if n := f.d.rows(i); len(chosen) == 0 || tokens+n <= f.p.TokensPerStep {
			tokens += n
			chosen = append(chosen, i)
			continue
		}
		f.step++
		return chosen
	}
}

// Seek goes to the place after a number of steps. It looks at the lengths of what comes
// before, and reads nothing.
func (f *Feed) Seek(steps int) {
	if steps < f.step {
		f.step, f.seen = 0, 0
		f.begin(0)
	}
	for f.step < steps {
		f.choose()
	}
}

// Steps is how many steps a number of epochs takes, the last of which may begin another.
// It goes through all of them.
func Steps(ctx context.Context, d *Data, p Packing, epochs float64) (int, error) {
	f := New(d, p)
	for float64(f.seen) < epochs*float64(d.Examples()) {
		if f.step%256 == 0 && ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if f.step == maxSteps {
			return 0, fmt.Errorf("%g epochs of %d examples are more than %d steps", epochs, d.Examples(), maxSteps)
		}
		f.choose()
	}
	return f.step, nil
}

// maxSteps is what a recipe may ask for.
const maxSteps = 1 << 30

// Epoch is how often all examples have been given.
func (f *Feed) Epoch() float64 { return float64(f.seen) / float64(f.d.Examples()) }

// Next gives the parts of the next step.
func (f *Feed) Next() ([]step.Part, error) { return f.d.pack(f.choose(), f.p) }

// Parts are the examples in the order of the files, until there are so many tokens: what
// a model is validated on.
func (d *Data) Parts(p Packing, most int) ([]step.Part, error) {
	var chosen []int
	for i, tokens := 0, 0; i < d.Examples(); i++ {
		if tokens += d.rows(i); tokens > most && i > 0 {
			break
		}
		chosen = append(chosen, i)
	}
	return d.pack(chosen, p)
}

// pack puts examples one after another into parts.
func (d *Data) pack(chosen []int, p Packing) ([]step.Part, error) {
	var parts []step.Part
	for _, i := range chosen {
		e, err := d.read(i)
		if err != nil {
			return nil, err
		}
		n := len(e.tokens) - 1
		if len(parts) == 0 || len(parts[len(parts)-1].Tokens)+n > p.TokensAtOnce {
			parts = append(parts, step.Part{})
		}
		part := &parts[len(parts)-1]
		part.Tokens = append(part.Tokens, e.tokens[:n]...)
		part.Lengths = append(part.Lengths, n)
		for k, label := range e.tokens[1:] {
			weight := float32(1)
			if k+1 < e.prompt {
				weight = float32(p.PromptLoss)
			}
			if weight == 0 {
				label = -1
			}
			part.Labels = append(part.Labels, label)
			part.Weights = append(part.Weights, weight)
		}
	}
	return parts, nil
}
