package cpu

import (
	"math"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/graph"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// outputs notes what reading the outputs back needs.
func (c *compiler) outputs() {
	for _, o := range c.Graph.Outputs {
		if o.Node.Op == graph.OpReadout {
			c.hasTop = true
			c.maxVocab = max(c.maxVocab, lastDim(o.Node))
		}
	}
}

// readBack copies outputs to the caller; all workers share each.
func (e *executable) readBack(w *pool.Worker) {
	for i := range e.Args.Outputs {
		out, n := &e.Args.Outputs[i], e.Graph.Outputs[i].Node
		if out.Skip {
			continue
		}
		x := e.value(n)
		if n.Op != graph.OpReadout {
			eachChunk(w, len(x), func(lo, hi int) { copy(out.F32[lo:hi], x[lo:hi]) })
			continue
		}
		cols := lastDim(n)
		rows := len(x) / max(1, cols)
		if out.Mask != nil || len(out.Bias) > 0 {
			eachRow(w, rows, func(r int) { adjust(x[r*cols:(r+1)*cols], out, r) })
			w.Barrier()
		}
		if out.Mode == backend.ReadFull {
			eachChunk(w, len(x), func(lo, hi int) { copy(out.F32[lo:hi], x[lo:hi]) })
			continue
		}
		for r := range rows {
			e.best(w, out, x[r*cols:(r+1)*cols], r)
		}
	}
}

// adjust adds the row's biases and masks columns out.
func adjust(row []float32, out *backend.Output, r int) {
	for _, b := range out.Bias {
		if b.Row == r {
			row[b.ID] += b.Add
		}
	}
	if out.Mask == nil {
		return
	}
	words := (len(row) + 63) / 64
	mask := out.Mask[r*words : (r+1)*words]
	for i := range row {
		if mask[i/64]>>(i%64)&1 == 0 {
			row[i] = float32(math.Inf(-1))
		}
	}
}

// best finds a row's best candidates: each worker of its range, then worker 0
// of all.
func (e *executable) best(w *pool.Worker, out *backend.Output, row []float32, r int) {
	k := e.k
	lo, hi := pool.Split(len(row), kernels.ExpSumLen, w.ID, w.N)
	l := e.workers[w.ID]
	want := 1
	if out.Mode == backend.ReadTop {
		want = min(backend.TopCount, len(row))
	}
	e.shared.top[w.ID] = e.shared.top[w.ID][:want]
	n := 0
	if lo < hi {
		n = k.TopK(e.shared.top[w.ID], row[lo:hi], lo)
		if out.Mode == backend.ReadTop {
			k.ExpSums(e.shared.sums[lo/kernels.ExpSumLen:], row[lo:hi], l.sums)
		}
	}
	e.shared.top[w.ID] = e.shared.top[w.ID][:n]
	w.Barrier()
	if w.ID == 0 {
		all, next := append(l.top[:0], e.shared.top[0]...), l.spare
		for _, t := range e.shared.top[1:w.N] {
			m := kernels.MergeTopK(next[:want], all, t)
			all, next = next[:m], all[:cap(all)]
		}
		for i := range want {
			c := kernels.Candidate{Index: -1, Value: float32(math.NaN())}
			if i < len(all) {
				c = all[i]
			}
			out.IDs[r*want+i], out.Logits[r*want+i] = c.Index, c.Value
		}
		if out.Mode == backend.ReadTop {
			blocks := (len(row) + kernels.ExpSumLen - 1) / kernels.ExpSumLen
			out.LogSumExp[r] = kernels.LogSumExp(e.shared.sums[:blocks])
		}
	}
	w.Barrier()
}
