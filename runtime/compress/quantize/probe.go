package quantize

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ledge-run/ledge/runtime/compress/delta"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// group are the tensors that are probed together.
type group struct {
	kind    kind
	span    int
	tensors []*candidate
}

// noise is what a divergence of nothing comes to, with log-probabilities in float32.
const noise = 1e-7

// probe measures what the errors of each group do to the model's predictions, and
// turns the errors of its tensors into costs.
func (q *Measured) probe(ctx context.Context) error {
	groups := q.groups()
	text, reference, err := q.reference(ctx)
	if err != nil {
		return err
	}
	var factors []float64 // of the groups that could be measured
	measured := make([]float64, len(groups))
	for i, g := range groups {
		q.options.Progress("sensitivity", i, len(groups))
		kl, err := q.divergence(ctx, g, text, reference)
		if err != nil {
			return err
		}
		sum := 0.0
		for _, t := range g.tensors {
			sum += t.options[t.probe].cost
		}
		if sum > 0 && kl > noise {
			measured[i] = kl / sum
			factors = append(factors, measured[i])
		}
	}
	q.options.Progress("sensitivity", len(groups), len(groups))
	if len(factors) == 0 {
		return errors.New("no quantisation changes what the model predicts on this text: there is nothing to choose by")
	}
	slices.Sort(factors)
	for i, g := range groups {
		factor := measured[i]
		if factor == 0 {
			factor = factors[len(factors)/2]
		}
		for _, t := range g.tensors {
			for j := range t.options {
				t.options[j].cost *= factor
			}
		}
	}
	return nil
}

// groups sorts the tensors by kind and depth.
func (q *Measured) groups() []*group {
	layers := max(1, factsOf(q.file).layers)
	var groups []*group
	for _, t := range q.free {
		// About four bits: enough to be measured, not so much as to break the model.
		t.probe = -1
		for j, o := range t.options {
			if o.cost > 0 && (t.probe < 0 || math.Abs(bits(o.dtype)-4.5) < math.Abs(bits(t.options[t.probe].dtype)-4.5)) {
				t.probe = j
			}
		}
		if t.probe < 0 {
			continue // nothing to choose, or nothing to lose
		}
		k, span := kindOf(t.choice.Name), 0
		if l := layerOf(t.choice.Name); l >= 0 {
			span = 1 + min(l, layers-1)*spans/layers
		}
		i := slices.IndexFunc(groups, func(g *group) bool { return g.kind == k && g.span == span })
		if i < 0 {
			i = len(groups)
			groups = append(groups, &group{kind: k, span: span})
		}
		groups[i].tensors = append(groups[i].tensors, t)
	}
	return groups
}

func (q *Measured) engineOptions() engine.Options {
	return engine.Options{Device: "cpu", Threads: q.options.Threads, Context: q.chunk, Batch: q.chunk}
}

// reference reads the text with the model as it is.
func (q *Measured) reference(ctx context.Context) (t eval.Text, kept *eval.Kept, err error) {
	same, err := q.file.With()
	if err != nil {
		return t, nil, err
	}
	model, err := engine.OpenFile(ctx, same, q.engineOptions())
	if err != nil {
		return t, nil, err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	if t, err = eval.NewText(model, q.options.Text, q.chunk, 0); err != nil {
		return t, nil, err
	}
	most := min(searchMost, max(1, searchMemory/(eval.KeptBytes(t, model.Vocab())/t.Chunks())))
	t = spread(t, most)
	kept, err = eval.Keep(ctx, model, t, func(done, of int) { q.options.Progress("reference", done, of) })
	return t, kept, err
}

// spread takes chunks from all over a text.
func spread(t eval.Text, most int) eval.Text {
	n := t.Chunks()
	if n <= most {
		return t
	}
	s := eval.Text{Size: t.Size}
	for i := range most {
		at := i * n / most * t.Size
		s.Tokens = append(s.Tokens, t.Tokens[at:at+t.Size]...)
	}
	return s
}

// divergence is the mean divergence from the reference with a group quantised.
func (q *Measured) divergence(ctx context.Context, g *group, text eval.Text, reference *eval.Kept) (kl float64, err error) {
	var replaced []gguf.Tensor
	for _, t := range g.tensors {
		d := t.options[t.probe].dtype
		tensor, ok := q.file.Tensor(t.choice.Name)
		if !ok {
			return 0, fmt.Errorf("the model has no tensor %s any more", t.choice.Name)
		}
		j, err := newJob(tensor, d, q.kernels, t.choice.weights(q.plan))
		if err != nil {
			return 0, err
		}
		data := make([]byte, j.rows*j.rowBytes)
		if err := j.run(ctx, data, 0, j.rows, q.options.Threads); err != nil {
			return 0, err
		}
		replaced = append(replaced, gguf.Tensor{Name: t.choice.Name, DType: d, Data: data})
	}
	f, err := q.file.With(replaced...)
	if err != nil {
		return 0, err
	}
	model, err := engine.OpenFile(ctx, f, q.engineOptions())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	so, err := eval.Compare(ctx, model, text, reference, nil)
	if err != nil {
		return 0, err
	}
	if err := delta.Finite(so); err != nil {
		return 0, fmt.Errorf("with %s and others like it in %v: %w", replaced[0].Name, replaced[0].DType, err)
	}
	return so.KL, nil
}
