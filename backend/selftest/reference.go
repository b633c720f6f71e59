package selftest

import (
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/ref"
)

// Reference evaluates graphs node by node with kernels/ref, built and fused
// operations alike. It is what devices are compared with: slow, and written to
// be read. Caches of sequences live in it from run to run.
type Reference = ReferenceOf[float32]

// ReferenceOf computes with values of type F.
type ReferenceOf[F ref.Float] struct {
	Graph   *graph.Graph
	Weights map[string][]F // dequantised, by name
	Tensors map[string][]F // of tensor states, by name; zeros in the beginning
	cache   map[cell]vectors[F]
	values  []tensor[F]
	args    *backend.Args
	size    dtype.Binding
}

// tensor is a value of the run.
type tensor[F ref.Float] struct {
	f []F
	i []int32
}

// cell is one token's place in a state: pages are shared and passed on as on a
// device.
type cell struct {
	state string
	page  int32
	slot  int
}

// vectors are a token's keys and values, [heads*dim] each.
type vectors[F ref.Float] struct{ k, v []F }

// NewReference makes a reference for a graph; weights are as in the file.
func NewReference(g *graph.Graph, specs []backend.WeightSpec) (*Reference, error) {
	return NewReferenceOf[float32](g, specs)
}

// NewReferenceOf is NewReference with values of type F.
func NewReferenceOf[F ref.Float](g *graph.Graph, specs []backend.WeightSpec) (*ReferenceOf[F], error) {
	r := &ReferenceOf[F]{Graph: g, Weights: map[string][]F{}, Tensors: map[string][]F{}, cache: map[cell]vectors[F]{}}
	for _, s := range g.States {
		if s.Kind == graph.Tensor {
			r.Tensors[s.Name] = make([]F, s.Elems)
		}
	}
	for _, s := range specs {
		data, release, err := s.Open()
		if err != nil {
			return nil, err
		}
		n, ok := dtype.Product(s.Shape)
		if !ok {
			return nil, fmt.Errorf("weight %q: shape %v is too large", s.Name, s.Shape)
		}
		w := make([]float32, n)
		err = dtype.Dequantize(s.DType, w, data)
		release()
		if err != nil {
			return nil, fmt.Errorf("weight %q: %w", s.Name, err)
		}
		r.Weights[s.Name] = floatsOf[F](w)
	}
	return r, nil
}

// floatsOf converts values.
func floatsOf[F ref.Float](x []float32) []F {
	y := make([]F, len(x))
	for i, v := range x {
		y[i] = F(v)
	}
	return y
}

// Run evaluates the graph and returns its outputs in order.
func (r *ReferenceOf[F]) Run(a *backend.Args) ([][]F, error) {
	r.args = a
	r.size = dtype.Binding{S: a.Seqs}
	for i, n := range r.Graph.Inputs() {
		if s := n.Type.Shape; len(s) > 0 {
			rows := len(a.Inputs[i].I32)
			if n.Type.DType == dtype.F32 {
				rows = len(a.Inputs[i].F32)
			}
			for _, d := range s[1:] {
				rows /= max(1, d.N)
			}
			switch s[0].Sym {
			case dtype.T:
				r.size.T = rows
			case dtype.R:
				r.size.R = rows
			}
		}
	}
	r.values = make([]tensor[F], len(r.Graph.Nodes))
	input := 0
	for _, n := range r.Graph.Nodes {
		v := &r.values[n.ID]
		switch n.Op {
		case graph.OpInput:
			v.f, v.i = floatsOf[F](a.Inputs[input].F32), a.Inputs[input].I32
			input++
		case graph.OpWeight:
			v.f = r.Weights[n.Name]
		case graph.OpParam:
			v.f = r.Tensors[n.State()]
		default:
			if !n.Type.IsZero() {
				count, err := n.Type.Shape.NumElems(r.size)
				if err != nil {
					return nil, err
				}
				v.f = make([]F, count)
			}
			if err := r.eval(n, v.f); err != nil {
				return nil, fmt.Errorf("reference: %s: %w", n, err)
			}
		}
	}
	var out [][]F
	for _, o := range r.Graph.Outputs {
		out = append(out, r.values[o.Node.ID].f)
	}
	return out, nil
}

func (r *ReferenceOf[F]) f(n *graph.Node) []F {
	if n == nil {
		return nil
	}
	return r.values[n.ID].f
}

func (r *ReferenceOf[F]) sizes(n *graph.Node) []int {
	s, _ := n.Type.Shape.Sizes(r.size)
	return s
}

func lastOf(s []int) int { return s[len(s)-1] }

func (r *ReferenceOf[F]) eval(n *graph.Node, out []F) error {
	var x, y []F
	if len(n.In) > 0 {
		x = r.f(n.In[0])
	}
	if len(n.In) > 1 {
		y = r.f(n.In[1])
	}
	if f := unary(n); f != nil {
		ref.Map(out, x, f)
		return nil
	}
	if f := binary(n.Op); f != nil {
		ref.Zip(out, x, y, f)
		return nil
	}
	switch n.Op {
	case graph.OpEmbed:
		cols := n.In[0].Type.Shape[1].N
		for i, id := range r.values[n.In[1].ID].i {
			copy(out[i*cols:(i+1)*cols], x[int(id)*cols:])
		}
	case graph.OpLinear:
		w := r.sizes(n.In[1])
		x, y = rounded(n, x), rounded(n, y)
		ref.Linear(out, x, y, len(x)/max(1, w[1]), w[0], w[1])
	case graph.OpFusedLinear:
		r.fusedLinear(n, out)
	case graph.OpMatMul:
		a, b := r.sizes(n.In[0]), r.sizes(n.In[1])
		rank, batch := len(a), 1
		for _, d := range a[:rank-2] {
			batch *= d
		}
		ref.MatMul(out, x, y, batch, a[rank-2], b[rank-1], a[rank-1])
	case graph.OpRMSNorm:
		ref.RMSNorm(out, x, y, lastOf(r.sizes(n)), n.Attr.(graph.NormAttr).Eps)
	case graph.OpLayerNorm:
		var b []F
		if len(n.In) == 3 {
			b = r.f(n.In[2])
		}
		ref.LayerNorm(out, x, y, b, lastOf(r.sizes(n)), n.Attr.(graph.NormAttr).Eps)
	case graph.OpNormAdd:
		ref.RMSNorm(out, x, y, lastOf(r.sizes(n)), n.Attr.(graph.NormAttr).Eps)
		ref.Zip(out, out, r.f(n.In[2]), func(a, b float64) float64 { return a + b })
	case graph.OpSoftmax:
		ref.Softmax(out, x, lastOf(r.sizes(n)))
	case graph.OpReshape, graph.OpReadout:
		copy(out, x)
	case graph.OpSlice, graph.OpConcat, graph.OpTranspose:
		r.move(n, out)
	case graph.OpGatherRows:
		cols := n.Type.Shape[1].N
		for i, row := range r.values[n.In[1].ID].i {
			copy(out[i*cols:(i+1)*cols], x[int(row)*cols:])
		}
	case graph.OpRope:
		copy(out, x)
		var factors []float32
		if len(n.In) == 3 {
			factors = r.factors(n.In[2])
		}
		r.rope(n.Attr.(graph.RopeAttr), out, lastOf(r.sizes(n)), r.values[n.In[1].ID].i, factors)
	case graph.OpCacheWrite:
		return r.store(n.Attr.(graph.StateAttr).State, x, y)
	case graph.OpRopeCache:
		return r.ropeCache(n, out)
	case graph.OpAttention:
		r.attention(n, out)
	default:
		return r.train(n, out)
	}
	return nil
}
