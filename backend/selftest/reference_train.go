package selftest

import (
	"fmt"
	"math"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/ref"
)

// train computes the operations of training.
func (r *ReferenceOf[F]) train(n *graph.Node, out []F) error {
	in := make([][]F, len(n.In))
	for i := range in {
		in[i] = r.f(n.In[i])
	}
	ints := func(i int) []int32 { return r.values[n.In[i].ID].i }
	switch n.Op {
	case graph.OpSelfAttention:
		r.selfAttention(n, out)
	case graph.OpSelfAttentionGrad:
		r.selfAttentionGrad(n, out)
	case graph.OpCrossEntropy:
		r.crossEntropy(n.Attr.(graph.CrossEntropyAttr), n.CrossEntropy(), out, nil, in[0], nil)
	case graph.OpCrossEntropyGrad:
		r.crossEntropy(n.Attr.(graph.CrossEntropyAttr), n.CrossEntropy(), nil, out, in[0], in[len(in)-1])
	case graph.OpLinearLoss, graph.OpLinearLossW:
		r.linearLoss(n, out)
	case graph.OpLinearT:
		w := r.sizes(n.In[1])
		ref.LinearT(out, rounded(n, in[0]), rounded(n, in[1]), len(in[0])/max(1, w[0]), w[0], w[1])
	case graph.OpOuter:
		s := r.sizes(n)
		ref.Outer(out, rounded(n, in[0]), rounded(n, in[1]), len(in[0])/max(1, s[0]), s[0], s[1])
	case graph.OpNormGrad:
		a := n.Attr.(graph.NormGradAttr)
		var w []F
		if len(in) == 3 {
			w = in[2]
		}
		ref.NormGrad(out, in[0], in[1], w, lastOf(r.sizes(n)), a.Eps, a.Centre)
	case graph.OpNormGradW:
		a := n.Attr.(graph.NormGradAttr)
		ref.NormGradW(out, in[0], in[1], a.Eps, a.Centre)
	case graph.OpUnaryGrad:
		a := n.Attr.(graph.UnaryGradAttr)
		f := ref.Derivatives[a.Of]
		if a.Of == "soft_cap" {
			f = ref.SoftCapDerivative(float64(a.Cap))
		}
		ref.Zip(out, in[0], in[1], func(x, dy float64) float64 { return f(x) * dy })
	case graph.OpSoftmaxGrad:
		ref.SoftmaxGrad(out, in[0], in[1], lastOf(r.sizes(n)))
	case graph.OpSumTo:
		ref.SumTo(out, in[0])
	case graph.OpPad:
		r.pad(n, out)
	case graph.OpScatterRows:
		ref.ScatterRows(out, in[0], ints(1), lastOf(r.sizes(n)))
	case graph.OpDropout:
		a, key := n.Attr.(graph.DropoutAttr), ints(1)
		ref.Dropout(out, in[0], [2]int32{key[0], key[1]}, a.Site, a.Rate)
	case graph.OpFakeQuant:
		return fakeQuant(n, out, in[0])
	case graph.OpGlobalNorm:
		out[0] = F(ref.GlobalNorm(in...))
	case graph.OpAccumulate:
		for i, v := range in[1] {
			in[0][i] = F(float64(in[0][i]) + float64(v))
		}
	case graph.OpAccumulateOuter:
		s := r.sizes(n.In[0])
		ref.Outer(in[0], rounded(n, in[1]), rounded(n, in[2]), len(in[1])/max(1, s[0]), s[0], s[1])
	case graph.OpAccumulateRows:
		ref.ScatterRows(in[0], in[1], ints(2), lastOf(r.sizes(n.In[0])))
	case graph.OpAdamW:
		adamW(n, in)
	default:
		return fmt.Errorf("the reference does not know this operation")
	}
	return nil
}

// rounded is an operand of a product as n reads it.
func rounded[F ref.Float](n *graph.Node, x []F) []F {
	if n.Round() == "" {
		return x
	}
	y := make([]F, len(x))
	ref.RoundBF16(y, x)
	return y
}

func adamW[F ref.Float](n *graph.Node, in [][]F) {
	a := n.Attr.(graph.AdamWAttr)
	rates := in[len(in)-1]
	s := ref.AdamWStep{
		Beta1: float64(a.Beta1), Beta2: float64(a.Beta2), Eps: float64(a.Eps), Decay: float64(a.Decay), Scale: 1,
		Rate: float64(rates[0]), Bias1: float64(rates[1]), Bias2: float64(rates[2]),
	}
	if len(in) == 6 {
		norm := float64(in[4][0])
		if math.IsNaN(norm) || math.IsInf(norm, 0) {
			clear(in[1])
			return
		}
		if clip := float64(a.Clip); clip > 0 && norm > clip {
			s.Scale = clip / norm
		}
	}
	ref.AdamW(in[0], in[1], in[2], in[3], s)
}

func fakeQuant[F ref.Float](n *graph.Node, out, x []F) error {
	t, err := dtype.Parse(n.Attr.(graph.QuantAttr).Type)
	if err != nil {
		return err
	}
	y := float32sOf(x)
	size, err := t.RowBytes(len(y))
	if err != nil {
		return err
	}
	data := make([]byte, size)
	if err := dtype.Quantize(t, data, y); err != nil {
		return err
	}
	if err := dtype.Dequantize(t, y, data); err != nil {
		return err
	}
	copy(out, floatsOf[F](y))
	return nil
}

func (r *ReferenceOf[F]) pad(n *graph.Node, out []F) {
	a, x := n.Attr.(graph.PadAttr), r.f(n.In[0])
	s := r.sizes(n.In[0])
	inner, _ := dtype.Product(s[a.Axis+1:])
	run := s[a.Axis] * inner
	for i := 0; run > 0 && i < len(x)/run; i++ {
		copy(out[(i*a.Size+a.Start)*inner:], x[i*run:(i+1)*run])
	}
}

// seesRow is which rows of a segment a row of it sees.
func seesRow(a graph.SelfAttentionAttr) func(row, other int) bool {
	return func(row, other int) bool {
		if a.Mask == graph.Causal && other > row {
			return false
		}
		return a.Window == 0 || other > row-a.Window && other < row+a.Window
	}
}

// ofSegments calls do with each segment's first row and number of rows.
func ofSegments(segs []backend.Segment, do func(first, rows int)) {
	row := 0
	for _, s := range segs {
		do(row, s.Rows)
		row += s.Rows
	}
}

func (r *ReferenceOf[F]) selfAttention(n *graph.Node, out []F) {
	a := n.Attr.(graph.SelfAttentionAttr)
	q, k, v := r.f(n.In[0]), r.f(n.In[1]), r.f(n.In[2])
	qs, vs := r.sizes(n.In[0]), r.sizes(n.In[2])
	heads, key, groups, value := qs[1], qs[2], vs[1], vs[2]
	sees := seesRow(a)
	ofSegments(r.args.Segments, func(first, rows int) {
		for i := range rows {
			for h := range heads {
				g, at := h/(heads/groups), (first+i)*heads+h
				ref.Attention(out[at*value:(at+1)*value], q[at*key:(at+1)*key], rows, a.Scale, a.SoftCap,
					func(p int) bool { return sees(i, p) },
					func(p int) []F { return k[((first+p)*groups+g)*key:][:key] },
					func(p int) []F { return v[((first+p)*groups+g)*value:][:value] })
			}
		}
	})
}

func (r *ReferenceOf[F]) selfAttentionGrad(n *graph.Node, out []F) {
	a := n.Attr.(graph.SelfAttentionAttr)
	q, k, v, dy := r.f(n.In[0]), r.f(n.In[1]), r.f(n.In[2]), r.f(n.In[3])
	qs, vs := r.sizes(n.In[0]), r.sizes(n.In[2])
	heads, key, groups, value := qs[1], qs[2], vs[1], vs[2]
	dq, dk, dv := make([]float64, len(q)), make([]float64, len(k)), make([]float64, len(v))
	nq, nk, nv := heads*key, groups*key, groups*value
	ofSegments(r.args.Segments, func(first, rows int) {
		for h := range heads {
			g := h / (heads / groups)
			ref.AttentionGrad(dq[first*nq+h*key:], dk[first*nk+g*key:], dv[first*nv+g*value:],
				q[first*nq+h*key:], k[first*nk+g*key:], v[first*nv+g*value:], dy[(first*heads+h)*value:],
				nq, nk, nv, heads*value, rows, key, value, a.Scale, a.SoftCap, seesRow(a))
		}
	})
	wide := nq + nk + nv
	for t := range qs[0] {
		row := out[t*wide : (t+1)*wide]
		for i, part := range [][]float64{dq[t*nq : (t+1)*nq], dk[t*nk : (t+1)*nk], dv[t*nv : (t+1)*nv]} {
			at := []int{0, nq, nq + nk}[i]
			for c, x := range part {
				row[at+c] = F(x)
			}
		}
	}
}
