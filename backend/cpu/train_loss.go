package cpu

import (
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/graph"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// chunkElems is about how many logits are there at once, if that is no fewer rows
// than products need to be fast.
const chunkElems = 2 << 20

// lossRows is how many rows of a vocabulary go together: a multiple of what products
// sum up at once, so that the gradient of the weight is the same chain of sums as that
// of all rows.
func lossRows(vocab int) int {
	return max(1, chunkElems/(vocab*kernels.GemmSteps)) * kernels.GemmSteps
}

// linearLoss takes a chunk of rows from x to the gradients before it takes the next.
func (c *compiler) linearLoss(n *graph.Node) (func(*pool.Worker), error) {
	e, limit := c.executable, n.Attr.(graph.LinearLossAttr).SoftCap
	if err := wantInts(n.In[2]); err != nil {
		return nil, err
	}
	vocab, cols := n.In[1].Type.Shape[0].N, n.In[1].Type.Shape[1].N
	step := min(lossRows(vocab), c.maxElems(n.In[0].Type.Shape)/cols)
	c.train.gemm = true
	c.maxRow = max(c.maxRow, vocab)
	c.train.logits = max(c.train.logits, step*vocab)
	capped := 0
	if limit != 0 {
		capped = vocab // a row's values after the cap, beside those before
	}
	c.train.capped = max(c.train.capped, capped)
	return func(w *pool.Worker) {
		x, m, labels, dy, out := e.value(n.In[0]), e.value(n.In[1]), e.Ints(n.In[2]), e.value(n.In[3]), e.value(n)
		l := &e.workers[w.ID].train
		for r := 0; r < len(labels); r += step {
			rows := min(step, len(labels)-r)
			logits := e.shared.train.logits[:rows*vocab]
			part := kernels.Operand{F32: x[r*cols:], LD: cols}
			e.multiply(w, &kernels.Gemm{M: rows, N: vocab, K: cols, A: part, B: kernels.Operand{F32: m, LD: cols, T: true}, C: logits, LDC: vocab})
			w.Barrier()
			eachRow(w, rows, func(i int) {
				row, loss := logits[i*vocab:(i+1)*vocab], &out[(r+i)*(cols+1)+cols]
				if *loss = 0; labels[r+i] < 0 {
					clear(row)
					return
				}
				label := int(labels[r+i])
				if limit == 0 {
					*loss = e.k.CrossEntropy(row, label, l.row)
					e.k.CrossEntropyGrad(row, row, label, dy[r+i])
					return
				}
				after := l.capped[:vocab]
				e.k.SoftCap(after, row, limit)
				*loss = e.k.CrossEntropy(after, label, l.row)
				e.k.CrossEntropyGrad(after, after, label, dy[r+i])
				e.k.SoftCapGrad(row, row, after, l.row, limit)
			})
			w.Barrier()
			e.multiply(w, &kernels.Gemm{M: rows, N: cols, K: vocab, A: kernels.Operand{F32: logits, LD: vocab}, B: kernels.Operand{F32: m, LD: cols}, C: out[r*(cols+1):], LDC: cols + 1})
			w.Barrier()
			if len(n.In) == 5 {
				e.multiply(w, &kernels.Gemm{M: vocab, N: cols, K: rows, A: kernels.Operand{F32: logits, LD: vocab, T: true}, B: part, C: e.value(n.In[4]), LDC: cols, Add: true})
				w.Barrier()
			}
		}
	}, nil
}
