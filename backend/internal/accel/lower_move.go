package accel

import (
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// same is a value that is its input's: a copy only if the plan did not make it the
// input's memory.
func (l *lowering) same(n *graph.Node) ([]shader.Call, error) {
	from, to := l.value(n.In[0]), l.value(n)
	elems, err := extent(n.Type.Shape)
	if err != nil || from == to {
		return nil, err
	}
	return shader.Copy{From: shader.Arena, Into: shader.Arena, X: from, To: to, Elems: elems}.Calls(l.features), nil
}

// around splits a shape at an axis: the elements before it and those after.
func around(s dtype.Shape, axis int) (outer, inner shader.Extent, err error) {
	if outer, err = extent(s[:axis]); err != nil {
		return outer, inner, err
	}
	inner, err = extent(s[axis+1:])
	return outer, inner, err
}

// rowsOfAxis moves, for all that lies outside an axis, n elements along it: from
// element fromAt of the source, which has from of them there, to element toAt of
// the result, which has to.
func (l *lowering) rowsOfAxis(x, out uint32, outer, inner shader.Extent, n, from, fromAt, to, toAt int) ([]shader.Call, error) {
	return shader.Move{
		From: shader.Arena, X: x, Out: out, Skip: inner.Mul(fromAt), OutSkip: inner.Mul(toAt),
		Dims: []shader.MoveDim{
			{Size: outer, In: inner.Mul(from), Out: inner.Mul(to)},
			{Size: inner.Mul(n), In: shader.Const(1), Out: shader.Const(1)},
		},
	}.Calls(l.features)
}

func (l *lowering) slice(n *graph.Node) ([]shader.Call, error) {
	a, x := n.Attr.(graph.SliceAttr), n.In[0]
	outer, inner, err := around(x.Type.Shape, a.Axis)
	if err != nil {
		return nil, err
	}
	return l.rowsOfAxis(l.value(x), l.value(n), outer, inner, a.Len, x.Type.Shape[a.Axis].N, a.Start, a.Len, 0)
}

func (l *lowering) concat(n *graph.Node) ([]shader.Call, error) {
	axis := n.Attr.(graph.AxisAttr).Axis
	outer, inner, err := around(n.Type.Shape, axis)
	if err != nil {
		return nil, err
	}
	var all []shader.Call
	at := 0
	for _, x := range n.In {
		size := x.Type.Shape[axis].N
		calls, err := l.rowsOfAxis(l.value(x), l.value(n), outer, inner, size, size, 0, n.Type.Shape[axis].N, at)
		if err != nil {
			return nil, err
		}
		for i := range calls {
			calls[i].Free = len(all) > 0
		}
		all = append(all, calls...)
		at += size
	}
	return all, nil
}

func (l *lowering) transpose(n *graph.Node) ([]shader.Call, error) {
	m := shader.Move{From: shader.Arena, X: l.value(n.In[0]), Out: l.value(n)}
	in, out := n.In[0].Type.Shape, n.Type.Shape
	for i, p := range n.Attr.(graph.PermAttr).Perm {
		var d shader.MoveDim
		var err error
		if d.Size, err = extent(out[i : i+1]); err != nil {
			return nil, err
		}
		if d.In, err = extent(in[p+1:]); err != nil {
			return nil, err
		}
		if d.Out, err = extent(out[i+1:]); err != nil {
			return nil, err
		}
		m.Dims = append(m.Dims, d)
	}
	return m.Calls(l.features)
}

// matMul is the product of two values; products with weights are linear.
func (l *lowering) matMul(n *graph.Node) (_ []shader.Call, err error) {
	a, b := n.In[0].Type.Shape, n.In[1].Type.Shape
	rank := len(a)
	m := shader.MatMul{A: l.value(n.In[0]), B: l.value(n.In[1]), Out: l.value(n)}
	for _, e := range []struct {
		to  *shader.Extent
		dim dtype.Shape
	}{{&m.Batch, a[:rank-2]}, {&m.M, a[rank-2 : rank-1]}, {&m.K, a[rank-1:]}, {&m.N, b[rank-1:]}} {
		if *e.to, err = extent(e.dim); err != nil {
			return nil, err
		}
	}
	return m.Calls(l.features), nil
}
