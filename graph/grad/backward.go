package grad

import (
	"fmt"

	"github.com/ledge-run/ledge/graph"
)

// differ is a differentiation under way: the old graph, and the new one, to which
// first the old one's nodes are copied and then the backward ones are added.
type differ struct {
	old, out *graph.Graph
	need     []bool                          // by old ID: has a gradient that is asked for
	replace  map[*graph.Node]graph.ParamAttr // weights that become parameters
	leaf     func(*graph.Node, contribution) // told what a leaf's readers give to its gradient, all of a shape

	moved    []*graph.Node        // by old ID: the new node
	pending  [][]contribution     // by old ID: what its readers gave so far
	inner    []bool               // by old ID: of a layer, and read in that layer only
	repeated []*graph.Node        // by old ID: the copy in the backward part
	dead     map[*graph.Node]bool // new nodes that go unless something reads them

	own       bool // the gradient that a rule is given is that of its node alone
	recompute bool
	evaluate  bool                            // leaves dropout and teachers out
	chunks    func(w *graph.Node) *graph.Node // the state of a trained weight's gradient, for chunked losses; nil for none
	err       error
}

// contribution is one reader's part of a value's gradient: of a range of one
// dimension if part is set, else of all. If own is set, nothing else has the node.
type contribution struct {
	gradient *graph.Node
	part     *graph.SliceAttr
	own      bool
}

func start(g *graph.Graph) (*differ, error) {
	if err := graph.Verify(g); err != nil {
		return nil, err
	}
	d := &differ{
		old:      g,
		out:      &graph.Graph{Name: g.Name, Max: g.Max, States: append([]graph.StateDecl(nil), g.States...)},
		need:     make([]bool, len(g.Nodes)),
		replace:  map[*graph.Node]graph.ParamAttr{},
		moved:    make([]*graph.Node, len(g.Nodes)),
		pending:  make([][]contribution, len(g.Nodes)),
		inner:    make([]bool, len(g.Nodes)),
		repeated: make([]*graph.Node, len(g.Nodes)),
		dead:     map[*graph.Node]bool{},
	}
	for i, uses := range g.Uses() {
		n := g.Nodes[i]
		d.inner[i] = n.Layer >= 0 && !n.Op.IsGiven() && !n.Op.WritesState() && !g.IsOutput(n)
		for _, u := range uses {
			d.inner[i] = d.inner[i] && u.Layer == n.Layer
		}
	}
	return d, nil
}

// put appends a node to the new graph.
func (d *differ) put(n *graph.Node) *graph.Node {
	n.ID = len(d.out.Nodes)
	if d.err == nil {
		t, err := graph.Infer(n, d.out)
		if err != nil {
			d.err = fmt.Errorf("grad: %s: %w", n, err)
		}
		n.Type = t
	}
	d.out.Nodes = append(d.out.Nodes, n)
	return n
}

// add makes a node of the backward part, which belongs to where of the old graph.
func (d *differ) add(where *graph.Node, op graph.Op, attr graph.Attr, in ...*graph.Node) *graph.Node {
	name := ""
	if where.Name != "" {
		name = "d." + where.Name
	}
	return d.put(&graph.Node{Op: op, Attr: attr, In: in, Name: name, Layer: where.Layer})
}

// forward copies the old graph and finds what has a gradient.
func (d *differ) forward() {
	for _, n := range d.old.Nodes {
		m := *n
		if attr, ok := d.replace[n]; ok {
			m.Op, m.Attr = graph.OpParam, attr
		}
		m.In = make([]*graph.Node, len(n.In))
		for i, in := range n.In {
			m.In[i] = d.moved[in.ID]
			d.need[n.ID] = d.need[n.ID] || d.need[in.ID]
		}
		switch {
		case n.Op == graph.OpDropout && d.evaluate:
			d.moved[n.ID] = m.In[0]
			continue
		case n.Op == graph.OpCrossEntropy && d.evaluate:
			m.Attr, m.In = graph.CrossEntropyAttr{}, m.In[:2]
		}
		d.moved[n.ID] = d.put(&m)
	}
}

// outputs names the old outputs in the new graph.
func (d *differ) outputs() {
	for _, o := range d.old.Outputs {
		d.out.Outputs = append(d.out.Outputs, graph.Output{Name: o.Name, Node: d.moved[o.Node.ID]})
	}
}

// pop takes back the last node if it is n, which nothing reads yet and nothing else
// is going to.
func (d *differ) pop(n *graph.Node) bool {
	last := len(d.out.Nodes) - 1
	if d.out.Nodes[last] != n {
		return false
	}
	d.out.Nodes = d.out.Nodes[:last]
	return true
}

func (d *differ) finish() (*graph.Graph, error) {
	if d.err != nil {
		return nil, d.err
	}
	d.sweep()
	return d.out, graph.Verify(d.out)
}

// sweep drops forward nodes that a chunked loss took the place of, and inputs that
// dropInputs found.
func (d *differ) sweep() {
	d.out.Prune(func(n *graph.Node) bool { return n.Op.WritesState() || !d.dead[n] })
}

// value is an old node's value for the backward part: the forward part's, or
// computed again.
func (d *differ) value(n *graph.Node) *graph.Node {
	if !d.recompute || !d.inner[n.ID] {
		return d.moved[n.ID]
	}
	if d.repeated[n.ID] == nil {
		m := *n
		m.In = make([]*graph.Node, len(n.In))
		for i, in := range n.In {
			m.In[i] = d.value(in)
		}
		d.repeated[n.ID] = d.put(&m)
	}
	return d.repeated[n.ID]
}

// backward goes through the nodes from the last to the first, and gives each
// node's gradient on to its inputs.
func (d *differ) backward(output string) error {
	loss, ok := d.old.Output(output)
	if !ok {
		return fmt.Errorf("grad: graph %s has no output %q", d.old.Name, output)
	}
	if !d.need[loss.ID] {
		return fmt.Errorf("grad: output %q depends on nothing that is to have a gradient", output)
	}
	for _, in := range d.old.Inputs() {
		if in.Name == output+SeedSuffix {
			return fmt.Errorf("grad: graph %s has an input %q already", d.old.Name, in.Name)
		}
	}
	seed := d.put(&graph.Node{Op: graph.OpInput, Type: loss.Type, Name: output + SeedSuffix, Layer: -1})
	d.pending[loss.ID] = []contribution{{gradient: seed}}
	for i := len(d.old.Nodes) - 1; i >= 0 && d.err == nil; i-- {
		n := d.old.Nodes[i]
		if len(d.pending[i]) == 0 || n.Op.IsGiven() {
			continue
		}
		list := d.pending[i]
		gradient := d.sum(n, list)
		// Made by sum, or by the only reader for n.
		d.own = gradient != list[0].gradient || list[0].own
		rule := rules[n.Op]
		if rule == nil {
			return fmt.Errorf("grad: %s has no gradient%s", n, hint(n.Op))
		}
		rule(d, n, gradient)
	}
	return d.err
}

func hint(op graph.Op) string {
	switch {
	case op == graph.OpAttention || op == graph.OpCacheWrite:
		return ": a model in training attends without a cache"
	case op.Stage() == graph.Fused:
		return ": differentiate before the fuse passes"
	}
	return ""
}

// give adds to the gradient of an input of n; make is called if there is one. What
// it makes must be for this input alone; what was there before is taken to be others',
// too.
func (d *differ) give(n *graph.Node, input int, make func() *graph.Node) {
	if len(n.In) > input && d.need[n.In[input].ID] {
		before := len(d.out.Nodes)
		gradient := make()
		d.contribute(n.In[input], contribution{gradient: gradient, own: gradient.ID >= before})
	}
}

// pass gives the gradient of n on, as it is, to n's only input that has one.
func (d *differ) pass(n, gy *graph.Node) {
	if d.need[n.In[0].ID] {
		d.contribute(n.In[0], contribution{gradient: gy, own: d.own})
	}
}

// contribute notes a part of in's gradient; a leaf's goes where it is wanted at once.
func (d *differ) contribute(in *graph.Node, c contribution) {
	if in.Op.IsGiven() {
		d.leaf(in, contribution{gradient: d.whole(in, c), own: c.own})
		return
	}
	d.pending[in.ID] = append(d.pending[in.ID], c)
}

// whole is a contribution to n's gradient, of n's shape.
func (d *differ) whole(n *graph.Node, c contribution) *graph.Node {
	if c.part == nil {
		return c.gradient
	}
	a := graph.PadAttr{Axis: c.part.Axis, Start: c.part.Start, Size: n.Type.Shape[c.part.Axis].N}
	return d.add(n, graph.OpPad, a, c.gradient)
}

// sum is the gradient of n: all contributions in the order in which they came.
func (d *differ) sum(n *graph.Node, list []contribution) *graph.Node {
	if joined := d.tile(n, list); joined != nil {
		return joined
	}
	var total *graph.Node
	for _, c := range list {
		if g := d.whole(n, c); total == nil {
			total = g
		} else {
			total = d.add(n, graph.OpAdd, nil, total, g)
		}
	}
	return total
}

// tile joins contributions that are ranges of one dimension and make up all of it
// without overlap; else it is nil.
func (d *differ) tile(n *graph.Node, list []contribution) *graph.Node {
	if list[0].part == nil {
		return nil
	}
	axis, at := list[0].part.Axis, 0
	var in []*graph.Node
	for range list {
		for _, c := range list {
			if c.part != nil && c.part.Axis == axis && c.part.Start == at {
				in = append(in, c.gradient)
				at += c.part.Len
				break
			}
		}
	}
	if len(in) != len(list) || at != n.Type.Shape[axis].N {
		return nil
	}
	return d.add(n, graph.OpConcat, graph.AxisAttr{Axis: axis}, in...)
}
