package graph

import (
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
)

// The rules of the operations that passes make.

func inferFusedLinear(n *Node, g *Graph) (Type, error) {
	a := n.Attr.(FusedLinearAttr)
	want := 1 + a.Segments
	if a.NormWeight {
		want++
	}
	if a.Bias {
		want += a.Segments
	}
	if a.Residual {
		want++
	}
	if a.Segments < 1 || len(n.In) != want {
		return Type{}, fmt.Errorf("has %d inputs where its attributes ask for %d", len(n.In), want)
	}
	p := n.FusedLinear()
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	x := n.In[0].Type.Shape
	if len(x) != 2 {
		return Type{}, fmt.Errorf("x must be [X K], is %s", x)
	}
	switch a.Act {
	case "", "silu", "gelu", "gelu_erf", "relu":
	default:
		return Type{}, fmt.Errorf("unknown activation %q", a.Act)
	}
	if a.NormWeight && !a.Norm {
		return Type{}, errors.New("a norm weight without norm")
	}
	if a.Norm {
		if err := positive("eps", a.Eps); err != nil {
			return Type{}, err
		}
		if p.Norm != nil && !p.Norm.Type.Equal(F32(x[1])) {
			return Type{}, fmt.Errorf("norm weight is %s, want f32[%s]", p.Norm.Type, x[1])
		}
	}
	rows := 0
	for i, w := range p.Weights {
		s := w.Type.Shape
		if len(s) != 2 || !s[0].IsConst() || s[1] != x[1] {
			return Type{}, fmt.Errorf("weight %d is %s, want [N %s]", i, w.Type, x[1])
		}
		if rows += s[0].N; rows < 0 {
			return Type{}, errors.New("the rows of the weights are too many")
		}
		if a.Bias && !p.Biases[i].Type.Equal(F32(s[0])) {
			return Type{}, fmt.Errorf("bias %d is %s, want f32[%s]", i, p.Biases[i].Type, s[0])
		}
	}
	if a.Gated {
		if rows%2 != 0 {
			return Type{}, fmt.Errorf("%d rows cannot be halved into gate and value", rows)
		}
		rows /= 2
	}
	out := F32(x[0], dtype.Const(rows))
	if a.Residual && !p.Residual.Type.Equal(out) {
		return Type{}, fmt.Errorf("residual is %s, want %s", p.Residual.Type, out)
	}
	return out, nil
}

// FusedLinearParts are the inputs of a fused_linear node, by role.
type FusedLinearParts struct {
	X        *Node
	Norm     *Node // nil without norm weight
	Weights  []*Node
	Biases   []*Node // nil without bias
	Residual *Node   // nil without residual
}

// FusedLinear sorts the inputs of a fused_linear node by role.
func (n *Node) FusedLinear() FusedLinearParts {
	a := n.Attr.(FusedLinearAttr)
	p, in := FusedLinearParts{X: n.In[0]}, n.In[1:]
	if a.NormWeight {
		p.Norm, in = in[0], in[1:]
	}
	p.Weights, in = in[:a.Segments], in[a.Segments:]
	if a.Bias {
		p.Biases, in = in[:a.Segments], in[a.Segments:]
	}
	if a.Residual {
		p.Residual = in[0]
	}
	return p
}

func inferRopeCache(n *Node, g *Graph) (Type, error) {
	a := n.Attr.(RopeCacheAttr)
	want := 2
	for _, b := range []bool{a.QNorm, a.KNorm, a.Factors} {
		if b {
			want++
		}
	}
	if len(n.In) != want {
		return Type{}, fmt.Errorf("has %d inputs where its attributes ask for %d", len(n.In), want)
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	s, err := kvState(g, a.State)
	if err != nil {
		return Type{}, err
	}
	x := n.In[0].Type.Shape
	if len(x) != 2 || !x[1].IsConst() {
		return Type{}, fmt.Errorf("x must be [T W], is %s", x)
	}
	if err := wantPositions(n, 1, x[0]); err != nil {
		return Type{}, err
	}
	if err := checkRope(a.Rope, dtype.Const(s.KeyDim)); err != nil {
		return Type{}, err
	}
	for _, c := range []struct{ off, n int }{{a.QOff, a.Heads * s.KeyDim}, {a.KOff, s.KVHeads * s.KeyDim}, {a.VOff, s.KVHeads * s.ValueDim}} {
		if c.off < 0 || c.n <= 0 || c.off > x[1].N-c.n {
			return Type{}, fmt.Errorf("columns %d to %d lie outside x %s", c.off, c.off+c.n, x)
		}
	}
	if a.Heads%s.KVHeads != 0 {
		return Type{}, fmt.Errorf("%d heads are no multiple of the state's %d", a.Heads, s.KVHeads)
	}
	p := n.RopeCache()
	for _, w := range []*Node{p.QNorm, p.KNorm} {
		if w != nil && !w.Type.Equal(F32(dtype.Const(s.KeyDim))) {
			return Type{}, fmt.Errorf("norm weight is %s, want f32[%d]", w.Type, s.KeyDim)
		}
	}
	if a.QNorm || a.KNorm {
		if err := positive("eps", a.Eps); err != nil {
			return Type{}, err
		}
	}
	if p.Factors != nil && !p.Factors.Type.Equal(F32(dtype.Const(a.Rope.Dims/2))) {
		return Type{}, fmt.Errorf("rope factors are %s, want f32[%d]", p.Factors.Type, a.Rope.Dims/2)
	}
	return F32(x[0], dtype.Const(a.Heads), dtype.Const(s.KeyDim)), nil
}

// RopeCacheParts are the inputs of a rope_cache node, by role; absent ones are nil.
type RopeCacheParts struct{ X, Pos, QNorm, KNorm, Factors *Node }

// RopeCache sorts the inputs of a rope_cache node by role.
func (n *Node) RopeCache() RopeCacheParts {
	a := n.Attr.(RopeCacheAttr)
	p, in := RopeCacheParts{X: n.In[0], Pos: n.In[1]}, n.In[2:]
	take := func(have bool) *Node {
		if !have {
			return nil
		}
		x := in[0]
		in = in[1:]
		return x
	}
	p.QNorm, p.KNorm, p.Factors = take(a.QNorm), take(a.KNorm), take(a.Factors)
	return p
}
