package grad

import "github.com/ledge-run/ledge/graph"

// A chunked loss is a linear_loss in place of linear, perhaps soft_cap, and
// cross_entropy, and of their gradients: the logits of all rows are the largest value
// of a training step, and most of its memory where the vocabulary is large.

// chunked replaces the loss n, of which each row counts seed, and gives the gradients
// on; it reports whether n could be replaced.
func (d *differ) chunked(n, seed *graph.Node) bool {
	if d.chunks == nil || seed.Op != graph.OpInput {
		return false
	}
	uses := d.old.Uses()
	only := func(x *graph.Node) bool { return len(uses[x.ID]) == 1 && !d.old.IsOutput(x) }
	product, a := n.In[0], graph.LinearLossAttr{}
	replaced := []*graph.Node{n}
	if c, ok := product.Attr.(graph.SoftCapAttr); ok && only(product) {
		replaced = append(replaced, product)
		product, a.SoftCap = product.In[0], c.Cap
	}
	if product.Op != graph.OpLinear || !only(product) || len(uses[n.ID]) > 0 {
		return false
	}
	x, w := product.In[0], product.In[1]
	sum := d.chunks(w)
	if sum == nil || len(x.Type.Shape) != 2 {
		return false
	}
	both := d.add(product, graph.OpLinearLoss, a, d.value(x), d.value(w), d.value(n.In[1]), seed, sum)
	cols := x.Type.Shape[1].N
	loss := d.add(n, graph.OpSlice, graph.SliceAttr{Axis: 1, Start: cols, Len: 1}, both)
	for _, r := range append(replaced, product) {
		d.dead[d.moved[r.ID]] = true
	}
	d.moved[n.ID] = d.add(n, graph.OpReshape, graph.ReshapeAttr{Shape: n.Type.Shape}, loss)
	if d.need[x.ID] {
		dx := d.add(product, graph.OpSlice, graph.SliceAttr{Axis: 1, Start: 0, Len: cols}, both)
		d.contribute(x, contribution{gradient: dx})
	}
	return true
}
