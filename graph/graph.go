// Package graph is Ledge's intermediate representation: a list of nodes in
// topological order, each an operation on tensors whose dimensions are
// constants or one of the run-time symbols T, S, R and P (see package dtype).
//
// A model emits a graph through a [Builder]; passes (package pass) are
// functions from graph to graph; a backend compiles the result. Operations are
// data: an [Op], its inputs and one attribute struct. What an operation means
// is written down once, in the table of op.go, and computed in plain float32
// by kernels/ref.
//
// Every graph prints as text (String) and reads back (Parse) without loss, so
// that any stage of lowering can be looked at, compared and tested.
package graph

import (
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
)

// Graph is a network at some stage of lowering. Nodes are in topological
// order and a node's ID is its index in Nodes.
type Graph struct {
	Name    string
	Max     Limits
	States  []StateDecl
	Nodes   []*Node
	Outputs []Output
}

// Limits are the largest values the symbolic dimensions take at run time.
// Zero means that the symbol does not occur.
type Limits struct {
	T int // rows of a batch (tokens)
	S int // sequences in a batch
	R int // rows read out
	P int // cache pages of the longest sequence
}

// Binding gives the limits as values for the symbolic dimensions.
func (l Limits) Binding() dtype.Binding {
	return dtype.Binding{T: l.T, S: l.S, R: l.R, P: l.P}
}

// Node is one operation and the single tensor it gives.
type Node struct {
	ID    int
	Op    Op
	In    []*Node
	Attr  Attr   // nil for operations without attributes
	Type  Type   // of the result
	Name  string // of an input or weight; elsewhere a label such as "blk.3.attn_q"
	Layer int    // layer the node belongs to, -1 outside the layers; placement goes by it

	// Set by the passes, empty before them.
	Device string // by place: the device's name
	Kernel string // by lower: the kernel the target will use
	Format string // by lower: the activation format that kernel reads
}

// Type is an element type and a shape. The zero Type belongs to a node that
// has an effect but no value, such as cache_write.
type Type struct {
	DType dtype.DType
	Shape dtype.Shape
}

// F32 is the type of a float32 tensor with the given dimensions.
func F32(dims ...dtype.Dim) Type { return Type{dtype.F32, dtype.Shape(dims)} }

// I32 is the type of an int32 tensor with the given dimensions.
func I32(dims ...dtype.Dim) Type { return Type{dtype.I32, dtype.Shape(dims)} }

// IsZero reports whether t is the type of a node without a value.
func (t Type) IsZero() bool { return t.DType == dtype.Invalid }

// Equal reports whether both types have the same elements and dimensions.
func (t Type) Equal(o Type) bool { return t.DType == o.DType && t.Shape.Equal(o.Shape) }

func (t Type) String() string {
	if t.IsZero() {
		return "none"
	}
	return t.DType.String() + t.Shape.String()
}

// Output is a value that a run gives back, by name.
type Output struct {
	Name string
	Node *Node
}

// StateKind says how a state grows.
type StateKind string

const (
	// Paged state holds a fixed number of bytes for every token, in pages
	// that a sequence's page table lists.
	Paged StateKind = "paged"
	// Ring state holds the last Window tokens of a sequence.
	Ring StateKind = "ring"
	// Fixed state holds Bytes for a sequence, whatever its length.
	Fixed StateKind = "fixed"
	// Tensor state holds Elems elements of DType, whatever the sequences: a
	// weight in training, its gradient, an optimizer's moment.
	Tensor StateKind = "tensor"
)

// StateDecl declares one state of the model, normally one for each layer: the
// key-value cache of an attention layer, or the recurrent state of another
// kind. States outlive runs; the arena never holds them.
type StateDecl struct {
	Name     string
	Kind     StateKind
	KVHeads  int         // heads of keys and values (paged, ring)
	KeyDim   int         // elements of one head's key
	ValueDim int         // elements of one head's value
	Window   int         // tokens kept (ring); 0 elsewhere
	Bytes    int         // size for each sequence (fixed); 0 elsewhere
	Elems    int         // elements in all (tensor); 0 elsewhere
	DType    dtype.DType // stored element type
}

// TokenBytes is the number of bytes one token takes in the state.
func (s StateDecl) TokenBytes() int {
	if s.Kind == Fixed || s.Kind == Tensor {
		return 0
	}
	return s.KVHeads * (storedBytes(s.DType, s.KeyDim) + storedBytes(s.DType, s.ValueDim))
}

// storedBytes is the size of one head's n elements. In q8_0 each head begins a
// block, and its last block may be shorter than 32.
func storedBytes(d dtype.DType, n int) int {
	if d == dtype.Q8_0 {
		return n + (n+31)/32*2
	}
	b, _ := d.RowBytes(n)
	return b
}

// State returns the declaration of the named state.
func (g *Graph) State(name string) (StateDecl, bool) {
	for _, s := range g.States {
		if s.Name == name {
			return s, true
		}
	}
	return StateDecl{}, false
}

// Inputs returns the run-time inputs in node order; arguments are given in
// this order.
func (g *Graph) Inputs() []*Node { return g.byOp(OpInput) }

// Weights returns the weights in node order.
func (g *Graph) Weights() []*Node { return g.byOp(OpWeight) }

func (g *Graph) byOp(op Op) []*Node {
	var out []*Node
	for _, n := range g.Nodes {
		if n.Op == op {
			out = append(out, n)
		}
	}
	return out
}

// Output returns the node of the named output.
func (g *Graph) Output(name string) (*Node, bool) {
	for _, o := range g.Outputs {
		if o.Name == name {
			return o.Node, true
		}
	}
	return nil, false
}

// Uses returns, by node ID, the nodes that read each node. An output of the
// graph counts as no use: see [Graph.IsOutput].
func (g *Graph) Uses() [][]*Node {
	uses := make([][]*Node, len(g.Nodes))
	for _, n := range g.Nodes {
		for _, in := range n.In {
			uses[in.ID] = append(uses[in.ID], n)
		}
	}
	return uses
}

// IsOutput reports whether n is an output of the graph.
func (g *Graph) IsOutput(n *Node) bool {
	for _, o := range g.Outputs {
		if o.Node == n {
			return true
		}
	}
	return false
}

func (n *Node) String() string {
	if n.Name != "" {
		return fmt.Sprintf("%%%d %s %q", n.ID, n.Op, n.Name)
	}
	return fmt.Sprintf("%%%d %s", n.ID, n.Op)
}

// Prune drops the nodes that neither an output needs nor what keep says, and numbers
// the others anew.
func (g *Graph) Prune(keep func(*Node) bool) {
	live := make([]bool, len(g.Nodes))
	for _, o := range g.Outputs {
		live[o.Node.ID] = true
	}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		if live[i] = live[i] || keep(n); live[i] {
			for _, in := range n.In {
				live[in.ID] = true
			}
		}
	}
	kept := g.Nodes[:0]
	for i, n := range g.Nodes {
		if live[i] {
			n.ID = len(kept)
			kept = append(kept, n)
		}
	}
	g.Nodes = kept
}
