package accel

import (
	"fmt"
	"math"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// places says where operands lie. Compile's are real; those of [device.supports]
// only let calls be made, to see whether they can be.
type places interface {
	value(n *graph.Node) uint32                               // float of the arena; weights have a copy there
	vector(w *graph.Node) uint32                              // float of the vectors
	pieces(w *graph.Node) []shader.Piece                      // of a matrix
	ids(in *graph.Node) uint32                                // uint of the run buffer where an input's integers begin
	rowTable() uint32                                         // uint of the run buffer
	angles(a graph.RopeAttr, pos, factors *graph.Node) uint32 // uint of the run buffer where a table of angles begins
	layer(state string) int                                   // number of a state
	scratch(floats int) uint32                                // float of the arena; room that the next node may have again
	folded(product *graph.Node) *graph.Node                   // a norm_add that this product computes, or nil
}

// lowering makes the calls of a graph's nodes for runs of at most max.
type lowering struct {
	places
	graph    *graph.Graph
	features shader.Features
	max      dtype.Binding
	many     bool // for runs of more than shader.Few rows
}

// node gives the calls that compute n; none for what only gives memory another
// name.
func (l *lowering) node(n *graph.Node) ([]shader.Call, error) {
	switch {
	case n.Op == graph.OpInput || n.Op == graph.OpWeight:
		return nil, nil
	case n.Op.IsUnary():
		return l.unary(n)
	case n.Op.IsBinary():
		return l.binary(n)
	}
	switch n.Op {
	case graph.OpEmbed:
		return l.embed(n)
	case graph.OpLinear:
		return l.product(n, graph.FusedLinearAttr{Segments: 1}, graph.FusedLinearParts{X: n.In[0], Weights: n.In[1:2]})
	case graph.OpFusedLinear:
		return l.product(n, n.Attr.(graph.FusedLinearAttr), n.FusedLinear())
	case graph.OpMatMul:
		return l.matMul(n)
	case graph.OpRMSNorm, graph.OpLayerNorm, graph.OpNormAdd:
		return l.norm(n)
	case graph.OpRope:
		return l.rope(n)
	case graph.OpCacheWrite:
		return l.cacheWrite(n)
	case graph.OpRopeCache:
		return l.ropeCache(n)
	case graph.OpAttention:
		return l.attention(n)
	case graph.OpSoftmax:
		return l.softmax(n)
	case graph.OpReshape, graph.OpReadout:
		return l.same(n)
	case graph.OpSlice:
		return l.slice(n)
	case graph.OpConcat:
		return l.concat(n)
	case graph.OpTranspose:
		return l.transpose(n)
	case graph.OpGatherRows:
		return l.gatherRows(n)
	}
	return nil, fmt.Errorf("there is no kernel for %s", n.Op)
}

// lower names the kernels of a node and the format of what they multiply. All
// other values are float32.
func (d *device) lower(g *graph.Graph, n *graph.Node) (kernel, format string) {
	var weights []*graph.Node
	switch n.Op {
	case graph.OpAttention:
		if s, ok := g.State(n.State()); ok && d.limits.Tensor && cacheOf(s).Tensor() {
			return "attention.tensor", "f16"
		}
		return n.Op.String(), "f32"
	case graph.OpLinear:
		weights = n.In[1:2]
	case graph.OpFusedLinear:
		weights = n.FusedLinear().Weights
	default:
		return n.Op.String(), "f32"
	}
	kernel = "product"
	seen := map[string]bool{}
	ints, halves, floats := false, false, false
	for _, w := range weights {
		layout, ok := d.limits.LayoutOf(w.Type.DType)
		if !ok {
			continue
		}
		switch {
		case d.limits.Tensor:
			halves = true
		case d.limits.IntDot && layout.Ints():
			ints = true
		case d.limits.Half && layout.Ints():
			halves = true
		default:
			floats = true
		}
		if !seen[layout.String()] {
			kernel += "." + layout.String()
			seen[layout.String()] = true
		}
	}
	switch {
	case halves:
		format = "f16"
	case !ints:
		format = "f32"
	case floats:
		format = "q8+f32"
	default:
		format = "q8"
	}
	return kernel, format
}

// extent is the number of elements of a shape.
func extent(s dtype.Shape) (shader.Extent, error) {
	e := shader.Const(1)
	for _, d := range s {
		if d.IsConst() {
			if e.Times > 0 && d.N > math.MaxInt32/e.Times {
				return e, fmt.Errorf("shape %s has too many elements", s)
			}
			e.Times *= d.N
			continue
		}
		z, err := size(d)
		if err != nil {
			return e, err
		}
		e.Sizes = append(e.Sizes, z)
	}
	if len(e.Sizes) > 4 {
		return e, fmt.Errorf("shape %s has more than four sizes of the run", s)
	}
	return e, nil
}

// size is the run's size that a dimension stands for.
func size(d dtype.Dim) (shader.Size, error) {
	switch d.Sym {
	case dtype.T:
		return shader.SizeT, nil
	case dtype.R:
		return shader.SizeR, nil
	case dtype.S:
		return shader.SizeS, nil
	case dtype.P:
		return shader.SizeP, nil
	}
	return 0, fmt.Errorf("dimension %s is no size of a run", d)
}

// cut splits a shape into its rows and their length.
func cut(s dtype.Shape) (rows dtype.Shape, cols dtype.Dim) {
	if len(s) == 0 {
		return nil, dtype.Const(1)
	}
	return s[:len(s)-1], s[len(s)-1]
}

// constant asks that a dimension is one.
func constant(d dtype.Dim, what string) (int, error) {
	if !d.IsConst() {
		return 0, fmt.Errorf("%s is %s, which is not constant", what, d)
	}
	return d.N, nil
}

// rowsOf is the number of rows of a shape without its last dimension, for kernels
// that count them by one size of the run.
func (l *lowering) rowsOf(rows dtype.Shape) (shader.Rows, error) {
	e, err := extent(rows)
	if err != nil {
		return shader.Rows{}, err
	}
	most, err := rows.NumElems(l.max)
	if err != nil {
		return shader.Rows{}, err
	}
	r := shader.Rows{Count: shader.SizeOne, Times: e.Times, Max: most}
	switch len(e.Sizes) {
	case 0:
	case 1:
		r.Count = e.Sizes[0]
	default:
		return r, fmt.Errorf("rows %s are counted by more than one size of the run", rows)
	}
	return r, nil
}

// wantWeight asks that an operand is one of the model's.
func wantWeight(n *graph.Node) error {
	if n.Op != graph.OpWeight {
		return fmt.Errorf("%s must be a weight", n)
	}
	if !n.Type.DType.Computable() {
		return fmt.Errorf("weight %q has type %s", n.Name, n.Type.DType)
	}
	return nil
}

// vectorOf is the place of a weight that kernels read from the vectors.
func (l *lowering) vectorOf(n *graph.Node) (uint32, error) {
	if err := wantWeight(n); err != nil {
		return 0, err
	}
	return l.vector(n), nil
}

// vectorAt is the place of n's input number i, nil if there is none.
func (l *lowering) vectorAt(n *graph.Node, i int) (*uint32, error) {
	if i >= len(n.In) {
		return nil, nil
	}
	v, err := l.vectorOf(n.In[i])
	return &v, err
}

// matrixOf is the pieces of a weight that products and look-ups read.
func (l *lowering) matrixOf(n *graph.Node) ([]shader.Piece, error) {
	if err := wantWeight(n); err != nil {
		return nil, err
	}
	if _, ok := l.features.LayoutOf(n.Type.DType); !ok {
		return nil, fmt.Errorf("weight %q has type %s, which no kernel reads", n.Name, n.Type.DType)
	}
	return l.pieces(n), nil
}

// idsOf is the place of an operand of integers.
func (l *lowering) idsOf(n *graph.Node) (uint32, error) {
	if n.Op != graph.OpInput {
		return 0, fmt.Errorf("%s must be an input of the graph", n)
	}
	return l.ids(n), nil
}
