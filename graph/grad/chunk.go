package grad

import "github.com/ledge-run/ledge/graph"

// A chunked loss is a linear_loss in place of cross_entropy, of what makes its logits,
// and of their gradients: the logits of all rows are the largest value of a training
// step, and most of its memory where the vocabulary is large.

// head is how a loss's logits are made: a sum of products, perhaps with a bias, perhaps
// capped.
type head struct {
	attr     graph.LinearLossAttr
	terms    []headTerm
	bias     *graph.Node
	replaced []*graph.Node // the loss and all that only it needs
}

// headTerm is factor * x wᵀ.
type headTerm struct {
	product *graph.Node // linear(x, w)
	factor  float32     // 0 for none
}

func (t headTerm) x() *graph.Node { return t.product.In[0] }
func (t headTerm) w() *graph.Node { return t.product.In[1] }

// headOf finds what makes the logits of the loss n, or nil if they are made in another
// way or are read by others, too.
func (d *differ) headOf(n *graph.Node) *head {
	uses := d.old.Uses()
	only := func(x *graph.Node) bool { return len(uses[x.ID]) == 1 && !d.old.IsOutput(x) }
	if len(uses[n.ID]) > 0 {
		return nil
	}
	h := &head{replaced: []*graph.Node{n}}
	h.attr.Soft = d.moved[n.ID].Attr.(graph.CrossEntropyAttr)
	y := n.In[0]
	if c, ok := y.Attr.(graph.SoftCapAttr); ok && only(y) {
		h.attr.SoftCap = c.Cap
		h.replaced = append(h.replaced, y)
		y = y.In[0]
	}
	var walk func(y *graph.Node) bool
	walk = func(y *graph.Node) bool {
		if !only(y) {
			return false
		}
		h.replaced = append(h.replaced, y)
		switch y.Op {
		case graph.OpAdd:
			if b := y.In[1]; len(b.Type.Shape) == 1 {
				if h.bias != nil || !b.Op.IsGiven() {
					return false
				}
				h.bias = b
				return walk(y.In[0])
			}
			return walk(y.In[0]) && walk(y.In[1])
		case graph.OpScale:
			if p := y.In[0]; p.Op == graph.OpLinear && only(p) {
				h.replaced = append(h.replaced, p)
				h.terms = append(h.terms, headTerm{p, y.Attr.(graph.ScaleAttr).Factor})
				return true
			}
		case graph.OpLinear:
			h.terms = append(h.terms, headTerm{product: y})
			return true
		}
		return false
	}
	if !walk(y) {
		return nil
	}
	for _, t := range h.terms {
		if len(t.x().Type.Shape) != 2 {
			return nil
		}
	}
	if h.attr.Bias = h.bias != nil; len(h.terms) > 1 {
		h.attr.Terms = len(h.terms)
	}
	return h
}

// inputs are those of a linear_loss: products, labels, and seed, what rows count, if
// they have gradients.
func (d *differ) inputs(h *head, n, seed *graph.Node) (in, xs []*graph.Node) {
	for _, t := range h.terms {
		x := d.value(t.x())
		if t.factor != 0 {
			x = d.add(t.product, graph.OpScale, graph.ScaleAttr{Factor: t.factor}, x)
		}
		in, xs = append(in, x, d.value(t.w())), append(xs, x)
	}
	if h.bias != nil {
		in = append(in, d.value(h.bias))
	}
	in = append(in, d.moved[n.ID].CrossEntropy().Nodes()...)
	if seed != nil {
		in = append(in, seed)
	}
	return in, xs
}

// replaceLoss makes loss the value of n, and drops what made it before.
func (d *differ) replaceLoss(h *head, n, loss *graph.Node) {
	for _, r := range h.replaced {
		d.dead[d.moved[r.ID]] = true
	}
	d.moved[n.ID] = loss
}

// chunkedLoss replaces a loss of which nothing but its value is asked for.
func (d *differ) chunkedLoss(output string) {
	n, ok := d.old.Output(output)
	if !ok || n.Op != graph.OpCrossEntropy {
		return
	}
	if h := d.headOf(n); h != nil {
		in, _ := d.inputs(h, n, nil)
		d.replaceLoss(h, n, d.add(n, graph.OpLinearLoss, h.attr, in...))
	}
}

// chunked replaces the loss n, of which each row counts seed, and gives the gradients
// on; it reports whether n could be replaced.
func (d *differ) chunked(n, seed *graph.Node) bool {
	if d.chunks == nil || seed.Op != graph.OpInput {
		return false
	}
	h := d.headOf(n)
	if h == nil {
		return false
	}
	in, xs := d.inputs(h, n, seed)
	a, first := h.attr, h.terms[0].product
	sums := in
	var computed []int // terms whose matrices are made by operations
	cols := 0
	for i, t := range h.terms {
		cols += t.w().Type.Shape[1].N
		if !d.need[t.w().ID] {
			continue
		}
		if leaf := straight(t.w()); leaf.Op.IsGiven() {
			a.Sums |= 1 << i
			sums = append(sums, d.chunks(leaf))
		} else {
			computed = append(computed, i)
		}
	}
	if h.bias != nil && d.need[h.bias.ID] {
		a.Sums |= 1 << len(h.terms)
		sums = append(sums, d.chunks(h.bias))
	}
	both := d.add(first, graph.OpLinearLoss, a, sums...)
	loss := d.add(n, graph.OpSlice, graph.SliceAttr{Axis: 1, Start: cols, Len: 1}, both)
	d.replaceLoss(h, n, d.add(n, graph.OpReshape, graph.ReshapeAttr{Shape: n.Type.Shape}, loss))
	at := 0
	for i, t := range h.terms {
		size := t.w().Type.Shape[1].N
		if d.need[t.x().ID] {
			dx := d.add(t.product, graph.OpSlice, graph.SliceAttr{Axis: 1, Start: at, Len: size}, both)
			if xs[i] != d.value(t.x()) {
				dx = d.add(t.product, graph.OpScale, graph.ScaleAttr{Factor: t.factor}, dx)
			}
			d.contribute(t.x(), contribution{gradient: dx})
		}
		at += size
	}
	// The logits are computed once more for each of these, which are rare: one
	// result cannot be both of rows and of a matrix.
	for _, i := range computed {
		a := h.attr
		a.Of = i
		t := h.terms[i]
		dw := d.add(t.product, graph.OpLinearLossW, a, in...)
		d.contribute(t.w(), contribution{gradient: dw, own: true})
	}
	return true
}

// straight is what a matrix is made of by operations that give its gradient on as it
// is: a weight that is rounded.
func straight(w *graph.Node) *graph.Node {
	for w.Op == graph.OpFakeQuant {
		w = w.In[0]
	}
	return w
}
