package cpu

import (
	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/backend/internal/bind"
	"github.com/ledge-run/ledge/graph"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// ropeTable is a rotary embedding of some positions. Layers with the same share
// one.
type ropeTable struct {
	bind.Angles
	pos     *graph.Node
	factors *graph.Node
}

func (c *compiler) ropeTable(a graph.RopeAttr, pos, factors *graph.Node) (*ropeTable, error) {
	if err := wantInts(pos); err != nil {
		return nil, err
	}
	for _, r := range c.ropes {
		if r.Attr == a && r.pos == pos && r.factors == factors {
			return r, nil
		}
	}
	r := &ropeTable{Angles: bind.Angles{Attr: a}, pos: pos, factors: factors}
	if factors != nil {
		r.Factors = c.weights.byName[factors.Name].vector
	}
	c.ropes = append(c.ropes, r)
	return r, nil
}

// at gives the cosines and sines of a prepared position.
func (r *ropeTable) at(pos int32) (cos, sin []float32) {
	half := r.Attr.Dims / 2
	t := r.At(pos)
	return t[:half], t[half:]
}

func (r *ropeTable) style() kernels.RopeStyle {
	if r.Attr.Mode == graph.RopePairs {
		return kernels.RopePairs
	}
	return kernels.RopeHalves
}

func (c *compiler) rope(n *graph.Node) (func(*pool.Worker), error) {
	var factors *graph.Node
	if len(n.In) == 3 {
		factors = n.In[2]
	}
	t, err := c.ropeTable(n.Attr.(graph.RopeAttr), n.In[1], factors)
	if err != nil {
		return nil, err
	}
	e, size := c.executable, lastDim(n)
	return func(w *pool.Worker) {
		x, pos, out := e.value(n.In[0]), e.Ints(n.In[1]), e.value(n)
		if len(pos) == 0 {
			return
		}
		row := len(out) / len(pos)
		eachRow(w, len(pos), func(i int) {
			y := out[i*row : (i+1)*row]
			copy(y, x[i*row:(i+1)*row])
			cos, sin := t.at(pos[i])
			e.k.RoPE(y, size, cos, sin, t.style())
		})
	}, nil
}

// place finds where row i of the batch lies in a layer's cache.
func (e *executable) place(l *layerState, i int) (keys, values []byte, slot int) {
	s := e.Args.State.(*state)
	r := e.Rows[i]
	page := e.Args.Segments[r.Segment].Pages[r.Slot/backend.PageTokens]
	b := s.memory.bytes[int(page)*s.stride:]
	return b[l.key:], b[l.value:], r.Slot % backend.PageTokens
}

func (e *executable) layer(name string) layerState { return e.Args.State.(*state).layers[name] }

// stores notes that a step writes to a state.
func (c *compiler) stores(name string) {
	decl, _ := c.Graph.State(name)
	kv := kvOf(decl)
	c.store = max(c.store, kv.StoreScratch())
}

func (c *compiler) cacheWrite(n *graph.Node) (func(*pool.Worker), error) {
	e, name := c.executable, n.Attr.(graph.StateAttr).State
	c.stores(name)
	return func(w *pool.Worker) {
		k, v, l := e.value(n.In[0]), e.value(n.In[1]), e.layer(name)
		nk, nv := l.kv.Heads*l.kv.KDim, l.kv.Heads*l.kv.VDim
		eachRow(w, len(e.Rows), func(i int) {
			keys, values, slot := e.place(&l, i)
			e.k.StoreKV(&l.kv, keys, values, slot, k[i*nk:(i+1)*nk], v[i*nv:(i+1)*nv], e.workers[w.ID].store)
		})
	}, nil
}

// ropeCache norms and rotates q and k of each row and stores k and v.
func (c *compiler) ropeCache(n *graph.Node) (func(*pool.Worker), error) {
	a, p := n.Attr.(graph.RopeCacheAttr), n.RopeCache()
	t, err := c.ropeTable(a.Rope, p.Pos, p.Factors)
	if err != nil {
		return nil, err
	}
	decl, _ := c.Graph.State(a.State)
	e, wide := c.executable, p.X.Type.Shape[1].N
	nq, nk, nv := a.Heads*decl.KeyDim, decl.KVHeads*decl.KeyDim, decl.KVHeads*decl.ValueDim
	c.maxRow = max(c.maxRow, nk)
	c.stores(a.State)
	return func(w *pool.Worker) {
		x, pos, out, l := e.value(p.X), e.Ints(p.Pos), e.value(n), e.layer(a.State)
		var qNorm, kNorm []float32
		if a.QNorm {
			qNorm = e.value(p.QNorm)
		}
		if a.KNorm {
			kNorm = e.value(p.KNorm)
		}
		head := func(dst, src, norm []float32, cos, sin []float32) {
			if norm != nil {
				e.k.RMSNorm(dst, src, norm, decl.KeyDim, a.Eps)
			} else {
				copy(dst, src)
			}
			e.k.RoPE(dst, decl.KeyDim, cos, sin, t.style())
		}
		if len(pos) < w.N { // few rows: shared out by heads
			lo, hi := pool.Split(len(pos)*(a.Heads+decl.KVHeads), 1, w.ID, w.N)
			for u := lo; u < hi; u++ {
				i, h := u/(a.Heads+decl.KVHeads), u%(a.Heads+decl.KVHeads)
				cos, sin := t.at(pos[i])
				row := x[i*wide : (i+1)*wide]
				if h < a.Heads {
					at := h * decl.KeyDim
					head(out[i*nq+at:][:decl.KeyDim], row[a.QOff+at:][:decl.KeyDim], qNorm, cos, sin)
					continue
				}
				h -= a.Heads
				key := e.workers[w.ID].row[:decl.KeyDim]
				head(key, row[a.KOff+h*decl.KeyDim:][:decl.KeyDim], kNorm, cos, sin)
				keys, values, slot := e.place(&l, i)
				e.k.StoreHead(&l.kv, keys, values, slot, h, key, row[a.VOff+h*decl.ValueDim:], e.workers[w.ID].store)
			}
			return
		}
		eachRow(w, len(pos), func(i int) {
			cos, sin := t.at(pos[i])
			row := x[i*wide : (i+1)*wide]
			head(out[i*nq:(i+1)*nq], row[a.QOff:a.QOff+nq], qNorm, cos, sin)
			key := e.workers[w.ID].row[:nk]
			head(key, row[a.KOff:a.KOff+nk], kNorm, cos, sin)
			keys, values, slot := e.place(&l, i)
			e.k.StoreKV(&l.kv, keys, values, slot, key, row[a.VOff:a.VOff+nv], e.workers[w.ID].store)
		})
	}, nil
}
