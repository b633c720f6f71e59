package grad

import (
	"fmt"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// AdamW are the settings of the optimizer that do not change from step to step.
// See [graph.AdamWAttr] for what it computes.
type AdamW struct {
	Beta1, Beta2, Eps float32
	Decay             float32 // weight decay
	Clip              float32 // largest global norm of the gradients; 0 for no bound

	// Decays says which parameters decay; nil means matrices, as is usual:
	// neither norms nor biases.
	Decays func(p Param) bool

	// Group says which learning rate a parameter goes by: that of the input
	// [RatesOf] of its number. nil means that all are of group 0.
	Group func(p Param) int
}

// RatesOf is the input of an update with the rates of a group of parameters.
func RatesOf(group int) string {
	if group == 0 {
		return "rates"
	}
	return fmt.Sprintf("rates.%d", group)
}

// Update makes the graph that takes a step: it reads the gradients that runs of
// [Train]'s graph have added up, updates parameters and moments and clears the
// gradients. Its input "rates" is the learning rate, 1-Beta1^t and 1-Beta2^t for
// the t-th step, from 1, and so is that of each other group that has parameters; its
// output "norm" is the global norm before clipping. If that is not finite, no
// parameter and no moment has changed.
func Update(name string, params []Param, o AdamW) (*graph.Graph, error) {
	if len(params) == 0 {
		return nil, fmt.Errorf("grad: %s: no parameter to update", name)
	}
	b := graph.NewBuilder(name, graph.Limits{})
	for _, s := range States(params) {
		b.State(s)
	}
	group := func(p Param) int {
		if o.Group == nil {
			return 0
		}
		return o.Group(p)
	}
	rates := map[int]*graph.Node{}
	for _, p := range params {
		if n := group(p); rates[n] == nil {
			rates[n] = b.Input(RatesOf(n), graph.F32(dtype.Const(3)))
		}
	}
	param := func(p Param, state string) *graph.Node {
		return b.Label("%s", state).Add(graph.OpParam, graph.ParamAttr{State: state, Shape: p.Shape})
	}
	grads := make([]*graph.Node, len(params))
	for i, p := range params {
		grads[i] = param(p, p.Grad())
	}
	norm := b.Add(graph.OpGlobalNorm, nil, grads...)
	for i, p := range params {
		a := graph.AdamWAttr{Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, Clip: o.Clip}
		if o.Decays == nil && len(p.Shape) > 1 || o.Decays != nil && o.Decays(p) {
			a.Decay = o.Decay
		}
		b.Label("%s", p.Name).Add(graph.OpAdamW, a, param(p, p.Name), grads[i], param(p, p.M()), param(p, p.V()), norm, rates[group(p)])
	}
	b.Output("norm", norm)
	return b.Graph()
}
