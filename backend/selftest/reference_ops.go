package selftest

import (
	"fmt"
	"math"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/ref"
)

func unary(n *graph.Node) func(float64) float64 {
	switch n.Op {
	case graph.OpScale:
		f := float64(n.Attr.(graph.ScaleAttr).Factor)
		return func(x float64) float64 { return x * f }
	case graph.OpSoftCap:
		return ref.SoftCap(float64(n.Attr.(graph.SoftCapAttr).Cap))
	case graph.OpTanh:
		return math.Tanh
	case graph.OpSigmoid:
		return ref.Sigmoid
	case graph.OpExp:
		return math.Exp
	case graph.OpSilu:
		return ref.Silu
	case graph.OpGelu:
		return ref.Gelu
	case graph.OpGeluErf:
		return ref.GeluErf
	case graph.OpRelu:
		return ref.Relu
	}
	return nil
}

var activations = map[string]func(float64) float64{
	"":         func(x float64) float64 { return x },
	"silu":     ref.Silu,
	"gelu":     ref.Gelu,
	"gelu_erf": ref.GeluErf,
	"relu":     ref.Relu,
}

func binary(op graph.Op) func(x, y float64) float64 {
	switch op {
	case graph.OpAdd:
		return func(x, y float64) float64 { return x + y }
	case graph.OpSub:
		return func(x, y float64) float64 { return x - y }
	case graph.OpMul:
		return func(x, y float64) float64 { return x * y }
	case graph.OpDiv:
		return func(x, y float64) float64 { return x / y }
	}
	return nil
}

// move computes slice, concat and transpose by their definition: element by
// element, through indices of every dimension.
func (r *ReferenceOf[F]) move(n *graph.Node, out []F) {
	size := r.sizes(n)
	idx := make([]int, len(size))
	for o := range out {
		rest := o
		for d := len(size) - 1; d >= 0; d-- {
			idx[d] = rest % size[d]
			rest /= size[d]
		}
		in, at := n.In[0], append([]int(nil), idx...)
		switch a := n.Attr.(type) {
		case graph.SliceAttr:
			at[a.Axis] += a.Start
		case graph.PermAttr:
			for d, p := range a.Perm {
				at[p] = idx[d]
			}
		case graph.AxisAttr:
			for _, in = range n.In {
				if k := in.Type.Shape[a.Axis].N; at[a.Axis] >= k {
					at[a.Axis] -= k
				} else {
					break
				}
			}
		}
		flat := 0
		for d, s := range r.sizes(in) {
			flat = flat*s + at[d]
		}
		out[o] = r.f(in)[flat]
	}
}

// fusedLinear follows the definition in graph.FusedLinearAttr.
func (r *ReferenceOf[F]) fusedLinear(n *graph.Node, out []F) {
	a, p := n.Attr.(graph.FusedLinearAttr), n.FusedLinear()
	x := r.f(p.X)
	k := lastOf(r.sizes(p.X))
	m := len(x) / max(1, k)
	if a.Norm {
		y := make([]F, len(x))
		ref.RMSNorm(y, x, r.f(p.Norm), k, a.Eps)
		x = y
	}
	rows := 0
	for _, w := range p.Weights {
		rows += w.Type.Shape[0].N
	}
	z := make([]F, m*rows)
	base := 0
	for s, w := range p.Weights {
		nw := w.Type.Shape[0].N
		part := make([]F, m*nw)
		ref.Linear(part, x, r.f(w), m, nw, k)
		for i := range m {
			for j := range nw {
				v := float64(part[i*nw+j])
				if a.Bias {
					v += float64(r.f(p.Biases[s])[j])
				}
				if a.Scale != 0 {
					v *= float64(a.Scale)
				}
				z[i*rows+base+j] = F(v)
			}
		}
		base += nw
	}
	cols := rows
	if a.Gated {
		cols /= 2
	}
	for i := range m {
		for j := range cols {
			v := activations[a.Act](float64(z[i*rows+j]))
			if a.Gated {
				v *= float64(z[i*rows+cols+j])
			}
			if a.SoftCap != 0 {
				v = ref.SoftCap(float64(a.SoftCap))(v)
			}
			if a.Residual {
				v += float64(r.f(p.Residual)[i*cols+j])
			}
			out[i*cols+j] = F(v)
		}
	}
}

// factors are a rotation's, which its table takes as float32.
func (r *ReferenceOf[F]) factors(n *graph.Node) []float32 {
	if n == nil {
		return nil
	}
	return float32sOf(r.f(n))
}

func float32sOf[F ref.Float](x []F) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// rope rotates rows of heads of size elements, one position a row.
func (r *ReferenceOf[F]) rope(a graph.RopeAttr, x []F, size int, pos []int32, factors []float32) {
	cos, sin := make([]float32, a.Dims/2), make([]float32, a.Dims/2)
	row := len(x) / max(1, len(pos))
	for i, p := range pos {
		a.RopeTable(cos, sin, int(p), factors)
		ref.Rope(x[i*row:(i+1)*row], size, cos, sin, a.Mode == graph.RopePairs)
	}
}

func (r *ReferenceOf[F]) ropeCache(n *graph.Node, out []F) error {
	a, p := n.Attr.(graph.RopeCacheAttr), n.RopeCache()
	s, _ := r.Graph.State(a.State)
	x, wide := r.f(p.X), p.X.Type.Shape[1].N
	pos := r.values[p.Pos.ID].i
	part := func(off, cols int) []F {
		y := make([]F, len(pos)*cols)
		for i := range pos {
			copy(y[i*cols:(i+1)*cols], x[i*wide+off:])
		}
		return y
	}
	q, k, v := part(a.QOff, a.Heads*s.KeyDim), part(a.KOff, s.KVHeads*s.KeyDim), part(a.VOff, s.KVHeads*s.ValueDim)
	if a.QNorm {
		ref.RMSNorm(q, q, r.f(p.QNorm), s.KeyDim, a.Eps)
	}
	if a.KNorm {
		ref.RMSNorm(k, k, r.f(p.KNorm), s.KeyDim, a.Eps)
	}
	r.rope(a.Rope, q, s.KeyDim, pos, r.factors(p.Factors))
	r.rope(a.Rope, k, s.KeyDim, pos, r.factors(p.Factors))
	copy(out, q)
	return r.store(a.State, k, v)
}

// store writes rows to their cells, rounded to the stored type.
func (r *ReferenceOf[F]) store(state string, k, v []F) error {
	s, _ := r.Graph.State(state)
	nk, nv := s.KVHeads*s.KeyDim, s.KVHeads*s.ValueDim
	ks, vs := float32sOf(k), float32sOf(v)
	row := 0
	for i, seg := range r.args.Segments {
		if seg.Start < 0 || seg.Start+seg.Rows > len(seg.Pages)*backend.PageTokens {
			return fmt.Errorf("segment %d: %d rows from %d do not fit %d pages", i, seg.Rows, seg.Start, len(seg.Pages))
		}
		for i := range seg.Rows {
			key, err := stored(s.DType, ks[row*nk:(row+1)*nk], s.KeyDim)
			if err != nil {
				return err
			}
			value, err := stored(s.DType, vs[row*nv:(row+1)*nv], s.ValueDim)
			if err != nil {
				return err
			}
			r.cache[cellOf(state, seg, seg.Start+i)] = vectors[F]{floatsOf[F](key), floatsOf[F](value)}
			row++
		}
	}
	return nil
}

func cellOf(state string, seg backend.Segment, pos int) cell {
	return cell{state, seg.Pages[pos/backend.PageTokens], pos % backend.PageTokens}
}

// stored is what a cache of type t gives back for heads of dim values. Each head
// begins a block; where it does not fill its last, the rest counts as zeros.
func stored(t dtype.DType, x []float32, dim int) ([]float32, error) {
	padded := (dim + t.BlockLen() - 1) / t.BlockLen() * t.BlockLen()
	size, err := t.RowBytes(padded)
	if err != nil {
		return nil, err
	}
	data, head := make([]byte, size), make([]float32, padded)
	var y []float32
	for ; len(x) > 0; x = x[dim:] {
		copy(head, x[:dim])
		if err := dtype.Quantize(t, data, head); err != nil {
			return nil, err
		}
		if err := dtype.Dequantize(t, head, data); err != nil {
			return nil, err
		}
		y = append(y, head[:dim]...)
	}
	return y, nil
}

func (r *ReferenceOf[F]) attention(n *graph.Node, out []F) {
	a := n.Attr.(graph.AttentionAttr)
	s, _ := r.Graph.State(a.State)
	q := r.f(n.In[0])
	heads := n.Type.Shape[1].N
	group := heads / s.KVHeads
	never := vectors[F]{make([]F, s.KVHeads*s.KeyDim), make([]F, s.KVHeads*s.ValueDim)} // a cleared state
	row := 0
	for _, seg := range r.args.Segments {
		cells := make([]vectors[F], seg.Start+seg.Rows)
		for p := range cells {
			if v, ok := r.cache[cellOf(a.State, seg, p)]; ok {
				cells[p] = v
			} else {
				cells[p] = never
			}
		}
		for i := range seg.Rows {
			at := seg.Start + i
			sees := func(p int) bool {
				if a.Mask == graph.Causal && p > at {
					return false
				}
				if a.Window == 0 {
					return true
				}
				return p > at-a.Window && p < at+a.Window
			}
			for h := range heads {
				kv := h / group
				key := func(p int) []F { return cells[p].k[kv*s.KeyDim : (kv+1)*s.KeyDim] }
				value := func(p int) []F { return cells[p].v[kv*s.ValueDim : (kv+1)*s.ValueDim] }
				at := row*heads + h
				ref.Attention(out[at*s.ValueDim:(at+1)*s.ValueDim], q[at*s.KeyDim:(at+1)*s.KeyDim],
					seg.Start+seg.Rows, a.Scale, a.SoftCap, sees, key, value)
			}
			row++
		}
	}
}
