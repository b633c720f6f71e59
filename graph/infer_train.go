package graph

import (
	"errors"
	"fmt"
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
)

// The rules of the operations of training.

func tensorState(g *Graph, name string) (StateDecl, error) {
	s, ok := g.State(name)
	switch {
	case !ok:
		return s, fmt.Errorf("state %q is not declared", name)
	case s.Kind != Tensor:
		return s, fmt.Errorf("state %q is %s, want %s", name, s.Kind, Tensor)
	}
	return s, nil
}

func inferParam(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 0, 0); err != nil {
		return Type{}, err
	}
	a := n.Attr.(ParamAttr)
	s, err := tensorState(g, a.State)
	if err != nil {
		return Type{}, err
	}
	elems, err := a.Shape.NumElems(dtype.Binding{})
	if err != nil {
		return Type{}, err
	}
	if !a.Shape.IsConst() || elems != s.Elems {
		return Type{}, fmt.Errorf("shape %s does not fit the %d elements of state %q", a.Shape, s.Elems, s.Name)
	}
	return Type{s.DType, a.Shape}, nil
}

// wantParam asks that an input is a parameter of the given type.
func wantParam(n *Node, i int, t Type) error {
	if err := isParam(n.In[i], t); err != nil {
		return fmt.Errorf("input %d: %w", i, err)
	}
	return nil
}

func isParam(in *Node, t Type) error {
	if in.Op != OpParam || !in.Type.Equal(t) {
		return fmt.Errorf("must be a param of %s, is %s (%s)", t, in.Type, in)
	}
	return nil
}

// wantSame asks that two inputs are float32 values of one shape.
func wantSame(n *Node, i, j int) error {
	if err := wantF32(n, i, j); err != nil {
		return err
	}
	if a, b := n.In[i].Type, n.In[j].Type; !a.Equal(b) {
		return fmt.Errorf("inputs %d and %d must have one shape, have %s and %s", i, j, a, b)
	}
	return nil
}

func inferSame(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 2); err != nil {
		return Type{}, err
	}
	if err := wantSame(n, 0, 1); err != nil {
		return Type{}, err
	}
	if len(n.In[0].Type.Shape) < 1 {
		return Type{}, errors.New("needs at least one dimension")
	}
	return n.In[0].Type, nil
}

// checkHeads checks q, k and v of attention without a state.
func checkHeads(n *Node) (heads, groups, key, value int, err error) {
	if err := wantF32(n, 0, 1, 2); err != nil {
		return 0, 0, 0, 0, err
	}
	q, k, v := n.In[0].Type.Shape, n.In[1].Type.Shape, n.In[2].Type.Shape
	bad := func() (int, int, int, int, error) {
		return 0, 0, 0, 0, fmt.Errorf("q %s, k %s, v %s: want [T H Dk], [T G Dk], [T G Dv] with H a multiple of G", q, k, v)
	}
	if len(q) != 3 || len(k) != 3 || len(v) != 3 {
		return bad()
	}
	for _, d := range []dtype.Dim{q[1], q[2], k[1], k[2], v[1], v[2]} {
		if !d.IsConst() || d.N <= 0 {
			return bad()
		}
	}
	if q[0] != dtype.Sym(dtype.T) || q[0] != k[0] || q[0] != v[0] || q[2] != k[2] || k[1] != v[1] || q[1].N%k[1].N != 0 {
		return bad()
	}
	a := n.Attr.(SelfAttentionAttr)
	if a.Mask != Causal && a.Mask != Bidirectional {
		return 0, 0, 0, 0, fmt.Errorf("unknown mask %q", a.Mask)
	}
	if a.Window < 0 || a.SoftCap < 0 || a.Scale == 0 {
		return 0, 0, 0, 0, fmt.Errorf("scale %g, window %d, soft cap %g: scale must not be 0, the others not negative", a.Scale, a.Window, a.SoftCap)
	}
	return q[1].N, k[1].N, q[2].N, v[2].N, nil
}

func inferSelfAttention(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 3, 3); err != nil {
		return Type{}, err
	}
	h, _, _, v, err := checkHeads(n)
	return F32(dtype.Sym(dtype.T), dtype.Const(h), dtype.Const(v)), err
}

func inferSelfAttentionGrad(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 4, 4); err != nil {
		return Type{}, err
	}
	h, groups, k, v, err := checkHeads(n)
	if err != nil {
		return Type{}, err
	}
	if dy := n.In[3].Type; !dy.Equal(F32(dtype.Sym(dtype.T), dtype.Const(h), dtype.Const(v))) {
		return Type{}, fmt.Errorf("the gradient is %s, want f32[T, %d, %d]", dy, h, v)
	}
	sum, ok := dtype.Product([]int{h + groups, k})
	values, ok2 := dtype.Product([]int{groups, v})
	if !ok || !ok2 || sum > math.MaxInt-values {
		return Type{}, errors.New("the heads are too large")
	}
	return F32(dtype.Sym(dtype.T), dtype.Const(sum+values)), nil
}

func inferLinearT(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 2); err != nil {
		return Type{}, err
	}
	x, w := n.In[0].Type, n.In[1].Type
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	if len(w.Shape) != 2 {
		return Type{}, fmt.Errorf("weight must be [N K], is %s", w)
	}
	if len(x.Shape) < 1 || last(x.Shape) != w.Shape[0] {
		return Type{}, fmt.Errorf("last dimension of x %s is not the weight's N in %s", x, w)
	}
	return Type{dtype.F32, with(x.Shape, len(x.Shape)-1, w.Shape[1])}, nil
}

func inferOuter(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 2); err != nil {
		return Type{}, err
	}
	return outerType(n, 0)
}

// outerType is the type of the outer product of inputs i and i+1.
func outerType(n *Node, i int) (Type, error) {
	if err := wantF32(n, i, i+1); err != nil {
		return Type{}, err
	}
	a, b := n.In[i].Type.Shape, n.In[i+1].Type.Shape
	r := len(a)
	if r < 2 || len(b) != r || !a[:r-1].Equal(b[:r-1]) || !a[r-1].IsConst() || !b[r-1].IsConst() {
		return Type{}, fmt.Errorf("cannot multiply %s transposed by %s: want [X.. N] and [X.. K]", a, b)
	}
	return F32(a[r-1], b[r-1]), nil
}

func inferNormGrad(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 3); err != nil {
		return Type{}, err
	}
	if err := wantSame(n, 0, 1); err != nil {
		return Type{}, err
	}
	x := n.In[0].Type
	if len(x.Shape) < 1 {
		return Type{}, errors.New("cannot normalise a scalar")
	}
	if len(n.In) == 3 {
		if err := wantVector(n, 2, last(x.Shape)); err != nil {
			return Type{}, err
		}
	}
	return x, positive("eps", n.Attr.(NormGradAttr).Eps)
}

func inferNormGradW(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 2); err != nil {
		return Type{}, err
	}
	t, err := inferNormGrad(n, g)
	if err != nil {
		return Type{}, err
	}
	if !last(t.Shape).IsConst() {
		return Type{}, fmt.Errorf("last dimension of %s must be constant", t)
	}
	return F32(last(t.Shape)), nil
}

func inferUnaryGrad(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 2); err != nil {
		return Type{}, err
	}
	if err := wantSame(n, 0, 1); err != nil {
		return Type{}, err
	}
	a := n.Attr.(UnaryGradAttr)
	switch a.Of {
	case "silu", "gelu", "gelu_erf", "relu", "tanh", "sigmoid", "exp":
		if a.Cap != 0 {
			return Type{}, fmt.Errorf("%s has no cap", a.Of)
		}
	case "soft_cap":
		if err := positive("cap", a.Cap); err != nil {
			return Type{}, err
		}
	default:
		return Type{}, fmt.Errorf("%q is no elementwise function with a gradient", a.Of)
	}
	return n.In[0].Type, nil
}

func inferSumTo(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 1, 1); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	x, keep := n.In[0].Type.Shape, n.Attr.(KeepAttr).Keep
	if keep < 0 || keep > len(x) {
		return Type{}, fmt.Errorf("cannot keep %d dimensions of %s", keep, x)
	}
	return Type{dtype.F32, x[len(x)-keep:].Clone()}, nil
}

func inferPad(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 1, 1); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	x, a := n.In[0].Type.Shape, n.Attr.(PadAttr)
	if a.Axis < 0 || a.Axis >= len(x) || !x[a.Axis].IsConst() {
		return Type{}, fmt.Errorf("cannot pad dimension %d of %s: it must exist and be constant", a.Axis, x)
	}
	if a.Start < 0 || a.Size < x[a.Axis].N || a.Start > a.Size-x[a.Axis].N {
		return Type{}, fmt.Errorf("%s from %d on does not fit a dimension of %d", x, a.Start, a.Size)
	}
	return Type{dtype.F32, with(x, a.Axis, dtype.Const(a.Size))}, nil
}

func inferScatterRows(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 2); err != nil {
		return Type{}, err
	}
	to := n.Attr.(ReshapeAttr).Shape
	return Type{dtype.F32, to}, scatters(n, 0, to)
}

// scatters asks that input i can be scattered to a shape by the rows of input i+1.
func scatters(n *Node, i int, to dtype.Shape) error {
	if err := wantF32(n, i); err != nil {
		return err
	}
	x, rows := n.In[i].Type.Shape, n.In[i+1].Type
	if len(x) != 2 || len(to) != 2 || x[1] != to[1] || !rows.Equal(I32(x[0])) {
		return fmt.Errorf("cannot scatter %s by %s to %s: want [X D], i32[X] and [Y D]", x, rows, to)
	}
	return nil
}

func inferDropout(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 2); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	a := n.Attr.(DropoutAttr)
	if !(a.Rate >= 0 && a.Rate < 1) || a.Site < 0 {
		return Type{}, fmt.Errorf("rate %g at site %d: want 0 to below 1, and a site that is not negative", a.Rate, a.Site)
	}
	if k := n.In[1].Type; !k.Equal(I32(dtype.Const(2))) {
		return Type{}, fmt.Errorf("key must be i32[2], is %s", k)
	}
	return n.In[0].Type, nil
}

func inferFakeQuant(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 1, 1); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	x := n.In[0].Type
	d, err := dtype.Parse(n.Attr.(QuantAttr).Type)
	if err != nil {
		return Type{}, err
	}
	if !d.Computable() {
		return Type{}, fmt.Errorf("cannot round to %s: there is no code that computes with it", d)
	}
	if len(x.Shape) < 1 || !last(x.Shape).IsConst() || last(x.Shape).N%d.BlockLen() != 0 {
		return Type{}, fmt.Errorf("rows of %s are no whole blocks of %s", x, d)
	}
	return x, nil
}

func inferGlobalNorm(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 1, 1<<16); err != nil {
		return Type{}, err
	}
	for i := range n.In {
		if err := wantF32(n, i); err != nil {
			return Type{}, err
		}
	}
	return F32(dtype.Const(1)), nil
}

func inferAccumulate(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 2); err != nil {
		return Type{}, err
	}
	return Type{}, wantParam(n, 0, n.In[1].Type)
}

func inferAccumulateOuter(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 3, 3); err != nil {
		return Type{}, err
	}
	t, err := outerType(n, 1)
	if err != nil {
		return Type{}, err
	}
	return Type{}, wantParam(n, 0, t)
}

func inferAccumulateRows(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 3, 3); err != nil {
		return Type{}, err
	}
	to := n.In[0].Type
	if err := scatters(n, 1, to.Shape); err != nil {
		return Type{}, err
	}
	return Type{}, wantParam(n, 0, Type{dtype.F32, to.Shape})
}

func inferAdamW(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 5, 6); err != nil {
		return Type{}, err
	}
	for i := range 4 {
		if err := wantParam(n, i, Type{dtype.F32, n.In[0].Type.Shape}); err != nil {
			return Type{}, err
		}
		for j := range i {
			if n.In[i] == n.In[j] {
				return Type{}, fmt.Errorf("inputs %d and %d must be different states", j, i)
			}
		}
	}
	a := n.Attr.(AdamWAttr)
	if !(a.Beta1 >= 0 && a.Beta1 < 1 && a.Beta2 >= 0 && a.Beta2 < 1 && a.Eps > 0 && a.Decay >= 0 && a.Clip >= 0) {
		return Type{}, fmt.Errorf("betas %g and %g, eps %g, decay %g, clip %g: betas must be from 0 to below 1, eps positive, the others not negative",
			a.Beta1, a.Beta2, a.Eps, a.Decay, a.Clip)
	}
	if len(n.In) == 6 {
		if err := wantVector(n, 4, dtype.Const(1)); err != nil {
			return Type{}, err
		}
	} else if a.Clip > 0 {
		return Type{}, errors.New("clipping needs the norm")
	}
	return Type{}, wantVector(n, len(n.In)-1, dtype.Const(3))
}
