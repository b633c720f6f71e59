package accel

import (
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// embed looks rows of a matrix up.
func (l *lowering) embed(n *graph.Node) ([]shader.Call, error) {
	pieces, err := l.matrixOf(n.In[0])
	if err != nil {
		return nil, err
	}
	ids, err := l.idsOf(n.In[1])
	if err != nil {
		return nil, err
	}
	rows, cols := cut(n.Type.Shape)
	e := shader.Embed{Pieces: pieces, IDs: ids, Out: l.value(n)}
	if e.Rows, err = l.rowsOf(rows); err != nil {
		return nil, err
	}
	if e.K, err = constant(cols, "a row"); err != nil {
		return nil, err
	}
	return e.Calls(l.features)
}

// norm is rms_norm (x, weight?), layer_norm (x, weight?, bias?) and norm_add (x,
// weight, y).
func (l *lowering) norm(n *graph.Node) (_ []shader.Call, err error) {
	rows, cols := cut(n.Type.Shape)
	s := shader.Norm{Kind: shader.NormRMS, X: l.value(n.In[0]), Out: l.value(n), Eps: n.Attr.(graph.NormAttr).Eps}
	if s.Cols, err = constant(cols, "a normed row"); err != nil {
		return nil, err
	}
	if s.Rows, err = extent(rows); err != nil {
		return nil, err
	}
	if s.Weight, err = l.vectorAt(n, 1); err != nil {
		return nil, err
	}
	switch n.Op {
	case graph.OpLayerNorm:
		s.Kind = shader.NormLayer
		s.Bias, err = l.vectorAt(n, 2)
	case graph.OpNormAdd:
		y := l.value(n.In[2])
		s.Add = &y
	}
	if err != nil {
		return nil, err
	}
	return s.Calls(l.features), nil
}

func (l *lowering) softmax(n *graph.Node) (_ []shader.Call, err error) {
	rows, cols := cut(n.Type.Shape)
	s := shader.Softmax{X: l.value(n.In[0]), Out: l.value(n)}
	if s.Cols, err = extent(dtype.Shape{cols}); err != nil {
		return nil, err
	}
	if s.Rows, err = extent(rows); err != nil {
		return nil, err
	}
	return s.Calls(l.features), nil
}

var unaryOps = map[graph.Op]shader.UnaryOp{
	graph.OpScale: shader.UnaryScale, graph.OpSoftCap: shader.UnarySoftCap, graph.OpSilu: shader.UnarySilu,
	graph.OpGelu: shader.UnaryGelu, graph.OpGeluErf: shader.UnaryGeluErf, graph.OpRelu: shader.UnaryRelu,
	graph.OpTanh: shader.UnaryTanh, graph.OpSigmoid: shader.UnarySigmoid, graph.OpExp: shader.UnaryExp,
}

func (l *lowering) unary(n *graph.Node) (_ []shader.Call, err error) {
	u := shader.Unary{Op: unaryOps[n.Op], X: l.value(n.In[0]), Out: l.value(n)}
	switch a := n.Attr.(type) {
	case graph.ScaleAttr:
		u.Factor = a.Factor
	case graph.SoftCapAttr:
		u.Factor = a.Cap
	}
	if u.Elems, err = extent(n.Type.Shape); err != nil {
		return nil, err
	}
	return u.Calls(l.features), nil
}

var binaryOps = map[graph.Op]shader.BinaryOp{
	graph.OpAdd: shader.BinaryAdd, graph.OpSub: shader.BinarySub, graph.OpMul: shader.BinaryMul, graph.OpDiv: shader.BinaryDiv,
}

func (l *lowering) binary(n *graph.Node) (_ []shader.Call, err error) {
	b := shader.Binary{Op: binaryOps[n.Op], A: l.value(n.In[0]), Out: l.value(n)}
	if n.In[1].Op == graph.OpWeight {
		b.BIsVector = true
		b.B, err = l.vectorOf(n.In[1])
	} else {
		b.B = l.value(n.In[1])
	}
	if err != nil {
		return nil, err
	}
	if b.Period, err = extent(n.In[1].Type.Shape); err != nil {
		return nil, err
	}
	if b.Elems, err = extent(n.Type.Shape); err != nil {
		return nil, err
	}
	return b.Calls(l.features), nil
}

func (l *lowering) gatherRows(n *graph.Node) (_ []shader.Call, err error) {
	x := n.In[0].Type.Shape
	g := shader.GatherRows{X: l.value(n.In[0]), Out: l.value(n)}
	if g.IDs, err = l.idsOf(n.In[1]); err != nil {
		return nil, err
	}
	if g.Cols, err = constant(x[1], "a gathered row"); err != nil {
		return nil, err
	}
	if g.From, err = extent(x[:1]); err != nil {
		return nil, err
	}
	if g.Rows, err = extent(n.Type.Shape[:1]); err != nil {
		return nil, err
	}
	return g.Calls(l.features), nil
}
