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

// rowLoss gives the loss of row i of logits x. If dst is not nil, the gradient of x is
// written there, for a loss that counts dy; dst may be x.
type rowLoss func(l *local, i int, dst, x []float32, dy float32) float32

// rowLoss makes the function for labels, of rows of vocab logits.
func (c *compiler) rowLoss(a graph.CrossEntropyAttr, in graph.Labels, vocab int) (rowLoss, error) {
	e := c.executable
	if err := wantInts(in.IDs); err != nil {
		return nil, err
	}
	do := func(l *local, i int, dst, x []float32, dy float32) float32 {
		return e.k.CrossEntropy(dst, x, int(e.Ints(in.IDs)[i]), dy, l.train.row)
	}
	if a.Temperature != 0 {
		if err := wantInts(in.Targets); err != nil {
			return nil, err
		}
		c.train.soft = max(c.train.soft, kernels.SoftScratch(vocab))
		do = func(l *local, i int, dst, x []float32, dy float32) float32 {
			k := lastDim(in.Targets)
			s := kernels.Soft{
				IDs: e.Ints(in.Targets)[i*k : (i+1)*k], Probs: e.value(in.Probs)[i*k : (i+1)*k],
				Temperature: a.Temperature, Mix: a.Mix,
			}
			return e.k.SoftCrossEntropy(dst, x, int(e.Ints(in.IDs)[i]), &s, dy, l.train.soft)
		}
	}
	return func(l *local, i int, dst, x []float32, dy float32) float32 {
		if e.Ints(in.IDs)[i] < 0 {
			clear(dst)
			return 0
		}
		return do(l, i, dst, x, dy)
	}, nil
}

func (c *compiler) crossEntropy(n *graph.Node) (func(*pool.Worker), error) {
	e, in := c.executable, n.CrossEntropy()
	loss, err := c.rowLoss(n.Attr.(graph.CrossEntropyAttr), in, lastDim(n.In[0]))
	return func(w *pool.Worker) {
		x, out, cols := e.value(n.In[0]), e.value(n), e.Cols(n.In[0])
		eachRow(w, len(out), func(i int) {
			out[i] = loss(e.workers[w.ID], i, nil, x[i*cols:(i+1)*cols], 0)
		})
	}, err
}

func (c *compiler) crossEntropyGrad(n *graph.Node) (func(*pool.Worker), error) {
	e, in := c.executable, n.CrossEntropy()
	loss, err := c.rowLoss(n.Attr.(graph.CrossEntropyAttr), in, lastDim(n))
	return func(w *pool.Worker) {
		x, dy, out, cols := e.value(n.In[0]), e.value(n.In[len(n.In)-1]), e.value(n), e.Cols(n)
		eachRow(w, len(dy), func(i int) {
			loss(e.workers[w.ID], i, out[i*cols:(i+1)*cols], x[i*cols:(i+1)*cols], dy[i])
		})
	}, err
}

// lossTerm is one product that logits are summed up of.
type lossTerm struct {
	x, w, sum *graph.Node // sum is nil without a gradient to add to
	cols, at  int         // of x; where its gradient begins in a row of the result
	loaded    *product    // of a loaded weight; nil if w is a value
	packed    *kernels.Matrix
}

// lossHead is a linear_loss compiled.
type lossHead struct {
	*executable
	node         *graph.Node
	a            graph.LinearLossAttr
	parts        graph.LinearLossParts
	terms        []lossTerm
	loss         rowLoss
	vocab, width int // of a row of logits, and of the result
	step         int // rows that go together
	round        bool
}

// linearLoss takes a chunk of rows from x to the gradients before it takes the next.
func (c *compiler) linearLoss(n *graph.Node) (func(*pool.Worker), error) {
	h := &lossHead{executable: c.executable, node: n, a: n.Attr.(graph.LinearLossAttr), parts: n.LinearLoss(), round: n.Round() != ""}
	h.vocab = h.parts.W[0].Type.Shape[0].N
	rows := c.maxElems(h.parts.Labels.IDs.Type.Shape)
	h.step = min(lossRows(h.vocab), rows)
	var err error
	if h.loss, err = c.rowLoss(h.a.Soft, h.parts.Labels, h.vocab); err != nil {
		return nil, err
	}
	for i, w := range h.parts.W {
		t := lossTerm{x: h.parts.X[i], w: w, sum: h.parts.Sums[i], cols: w.Type.Shape[1].N, at: h.width}
		h.width += t.cols
		if w.Op == graph.OpWeight {
			if t.loaded, err = c.product(n, graph.FusedLinearAttr{Segments: 1}, graph.FusedLinearParts{X: t.x, Weights: []*graph.Node{w}}, h.step); err != nil {
				return nil, err
			}
			t.packed = c.weights.byName[w.Name].packed
			c.train.matrix = max(c.train.matrix, frozenElems(t.packed))
			if i > 0 {
				c.train.more = max(c.train.more, h.step*h.vocab)
			}
		}
		h.terms = append(h.terms, t)
	}
	h.width++ // the loss
	c.train.gemm = true
	c.maxRow = max(c.maxRow, h.vocab)
	c.train.logits = max(c.train.logits, h.step*h.vocab)
	if h.a.SoftCap != 0 {
		c.train.capped = max(c.train.capped, h.vocab) // a row's values after the cap, beside those before
	}
	if h.parts.Sums[len(h.terms)] != nil {
		c.needSums(h.step*h.vocab, h.vocab)
		c.train.column = max(c.train.column, h.vocab)
	}
	return h.run, nil
}

func (h *lossHead) run(w *pool.Worker) {
	rows := h.Elems(h.parts.Labels.IDs.Type.Shape)
	if rows == 0 && h.node.Op == graph.OpLinearLossW {
		out := h.value(h.node)
		eachChunk(w, len(out), func(lo, hi int) { clear(out[lo:hi]) })
	}
	for r := 0; r < rows; r += h.step {
		n := min(h.step, rows-r)
		logits := h.shared.train.logits[:n*h.vocab]
		h.forward(w, logits, r, n)
		h.losses(w, logits, r, n)
		if h.parts.Dy != nil {
			h.backward(w, logits, r, n)
		}
	}
}

// forward computes the logits of rows [r, r+n) but for a bias and a cap.
func (h *lossHead) forward(w *pool.Worker, logits []float32, r, n int) {
	for i := range h.terms {
		t := &h.terms[i]
		x := h.value(t.x)[r*t.cols:]
		switch {
		case t.loaded == nil:
			h.multiply(w, &kernels.Gemm{M: n, N: h.vocab, K: t.cols, A: kernels.Operand{F32: x, LD: t.cols},
				B: kernels.Operand{F32: h.value(t.w), LD: t.cols, T: true}, C: logits, LDC: h.vocab, Add: i > 0, Round: h.round})
		case i == 0:
			t.loaded.over(w, x, logits, n)
		default:
			more := h.shared.train.more[:len(logits)]
			t.loaded.over(w, x, more, n)
			w.Barrier()
			eachChunk(w, len(logits), func(lo, hi int) { h.k.Add(logits[lo:hi], logits[lo:hi], more[lo:hi]) })
		}
		w.Barrier()
	}
}

// losses turns logits into their gradients, if rows count anything, and writes the
// rows' losses.
func (h *lossHead) losses(w *pool.Worker, logits []float32, r, n int) {
	l, grad := h.workers[w.ID], h.parts.Dy != nil
	var bias, dy []float32
	if h.parts.Bias != nil {
		bias = h.value(h.parts.Bias)
	}
	if grad {
		dy = h.value(h.parts.Dy)
	}
	eachRow(w, n, func(i int) {
		row := logits[i*h.vocab : (i+1)*h.vocab]
		if bias != nil {
			h.k.Add(row, row, bias)
		}
		z := row
		if h.a.SoftCap != 0 {
			z = l.train.capped[:h.vocab]
			h.k.SoftCap(z, row, h.a.SoftCap)
		}
		if !grad {
			h.value(h.node)[r+i] = h.loss(l, r+i, nil, z, 0)
			return
		}
		loss := h.loss(l, r+i, z, z, dy[r+i])
		if h.a.SoftCap != 0 {
			h.k.SoftCapGrad(row, row, z, l.train.row, h.a.SoftCap)
		}
		if h.node.Op == graph.OpLinearLoss {
			h.value(h.node)[(r+i)*h.width+h.width-1] = loss
		}
	})
	w.Barrier()
}

// backward makes of the gradients g of rows [r, r+n) of logits those of the terms and
// of the bias.
func (h *lossHead) backward(w *pool.Worker, g []float32, r, n int) {
	turned := kernels.Operand{F32: g, LD: h.vocab, T: true}
	if h.node.Op == graph.OpLinearLossW {
		t := &h.terms[h.a.Of]
		h.multiply(w, &kernels.Gemm{M: h.vocab, N: t.cols, K: n, A: turned,
			B: kernels.Operand{F32: h.value(t.x)[r*t.cols:], LD: t.cols}, C: h.value(h.node), LDC: t.cols, Add: r > 0, Round: h.round})
		w.Barrier()
		return
	}
	for i := range h.terms {
		t := &h.terms[i]
		out := h.value(h.node)[r*h.width+t.at:]
		if t.packed != nil {
			h.timesFrozen(w, g, n, t.packed, out, h.width, h.round)
		} else {
			h.multiply(w, &kernels.Gemm{M: n, N: t.cols, K: h.vocab, A: kernels.Operand{F32: g, LD: h.vocab},
				B: kernels.Operand{F32: h.value(t.w), LD: t.cols}, C: out, LDC: h.width, Round: h.round})
			w.Barrier()
		}
		if t.sum != nil {
			h.multiply(w, &kernels.Gemm{M: h.vocab, N: t.cols, K: n, A: turned,
				B: kernels.Operand{F32: h.value(t.x)[r*t.cols:], LD: t.cols}, C: h.value(t.sum), LDC: t.cols, Add: true, Round: h.round})
			w.Barrier()
		}
	}
	if s := h.parts.Sums[len(h.terms)]; s != nil {
		column, sum := h.shared.train.column[:h.vocab], h.value(s)
		h.columnSums(w, column, n, func(part []float32, lo, hi int) {
			for i := lo; i < hi; i++ {
				h.k.Add(part, part, g[i*h.vocab:(i+1)*h.vocab])
			}
		})
		w.Barrier()
		eachChunk(w, h.vocab, func(lo, hi int) { h.k.Add(sum[lo:hi], sum[lo:hi], column[lo:hi]) })
		w.Barrier()
	}
}
