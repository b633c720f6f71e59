package pass

import (
	"fmt"
	"reflect"

	"github.com/ledge-run/ledge/graph"
)

// fusers run in this order; each is asked at every node whether a pattern ends
// there and gives its replacement, or nil. They come from the product outwards.
var fusers = []struct {
	name string
	run  func(f *fuser, n *graph.Node) (*graph.Node, error)
}{
	{"product", (*fuser).product},
	{"bias", (*fuser).bias},
	{"merge", (*fuser).merge},
	{"norm", (*fuser).norm},
	{"gate", (*fuser).gate},
	{"epilogue", (*fuser).epilogue},
	{"residual", (*fuser).residual},
	{"norm-add", (*fuser).normAdd},
	{"rope-cache", (*fuser).ropeCache},
}

type fuser struct {
	*rewriter
	target Target
}

// fuse joins operations into the fused ones the target supports. Each fuser runs
// as long as it makes the graph shorter: a product may take one operation after
// the other into its epilogue.
func fuse(g *graph.Graph, t Target) (*graph.Graph, error) {
	for _, p := range fusers {
		for {
			out, err := fuseOnce(g, t, p.run)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			shorter := len(out.Nodes) < len(g.Nodes)
			g = out
			if !shorter {
				break
			}
		}
	}
	return g, nil
}

func fuseOnce(g *graph.Graph, t Target, run func(*fuser, *graph.Node) (*graph.Node, error)) (*graph.Graph, error) {
	f := &fuser{rewriter: newRewriter(g), target: t}
	for _, n := range g.Nodes {
		if f.moved[n.ID] != nil {
			continue
		}
		m, err := run(f, n)
		if err != nil {
			return nil, fmt.Errorf("at %s: %w", n, err)
		}
		if m == nil {
			f.copy(n)
		}
	}
	return f.finish()
}

// fused builds a fused node on new nodes, or gives nil if its rules or the
// target do not take it: then the pattern stays as it is.
func (f *fuser) fused(n *graph.Node, op graph.Op, attr graph.Attr, in ...*graph.Node) *graph.Node {
	m, err := f.node(n, op, attr, in...)
	if err != nil || f.target.Supports(f.out, m) != nil {
		return nil
	}
	return m
}

// make builds the fused node and puts it in n's place if the target takes it.
func (f *fuser) make(n *graph.Node, op graph.Op, attr graph.Attr, in ...*graph.Node) (*graph.Node, error) {
	m := f.fused(n, op, attr, f.getAll(in)...)
	if m == nil {
		return nil, nil
	}
	return f.put(n, m), nil
}

// labelled is n under p's label, if it has none of its own: a fused node is
// known by its product.
func labelled(n, p *graph.Node) *graph.Node {
	if n.Name != "" {
		return n
	}
	m := *n
	m.Name = p.Name
	return &m
}

// fusedLinear gives n's attributes if it is a fused product nothing else reads.
func (f *fuser) fusedLinear(n *graph.Node) (graph.FusedLinearAttr, bool) {
	a, ok := n.Attr.(graph.FusedLinearAttr)
	return a, ok && f.only(n)
}

// product: linear(x, w) -> fused_linear
func (f *fuser) product(n *graph.Node) (*graph.Node, error) {
	if n.Op != graph.OpLinear || len(n.In[0].Type.Shape) != 2 || n.In[1].Op != graph.OpWeight {
		return nil, nil
	}
	return f.make(n, graph.OpFusedLinear, graph.FusedLinearAttr{Segments: 1}, n.In...)
}

// bias: add(product, weight [N]) -> the product's bias
func (f *fuser) bias(n *graph.Node) (*graph.Node, error) {
	if n.Op != graph.OpAdd || n.In[1].Op != graph.OpWeight || len(n.In[1].Type.Shape) != 1 {
		return nil, nil
	}
	a, ok := f.fusedLinear(n.In[0])
	if !ok || !reflect.DeepEqual(a, graph.FusedLinearAttr{Segments: 1}) {
		return nil, nil
	}
	a.Bias = true
	return f.make(labelled(n, n.In[0]), graph.OpFusedLinear, a, append(append([]*graph.Node{}, n.In[0].In...), n.In[1])...)
}

// merge: products of the same x -> one product, whose slices stand for them
func (f *fuser) merge(n *graph.Node) (*graph.Node, error) {
	if n.Op != graph.OpFusedLinear || f.old.IsOutput(n) {
		return nil, nil
	}
	x, a := n.In[0], n.Attr.(graph.FusedLinearAttr)
	if a.Segments != 1 || a.Norm || a.Residual {
		return nil, nil
	}
	var group []*graph.Node
	for _, u := range f.uses[x.ID] {
		if u.Op == graph.OpFusedLinear && u.In[0] == x && u.Attr == n.Attr && !f.old.IsOutput(u) && u.Layer == n.Layer {
			group = append(group, u)
		}
	}
	if len(group) < 2 || group[0] != n {
		return nil, nil
	}
	in := []*graph.Node{x}
	for _, u := range group {
		in = append(in, u.FusedLinear().Weights[0])
	}
	if a.Bias {
		for _, u := range group {
			in = append(in, u.FusedLinear().Biases[0])
		}
	}
	a.Segments = len(group)
	m := f.fused(n, graph.OpFusedLinear, a, f.getAll(in)...)
	if m == nil {
		return nil, nil
	}
	f.put(nil, m)
	off := 0
	for _, u := range group {
		rows := u.Type.Shape[1].N
		s, err := f.node(u, graph.OpSlice, graph.SliceAttr{Axis: 1, Start: off, Len: rows}, m)
		if err != nil {
			return nil, err
		}
		f.put(u, s)
		off += rows
	}
	return f.moved[n.ID], nil
}

// norm: fused_linear(rms_norm(x)) -> the product's prologue
func (f *fuser) norm(n *graph.Node) (*graph.Node, error) {
	a, ok := n.Attr.(graph.FusedLinearAttr)
	if !ok || a.Norm {
		return nil, nil
	}
	x := n.In[0]
	if x.Op != graph.OpRMSNorm || !f.only(x) {
		return nil, nil
	}
	a.Norm, a.NormWeight, a.Eps = true, len(x.In) == 2, x.Attr.(graph.NormAttr).Eps
	return f.make(n, graph.OpFusedLinear, a, append(append([]*graph.Node{}, x.In...), n.In[1:]...)...)
}

var activations = map[graph.Op]string{graph.OpSilu: "silu", graph.OpGelu: "gelu", graph.OpGeluErf: "gelu_erf", graph.OpRelu: "relu"}

// gate: mul(act(first half), second half) of one product, in either order ->
// the product, gated
func (f *fuser) gate(n *graph.Node) (*graph.Node, error) {
	if n.Op != graph.OpMul {
		return nil, nil
	}
	act, up := n.In[0], n.In[1]
	if _, ok := activations[up.Op]; ok {
		act, up = up, act
	}
	name, ok := activations[act.Op]
	if !ok || !f.only(act) || act.In[0].Op != graph.OpSlice || up.Op != graph.OpSlice {
		return nil, nil
	}
	gate := act.In[0]
	p := gate.In[0]
	a, ok := p.Attr.(graph.FusedLinearAttr)
	if !ok || up.In[0] != p || len(f.uses[p.ID]) != 2 || f.old.IsOutput(p) || !f.only(gate) || !f.only(up) {
		return nil, nil
	}
	half := p.Type.Shape[1].N / 2
	if a.Act != "" || a.Gated || a.Residual || a.SoftCap != 0 || p.Type.Shape[1].N%2 != 0 ||
		gate.Attr != (graph.SliceAttr{Axis: 1, Start: 0, Len: half}) || up.Attr != (graph.SliceAttr{Axis: 1, Start: half, Len: half}) {
		return nil, nil
	}
	a.Act, a.Gated = name, true
	return f.make(labelled(n, p), graph.OpFusedLinear, a, p.In...)
}

// epilogue: scale, activation or soft cap of a product -> the product's own
func (f *fuser) epilogue(n *graph.Node) (*graph.Node, error) {
	if !n.Op.IsUnary() {
		return nil, nil
	}
	a, ok := f.fusedLinear(n.In[0])
	if !ok || a.Residual || a.SoftCap != 0 {
		return nil, nil
	}
	switch at := n.Attr.(type) {
	case graph.ScaleAttr:
		if a.Act != "" || a.Scale != 0 {
			return nil, nil
		}
		a.Scale = at.Factor
	case graph.SoftCapAttr:
		a.SoftCap = at.Cap
	default:
		name, ok := activations[n.Op]
		if !ok || a.Act != "" {
			return nil, nil
		}
		a.Act = name
	}
	if a.Scale == 0 && n.Op == graph.OpScale {
		return nil, nil // 0 would read as "no scale"
	}
	return f.make(labelled(n, n.In[0]), graph.OpFusedLinear, a, n.In[0].In...)
}

// residual: add(y, product) -> the product's epilogue
func (f *fuser) residual(n *graph.Node) (*graph.Node, error) {
	if n.Op != graph.OpAdd || !n.In[0].Type.Equal(n.In[1].Type) {
		return nil, nil
	}
	for i, p := range n.In {
		y := n.In[1-i]
		a, ok := f.fusedLinear(p)
		if !ok || a.Residual || y == p {
			continue
		}
		a.Residual = true
		return f.make(labelled(n, p), graph.OpFusedLinear, a, append(append([]*graph.Node{}, p.In...), y)...)
	}
	return nil, nil
}

// normAdd: add(y, rms_norm(x, w)) -> norm_add
func (f *fuser) normAdd(n *graph.Node) (*graph.Node, error) {
	if n.Op != graph.OpAdd || !n.In[0].Type.Equal(n.In[1].Type) {
		return nil, nil
	}
	for i, p := range n.In {
		if p.Op == graph.OpRMSNorm && len(p.In) == 2 && f.only(p) && n.In[1-i] != p {
			return f.make(n, graph.OpNormAdd, p.Attr, p.In[0], p.In[1], n.In[1-i])
		}
	}
	return nil, nil
}

// head is one of q, k and v on its way from the product to attention.
type head struct {
	x       *graph.Node // the product
	off     int         // first column
	norm    *graph.Node // QK-norm's weight, or nil
	eps     float32
	rope    graph.RopeAttr
	pos     *graph.Node
	factors *graph.Node
}

// follow goes back from a [T H D] value over rope and norm (if rotated) and
// reshape to a slice of the product.
func (f *fuser) follow(n *graph.Node, rotated bool) (h head, ok bool) {
	step := func(op graph.Op) bool { return n.Op == op && f.only(n) }
	if rotated {
		if !step(graph.OpRope) {
			return h, false
		}
		h.rope, h.pos = n.Attr.(graph.RopeAttr), n.In[1]
		if len(n.In) == 3 {
			h.factors = n.In[2]
		}
		n = n.In[0]
		if step(graph.OpRMSNorm) && len(n.In) == 2 {
			h.norm, h.eps = n.In[1], n.Attr.(graph.NormAttr).Eps
			n = n.In[0]
		}
	}
	if !step(graph.OpReshape) || len(n.Type.Shape) != 3 {
		return h, false
	}
	n = n.In[0]
	if !step(graph.OpSlice) || len(n.In[0].Type.Shape) != 2 {
		return h, false
	}
	h.x, h.off = n.In[0], n.Attr.(graph.SliceAttr).Start
	return h, n.Attr.(graph.SliceAttr).Axis == 1
}

// ropeCache: rope on q and k (with QK-norm) and the cache write, before
// attention -> rope_cache on the product of q, k and v
func (f *fuser) ropeCache(n *graph.Node) (*graph.Node, error) {
	if n.Op != graph.OpAttention || n.In[1].Op != graph.OpCacheWrite || len(f.uses[n.In[1].ID]) != 1 {
		return nil, nil
	}
	w := n.In[1]
	q, ok1 := f.follow(n.In[0], true)
	k, ok2 := f.follow(w.In[0], true)
	v, ok3 := f.follow(w.In[1], false)
	if !ok1 || !ok2 || !ok3 || q.x != k.x || q.x != v.x || q.rope != k.rope || q.pos != k.pos || q.factors != k.factors ||
		q.norm != nil && k.norm != nil && q.eps != k.eps {
		return nil, nil
	}
	a := graph.RopeCacheAttr{
		Rope: q.rope, State: w.Attr.(graph.StateAttr).State, Heads: n.In[0].Type.Shape[1].N,
		QOff: q.off, KOff: k.off, VOff: v.off,
		QNorm: q.norm != nil, KNorm: k.norm != nil, Eps: max(q.eps, k.eps), Factors: q.factors != nil,
	}
	in := []*graph.Node{q.x, q.pos}
	for _, o := range []*graph.Node{q.norm, k.norm, q.factors} {
		if o != nil {
			in = append(in, o)
		}
	}
	rc := f.fused(w, graph.OpRopeCache, a, f.getAll(in)...)
	if rc == nil {
		return nil, nil
	}
	f.gone[f.get(w)] = true
	f.put(nil, rc)
	att, err := f.node(n, n.Op, n.Attr, rc, rc)
	if err != nil {
		return nil, err
	}
	return f.put(n, att), nil
}
