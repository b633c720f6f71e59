package pass

import (
	"github.com/ledge-run/ledge/graph"
)

// rewriter makes a new graph from an old one, node by node in order. A pass
// matches a pattern at its last node and there adds the replacement; the
// pattern's other nodes were copied before and fall away at the end, because
// nothing reads them.
type rewriter struct {
	old, out *graph.Graph
	uses     [][]*graph.Node
	moved    []*graph.Node        // by old ID: the new node, nil if not copied yet
	gone     map[*graph.Node]bool // new state writes whose work another node took over
}

func newRewriter(g *graph.Graph) *rewriter {
	return &rewriter{
		old:   g,
		out:   &graph.Graph{Name: g.Name, Max: g.Max, States: g.States},
		uses:  g.Uses(),
		moved: make([]*graph.Node, len(g.Nodes)),
		gone:  map[*graph.Node]bool{},
	}
}

// get is the new node of an old one. Weights and inputs come over when first
// asked for, since a replacement may need them earlier than they stood.
func (r *rewriter) get(n *graph.Node) *graph.Node {
	if n == nil {
		return nil
	}
	if m := r.moved[n.ID]; m != nil {
		return m
	}
	return r.copy(n)
}

func (r *rewriter) getAll(in []*graph.Node) []*graph.Node {
	out := make([]*graph.Node, len(in))
	for i, n := range in {
		out[i] = r.get(n)
	}
	return out
}

// copy takes a node over as it is.
func (r *rewriter) copy(n *graph.Node) *graph.Node {
	if m := r.moved[n.ID]; m != nil {
		return m
	}
	m := *n
	m.In = r.getAll(n.In)
	return r.put(n, &m)
}

// put appends a new node and lets it stand for old, which may be nil.
func (r *rewriter) put(old, n *graph.Node) *graph.Node {
	n.ID = len(r.out.Nodes)
	r.out.Nodes = append(r.out.Nodes, n)
	if old != nil {
		r.moved[old.ID] = n
	}
	return n
}

// node makes a node that stands in old's place: same layer and label. Its
// inputs are new nodes.
func (r *rewriter) node(old *graph.Node, op graph.Op, attr graph.Attr, in ...*graph.Node) (*graph.Node, error) {
	n := &graph.Node{Op: op, Attr: attr, In: in, Name: old.Name, Layer: old.Layer, Device: old.Device}
	t, err := graph.Infer(n, r.out)
	n.Type = t
	return n, err
}

// only reports whether n is read by one node and is no output: a pattern may
// swallow it.
func (r *rewriter) only(n *graph.Node) bool {
	return len(r.uses[n.ID]) == 1 && !r.old.IsOutput(n)
}

// finish drops what nothing reads and numbers the nodes anew. State writes
// stay unless they were taken over.
func (r *rewriter) finish() (*graph.Graph, error) {
	for _, o := range r.old.Outputs {
		r.out.Outputs = append(r.out.Outputs, graph.Output{Name: o.Name, Node: r.get(o.Node)})
	}
	r.out.Prune(func(n *graph.Node) bool {
		return n.Op == graph.OpInput || // so that the arguments do not change
			n.Op.WritesState() && !r.gone[n]
	})
	return r.out, nil
}
