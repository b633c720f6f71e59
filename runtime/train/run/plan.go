package run

import (
	"encoding/hex"
	"fmt"
	"math"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/grad"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/train/feed"
	"github.com/ledge-run/ledge/runtime/train/recipe"
	"github.com/ledge-run/ledge/runtime/train/step"
)

// plan is what a recipe makes of a network and data.
type plan struct {
	r       *recipe.Recipe
	context int
	packing feed.Packing
	steps   int // in all
	data    *feed.Data
}

// contextOf is how many tokens an example may have.
func contextOf(r *recipe.Recipe, n *Network) int {
	if r.From == "" {
		return r.Model.Context
	}
	return min(n.Model.Info().Context, r.Train.TokensPerStep)
}

func newPlan(r *recipe.Recipe, n *Network, d *feed.Data) *plan {
	t := &r.Train
	p := &plan{r: r, data: d, context: contextOf(r, n), steps: t.Steps}
	p.packing = feed.Packing{Seed: uint64(r.Seed), TokensPerStep: t.TokensPerStep, PromptLoss: r.Data.PromptLoss}
	// A part has room for the longest example, and needs none for more than a step.
	p.packing.TokensAtOnce = max(min(t.TokensAtOnce, t.TokensPerStep), p.context)
	if p.steps == 0 {
		p.steps = feed.Steps(d, p.packing, t.Epochs)
	}
	return p
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

// model are the options of the graph.
func (p *plan) model() model.Options {
	rows := p.packing.TokensAtOnce
	return model.Options{
		Max: graph.Limits{T: rows, S: rows, R: rows}, Context: p.context,
		Train: &model.Train{Dropout: float32(p.r.Train.Dropout)},
	}
}

// step are the options of the trainer.
func (p *plan) step() step.Options {
	t := &p.r.Train
	o := step.Options{
		AdamW: grad.AdamW{Beta1: float32(t.Beta1), Beta2: float32(t.Beta2), Eps: 1e-8, Decay: float32(t.Decay), Clip: float32(t.Clip)},
		Rate:  p.schedule(), Seed: int32(p.r.Seed), Recompute: t.Recompute, Layout: p.layout(),
	}
	for _, g := range t.Groups {
		o.Groups = append(o.Groups, step.Group{Weights: g.Weights, Rate: g.Rate})
	}
	return o
}

// layout says what the parts of every step are made of.
func (p *plan) layout() string {
	return fmt.Sprintf("data: %s\ntokens_per_step: %d\ntokens_at_once: %d\nprompt_loss: %g",
		hex.EncodeToString(p.data.Key[:8]), p.packing.TokensPerStep, p.packing.TokensAtOnce, p.packing.PromptLoss)
}

// check refuses what a recipe may ask for and this version does not do.
func (p *plan) check() error {
	r := p.r
	for _, c := range []struct {
		asked bool
		what  string
	}{
		{r.Adapters != nil, "adapters"}, {r.Round != nil, "round"}, {r.Distill != nil, "distill"}, {r.Train.Precision != "f32", "train: precision: " + r.Train.Precision},
	} {
		if c.asked {
			return fmt.Errorf("%s: this version does not know %s: leave it away", r.File, c.what)
		}
	}
	if p.steps > math.MaxInt32 {
		return fmt.Errorf("%s: %d steps are too many", r.File, p.steps)
	}
	return nil
}
