package cpu

import (
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/graph"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// attendTask is consecutive rows of one segment.
type attendTask struct {
	segment int
	row     int // first, in the batch
	n       int
}

// tileRows is how many rows go together: enough query heads to use each load of
// a key well.
func tileRows(a *kernels.Attention) int { return max(1, 32/max(1, a.Group)) }

// attention is one attention node compiled.
type attention struct {
	*executable
	node  *graph.Node
	base  kernels.Attention // without Len
	state string
	heads int // of queries
}

func (c *compiler) attend(n *graph.Node) (func(*pool.Worker), error) {
	at := n.Attr.(graph.AttentionAttr)
	decl, _ := c.graph.State(at.State)
	heads := n.Type.Shape[1].N
	a := &attention{executable: c.executable, node: n, state: at.State, heads: heads, base: kernels.Attention{
		KV:    kernels.KV{Heads: decl.KVHeads, KDim: decl.KeyDim, VDim: decl.ValueDim, Type: decl.DType},
		Group: heads / decl.KVHeads, Scale: at.Scale, SoftCap: at.SoftCap, Window: at.Window,
		Bidirectional: at.Mask == graph.Bidirectional,
	}}
	c.attention = append(c.attention, &a.base)
	return a.run, nil
}

// prepareAttention cuts the batch into tasks. Layers may tile differently; the
// tasks are whole segments, which attention cuts into tiles of its own size.
func (e *executable) prepareAttention() {
	e.shared.task = e.shared.task[:0]
	row := 0
	for s, seg := range e.args.Segments {
		if seg.Rows > 0 {
			e.shared.task = append(e.shared.task, attendTask{s, row, seg.Rows})
		}
		row += seg.Rows
	}
}

func (a *attention) run(w *pool.Worker) {
	tiles, step := 0, tileRows(&a.base)
	for _, t := range a.shared.task {
		tiles += (t.n + step - 1) / step
	}
	if tiles*a.base.Heads >= 2*w.N {
		a.byTile(w, tiles, step)
	} else {
		a.bySplit(w)
	}
}

// at is the attention over one segment in the current run.
func (a *attention) at(segment int) (kernels.Attention, kernels.Pages) {
	k, s := a.base, a.args.State.(*state)
	l := s.layers[a.state]
	seg := &a.args.Segments[segment]
	k.Len = seg.Start + seg.Rows
	return k, kernels.Pages{Data: s.memory.bytes, Index: seg.Pages, Stride: s.stride, K: l.key, V: l.value}
}

// byTile gives each worker whole tiles of rows and one key-value head at a time.
func (a *attention) byTile(w *pool.Worker, tiles, step int) {
	units := tiles * a.base.Heads
	for u := w.Next(units); u >= 0; u = w.Next(units) {
		tile, head := u/a.base.Heads, u%a.base.Heads
		for _, t := range a.shared.task {
			n := (t.n + step - 1) / step
			if tile < n {
				first := tile * step
				a.tile(w, attendTask{t.segment, t.row + first, min(step, t.n-first)}, head)
				break
			}
			tile -= n
		}
	}
}

// tile computes one key-value head's queries of a few rows.
func (a *attention) tile(w *pool.Worker, t attendTask, head int) {
	k, pages := a.at(t.segment)
	l := a.workers[w.ID]
	q, out := a.value(a.node.In[0]), a.value(a.node)
	var buf [64]int32
	pos := buf[:t.n]
	s0, s1 := 1<<30, 0
	for i := range pos {
		pos[i] = int32(a.rows[t.row+i].slot)
		lo, hi := k.Splits(int(pos[i]))
		s0, s1 = min(s0, lo), max(s1, hi)
	}
	n, size := max(0, s1-s0), k.PartialLen()
	l.parts = grow(l.parts, t.n*k.Group*n*size)
	ldq := a.heads * k.KDim
	for s := range n {
		a.executable.k.AttendSplit(l.parts[s*size:], n*size, q[t.row*ldq:], ldq, &k, &pages, head, s0+s, pos, l.attend)
		w.Yield()
	}
	for i := range t.n {
		for g := range k.Group {
			a.merge(out, &k, l.parts[(i*k.Group+g)*n*size:], size, n, t.row+i, head*k.Group+g)
		}
	}
}

func (a *attention) merge(out []float32, k *kernels.Attention, parts []float32, size, n, row, head int) {
	at := (row*a.heads + head) * k.VDim
	a.k.MergePartials(out[at:at+k.VDim], k, parts, size, n)
}

// bySplit shares few rows out by head and split, so that one token of a long
// context still uses all workers; then the partial results are merged.
func (a *attention) bySplit(w *pool.Worker) {
	size, most := a.base.PartialLen(), 0
	for _, t := range a.shared.task {
		most = max(most, a.splitsOf(t))
	}
	rows := len(a.rows)
	if w.ID == 0 {
		a.shared.parts = grow(a.shared.parts, rows*a.heads*most*size)
	}
	w.Barrier()
	parts, q, out := a.shared.parts, a.value(a.node.In[0]), a.value(a.node)
	ldq := a.heads * a.base.KDim
	units := rows * a.base.Heads * most
	for u := w.Next(units); u >= 0; u = w.Next(units) {
		row, rest := u/(a.base.Heads*most), u%(a.base.Heads*most)
		head, s := rest/most, rest%most
		k, pages := a.at(a.rows[row].segment)
		slot := a.rows[row].slot
		lo, hi := k.Splits(slot)
		if lo+s >= hi {
			continue
		}
		pos := [1]int32{int32(slot)}
		at := (row*a.heads+head*k.Group)*most*size + s*size
		a.executable.k.AttendSplit(parts[at:], most*size, q[row*ldq:], ldq, &k, &pages, head, lo+s, pos[:], a.workers[w.ID].attend)
	}
	w.Barrier()
	for u := w.Next(rows * a.heads); u >= 0; u = w.Next(rows * a.heads) {
		row := u / a.heads
		k, _ := a.at(a.rows[row].segment)
		lo, hi := k.Splits(a.rows[row].slot)
		a.merge(out, &k, parts[u*most*size:], size, hi-lo, row, u%a.heads)
	}
}

// splitsOf is the most splits that a row of the task needs.
func (a *attention) splitsOf(t attendTask) int {
	k, _ := a.at(t.segment)
	most := 0
	for i := range t.n {
		lo, hi := k.Splits(a.rows[t.row+i].slot)
		most = max(most, hi-lo)
	}
	return most
}
