package graph

import (
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
)

// Builder makes a graph node by node. The first mistake is remembered and
// returned by Graph; after it the methods still return usable nodes, so that
// model code needs no error checks of its own.
//
// The same weight or input asked for twice is one node.
type Builder struct {
	g     *Graph
	layer int
	label string
	named map[string]*Node
	err   error
}

// NewBuilder starts an empty graph.
func NewBuilder(name string, max Limits) *Builder {
	return &Builder{g: &Graph{Name: name, Max: max}, layer: -1, named: map[string]*Node{}}
}

// SetLayer says to which layer the nodes that follow belong; -1 for none.
func (b *Builder) SetLayer(l int) { b.layer = l }

// Label names the next node that is made.
func (b *Builder) Label(format string, args ...any) *Builder {
	b.label = fmt.Sprintf(format, args...)
	return b
}

// Err is the first mistake so far.
func (b *Builder) Err() error { return b.err }

// Fail records a mistake found by the caller.
func (b *Builder) Fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf("graph %s: "+format, append([]any{b.g.Name}, args...)...)
	}
}

// Graph verifies and returns what was built.
func (b *Builder) Graph() (*Graph, error) {
	if b.err != nil {
		return nil, b.err
	}
	if len(b.g.Outputs) == 0 {
		return nil, fmt.Errorf("graph %s: %w", b.g.Name, errors.New("has no output"))
	}
	if err := Verify(b.g); err != nil {
		return nil, err
	}
	return b.g, nil
}

// Add makes a node of any operation; the methods below are its short forms.
func (b *Builder) Add(op Op, attr Attr, in ...*Node) *Node {
	n := &Node{ID: len(b.g.Nodes), Op: op, In: in, Attr: attr, Name: b.label, Layer: b.layer}
	b.label = ""
	return b.place(n)
}

func (b *Builder) place(n *Node) *Node {
	b.g.Nodes = append(b.g.Nodes, n)
	for _, in := range n.In {
		if in == nil || in.ID >= n.ID || b.g.Nodes[in.ID] != in {
			b.Fail("%s: an input does not come from this graph", n)
			n.In = nil
			return n
		}
	}
	if b.err != nil { // types of earlier nodes may be missing
		return n
	}
	t, err := inferNode(n, b.g)
	if err != nil {
		b.Fail("%s: %w", n, err)
		return n
	}
	n.Type = t
	return n
}

// Input is a run-time argument.
func (b *Builder) Input(name string, t Type) *Node { return b.given(OpInput, name, t) }

// Weight is a tensor of the model's file with shape rows x cols, or a vector.
func (b *Builder) Weight(name string, d dtype.DType, shape ...int) *Node {
	s := make(dtype.Shape, len(shape))
	for i, n := range shape {
		s[i] = dtype.Const(n)
	}
	return b.given(OpWeight, name, Type{d, s})
}

func (b *Builder) given(op Op, name string, t Type) *Node {
	key := op.String() + "\x00" + name
	if n, ok := b.named[key]; ok {
		if !n.Type.Equal(t) {
			b.Fail("%s %q is asked for as %s and as %s", op, name, n.Type, t)
		}
		return n
	}
	n := b.place(&Node{ID: len(b.g.Nodes), Op: op, Type: t, Name: name, Layer: b.layer})
	b.named[key] = n
	return n
}

// State declares a state.
func (b *Builder) State(s StateDecl) {
	b.g.States = append(b.g.States, s)
}

// Output names a result of the graph.
func (b *Builder) Output(name string, n *Node) {
	b.g.Outputs = append(b.g.Outputs, Output{name, n})
}

// Embed looks rows up.
func (b *Builder) Embed(w, ids *Node) *Node { return b.Add(OpEmbed, nil, w, ids) }

// Linear is x times w transposed.
func (b *Builder) Linear(x, w *Node) *Node { return b.Add(OpLinear, nil, x, w) }

// RMSNorm normalises the last dimension; w may be nil.
func (b *Builder) RMSNorm(x, w *Node, eps float32) *Node {
	if w == nil {
		return b.Add(OpRMSNorm, NormAttr{eps}, x)
	}
	return b.Add(OpRMSNorm, NormAttr{eps}, x, w)
}

// Rope rotates heads [T H D] by position; factors may be nil.
func (b *Builder) Rope(x, pos, factors *Node, a RopeAttr) *Node {
	if factors == nil {
		return b.Add(OpRope, a, x, pos)
	}
	return b.Add(OpRope, a, x, pos, factors)
}

// CacheWrite appends keys and values to a state.
func (b *Builder) CacheWrite(k, v *Node, state string) *Node {
	return b.Add(OpCacheWrite, StateAttr{state}, k, v)
}

// Attention attends to a state after write has been done.
func (b *Builder) Attention(q, write *Node, a AttentionAttr) *Node {
	return b.Add(OpAttention, a, q, write)
}

// Reshape gives x another shape.
func (b *Builder) Reshape(x *Node, dims ...dtype.Dim) *Node {
	return b.Add(OpReshape, ReshapeAttr{dims}, x)
}

// Slice takes elements [start, start+n) of a dimension.
func (b *Builder) Slice(x *Node, axis, start, n int) *Node {
	return b.Add(OpSlice, SliceAttr{axis, start, n}, x)
}

// Scale multiplies by a constant.
func (b *Builder) Scale(x *Node, f float32) *Node { return b.Add(OpScale, ScaleAttr{f}, x) }

// SoftCap bounds x smoothly by ±limit.
func (b *Builder) SoftCap(x *Node, limit float32) *Node {
	return b.Add(OpSoftCap, SoftCapAttr{limit}, x)
}
