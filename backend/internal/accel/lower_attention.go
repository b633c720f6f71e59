package accel

import (
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// supportsState says which caches the device keeps.
func supportsState(s graph.StateDecl) error {
	if s.Kind != graph.Paged {
		return fmt.Errorf("state %q is %s; this device keeps paged states only", s.Name, s.Kind)
	}
	if s.DType != dtype.F16 && s.DType != dtype.F32 {
		return fmt.Errorf("state %q is stored as %s; this device stores f16 or f32", s.Name, s.DType)
	}
	if err := cacheOf(s).Check(); err != nil {
		return fmt.Errorf("state %q: %w", s.Name, err)
	}
	return nil
}

// cacheOf is how the kernels store a state.
func cacheOf(s graph.StateDecl) shader.KV {
	kv := shader.KV{KVHeads: s.KVHeads, KeyDim: s.KeyDim, ValueDim: s.ValueDim, Type: shader.CacheF16}
	if s.DType == dtype.F32 {
		kv.Type = shader.CacheF32
	}
	return kv
}

// cache is the state of a node, which must have rows of the batch.
func (l *lowering) cache(name string, rows dtype.Dim) (shader.KV, error) {
	s, ok := l.graph.State(name)
	if !ok {
		return shader.KV{}, fmt.Errorf("the graph has no state %q", name)
	}
	if err := supportsState(s); err != nil {
		return shader.KV{}, err
	}
	if rows != dtype.Sym(dtype.T) {
		return shader.KV{}, fmt.Errorf("a cache takes the batch's rows, not %s of them", rows)
	}
	kv := cacheOf(s)
	kv.Layer = l.layer(name)
	return kv, nil
}

// table is the angles of a rotary embedding.
func (l *lowering) table(a graph.RopeAttr, pos, factors *graph.Node) (shader.RopeTable, error) {
	t := shader.RopeTable{Dims: a.Dims, Pairs: a.Mode == graph.RopePairs}
	if pos.Op != graph.OpInput {
		return t, fmt.Errorf("%s must be an input of the graph", pos)
	}
	if !pos.Type.Shape.Equal(dtype.Shape{dtype.Sym(dtype.T)}) {
		return t, fmt.Errorf("positions are %s, not the batch's", pos.Type)
	}
	if factors != nil {
		if err := wantWeight(factors); err != nil {
			return t, err
		}
	}
	t.At = l.angles(a, pos, factors)
	return t, nil
}

func (l *lowering) rope(n *graph.Node) (_ []shader.Call, err error) {
	var factors *graph.Node
	if len(n.In) == 3 {
		factors = n.In[2]
	}
	s := n.Type.Shape
	r := shader.Rope{X: l.value(n.In[0]), Out: l.value(n)}
	if r.Heads, err = constant(s[1], "the number of heads"); err != nil {
		return nil, err
	}
	if r.HeadDim, err = constant(s[2], "a head"); err != nil {
		return nil, err
	}
	if r.Table, err = l.table(n.Attr.(graph.RopeAttr), n.In[1], factors); err != nil {
		return nil, err
	}
	return r.Calls(l.features), nil
}

func (l *lowering) cacheWrite(n *graph.Node) ([]shader.Call, error) {
	kv, err := l.cache(n.State(), n.In[0].Type.Shape[0])
	if err != nil {
		return nil, err
	}
	return shader.CacheWrite{KV: kv, K: l.value(n.In[0]), V: l.value(n.In[1]), RowTable: l.rowTable()}.Calls(l.features)
}

func (l *lowering) ropeCache(n *graph.Node) (_ []shader.Call, err error) {
	a, p := n.Attr.(graph.RopeCacheAttr), n.RopeCache()
	r := shader.RopeCache{
		Heads: a.Heads, QOff: a.QOff, KOff: a.KOff, VOff: a.VOff, Eps: a.Eps,
		X: l.value(p.X), Out: l.value(n), RowTable: l.rowTable(),
	}
	if r.KV, err = l.cache(a.State, p.X.Type.Shape[0]); err != nil {
		return nil, err
	}
	if r.Width, err = constant(p.X.Type.Shape[1], "a row of x"); err != nil {
		return nil, err
	}
	if r.Table, err = l.table(a.Rope, p.Pos, p.Factors); err != nil {
		return nil, err
	}
	norm := func(w *graph.Node) *uint32 {
		if w == nil {
			return nil
		}
		v := l.value(w)
		return &v
	}
	r.QNorm, r.KNorm = norm(p.QNorm), norm(p.KNorm)
	return r.Calls(l.features)
}

func (l *lowering) attention(n *graph.Node) (_ []shader.Call, err error) {
	a := n.Attr.(graph.AttentionAttr)
	t := shader.Attention{
		Heads: n.Type.Shape[1].N, Scale: a.Scale, SoftCap: a.SoftCap, Window: a.Window, Causal: a.Mask == graph.Causal,
		Q: l.value(n.In[0]), Out: l.value(n), RowTable: l.rowTable(),
	}
	if t.KV, err = l.cache(a.State, n.Type.Shape[0]); err != nil {
		return nil, err
	}
	if !l.many {
		t.Scratch = l.scratch(t.ScratchFloats(l.max.T, l.max.P*backend.PageTokens))
	}
	return t.Calls(l.features, l.many)
}
