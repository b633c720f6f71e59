package accel

import (
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/plan"
	"github.com/ledge-run/ledge/kernels/shader"
)

// A norm_add whose first reader is a product that norms it needs no call of its
// own when there are few rows: every workgroup of the product computes it anyway
// (shader.AddIn), and one of them stores it for those that read it later. The
// plan knows nothing of that, so that two of its promises have to be made up for:
//
//   - the norm_add's inputs are read by the product, after their last reader as
//     the plan has it: x, which nothing else reads, gets a place of its own; y must
//     live that long by itself;
//   - the value is stored while y, whose memory the plan gave it, is still read:
//     it gets a place of its own, too.
//
// Those places are for few rows, hence small.
type fold struct {
	add     *graph.Node // norm_add
	product *graph.Node // fused_linear with a norm of add
}

// folds finds what can be folded in g, by the product's ID.
func folds(g *graph.Graph, p *plan.Plan) map[int]fold {
	uses, all := g.Uses(), map[int]fold{}
	places := map[int]bool{} // nodes that have got a place of their own
	for _, n := range g.Nodes {
		if n.Op != graph.OpNormAdd || g.IsOutput(n) {
			continue
		}
		f, ok := foldOf(g, p, uses, places, n)
		if !ok {
			continue
		}
		all[f.product.ID] = f
		places[n.ID], places[n.In[0].ID] = true, true
	}
	return all
}

func foldOf(g *graph.Graph, p *plan.Plan, uses [][]*graph.Node, places map[int]bool, n *graph.Node) (f fold, ok bool) {
	x, y := n.In[0], n.In[2]
	s := n.Type.Shape
	if len(s) != 2 || s[0] != dtype.Sym(dtype.T) || !s[1].IsConst() || n.In[1].Op != graph.OpWeight || len(uses[n.ID]) == 0 {
		return f, false
	}
	// x: a product's result that nothing else reads and that is not a name for
	// other memory.
	if x.Op != graph.OpFusedLinear && x.Op != graph.OpLinear || len(uses[x.ID]) != 1 || g.IsOutput(x) ||
		p.Slots[x.ID].Alias >= 0 || x == y {
		return f, false
	}
	first := uses[n.ID][0]
	for _, u := range uses[n.ID] {
		if u.Op == graph.OpReshape || u.Op == graph.OpReadout {
			return f, false // which may be a name for the memory that n would have
		}
		if u.ID < first.ID {
			first = u
		}
	}
	if first.Op != graph.OpFusedLinear {
		return f, false
	}
	parts, a := first.FusedLinear(), first.Attr.(graph.FusedLinearAttr)
	if !a.Norm || parts.X != n || parts.Residual == n {
		return f, false
	}
	return fold{n, first}, y.Op == graph.OpInput || y.Op == graph.OpWeight || places[y.ID] || lives(g, p, n, y, first)
}

// lives reports whether y, which n reads, is still there while a later node runs:
// its memory is neither given to another value nor written in place.
func lives(g *graph.Graph, p *plan.Plan, n, y, later *graph.Node) bool {
	root := rootOf(p, y.ID)
	if p.Slots[root].End < later.ID {
		return false
	}
	for _, m := range g.Nodes[n.ID+1 : later.ID+1] {
		if m.Op != graph.OpReshape && m.Op != graph.OpReadout && rootOf(p, m.ID) == root {
			return false
		}
	}
	return true
}

func rootOf(p *plan.Plan, id int) int {
	if a := p.Slots[id].Alias; a >= 0 {
		return a
	}
	return id
}

// room is arena space between two nodes of the graph.
type room struct{ at, size, from, to int }

// corner hands out places in a corner of the arena to values of given lifetimes.
type corner struct {
	taken []room
	size  int // floats
}

// place finds floats that nothing else uses between the nodes from and to.
func (c *corner) place(size, from, to int) int {
	size = roundUp(size, arenaAlign/4)
	at := 0
	for again := true; again; {
		again = false
		for _, r := range c.taken {
			if r.from <= to && from <= r.to && at < r.at+r.size && r.at < at+size {
				at, again = r.at+r.size, true
			}
		}
	}
	c.taken = append(c.taken, room{at, size, from, to})
	c.size = max(c.size, at+size)
	return at
}

// ownPlaces gives the folded values of a graph places from float base on, by node
// ID, and says how many floats they take.
func ownPlaces(g *graph.Graph, all map[int]fold, base int) (map[int]uint32, int) {
	own, uses, c := map[int]uint32{}, g.Uses(), corner{}
	for _, n := range g.Nodes { // in order, so that it comes out the same each time
		f, ok := all[n.ID]
		if !ok {
			continue
		}
		size := min(g.Max.T, shader.Few) * f.add.Type.Shape[1].N
		last := n.ID
		for _, u := range uses[f.add.ID] {
			last = max(last, readAt(all, u))
		}
		x := f.add.In[0]
		own[x.ID] = uint32(base + c.place(size, x.ID, n.ID))
		own[f.add.ID] = uint32(base + c.place(size, n.ID, last))
	}
	return own, c.size
}

// readAt is when a node reads its operands: a folded one when its product does.
func readAt(all map[int]fold, n *graph.Node) int {
	for id, f := range all {
		if f.add == n {
			return id
		}
	}
	return n.ID
}
