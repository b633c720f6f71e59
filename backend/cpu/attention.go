package cpu

import (
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// attendTask is consecutive rows of one segment.
type attendTask struct {
	segment int
	row     int // first, in the batch
	n       int
}

// tileRows is how many rows go together: enough query heads to use each load of
// a key well; more where it has to be widened first.
func tileRows(a *kernels.Attention) int {
	heads := 32
	if a.Type == dtype.Q8_0 {
		heads = 96
	}
	return max(1, heads/max(1, a.Group))
}

// fewRows is the most rows of a segment that are computed a split at a time, so
// that one token of a long context still uses all workers and reads the cache in
// the order in which it lies.
func fewRows(a *kernels.Attention) int { return max(1, 6/max(1, a.Group)) }

// bySplit says whether a task is computed a split at a time and merged after a
// barrier; where there is only one split that is not worth it.
func (a *attention) bySplit(t attendTask) bool { return t.n <= fewRows(&a.base) && a.splits(t) > 1 }

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
	decl, _ := c.Graph.State(at.State)
	heads := n.Type.Shape[1].N
	a := &attention{executable: c.executable, node: n, state: at.State, heads: heads, base: kernels.Attention{
		KV: kvOf(decl), Group: heads / decl.KVHeads, Scale: at.Scale, SoftCap: at.SoftCap, Window: at.Window,
		Bidirectional: at.Mask == graph.Bidirectional,
	}}
	c.executable.attends = append(c.executable.attends, a)
	return a.run, nil
}

// prepareAttention cuts the batch into tasks, before the workers start. Layers may
// tile differently; the tasks are whole segments, which attention cuts into tiles
// of its own size.
func (e *executable) prepareAttention() {
	e.shared.task = e.shared.task[:0]
	row := 0
	for s, seg := range e.Args.Segments {
		if seg.Rows > 0 {
			e.shared.task = append(e.shared.task, attendTask{s, row, seg.Rows})
		}
		row += seg.Rows
	}
	need, merge := 0, 0
	for _, a := range e.attends {
		n := 0
		for _, t := range e.shared.task {
			splits := a.splits(t)
			merge = max(merge, splits)
			if a.bySplit(t) {
				n += t.n * a.heads * splits * a.base.PartialLen()
			}
		}
		need = max(need, n)
	}
	e.shared.parts = grow(e.shared.parts, need)
	for _, l := range e.workers {
		l.merge = grow(l.merge, merge)
	}
}

// splits is how many splits the rows of a task need, from that of the first on.
func (a *attention) splits(t attendTask) int {
	s0, s1 := a.splitRange(t)
	return s1 - s0
}

// splitRange is the range of splits that the rows of a task need.
func (a *attention) splitRange(t attendTask) (s0, s1 int) {
	k := a.base
	k.Len = a.Args.Segments[t.segment].Start + a.Args.Segments[t.segment].Rows
	for i := range t.n {
		// A row that sees nothing has no splits.
		if lo, hi := k.Splits(a.Rows[t.row+i].Slot); lo < hi {
			if s1 == 0 {
				s0 = lo
			}
			s0, s1 = min(s0, lo), max(s1, hi)
		}
	}
	return s0, s1
}

// A run of attention is units that the workers share: for tasks of few rows a
// split of one or all heads, for others a tile of rows and one head. What the
// former leave is merged afterwards.
func (a *attention) run(w *pool.Worker) {
	step := tileRows(&a.base)
	splits, units := 0, 0
	for _, t := range a.shared.task {
		if a.bySplit(t) {
			splits += a.splits(t)
		} else {
			units += (t.n + step - 1) / step * a.base.Heads
		}
	}
	// All heads at once read memory as it lies; few splits are shared by heads.
	heads := a.base.Heads
	if splits+units < 4*w.N {
		heads = 1
	}
	groups := a.base.Heads / heads
	units += splits * groups
	for u := w.Next(units); u >= 0; u = w.Next(units) {
		a.unit(w, u, step, heads)
	}
	if splits == 0 {
		return
	}
	w.Barrier()
	parts := 0
	for _, t := range a.shared.task {
		if a.bySplit(t) {
			parts = a.mergeTask(w, t, parts)
		}
	}
}

// unit finds unit u and computes it.
func (a *attention) unit(w *pool.Worker, u, step, heads int) {
	parts := 0 // where the task's partial results begin
	for _, t := range a.shared.task {
		if !a.bySplit(t) {
			tiles := (t.n + step - 1) / step
			if u < tiles*a.base.Heads {
				first := u / a.base.Heads * step
				a.tile(w, attendTask{t.segment, t.row + first, min(step, t.n-first)}, u%a.base.Heads)
				return
			}
			u -= tiles * a.base.Heads
			continue
		}
		s0, s1 := a.splitRange(t)
		groups, n := a.base.Heads/heads, s1-s0
		if u < n*groups {
			a.split(w, t, u/n*heads, heads, s0, u%n, n, parts)
			return
		}
		u -= n * groups
		parts += t.n * a.heads * n * a.base.PartialLen()
	}
}

// at is the attention over one segment in the current run.
func (a *attention) at(segment int) (kernels.Attention, kernels.Pages) {
	k, s := a.base, a.Args.State.(*state)
	l := s.layers[a.state]
	seg := &a.Args.Segments[segment]
	k.Len = seg.Start + seg.Rows
	return k, kernels.Pages{Data: s.memory.bytes, Index: seg.Pages, Stride: s.stride, K: l.key, V: l.value}
}

// split computes split s of n from s0 on, some heads of the few rows of a task.
// The partial results of a row and head lie together: [head][row][split].
func (a *attention) split(w *pool.Worker, t attendTask, head, heads, s0, s, n, parts int) {
	k, pages := a.at(t.segment)
	size := k.PartialLen()
	var buf [8]int32
	pos := buf[:t.n]
	for i := range pos {
		pos[i] = int32(a.Rows[t.row+i].Slot)
	}
	ldh, ldq := t.n*k.Group*n*size, a.heads*k.KDim
	q := a.value(a.node.In[0])
	a.executable.k.AttendSplit(a.shared.parts[parts+head*ldh+s*size:], n*size, ldh, q[t.row*ldq:], ldq, &k, &pages,
		head, heads, s0+s, pos, a.workers[w.ID].attend)
}

// mergeTask merges the partial results of a task of few rows, which begin at
// parts, and returns where they end.
func (a *attention) mergeTask(w *pool.Worker, t attendTask, parts int) int {
	n, size, out := a.splits(t), a.base.PartialLen(), a.value(a.node)
	lo, hi := pool.Split(t.n*a.heads, 1, w.ID, w.N)
	group := a.base.Group
	for u := lo; u < hi; u++ {
		row, head := u/group%t.n, u/(group*t.n)*group+u%group
		from := parts + ((head/group*t.n+row)*group+head%group)*n*size
		at := ((t.row+row)*a.heads + head) * a.base.VDim
		a.k.MergePartials(out[at:at+a.base.VDim], &a.base, a.shared.parts[from:], size, n, a.workers[w.ID].merge)
	}
	return parts + t.n*a.heads*n*size
}

// tile computes one key-value head's queries of a few rows.
func (a *attention) tile(w *pool.Worker, t attendTask, head int) {
	k, pages := a.at(t.segment)
	l := a.workers[w.ID]
	q, out := a.value(a.node.In[0]), a.value(a.node)
	var buf [96]int32
	pos := buf[:t.n]
	for i := range pos {
		pos[i] = int32(a.Rows[t.row+i].Slot)
	}
	s0, s1 := a.splitRange(t)
	n, size := s1-s0, k.PartialLen()
	l.parts = grow(l.parts, t.n*k.Group*n*size)
	ldq := a.heads * k.KDim
	for s := range n {
		a.executable.k.AttendSplit(l.parts[s*size:], n*size, 0, q[t.row*ldq:], ldq, &k, &pages, head, 1, s0+s, pos, l.attend)
		w.Yield()
	}
	for i := range t.n {
		for g := range k.Group {
			at := ((t.row+i)*a.heads + head*k.Group + g) * k.VDim
			a.k.MergePartials(out[at:at+k.VDim], &k, l.parts[(i*k.Group+g)*n*size:], size, n, l.merge)
		}
	}
}
