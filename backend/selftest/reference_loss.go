package selftest

import (
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/kernels/ref"
)

// crossEntropy computes the losses of rows of logits x, and, where g is given, the
// gradients of x with losses that count dy.
func (r *ReferenceOf[F]) crossEntropy(a graph.CrossEntropyAttr, l graph.Labels, loss, g, x, dy []F) {
	labels := r.values[l.IDs.ID].i
	cols := len(x) / max(1, len(labels))
	if a.Temperature == 0 {
		if loss != nil {
			ref.CrossEntropy(loss, x, labels, cols)
		}
		if g != nil {
			ref.CrossEntropyGrad(g, x, labels, dy, cols)
		}
		return
	}
	s := ref.Soft[F]{
		IDs: r.values[l.Targets.ID].i, Probs: r.f(l.Probs), K: lastOf(r.sizes(l.Targets)),
		Temperature: float64(a.Temperature), Mix: float64(a.Mix),
	}
	if loss != nil {
		ref.SoftCrossEntropy(loss, x, labels, s, cols)
	}
	if g != nil {
		ref.SoftCrossEntropyGrad(g, x, labels, dy, s, cols)
	}
}

// linearLoss follows the definition in graph.LinearLossAttr.
func (r *ReferenceOf[F]) linearLoss(n *graph.Node, out []F) {
	a, p := n.Attr.(graph.LinearLossAttr), n.LinearLoss()
	rows, vocab := len(r.values[p.Labels.IDs.ID].i), r.sizes(p.W[0])[0]
	raw, one := make([]F, rows*vocab), make([]F, rows*vocab)
	size := func(i int) int { return r.sizes(p.W[i])[1] }
	cols := 0
	for i := range p.X {
		x, w := r.f(p.X[i]), r.f(p.W[i])
		if p.W[i].Op != graph.OpWeight {
			x, w = rounded(n, x), rounded(n, w)
		}
		ref.Linear(one, x, w, rows, vocab, size(i))
		cols += size(i)
		for j, v := range one {
			raw[j] += v
		}
	}
	if p.Bias != nil {
		for j := range raw {
			raw[j] += r.f(p.Bias)[j%vocab]
		}
	}
	logits, limit := append([]F(nil), raw...), float64(a.SoftCap)
	if limit != 0 {
		ref.Map(logits, raw, ref.SoftCap(limit))
	}
	loss := make([]F, rows)
	if p.Dy == nil {
		r.crossEntropy(a.Soft, p.Labels, out, nil, logits, nil)
		return
	}
	g := make([]F, len(raw))
	r.crossEntropy(a.Soft, p.Labels, loss, g, logits, r.f(p.Dy))
	if limit != 0 {
		ref.Zip(g, raw, g, func(x, dy float64) float64 { return ref.SoftCapDerivative(limit)(x) * dy })
	}
	products := rounded(n, g) // as these read it
	if n.Op == graph.OpLinearLossW {
		ref.Outer(out, products, rounded(n, r.f(p.X[a.Of])), rows, vocab, size(a.Of))
		return
	}
	at := 0
	for t := range p.X {
		dx := make([]F, rows*size(t))
		ref.LinearT(dx, products, rounded(n, r.f(p.W[t])), rows, vocab, size(t))
		if s := p.Sums[t]; s != nil {
			ref.Outer(r.f(s), products, rounded(n, r.f(p.X[t])), rows, vocab, size(t))
		}
		for i := range rows {
			copy(out[i*(cols+1)+at:], dx[i*size(t):(i+1)*size(t)])
		}
		at += size(t)
	}
	if s := p.Sums[len(p.X)]; s != nil {
		sum := r.f(s)
		for j, v := range g {
			sum[j%vocab] += v
		}
	}
	for i, l := range loss {
		out[i*(cols+1)+cols] = l
	}
}
