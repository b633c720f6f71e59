package prune

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/graph/plan"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// probe is a graph of the model on the processor, for measuring what its parts do.
type probe struct {
	graph   *graph.Graph
	devices []backend.Device
	weights backend.Weights
	exe     backend.Executable

	gates map[string][]float32 // inputs that values are multiplied by
	out   map[string][]float32 // what the last run gave, by the output's name
}

// decoder emits the graph that losses are measured in.
func decoder(f *gguf.File, tokens, rows int) (*graph.Graph, error) {
	net, err := engine.Network(f)
	if err != nil {
		return nil, err
	}
	return net.Decoder(trainOptions(tokens, rows))
}

// newProbe brings a graph onto the processor.
func newProbe(ctx context.Context, f *gguf.File, g *graph.Graph, threads int) (p *probe, err error) {
	eo := engine.Options{Device: string(backend.CPU), Threads: threads}
	p = &probe{gates: map[string][]float32{}, out: map[string][]float32{}}
	defer func() {
		if err != nil {
			p, err = nil, errors.Join(err, p.close())
		}
	}()
	if p.devices, _, err = engine.OpenDevices(ctx, eo, eo.Choice()); err != nil {
		return p, err
	}
	dev := p.devices[0]
	parts, err := pass.Compile(g, []pass.Target{dev.Target()}, pass.Options{NoFuse: true, Layers: -1})
	if err != nil {
		return p, err
	}
	p.graph = parts[0].Graph
	layout, err := plan.New(p.graph, dev.Target().Align)
	if err != nil {
		return p, err
	}
	uses := backend.WeightUses(p.graph)
	var specs []backend.WeightSpec
	for _, w := range p.graph.Weights() {
		t, ok := f.Tensor(w.Name)
		if !ok {
			return p, fmt.Errorf("the model has no tensor %s", w.Name)
		}
		specs = append(specs, backend.WeightSpec{Name: w.Name, DType: t.DType, Shape: t.Shape, Uses: uses[w.Name],
			Open: func() ([]byte, func(), error) { return t.Data, func() { _ = t.Advise(gguf.DontNeed) }, nil }})
	}
	if p.weights, err = dev.Load(ctx, backend.LoadSpec{Weights: specs}); err != nil {
		return p, err
	}
	p.exe, err = dev.Compile(ctx, backend.CompileSpec{Graph: p.graph, Plan: layout, Weights: p.weights})
	return p, err
}

// run reads tokens. Rows are read out for the last of them, as many as the graph is
// made for, each with the token after it as its label.
func (p *probe) run(ctx context.Context, tokens []int32, next int32) error {
	n, rows := len(tokens), p.graph.Max.R
	labels := append(append([]int32(nil), tokens[n-rows+1:]...), next)
	positions, read, counts := make([]int32, n), make([]int32, rows), make([]float32, rows)
	for i := range positions {
		positions[i] = int32(i)
	}
	for i := range read {
		read[i], counts[i] = int32(n-rows+i), 1/float32(rows)
	}
	a := &backend.Args{Segments: []backend.Segment{{Rows: n}}, Seqs: 1}
	for _, in := range p.graph.Inputs() {
		var v backend.Tensor
		switch in.Name {
		case "tokens":
			v.I32 = tokens
		case "positions":
			v.I32 = positions
		case "rows":
			v.I32 = read
		case "labels":
			v.I32 = labels
		case "loss.grad":
			v.F32 = counts
		default:
			if p.gates[in.Name] == nil {
				p.gates[in.Name] = ones(in.Type.Shape[0].N)
			}
			v.F32 = p.gates[in.Name]
		}
		a.Inputs = append(a.Inputs, v)
	}
	for _, o := range p.graph.Outputs {
		size, err := o.Node.Type.Shape.NumElems(dtype.Binding{T: n, S: 1, R: rows})
		if err != nil {
			return err
		}
		if len(p.out[o.Name]) != size {
			p.out[o.Name] = make([]float32, size)
		}
		a.Outputs = append(a.Outputs, backend.Output{F32: p.out[o.Name]})
	}
	fence, err := p.exe.Submit(ctx, a)
	if err != nil {
		return err
	}
	return fence.Wait()
}

// loss is the mean of the last run's.
func (p *probe) loss() (float64, error) {
	sum := 0.0
	for _, l := range p.out["loss"] {
		sum += float64(l) / float64(len(p.out["loss"]))
	}
	if sum-sum != 0 {
		return 0, fmt.Errorf("the loss is %g: the file is damaged, or its metadata does not fit its weights", sum)
	}
	return sum, nil
}

func (p *probe) close() error {
	var errs []error
	if p.exe != nil {
		errs = append(errs, p.exe.Close())
	}
	if p.weights != nil {
		errs = append(errs, p.weights.Close())
	}
	for _, d := range p.devices {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

func ones(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 1
	}
	return x
}

// gated is the graph with values multiplied by inputs of these names, which have an
// element for each column: 0 removes it, and the gradient by 1 says what that does.
func gated(g *graph.Graph, gates map[*graph.Node]string) (*graph.Graph, error) {
	out := &graph.Graph{Name: g.Name, Max: g.Max, States: g.States}
	moved := make([]*graph.Node, len(g.Nodes))
	put := func(n *graph.Node) *graph.Node {
		n.ID = len(out.Nodes)
		out.Nodes = append(out.Nodes, n)
		return n
	}
	inputs := map[string]*graph.Node{}
	for _, n := range g.Nodes {
		m := *n
		m.In = make([]*graph.Node, len(n.In))
		for i, in := range n.In {
			m.In[i] = moved[in.ID]
		}
		moved[n.ID] = put(&m)
		name, ok := gates[n]
		if !ok {
			continue
		}
		if inputs[name] == nil {
			s := n.Type.Shape
			inputs[name] = put(&graph.Node{Op: graph.OpInput, Name: name, Type: graph.F32(s[len(s)-1]), Layer: -1})
		}
		moved[n.ID] = put(&graph.Node{Op: graph.OpMul, In: []*graph.Node{moved[n.ID], inputs[name]}, Type: n.Type, Layer: n.Layer})
	}
	for _, o := range g.Outputs {
		out.Outputs = append(out.Outputs, graph.Output{Name: o.Name, Node: moved[o.Node.ID]})
	}
	return out, graph.Verify(out)
}

// product is the node that multiplies with a weight.
func product(g *graph.Graph, weight string) (*graph.Node, error) {
	for _, n := range g.Nodes {
		if n.Op == graph.OpLinear && n.In[1].Op == graph.OpWeight && n.In[1].Name == weight {
			return n, nil
		}
	}
	return nil, fmt.Errorf("the network has no product with %s", weight)
}

// stream is the residual stream: what enters each layer, and at the end what the last
// one gives.
func stream(g *graph.Graph, layers int) ([]*graph.Node, error) {
	var xs []*graph.Node
	for l := range layers {
		n, err := normed(g, fmt.Sprintf("blk.%d.attn_norm", l))
		if err != nil {
			return nil, err
		}
		xs = append(xs, n)
	}
	n, err := normed(g, "output_norm")
	if err != nil {
		return nil, err
	}
	if n.Op == graph.OpGatherRows {
		n = n.In[0]
	}
	return append(xs, n), nil
}

// normed is what a norm reads.
func normed(g *graph.Graph, label string) (*graph.Node, error) {
	for _, n := range g.Nodes {
		if (n.Op == graph.OpRMSNorm || n.Op == graph.OpLayerNorm) && n.Name == label {
			return n.In[0], nil
		}
	}
	return nil, fmt.Errorf("the network has no norm %s: layers of this architecture cannot be told apart", label)
}

// additions are what each layer adds to the stream: all adding between what enters it
// and what leaves it.
func additions(g *graph.Graph, layers int) ([][]*graph.Node, error) {
	xs, err := stream(g, layers)
	if err != nil {
		return nil, err
	}
	out := make([][]*graph.Node, layers)
	for l := range out {
		for n := xs[l+1]; n != xs[l]; n = n.In[0] {
			if n.Op != graph.OpAdd || n.Layer != l {
				return nil, fmt.Errorf("layer %d of the network does more than add to what enters it: it cannot be left out", l)
			}
			out[l] = append(out[l], n.In[1])
		}
	}
	return out, nil
}
