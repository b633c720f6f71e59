package cpu

import (
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/graph"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// eachRow shares rows out among the workers.
func eachRow(w *pool.Worker, rows int, do func(i int)) {
	lo, hi := pool.Split(rows, 1, w.ID, w.N)
	for i := lo; i < hi; i++ {
		do(i)
		w.Yield()
	}
}

// chunk is how many elements an elementwise step takes before it yields: a few
// dozen microseconds of the slowest function.
const chunk = 4096

// eachChunk shares n elements out.
func eachChunk(w *pool.Worker, n int, do func(lo, hi int)) {
	lo, hi := pool.Split(n, 64, w.ID, w.N)
	for ; lo < hi; lo += chunk {
		do(lo, min(hi, lo+chunk))
		w.Yield()
	}
}

func (c *compiler) embed(n *graph.Node) (func(*pool.Worker), error) {
	e, table, cols := c.executable, c.weights.byName[n.In[0].Name], n.Type.Shape[1].N
	if err := wantInts(n.In[1]); err != nil {
		return nil, err
	}
	if n.In[0].Op == graph.OpParam {
		return func(w *pool.Worker) {
			ids, table, out := e.Ints(n.In[1]), e.value(n.In[0]), e.value(n)
			eachRow(w, len(ids), func(i int) { copy(out[i*cols:(i+1)*cols], table[int(ids[i])*cols:]) })
		}, nil
	}
	return func(w *pool.Worker) {
		ids, out := e.Ints(n.In[1]), e.value(n)
		eachRow(w, len(ids), func(i int) {
			if err := table.row(e.k, out[i*cols:(i+1)*cols], int(ids[i])); err != nil && w.ID == 0 {
				e.err = err
			}
		})
	}, nil
}

// vectorOf is a weight read element by element, or nil.
func (e *executable) vectorOf(n *graph.Node, input int) []float32 {
	if len(n.In) <= input {
		return nil
	}
	return e.value(n.In[input])
}

func (c *compiler) norm(n *graph.Node) (func(*pool.Worker), error) {
	e, eps := c.executable, n.Attr.(graph.NormAttr).Eps
	return func(w *pool.Worker) {
		x, out, cols := e.value(n.In[0]), e.value(n), e.Cols(n)
		weight, bias := e.vectorOf(n, 1), e.vectorOf(n, 2)
		eachRow(w, e.RowsOf(n), func(i int) {
			dst, src := out[i*cols:(i+1)*cols], x[i*cols:(i+1)*cols]
			if n.Op == graph.OpRMSNorm {
				e.k.RMSNorm(dst, src, weight, cols, eps)
			} else {
				e.k.LayerNorm(dst, src, weight, bias, cols, eps)
			}
		})
	}, nil
}

func (c *compiler) normAdd(n *graph.Node) (func(*pool.Worker), error) {
	e, eps := c.executable, n.Attr.(graph.NormAttr).Eps
	return func(w *pool.Worker) {
		x, weight, y, out, cols := e.value(n.In[0]), e.value(n.In[1]), e.value(n.In[2]), e.value(n), e.Cols(n)
		row := e.workers[w.ID].row[:cols]
		eachRow(w, e.RowsOf(n), func(i int) {
			e.k.RMSNorm(row, x[i*cols:(i+1)*cols], weight, cols, eps)
			e.k.Add(out[i*cols:(i+1)*cols], row, y[i*cols:(i+1)*cols])
		})
	}, nil
}

func (c *compiler) softmax(n *graph.Node) (func(*pool.Worker), error) {
	e := c.executable
	return func(w *pool.Worker) {
		x, out, cols := e.value(n.In[0]), e.value(n), e.Cols(n)
		eachRow(w, e.RowsOf(n), func(i int) { e.k.Softmax(out[i*cols:(i+1)*cols], x[i*cols:(i+1)*cols], cols) })
	}, nil
}

func (c *compiler) unary(n *graph.Node) (func(*pool.Worker), error) {
	e := c.executable
	do := unaryKernel(e.k, n)
	return func(w *pool.Worker) {
		x, out := e.value(n.In[0]), e.value(n)
		eachChunk(w, len(out), func(lo, hi int) { do(out[lo:hi], x[lo:hi]) })
	}, nil
}

func unaryKernel(k *kernels.Kernels, n *graph.Node) func(dst, x []float32) {
	switch n.Op {
	case graph.OpScale:
		f := n.Attr.(graph.ScaleAttr).Factor
		return func(dst, x []float32) { k.Scale(dst, x, f) }
	case graph.OpSoftCap:
		limit := n.Attr.(graph.SoftCapAttr).Cap
		return func(dst, x []float32) { k.SoftCap(dst, x, limit) }
	case graph.OpSilu:
		return k.SiLU
	case graph.OpGelu:
		return k.GELU
	case graph.OpGeluErf:
		return k.GELUErf
	case graph.OpRelu:
		return relu
	case graph.OpExp:
		return k.Exp
	case graph.OpTanh:
		return func(dst, x []float32) { k.SoftCap(dst, x, 1) } // 1*tanh(x/1)
	default: // sigmoid
		return func(dst, x []float32) {
			k.Scale(dst, x, -1)
			k.Exp(dst, dst)
			for i, v := range dst {
				dst[i] = 1 / (1 + v)
			}
		}
	}
}

// binary runs row by row: the second operand is as long as the first, or
// repeats for every row of its own length.
func (c *compiler) binary(n *graph.Node) (func(*pool.Worker), error) {
	e := c.executable
	return func(w *pool.Worker) {
		a, b, out := e.value(n.In[0]), e.value(n.In[1]), e.value(n)
		if len(b) == len(a) {
			eachChunk(w, len(out), func(lo, hi int) { binaryRow(e.k, n.Op, out[lo:hi], a[lo:hi], b[lo:hi]) })
			return
		}
		if len(b) == 0 {
			return
		}
		eachRow(w, len(a)/len(b), func(i int) {
			lo, hi := i*len(b), (i+1)*len(b)
			binaryRow(e.k, n.Op, out[lo:hi], a[lo:hi], b)
		})
	}, nil
}

func binaryRow(k *kernels.Kernels, op graph.Op, dst, a, b []float32) {
	switch op {
	case graph.OpAdd:
		k.Add(dst, a, b)
	case graph.OpMul:
		k.Mul(dst, a, b)
	case graph.OpSub:
		for i, v := range a {
			dst[i] = v - b[i]
		}
	default:
		for i, v := range a {
			dst[i] = v / b[i]
		}
	}
}

func (c *compiler) gatherRows(n *graph.Node) (func(*pool.Worker), error) {
	e := c.executable
	if err := wantInts(n.In[1]); err != nil {
		return nil, err
	}
	return func(w *pool.Worker) {
		x, rows, out, cols := e.value(n.In[0]), e.Ints(n.In[1]), e.value(n), e.Cols(n)
		eachRow(w, len(rows), func(i int) { copy(out[i*cols:(i+1)*cols], x[int(rows[i])*cols:]) })
	}, nil
}

// lastDim is the constant size of the last dimension.
func lastDim(n *graph.Node) int { return n.Type.Shape[len(n.Type.Shape)-1].N }
