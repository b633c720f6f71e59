package cpu

import (
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/graph"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// sumRows is how many rows a partial sum over rows is of.
const sumRows = 64

// columnSums computes sums over rows of something with cols columns: part adds rows
// [lo, hi) to a row of zeros. Blocks of rows are summed first, then the blocks in
// order, so that the workers do not matter.
func (e *executable) columnSums(w *pool.Worker, out []float32, rows int, part func(sum []float32, lo, hi int)) {
	cols, sums := len(out), e.shared.train.sums
	blocks := (rows + sumRows - 1) / sumRows
	eachRow(w, blocks, func(b int) {
		sum := sums[b*cols : (b+1)*cols]
		clear(sum)
		part(sum, b*sumRows, min(rows, (b+1)*sumRows))
	})
	w.Barrier()
	lo, hi := pool.Split(cols, 16, w.ID, w.N)
	clear(out[lo:hi])
	for b := range blocks {
		e.k.Add(out[lo:hi], out[lo:hi], sums[b*cols+lo:b*cols+hi])
	}
}

// needSums asks for the scratch of columnSums for a value of that many elements.
func (c *compiler) needSums(elems, cols int) {
	rows := elems / max(1, cols)
	c.train.sums = max(c.train.sums, (rows+sumRows-1)/sumRows*cols)
}

func (c *compiler) sumTo(n *graph.Node) (func(*pool.Worker), error) {
	e := c.executable
	c.needSums(c.maxElems(n.In[0].Type.Shape), c.maxElems(n.Type.Shape))
	return func(w *pool.Worker) {
		x, out := e.value(n.In[0]), e.value(n)
		cols := len(out)
		e.columnSums(w, out, len(x)/max(1, cols), func(sum []float32, lo, hi int) {
			for i := lo; i < hi; i++ {
				e.k.Add(sum, sum, x[i*cols:(i+1)*cols])
			}
		})
	}, nil
}

func (c *compiler) normGradW(n *graph.Node) (func(*pool.Worker), error) {
	e, a, cols := c.executable, n.Attr.(graph.NormGradAttr), lastDim(n)
	c.needSums(c.maxElems(n.In[0].Type.Shape), cols)
	return func(w *pool.Worker) {
		x, dy, tmp := e.value(n.In[0]), e.value(n.In[1]), e.workers[w.ID].train.row
		e.columnSums(w, e.value(n), len(x)/cols, func(sum []float32, lo, hi int) {
			e.k.NormGradW(sum, x[lo*cols:hi*cols], dy[lo*cols:hi*cols], tmp, a.Eps, a.Centre)
		})
	}, nil
}

func (c *compiler) normGrad(n *graph.Node) (func(*pool.Worker), error) {
	e, a := c.executable, n.Attr.(graph.NormGradAttr)
	return func(w *pool.Worker) {
		x, dy, out, cols := e.value(n.In[0]), e.value(n.In[1]), e.value(n), e.Cols(n)
		weight, tmp := e.vectorOf(n, 2), e.workers[w.ID].train.row
		eachRow(w, e.RowsOf(n), func(i int) {
			at, end := i*cols, (i+1)*cols
			e.k.NormGrad(out[at:end], x[at:end], dy[at:end], weight, tmp, cols, a.Eps, a.Centre)
		})
	}, nil
}

var derivatives = map[string]kernels.Derivative{
	"silu": kernels.SiLUDerivative, "gelu": kernels.GELUDerivative, "gelu_erf": kernels.GELUErfDerivative,
	"relu": kernels.ReLUDerivative, "tanh": kernels.TanhDerivative, "sigmoid": kernels.SigmoidDerivative, "exp": kernels.ExpDerivative,
}

func (c *compiler) unaryGrad(n *graph.Node) (func(*pool.Worker), error) {
	e, a := c.executable, n.Attr.(graph.UnaryGradAttr)
	f := derivatives[a.Of]
	return func(w *pool.Worker) {
		x, dy, out, tmp := e.value(n.In[0]), e.value(n.In[1]), e.value(n), e.workers[w.ID].train.row
		eachChunk(w, len(out), func(lo, hi int) {
			if a.Cap != 0 {
				e.k.SoftCapGrad(out[lo:hi], x[lo:hi], dy[lo:hi], tmp, a.Cap)
			} else {
				e.k.UnaryGrad(f, out[lo:hi], x[lo:hi], dy[lo:hi], tmp)
			}
		})
	}, nil
}

func (c *compiler) softmaxGrad(n *graph.Node) (func(*pool.Worker), error) {
	e := c.executable
	return func(w *pool.Worker) {
		y, dy, out, cols := e.value(n.In[0]), e.value(n.In[1]), e.value(n), e.Cols(n)
		eachRow(w, e.RowsOf(n), func(i int) {
			at, end := i*cols, (i+1)*cols
			e.k.SoftmaxGrad(out[at:end], y[at:end], dy[at:end], cols)
		})
	}, nil
}

func (c *compiler) pad(n *graph.Node) (func(*pool.Worker), error) {
	e, a := c.executable, n.Attr.(graph.PadAttr)
	return func(w *pool.Worker) {
		x, out := e.value(n.In[0]), e.value(n)
		outer, size, inner := e.around(n.In[0], a.Axis)
		run, whole, at := size*inner, a.Size*inner, a.Start*inner
		eachRow(w, outer, func(i int) {
			row := out[i*whole : (i+1)*whole]
			clear(row[:at])
			copy(row[at:at+run], x[i*run:(i+1)*run])
			clear(row[at+run:])
		})
	}, nil
}

// scatterRows adds rows where they belong. Workers share the columns, so that each
// element is summed in the order of the rows.
func (c *compiler) scatterRows(n, to, from, index *graph.Node, clean bool) (func(*pool.Worker), error) {
	e, cols := c.executable, lastDim(from)
	if err := wantInts(index); err != nil {
		return nil, err
	}
	return func(w *pool.Worker) {
		x, rows, out := e.value(from), e.Ints(index), e.value(to)
		if clean {
			eachChunk(w, len(out), func(lo, hi int) { clear(out[lo:hi]) })
			w.Barrier()
		}
		lo, hi := pool.Split(cols, 16, w.ID, w.N)
		if lo == hi {
			return
		}
		for i, r := range rows {
			dst := out[int(r)*cols+lo : int(r)*cols+hi]
			e.k.Add(dst, dst, x[i*cols+lo:i*cols+hi])
			w.Yield()
		}
	}, nil
}

func (c *compiler) dropout(n *graph.Node) (func(*pool.Worker), error) {
	e, a := c.executable, n.Attr.(graph.DropoutAttr)
	if err := wantInts(n.In[1]); err != nil {
		return nil, err
	}
	return func(w *pool.Worker) {
		x, out, key := e.value(n.In[0]), e.value(n), e.Ints(n.In[1])
		eachChunk(w, len(out), func(lo, hi int) {
			kernels.Dropout(out[lo:hi], x[lo:hi], [2]int32{key[0], key[1]}, a.Site, lo, a.Rate)
		})
	}, nil
}
