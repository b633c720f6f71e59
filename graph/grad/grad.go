// Package grad differentiates graphs: reverse mode, graph in, graph out. It runs
// on what models emit, before place and fuse; fused operations have no rule. See
// docs/training.md.
//
// [Of] gives the gradients of an output as further outputs. [Train] turns weights
// into parameters and adds their gradients to states; [Update] makes the graph of
// the optimizer, which takes them from there.
package grad

import (
	"fmt"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// SeedSuffix follows an output's name in the name of the input that holds the
// gradient of it: what every element counts.
const SeedSuffix = ".grad"

// Of adds to g the gradients of the sum of the output's elements, each times that
// of a new input NAME.grad, by the named inputs and weights: outputs d.NAME in the
// order asked for. Everything g gave it still gives.
func Of(g *graph.Graph, output string, by ...string) (*graph.Graph, error) {
	d, err := start(g)
	if err != nil {
		return nil, err
	}
	leaves := make([]*graph.Node, len(by))
	for i, name := range by {
		for _, n := range g.Nodes {
			if (n.Op == graph.OpInput || n.Op == graph.OpWeight) && n.Name == name {
				leaves[i] = n
			}
		}
		if leaves[i] == nil {
			return nil, fmt.Errorf("grad: graph %s has no input or weight %q", g.Name, name)
		}
		if t := leaves[i].Type.DType; t != dtype.F32 {
			return nil, fmt.Errorf("grad: %s is %s: only f32 has a gradient", leaves[i], t)
		}
		d.need[leaves[i].ID] = true
	}
	found := map[*graph.Node][]contribution{}
	d.leaf = func(n *graph.Node, c contribution) { found[n] = append(found[n], c) }
	d.forward()
	if err := d.backward(output); err != nil {
		return nil, err
	}
	d.outputs()
	for i, n := range leaves {
		if found[n] == nil {
			return nil, fmt.Errorf("grad: output %q does not depend on %q", output, by[i])
		}
		d.out.Outputs = append(d.out.Outputs, graph.Output{Name: "d." + by[i], Node: d.sum(n, found[n])})
	}
	return d.finish()
}

// Options steer Train.
type Options struct {
	// Loss is the output that is trained; "loss" if empty.
	Loss string

	// Train says which weights become parameters; nil means all but the constants
	// of rotations.
	Train func(name string) bool

	// Chunks computes the loss in chunks of rows, so that never all logits are
	// there at once.
	Chunks bool

	// Round is the type that operands of products are rounded to, bf16, or empty:
	// see graph.ProductAttr. Loaded weights are read as they are.
	Round string

	// Recompute keeps of a layer only what other layers read, and repeats its
	// forward operations before its backward ones.
	Recompute bool
}

func (o *Options) defaults() {
	if o.Loss == "" {
		o.Loss = "loss"
	}
}

// Param is a weight being trained.
type Param struct {
	Name  string // of the weight, and of its state
	Shape dtype.Shape
}

// Grad is the name of the state with the parameter's gradient; M and V are those
// with AdamW's moments.
func (p Param) Grad() string { return "grad/" + p.Name }
func (p Param) M() string    { return "adamw.m/" + p.Name }
func (p Param) V() string    { return "adamw.v/" + p.Name }

// Elems is the number of the parameter's elements.
func (p Param) Elems() int {
	n, _ := p.Shape.NumElems(dtype.Binding{}) // verified with the weight
	return n
}

func (p Param) state(name string) graph.StateDecl {
	return graph.StateDecl{Name: name, Kind: graph.Tensor, DType: dtype.F32, Elems: p.Elems()}
}

// States declares all that belongs to parameters: their values, gradients and
// moments.
func States(params []Param) []graph.StateDecl {
	var s []graph.StateDecl
	for _, p := range params {
		for _, name := range []string{p.Name, p.Grad(), p.M(), p.V()} {
			s = append(s, p.state(name))
		}
	}
	return s
}

// Train makes the graph of a training step from one that gives a loss: weights
// become parameters, and their gradients are added to the states that
// [Param.Grad] names. The input LOSS.grad is what each element of the loss counts.
// It returns the parameters in the order of their weights.
func Train(g *graph.Graph, o Options) (*graph.Graph, []Param, error) {
	o.defaults()
	d, params, err := parameters(g, o, true)
	if err != nil {
		return nil, nil, err
	}
	d.recompute = o.Recompute
	byNode, sums := map[*graph.Node]Param{}, map[*graph.Node]*graph.Node{}
	for n, a := range d.replace {
		byNode[n] = Param{a.State, a.Shape}
	}
	sum := func(n *graph.Node) *graph.Node {
		if p, ok := byNode[n]; ok && sums[n] == nil {
			sums[n] = d.add(n, graph.OpParam, graph.ParamAttr{State: p.Grad(), Shape: p.Shape})
		}
		return sums[n]
	}
	d.leaf = func(n *graph.Node, c contribution) { d.accumulate(n, sum, c) }
	if o.Chunks {
		d.chunks = sum
	}
	d.forward()
	if err := d.backward(o.Loss); err != nil {
		return nil, nil, err
	}
	for n := range byNode {
		if sums[n] == nil {
			return nil, nil, fmt.Errorf("grad: output %q does not depend on %q, which is to be trained", o.Loss, n.Name)
		}
	}
	d.outputs()
	if o.Round != "" {
		round(d.out, o.Round)
	}
	out, err := d.finish()
	return out, params, err
}

// round has the products of values round their operands.
func round(g *graph.Graph, to string) {
	for _, n := range g.Nodes {
		switch n.Op {
		case graph.OpLinear:
			if n.In[1].Op != graph.OpWeight {
				n.Attr = graph.ProductAttr{Round: to}
			}
		case graph.OpLinearT, graph.OpOuter, graph.OpAccumulateOuter:
			n.Attr = graph.ProductAttr{Round: to}
		case graph.OpLinearLoss, graph.OpLinearLossW:
			a := n.Attr.(graph.LinearLossAttr)
			a.Round = to
			n.Attr = a
		}
	}
}

// Forward is g with the weights that [Train] would train as parameters, without
// dropout and with losses by labels alone: what evaluates a model in training, by the
// same State. Inputs that only these read are gone. With Options.Chunks there are no
// more logits at once than in training.
func Forward(g *graph.Graph, o Options) (*graph.Graph, error) {
	o.defaults()
	d, _, err := parameters(g, o, false)
	if err != nil {
		return nil, err
	}
	d.evaluate = true
	d.forward()
	if o.Chunks {
		d.chunkedLoss(o.Loss)
	}
	d.outputs()
	d.dropInputs()
	return d.finish()
}

// dropInputs takes inputs out that the old graph reads and the new one does not.
func (d *differ) dropInputs() {
	old, uses := d.old.Uses(), d.out.Uses()
	for _, n := range d.old.Inputs() {
		if m := d.moved[n.ID]; len(old[n.ID]) > 0 && len(uses[m.ID]) == 0 {
			d.dead[m] = true
		}
	}
}

// parameters starts with a graph whose weights are to become parameters, with states
// for them and, if asked for, for their gradients.
func parameters(g *graph.Graph, o Options, gradients bool) (*differ, []Param, error) {
	d, err := start(g)
	if err != nil {
		return nil, nil, err
	}
	var params []Param
	taken := map[string]bool{}
	for _, s := range g.States {
		taken[s.Name] = true
	}
	uses := g.Uses()
	for _, n := range g.Weights() {
		if o.Train == nil && !varies(n, uses[n.ID]) || o.Train != nil && !o.Train(n.Name) {
			continue
		}
		p := Param{n.Name, n.Type.Shape}
		states := []string{p.Name}
		if gradients {
			states = append(states, p.Grad())
		}
		for _, s := range states {
			if taken[s] {
				return nil, nil, fmt.Errorf("grad: %s: the name of its state %q is taken", n, s)
			}
			taken[s] = true
			d.out.States = append(d.out.States, p.state(s))
		}
		params = append(params, p)
		d.need[n.ID] = true
		d.replace[n] = graph.ParamAttr{State: p.Name, Shape: p.Shape}
	}
	if len(params) == 0 {
		return nil, nil, fmt.Errorf("grad: graph %s: no weight is to be trained", g.Name)
	}
	return d, params, nil
}

// varies reports whether a weight is one that models learn: the factors of a
// rotation are constants.
func varies(n *graph.Node, uses []*graph.Node) bool {
	for _, u := range uses {
		if u.Op != graph.OpRope || u.In[0] == n {
			return true
		}
	}
	return false
}

// accumulate adds a part of a weight's gradient to its state, which sum gives.
// Products and scattered rows that nothing else has are added without being values
// of their own.
func (d *differ) accumulate(n *graph.Node, sum func(*graph.Node) *graph.Node, c contribution) {
	part := c.gradient
	op, in := graph.OpAccumulate, []*graph.Node{part}
	switch {
	case !c.own:
	case part.Op == graph.OpOuter && d.pop(part):
		op, in = graph.OpAccumulateOuter, part.In
	case part.Op == graph.OpScatterRows && d.pop(part):
		op, in = graph.OpAccumulateRows, part.In
	}
	d.add(n, op, nil, append([]*graph.Node{sum(n)}, in...)...)
}
