package step

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/graph/plan"
)

// program is a graph on the device.
type program struct {
	graph *graph.Graph
	exe   backend.Executable
	arena int
}

// lower brings a graph into the form that the device runs. Nothing is fused.
func lower(dev backend.Device, g *graph.Graph) (*graph.Graph, error) {
	parts, err := pass.Compile(g, []pass.Target{dev.Target()}, pass.Options{NoFuse: true, Layers: -1})
	if err != nil {
		return nil, err
	}
	return parts[0].Graph, nil
}

// load brings the weights that lowered graphs read onto the device, each once, packed
// for all that is done with it.
func load(ctx context.Context, dev backend.Device, open Open, graphs ...*graph.Graph) (backend.Weights, error) {
	uses := map[string]backend.Uses{}
	for _, g := range graphs {
		for name, u := range backend.WeightUses(g) {
			uses[name] |= u
		}
	}
	var specs []backend.WeightSpec
	seen := map[string]bool{}
	for _, g := range graphs {
		for _, w := range g.Weights() {
			if seen[w.Name] {
				continue
			}
			seen[w.Name] = true
			s := specOf(w)
			s.Uses = uses[w.Name]
			s.Open = func() ([]byte, func(), error) { return open(s) }
			specs = append(specs, s)
		}
	}
	return dev.Load(ctx, backend.LoadSpec{Weights: specs})
}

// compile brings a lowered graph onto the device, with weights that outlive it. With
// an error there is no program, and nothing of it is left.
func compile(ctx context.Context, dev backend.Device, g *graph.Graph, weights backend.Weights) (p *program, err error) {
	p = &program{graph: g}
	defer func() {
		if err != nil {
			p, err = nil, errors.Join(err, p.close())
		}
	}()
	layout, err := plan.New(g, dev.Target().Align)
	if err != nil {
		return nil, err
	}
	p.arena = layout.Arena
	p.exe, err = dev.Compile(ctx, backend.CompileSpec{Graph: g, Plan: layout, Weights: weights})
	return p, err
}

// specOf describes a weight of a graph.
func specOf(w *graph.Node) backend.WeightSpec {
	shape := make([]int, len(w.Type.Shape))
	for i, d := range w.Type.Shape {
		shape[i] = d.N
	}
	return backend.WeightSpec{Name: w.Name, DType: w.Type.DType, Shape: shape}
}

func (p *program) start(ctx context.Context, a *backend.Args) error {
	f, err := p.exe.Submit(ctx, a)
	if err != nil {
		return err
	}
	return f.Wait()
}

// submit runs a batch.
func (p *program) submit(ctx context.Context, state backend.State, b *batch) error {
	if len(b.rows) == 0 {
		return nil
	}
	a := &backend.Args{State: state, Segments: b.segments, Seqs: len(b.segments)}
	for _, in := range p.graph.Inputs() {
		var v backend.Tensor
		switch in.Name {
		case "tokens":
			v.I32 = b.tokens
		case "positions":
			v.I32 = b.positions
		case "rows":
			v.I32 = b.rows
		case "labels":
			v.I32 = b.labels
		case "targets":
			v.I32 = b.targets
		case "target.probs":
			v.F32 = b.probs
		case "key":
			v.I32 = b.key[:]
		case "loss.grad":
			v.F32 = b.counts
		default:
			return fmt.Errorf("the graph has an input %q that training does not know", in.Name)
		}
		a.Inputs = append(a.Inputs, v)
	}
	b.losses = make([]float32, len(b.rows))
	for _, o := range p.graph.Outputs {
		if o.Name == "loss" {
			a.Outputs = append(a.Outputs, backend.Output{F32: b.losses})
		} else {
			a.Outputs = append(a.Outputs, backend.Output{Skip: true})
		}
	}
	return p.start(ctx, a)
}

func (p *program) close() error {
	if p.exe == nil {
		return nil
	}
	return p.exe.Close()
}
