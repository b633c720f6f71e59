package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/grad"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/train/feed"
	"github.com/ledge-run/ledge/runtime/train/recipe"
	"github.com/ledge-run/ledge/runtime/train/step"
)

// plan is what a recipe makes of a network and data.
type plan struct {
	r       *recipe.Recipe
	net     *Network
	context int
	packing feed.Packing
	steps   int // in all
	every   int // steps between validations; 0 for none but the last
	data    *feed.Data

	teacher    *model.Teacher // nil without one
	teacherKey [sha256.Size]byte
	baseKey    [sha256.Size]byte // of what adapters are trained beside
}

// contextOf is how many tokens an example may have.
func contextOf(r *recipe.Recipe, n *Network) int {
	most := r.Model.Context
	if r.From != "" {
		most = min(n.Model.Info().Context, r.Train.TokensPerStep)
	}
	if r.Data.Context > 0 {
		most = min(most, r.Data.Context)
	}
	return most
}

func newPlan(ctx context.Context, r *recipe.Recipe, n *Network, d *feed.Data) (*plan, error) {
	t := &r.Train
	p := &plan{r: r, net: n, data: d, context: contextOf(r, n), steps: t.Steps}
	p.packing = feed.Packing{Seed: uint64(r.Seed), TokensPerStep: t.TokensPerStep, PromptLoss: r.Data.PromptLoss}
	// A part has room for the longest example, and needs none for more than a step.
	p.packing.TokensAtOnce = max(min(t.TokensAtOnce, t.TokensPerStep), p.context)
	var err error
	if p.steps == 0 {
		if p.steps, err = feed.Steps(ctx, d, p.packing, t.Epochs); err != nil {
			return nil, err
		}
	}
	p.every = r.Validate.Every
	if r.Validate.Percent > 0 {
		p.every = max(1, p.steps*r.Validate.Percent/100)
	}
	return p, nil
}

// schedule is the learning rate of every step.
func (p *plan) schedule() step.Schedule {
	t := &p.r.Train
	warmup := t.Warmup
	if warmup < 0 {
		warmup = min(p.steps/20, 1000)
	}
	s := step.Schedule{Kind: t.Schedule, Peak: t.Rate, Warmup: warmup}
	if t.Schedule != step.KindConstant {
		s.Floor, s.Total = t.Rate*t.Floor, p.steps
	}
	return s
}

// model are the options of the graph of the steps that follow a number of steps.
func (p *plan) model(taken int) model.Options {
	rows := p.packing.TokensAtOnce
	o := model.Options{
		Max: graph.Limits{T: rows, S: rows, R: rows}, Context: p.context,
		Train: &model.Train{Dropout: float32(p.r.Train.Dropout), Teacher: p.teacher},
	}
	if p.rounds(taken) {
		o.Train.Round = p.round
	}
	if p.r.Adapters != nil {
		o.Adapters = p.adapter
	}
	return o
}

// rounds reports whether weights are rounded in the steps that follow a number of
// steps. The graph is another then: see running.change.
func (p *plan) rounds(taken int) bool { return p.r.Round != nil && taken >= p.r.Round.FromStep }

// round is the type that a matrix is trained for: rows that are no whole number of
// blocks stay as they are.
func (p *plan) round(weight string) (dtype.DType, bool) {
	_, shape, ok := p.net.TensorType(weight)
	d := p.r.Round.Type
	return d, ok && len(shape) == 2 && shape[1]%d.BlockLen() == 0
}

// step are the options of the trainer.
func (p *plan) step() step.Options {
	t := &p.r.Train
	o := step.Options{
		AdamW: grad.AdamW{Beta1: float32(t.Beta1), Beta2: float32(t.Beta2), Eps: 1e-8, Decay: float32(t.Decay), Clip: float32(t.Clip)},
		Rate:  p.schedule(), Seed: int32(p.r.Seed), Recompute: t.Recompute, Layout: p.layout(), Shape: p.shape(),
	}
	if t.Precision == dtype.BF16.String() { // else it is f32
		o.Precision = dtype.BF16
	}
	if p.r.Adapters != nil {
		o.Train = step.IsAdapter
	}
	for _, g := range t.Groups {
		o.Groups = append(o.Groups, step.Group{Weights: g.Weights, Rate: g.Rate})
	}
	return o
}

// layout says what the parts of every step are made of.
func (p *plan) layout() string {
	text := fmt.Sprintf("data: %s\ntokens_per_step: %d\ntokens_at_once: %d\nprompt_loss: %g",
		hex.EncodeToString(p.data.Key[:8]), p.packing.TokensPerStep, p.packing.TokensAtOnce, p.packing.PromptLoss)
	if p.teacher != nil {
		text += "\nteacher: " + hex.EncodeToString(p.teacherKey[:8])
	}
	if p.r.Adapters != nil {
		text += "\nfrom: " + hex.EncodeToString(p.baseKey[:8])
	}
	if q := p.r.Round; q != nil {
		text += fmt.Sprintf("\nround: %s after step %d", q.Type, q.FromStep)
	}
	return text
}

// shape says what of the recipe is in the graph alone, for who is told that it is another.
func (p *plan) shape() string {
	text := fmt.Sprintf("dropout: %g", p.r.Train.Dropout)
	if t := p.teacher; t != nil {
		text += fmt.Sprintf("\ndistill.mix: %g\ndistill.temperature: %g\ndistill.top_k: %d", t.Mix, t.Temperature, t.K)
	}
	return text
}

// check refuses what does not go together.
func (p *plan) check() error {
	r := p.r
	switch {
	case r.Adapters != nil && r.From == "":
		return fmt.Errorf("%s: adapters need a model that they are for: name its file under from", r.File)
	case r.Adapters != nil && r.Round != nil:
		return fmt.Errorf("%s: adapters and round are both there: adapters leave the weights as they are, so that nothing is rounded; leave one away", r.File)
	}
	if r.Round != nil && r.Round.FromStep >= p.steps {
		return fmt.Errorf("%s: round: from_step is %d, and there are %d steps: no step would be rounded", r.File, r.Round.FromStep, p.steps)
	}
	if p.steps > math.MaxInt32 {
		return fmt.Errorf("%s: %d steps are too many", r.File, p.steps)
	}
	return nil
}
