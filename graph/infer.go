package graph

import (
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/graph/dtype"
)

// The functions here give each operation's result type from its inputs and
// attributes, and refuse what does not fit. The builder calls them when a node
// is made and Verify calls them again, so a graph is checked the same way
// whoever made it.

func inferGiven(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 0, 0); err != nil {
		return Type{}, err
	}
	if n.Name == "" {
		return Type{}, errors.New("has no name")
	}
	if n.Type.IsZero() {
		return Type{}, errors.New("has no type")
	}
	if n.Op == OpWeight {
		for _, d := range n.Type.Shape {
			if !d.IsConst() {
				return Type{}, fmt.Errorf("shape %s of a weight must be constant", n.Type.Shape)
			}
		}
	}
	return n.Type, nil
}

func inferEmbed(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 2); err != nil {
		return Type{}, err
	}
	w, ids := n.In[0].Type, n.In[1].Type
	if len(w.Shape) != 2 {
		return Type{}, fmt.Errorf("table must be [V D], is %s", w)
	}
	if ids.DType != dtype.I32 || len(ids.Shape) != 1 {
		return Type{}, fmt.Errorf("ids must be i32[n], are %s", ids)
	}
	return F32(ids.Shape[0], w.Shape[1]), nil
}

func inferLinear(n *Node, g *Graph) (Type, error) {
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
	if len(x.Shape) < 1 || last(x.Shape) != w.Shape[1] {
		return Type{}, fmt.Errorf("last dimension of x %s is not the weight's K in %s", x, w)
	}
	return Type{dtype.F32, with(x.Shape, len(x.Shape)-1, w.Shape[0])}, nil
}

func inferMatMul(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 2); err != nil {
		return Type{}, err
	}
	a, b := n.In[0].Type.Shape, n.In[1].Type.Shape
	if err := wantF32(n, 0, 1); err != nil {
		return Type{}, err
	}
	r := len(a)
	if r < 2 || len(b) != r || a[r-1] != b[r-2] || !a[:r-2].Equal(b[:r-2]) {
		return Type{}, fmt.Errorf("cannot multiply %s by %s: want [B.. M K] and [B.. K N]", a, b)
	}
	return Type{dtype.F32, with(a, r-1, b[r-1])}, nil
}

func inferNorm(n *Node, g *Graph) (Type, error) {
	most := 2
	if n.Op == OpLayerNorm {
		most = 3
	}
	if err := arity(n, 1, most); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	x := n.In[0].Type
	if len(x.Shape) < 1 {
		return Type{}, errors.New("cannot normalise a scalar")
	}
	for i := 1; i < len(n.In); i++ {
		if err := wantVector(n, i, last(x.Shape)); err != nil {
			return Type{}, err
		}
	}
	return x, positive("eps", n.Attr.(NormAttr).Eps)
}

func inferNormAdd(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 3, 3); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0, 2); err != nil {
		return Type{}, err
	}
	x, y := n.In[0].Type, n.In[2].Type
	if len(x.Shape) < 1 || !x.Equal(y) {
		return Type{}, fmt.Errorf("x is %s but what is added is %s", x, y)
	}
	if err := wantVector(n, 1, last(x.Shape)); err != nil {
		return Type{}, err
	}
	return x, positive("eps", n.Attr.(NormAttr).Eps)
}

func checkRope(a RopeAttr, headDim dtype.Dim) error {
	switch {
	case a.Mode != RopePairs && a.Mode != RopeHalves:
		return fmt.Errorf("unknown rope mode %q", a.Mode)
	case a.Scaling != RopeNone && a.Scaling != RopeLinear && a.Scaling != RopeYarn:
		return fmt.Errorf("unknown rope scaling %q", a.Scaling)
	case a.Dims <= 0 || a.Dims%2 != 0:
		return fmt.Errorf("rope dims must be even and positive, are %d", a.Dims)
	case headDim.IsConst() && a.Dims > headDim.N:
		return fmt.Errorf("rope dims %d exceed the head size %d", a.Dims, headDim.N)
	case !(a.Base > 1):
		return fmt.Errorf("rope base must be above 1, is %g", a.Base)
	case a.Factor < 0 || a.Scaling == RopeYarn && a.OrigCtx <= 0:
		return fmt.Errorf("rope scaling %q with factor %g, original context %d", a.Scaling, a.Factor, a.OrigCtx)
	}
	return nil
}

func inferRope(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 3); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	x, a := n.In[0].Type, n.Attr.(RopeAttr)
	if len(x.Shape) != 3 || !x.Shape[2].IsConst() {
		return Type{}, fmt.Errorf("x must be [T H D], is %s", x)
	}
	if err := checkRope(a, x.Shape[2]); err != nil {
		return Type{}, err
	}
	if err := wantPositions(n, 1, x.Shape[0]); err != nil {
		return Type{}, err
	}
	if len(n.In) == 3 {
		if err := wantVector(n, 2, dtype.Const(a.Dims/2)); err != nil {
			return Type{}, err
		}
	}
	return x, nil
}

func inferCacheWrite(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 2); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0, 1); err != nil {
		return Type{}, err
	}
	s, err := kvState(g, n.Attr.(StateAttr).State)
	if err != nil {
		return Type{}, err
	}
	k, v := n.In[0].Type.Shape, n.In[1].Type.Shape
	if len(k) != 3 || len(v) != 3 || k[0] != v[0] ||
		k[1] != dtype.Const(s.KVHeads) || k[2] != dtype.Const(s.KeyDim) ||
		v[1] != dtype.Const(s.KVHeads) || v[2] != dtype.Const(s.ValueDim) {
		return Type{}, fmt.Errorf("keys %s and values %s do not fit state %q: [T %d %d] and [T %d %d]",
			k, v, s.Name, s.KVHeads, s.KeyDim, s.KVHeads, s.ValueDim)
	}
	return Type{}, nil
}

func inferAttention(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 2); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	a := n.Attr.(AttentionAttr)
	s, err := kvState(g, a.State)
	if err != nil {
		return Type{}, err
	}
	w := n.In[1]
	if !w.Op.WritesState() || w.State() != a.State {
		return Type{}, fmt.Errorf("second input must be the node that writes state %q, is %s", a.State, w)
	}
	q := n.In[0].Type.Shape
	if len(q) != 3 || !q[1].IsConst() || q[2] != dtype.Const(s.KeyDim) || q[1].N%s.KVHeads != 0 {
		return Type{}, fmt.Errorf("queries %s do not fit state %q: want [T H %d] with H a multiple of %d", q, s.Name, s.KeyDim, s.KVHeads)
	}
	if wx := w.In[0].Type.Shape; len(wx) == 0 || wx[0] != q[0] {
		return Type{}, fmt.Errorf("queries have %s rows, the keys written %s", q[0], wx)
	}
	if a.Mask != Causal && a.Mask != Bidirectional {
		return Type{}, fmt.Errorf("unknown mask %q", a.Mask)
	}
	if a.Window < 0 || a.SoftCap < 0 || a.Scale == 0 {
		return Type{}, fmt.Errorf("scale %g, window %d, soft cap %g: scale must not be 0, the others not negative", a.Scale, a.Window, a.SoftCap)
	}
	return F32(q[0], q[1], dtype.Const(s.ValueDim)), nil
}

func inferBinary(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 2); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0, 1); err != nil {
		return Type{}, err
	}
	a, b := n.In[0].Type.Shape, n.In[1].Type.Shape
	if len(b) > len(a) || !a[len(a)-len(b):].Equal(b) {
		return Type{}, fmt.Errorf("shape %s is not a suffix of %s", b, a)
	}
	return n.In[0].Type, nil
}

func inferUnary(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 1, 1); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	if a, ok := n.Attr.(SoftCapAttr); ok {
		if err := positive("cap", a.Cap); err != nil {
			return Type{}, err
		}
	}
	if n.Op == OpSoftmax && len(n.In[0].Type.Shape) < 1 {
		return Type{}, errors.New("softmax of a scalar")
	}
	return n.In[0].Type, nil
}

func inferReshape(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 1, 1); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	from, to := n.In[0].Type.Shape, n.Attr.(ReshapeAttr).Shape
	fs, fn := split(from)
	ts, tn := split(to)
	if fn != tn || len(fs) != len(ts) {
		return Type{}, fmt.Errorf("cannot reshape %s to %s", from, to)
	}
	for i := range fs {
		if fs[i] != ts[i] {
			return Type{}, fmt.Errorf("cannot reshape %s to %s: the symbols differ", from, to)
		}
	}
	return Type{n.In[0].Type.DType, to}, nil
}

func inferSlice(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 1, 1); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	x, a := n.In[0].Type, n.Attr.(SliceAttr)
	if a.Axis < 0 || a.Axis >= len(x.Shape) || !x.Shape[a.Axis].IsConst() {
		return Type{}, fmt.Errorf("cannot slice dimension %d of %s: it must exist and be constant", a.Axis, x)
	}
	if a.Start < 0 || a.Len <= 0 || a.Start > x.Shape[a.Axis].N-a.Len {
		return Type{}, fmt.Errorf("elements %d to %d lie outside dimension %d of %s", a.Start, a.Start+a.Len, a.Axis, x)
	}
	return Type{x.DType, with(x.Shape, a.Axis, dtype.Const(a.Len))}, nil
}

func inferConcat(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 1, 1<<16); err != nil {
		return Type{}, err
	}
	x, axis, sum := n.In[0].Type, n.Attr.(AxisAttr).Axis, 0
	if axis < 0 || axis >= len(x.Shape) {
		return Type{}, fmt.Errorf("no dimension %d in %s", axis, x)
	}
	for i, in := range n.In {
		if err := wantF32(n, i); err != nil {
			return Type{}, err
		}
		s := in.Type.Shape
		if len(s) != len(x.Shape) || !s[axis].IsConst() || !with(s, axis, x.Shape[axis]).Equal(x.Shape) {
			return Type{}, fmt.Errorf("cannot join %s to %s along dimension %d", s, x.Shape, axis)
		}
		if sum += s[axis].N; sum < 0 {
			return Type{}, errors.New("the joined dimension is too large")
		}
	}
	return Type{dtype.F32, with(x.Shape, axis, dtype.Const(sum))}, nil
}

func inferTranspose(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 1, 1); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	x, perm := n.In[0].Type.Shape, n.Attr.(PermAttr).Perm
	out, seen := make(dtype.Shape, len(perm)), make([]bool, len(perm))
	if len(perm) != len(x) {
		return Type{}, fmt.Errorf("permutation %v for %s", perm, x)
	}
	for i, p := range perm {
		if p < 0 || p >= len(x) || seen[p] {
			return Type{}, fmt.Errorf("%v is no permutation of the dimensions of %s", perm, x)
		}
		seen[p], out[i] = true, x[p]
	}
	return Type{dtype.F32, out}, nil
}

func inferGatherRows(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 2, 2); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	x, rows := n.In[0].Type, n.In[1].Type
	if len(x.Shape) != 2 || rows.DType != dtype.I32 || len(rows.Shape) != 1 {
		return Type{}, fmt.Errorf("want [X D] and i32[R], have %s and %s", x, rows)
	}
	return F32(rows.Shape[0], x.Shape[1]), nil
}

func inferReadout(n *Node, g *Graph) (Type, error) {
	if err := arity(n, 1, 1); err != nil {
		return Type{}, err
	}
	if err := wantF32(n, 0); err != nil {
		return Type{}, err
	}
	x := n.In[0].Type
	if len(x.Shape) != 2 || !x.Shape[1].IsConst() {
		return Type{}, fmt.Errorf("x must be [R V], is %s", x)
	}
	return x, nil
}
