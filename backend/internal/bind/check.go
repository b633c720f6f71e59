package bind

import (
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// indices is an input of ids or rows, and what they index.
type indices struct {
	what  string
	in    *graph.Node
	least int
	limit dtype.Dim
}

// indicesOf lists what n indexes by.
func indicesOf(n *graph.Node) []indices {
	var l graph.Labels
	var vocab dtype.Dim
	switch n.Op {
	case graph.OpEmbed:
		return []indices{{"token", n.In[1], 0, n.In[0].Type.Shape[0]}}
	case graph.OpGatherRows:
		return []indices{{"row", n.In[1], 0, n.In[0].Type.Shape[0]}}
	case graph.OpRope, graph.OpRopeCache:
		return []indices{{"position", n.In[1], 0, dtype.Const(MaxPosition)}}
	case graph.OpScatterRows:
		return []indices{{"row", n.In[1], 0, n.Type.Shape[0]}}
	case graph.OpAccumulateRows:
		return []indices{{"row", n.In[2], 0, n.In[0].Type.Shape[0]}}
	case graph.OpCrossEntropy, graph.OpCrossEntropyGrad:
		l, vocab = n.CrossEntropy(), n.In[0].Type.Shape[1]
	case graph.OpLinearLoss, graph.OpLinearLossW:
		l, vocab = n.LinearLoss().Labels, n.In[1].Type.Shape[0]
	default:
		return nil
	}
	all := []indices{{"label", l.IDs, -1, vocab}}
	if l.Targets != nil {
		all = append(all, indices{"target", l.Targets, -1, vocab})
	}
	return all
}

// checkIndices refuses ids and rows that lie outside what they index.
func (r *Run) checkIndices() error {
	for _, x := range r.indices {
		limit := r.Dim(x.limit)
		for i, v := range r.Ints(x.in) {
			if int(v) < x.least || int(v) >= limit {
				return fmt.Errorf("%s %d is %d, outside %d to %d", x.what, i, v, x.least, limit-1)
			}
		}
	}
	return nil
}

// checkOutputs asks for the room that reading back fills.
func (r *Run) checkOutputs() error {
	for i := range r.Args.Outputs {
		o, out := &r.Args.Outputs[i], r.Graph.Outputs[i]
		if o.Skip {
			continue
		}
		elems, rows := r.Elems(out.Node.Type.Shape), r.RowsOf(out.Node)
		readout := out.Node.Op == graph.OpReadout
		if o.Mode == backend.ReadFull || !readout {
			if len(o.F32) != elems {
				return fmt.Errorf("output %q has %d elements, room is given for %d", out.Name, elems, len(o.F32))
			}
			if !readout {
				continue
			}
		}
		cols := out.Node.Type.Shape[len(out.Node.Type.Shape)-1].N
		k := 1
		switch o.Mode {
		case backend.ReadFull:
			k = 0
		case backend.ReadTop:
			k = min(backend.TopCount, cols)
			if len(o.LogSumExp) < rows {
				return fmt.Errorf("output %q: room for %d log-sum-exps, want %d", out.Name, len(o.LogSumExp), rows)
			}
		case backend.ReadArgMax:
		default:
			return fmt.Errorf("output %q: unknown read mode %d", out.Name, o.Mode)
		}
		if len(o.IDs) < rows*k || len(o.Logits) < rows*k {
			return fmt.Errorf("output %q: room for %d ids and %d logits, want %d", out.Name, len(o.IDs), len(o.Logits), rows*k)
		}
		if words := rows * ((cols + 63) / 64); o.Mask != nil && len(o.Mask) < words {
			return fmt.Errorf("output %q: a mask of %d words, want %d", out.Name, len(o.Mask), words)
		}
		for _, b := range o.Bias {
			if b.Row < 0 || b.Row >= rows || b.ID < 0 || int(b.ID) >= cols {
				return fmt.Errorf("output %q: bias on id %d of row %d, there are %d rows of %d", out.Name, b.ID, b.Row, rows, cols)
			}
		}
	}
	return nil
}

// CheckState asks that a state, of which decl gives the declarations, is one of
// the graph's model.
func (r *Run) CheckState(decl func(name string) (graph.StateDecl, bool)) error {
	for _, want := range r.Graph.States {
		if have, ok := decl(want.Name); !ok || have != want {
			return fmt.Errorf("the state given was made for another model: it has no %q like this one's", want.Name)
		}
	}
	return nil
}

// CheckSegments asks that the segments have the run's rows, and pages for them in
// a cache of so many. Call it after Bind.
func (r *Run) CheckSegments(pages int) error {
	if err := r.CheckRows(); err != nil {
		return err
	}
	for i, seg := range r.Args.Segments {
		if seg.Seq < 0 || seg.Seq >= max(1, r.Size.S) {
			return fmt.Errorf("segment %d: sequence %d of a batch of %d", i, seg.Seq, r.Size.S)
		}
		if seg.Start < 0 || seg.Start > len(seg.Pages)*backend.PageTokens-seg.Rows {
			return fmt.Errorf("segment %d: %d rows from %d do not fit its %d pages", i, seg.Rows, seg.Start, len(seg.Pages))
		}
		for _, p := range seg.Pages {
			if p < 0 || int(p) >= pages {
				return fmt.Errorf("segment %d: page %d of a cache of %d", i, p, pages)
			}
		}
	}
	return nil
}

// CheckRows asks that the segments have the run's rows: CheckSegments for graphs
// that attend within a batch and have no cache. Call it after Bind.
func (r *Run) CheckRows() error {
	if len(r.Rows) != r.Size.T {
		return fmt.Errorf("segments have %d rows, the inputs %d", len(r.Rows), r.Size.T)
	}
	return nil
}

// CheckWeights asks that every weight of g is loaded, of which have gives the
// specification, as the graph has it and for what the graph does with it.
func CheckWeights(g *graph.Graph, have func(name string) (backend.WeightSpec, bool)) error {
	uses := backend.WeightUses(g)
	for _, n := range g.Weights() {
		w, ok := have(n.Name)
		if !ok {
			return fmt.Errorf("weight %q is not loaded", n.Name)
		}
		if w.DType != n.Type.DType || !n.Type.Shape.Equal(dtype.ConstShape(w.Shape...)) {
			return fmt.Errorf("weight %q was loaded as %s%v, the graph has %s", n.Name, w.DType, w.Shape, n.Type)
		}
		if u := uses[n.Name]; u&^w.Uses != 0 {
			return fmt.Errorf("weight %q was loaded for uses %b, the graph has %b", n.Name, w.Uses, u)
		}
	}
	return nil
}
