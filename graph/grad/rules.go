package grad

import (
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// A rule gives the gradients of n's inputs, gy being the gradient of its result.
type rule func(d *differ, n, gy *graph.Node)

// rules is filled in by init, since rules call what refers to it.
var rules map[graph.Op]rule

func init() {
	rules = map[graph.Op]rule{
		graph.OpEmbed:         embed,
		graph.OpLinear:        linear,
		graph.OpLinearT:       linearT,
		graph.OpMatMul:        matMul,
		graph.OpRMSNorm:       norm,
		graph.OpLayerNorm:     norm,
		graph.OpRope:          rope,
		graph.OpSelfAttention: selfAttention,
		graph.OpAdd:           add,
		graph.OpSub:           sub,
		graph.OpMul:           mul,
		graph.OpDiv:           div,
		graph.OpScale:         same, // times the same factor
		graph.OpDropout:       same, // by the same mask
		graph.OpFakeQuant:     through,
		graph.OpReadout:       through,
		graph.OpSoftmax:       softmax,
		graph.OpReshape:       reshape,
		graph.OpSlice:         slice,
		graph.OpConcat:        concat,
		graph.OpTranspose:     transpose,
		graph.OpGatherRows:    gatherRows,
		graph.OpCrossEntropy:  crossEntropy,
	}
	for _, op := range []graph.Op{graph.OpSoftCap, graph.OpSilu, graph.OpGelu, graph.OpGeluErf, graph.OpRelu, graph.OpTanh, graph.OpSigmoid, graph.OpExp} {
		rules[op] = unary
	}
}

func embed(d *differ, n, gy *graph.Node) {
	d.give(n, 0, func() *graph.Node {
		return d.add(n, graph.OpScatterRows, graph.ReshapeAttr{Shape: n.In[0].Type.Shape}, gy, d.value(n.In[1]))
	})
}

// linear: y = x wᵀ.
func linear(d *differ, n, gy *graph.Node) {
	d.give(n, 0, func() *graph.Node { return d.add(n, graph.OpLinearT, nil, gy, d.value(n.In[1])) })
	d.give(n, 1, func() *graph.Node { return d.add(n, graph.OpOuter, nil, gy, d.value(n.In[0])) })
}

// linearT: y = x w.
func linearT(d *differ, n, gy *graph.Node) {
	d.give(n, 0, func() *graph.Node { return d.add(n, graph.OpLinear, nil, gy, d.value(n.In[1])) })
	d.give(n, 1, func() *graph.Node { return d.add(n, graph.OpOuter, nil, d.value(n.In[0]), gy) })
}

func matMul(d *differ, n, gy *graph.Node) {
	turned := func(x *graph.Node) *graph.Node {
		perm := make([]int, len(x.Type.Shape))
		for i := range perm {
			perm[i] = i
		}
		last := len(perm) - 1
		perm[last], perm[last-1] = last-1, last
		return d.add(n, graph.OpTranspose, graph.PermAttr{Perm: perm}, d.value(x))
	}
	d.give(n, 0, func() *graph.Node { return d.add(n, graph.OpMatMul, nil, gy, turned(n.In[1])) })
	d.give(n, 1, func() *graph.Node { return d.add(n, graph.OpMatMul, nil, turned(n.In[0]), gy) })
}

func norm(d *differ, n, gy *graph.Node) {
	a := graph.NormGradAttr{Eps: n.Attr.(graph.NormAttr).Eps, Centre: n.Op == graph.OpLayerNorm}
	d.give(n, 0, func() *graph.Node {
		in := []*graph.Node{d.value(n.In[0]), gy}
		if len(n.In) > 1 {
			in = append(in, d.value(n.In[1]))
		}
		return d.add(n, graph.OpNormGrad, a, in...)
	})
	d.give(n, 1, func() *graph.Node { return d.add(n, graph.OpNormGradW, a, d.value(n.In[0]), gy) })
	d.give(n, 2, func() *graph.Node { return d.add(n, graph.OpSumTo, graph.KeepAttr{Keep: 1}, gy) })
}

// rope: a rotation's transpose is its inverse, and the magnitude stays.
func rope(d *differ, n, gy *graph.Node) {
	a := n.Attr.(graph.RopeAttr)
	a.Inverse = !a.Inverse
	d.give(n, 0, func() *graph.Node {
		in := []*graph.Node{gy}
		for _, x := range n.In[1:] {
			in = append(in, d.value(x))
		}
		return d.add(n, graph.OpRope, a, in...)
	})
}

// selfAttention: one node computes the three gradients, which are cut out of it.
func selfAttention(d *differ, n, gy *graph.Node) {
	all := d.add(n, graph.OpSelfAttentionGrad, n.Attr, d.value(n.In[0]), d.value(n.In[1]), d.value(n.In[2]), gy)
	at := 0
	for i, in := range n.In {
		s := in.Type.Shape
		cols := s[1].N * s[2].N
		d.give(n, i, func() *graph.Node {
			part := d.add(n, graph.OpSlice, graph.SliceAttr{Axis: 1, Start: at, Len: cols}, all)
			return d.add(n, graph.OpReshape, graph.ReshapeAttr{Shape: s}, part)
		})
		at += cols
	}
}

// fold sums a gradient over the leading dimensions that an operand does not have.
func (d *differ) fold(n, operand, gradient *graph.Node) *graph.Node {
	if keep := len(operand.Type.Shape); keep < len(n.Type.Shape) {
		return d.add(n, graph.OpSumTo, graph.KeepAttr{Keep: keep}, gradient)
	}
	return gradient
}

func (d *differ) minus(n, x *graph.Node) *graph.Node {
	return d.add(n, graph.OpScale, graph.ScaleAttr{Factor: -1}, x)
}

func add(d *differ, n, gy *graph.Node) {
	d.give(n, 0, func() *graph.Node { return gy })
	d.give(n, 1, func() *graph.Node { return d.fold(n, n.In[1], gy) })
}

func sub(d *differ, n, gy *graph.Node) {
	d.give(n, 0, func() *graph.Node { return gy })
	d.give(n, 1, func() *graph.Node { return d.minus(n, d.fold(n, n.In[1], gy)) })
}

func mul(d *differ, n, gy *graph.Node) {
	d.give(n, 0, func() *graph.Node { return d.add(n, graph.OpMul, nil, gy, d.value(n.In[1])) })
	d.give(n, 1, func() *graph.Node {
		return d.fold(n, n.In[1], d.add(n, graph.OpMul, nil, gy, d.value(n.In[0])))
	})
}

// div: y = a/b, so dy/db = -y/b.
func div(d *differ, n, gy *graph.Node) {
	d.give(n, 0, func() *graph.Node { return d.add(n, graph.OpDiv, nil, gy, d.value(n.In[1])) })
	d.give(n, 1, func() *graph.Node {
		by := d.add(n, graph.OpDiv, nil, d.value(n), d.value(n.In[1]))
		return d.minus(n, d.fold(n, n.In[1], d.add(n, graph.OpMul, nil, gy, by)))
	})
}

// same: a linear operation that is its own transpose.
func same(d *differ, n, gy *graph.Node) {
	d.give(n, 0, func() *graph.Node {
		in := []*graph.Node{gy}
		for _, x := range n.In[1:] {
			in = append(in, d.value(x))
		}
		return d.add(n, n.Op, n.Attr, in...)
	})
}

func through(d *differ, n, gy *graph.Node) {
	d.pass(n, gy)
}

func unary(d *differ, n, gy *graph.Node) {
	a := graph.UnaryGradAttr{Of: n.Op.String()}
	if c, ok := n.Attr.(graph.SoftCapAttr); ok {
		a.Cap = c.Cap
	}
	d.give(n, 0, func() *graph.Node { return d.add(n, graph.OpUnaryGrad, a, d.value(n.In[0]), gy) })
}

func softmax(d *differ, n, gy *graph.Node) {
	d.give(n, 0, func() *graph.Node { return d.add(n, graph.OpSoftmaxGrad, nil, d.value(n), gy) })
}

func reshape(d *differ, n, gy *graph.Node) {
	d.give(n, 0, func() *graph.Node {
		return d.add(n, graph.OpReshape, graph.ReshapeAttr{Shape: n.In[0].Type.Shape}, gy)
	})
}

// slice gives a part; what the parts are put together to is seen when all are known.
func slice(d *differ, n, gy *graph.Node) {
	in, a := n.In[0], n.Attr.(graph.SliceAttr)
	if d.need[in.ID] {
		d.contribute(in, contribution{gradient: gy, part: &a})
	}
}

func concat(d *differ, n, gy *graph.Node) {
	axis, at := n.Attr.(graph.AxisAttr).Axis, 0
	for i, in := range n.In {
		size := in.Type.Shape[axis].N
		d.give(n, i, func() *graph.Node {
			return d.add(n, graph.OpSlice, graph.SliceAttr{Axis: axis, Start: at, Len: size}, gy)
		})
		at += size
	}
}

func transpose(d *differ, n, gy *graph.Node) {
	perm := n.Attr.(graph.PermAttr).Perm
	back := make([]int, len(perm))
	for i, p := range perm {
		back[p] = i
	}
	d.give(n, 0, func() *graph.Node { return d.add(n, graph.OpTranspose, graph.PermAttr{Perm: back}, gy) })
}

func gatherRows(d *differ, n, gy *graph.Node) {
	d.give(n, 0, func() *graph.Node {
		to := append(dtype.Shape(nil), n.In[0].Type.Shape...)
		return d.add(n, graph.OpScatterRows, graph.ReshapeAttr{Shape: to}, gy, d.value(n.In[1]))
	})
}

func crossEntropy(d *differ, n, gy *graph.Node) {
	if d.chunked(n, gy) {
		return
	}
	d.give(n, 0, func() *graph.Node {
		in := []*graph.Node{d.value(n.In[0])}
		for _, l := range n.CrossEntropy().Nodes() {
			in = append(in, d.value(l))
		}
		return d.add(n, graph.OpCrossEntropyGrad, n.Attr, append(in, gy)...)
	})
}
