package cpu

import (
	"fmt"
	"math"

	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// trainNeeds is what the steps of training need of scratch.
type trainNeeds struct {
	gemm   bool
	sums   int // values of partial sums over rows
	norms  int // blocks of global norms
	matrix int // elements of a frozen weight's rows, of linear_t
	logits int // elements of a chunk of logits
	more   int // elements of another, to be added to them
	capped int // elements of a row of them that is capped
	soft   int // elements of scratch for a row with soft targets
	column int // elements of a sum of rows of them
	store  int // bytes of a quantised row
	heads  int // elements of each head's own gradients of k and v
}

// trainLocal is what one worker has to itself in training.
type trainLocal struct {
	gemm   []float32
	row    []float32 // a row or a chunk
	capped []float32 // a row of logits
	soft   []float32
	scores []float32 // of attention within the batch
	store  []byte
}

// trainShared is scratch that all workers see in training.
type trainShared struct {
	packed [2][]float32 // blocks of products, in turn
	sums   []float32
	norms  []float64
	matrix []float32
	logits []float32 // a chunk
	heads  []float32 // each head's own gradients of k and v, a row of all heads a row
	more   []float32 // another
	column []float32 // a sum of rows
}

func (c *compiler) allocateTrain() {
	n := &c.train
	s := &c.shared.train
	if n.gemm {
		s.packed[0], s.packed[1] = make([]float32, kernels.GemmPacked), make([]float32, kernels.GemmPacked)
	}
	s.sums = make([]float32, n.sums)
	s.norms = make([]float64, n.norms)
	s.matrix = make([]float32, n.matrix)
	s.logits = make([]float32, n.logits)
	s.heads = make([]float32, n.heads)
	s.more = make([]float32, n.more)
	s.column = make([]float32, n.column)
	for _, l := range c.workers {
		if n.gemm {
			l.train.gemm = make([]float32, kernels.GemmPacked+kernels.GemmScratch)
		}
		l.train.row = make([]float32, max(c.maxRow, chunk))
		l.train.capped = make([]float32, n.capped)
		l.train.soft = make([]float32, n.soft)
		l.train.store = make([]byte, n.store)
	}
}

// trainStep makes the step of an operation of training.
func (c *compiler) trainStep(n *graph.Node) (func(*pool.Worker), error) {
	switch n.Op {
	case graph.OpSelfAttention:
		return c.selfAttention(n)
	case graph.OpSelfAttentionGrad:
		return c.selfAttentionGrad(n)
	case graph.OpCrossEntropy:
		return c.crossEntropy(n)
	case graph.OpCrossEntropyGrad:
		return c.crossEntropyGrad(n)
	case graph.OpLinearLoss, graph.OpLinearLossW:
		return c.linearLoss(n)
	case graph.OpLinearT, graph.OpOuter:
		return c.gemm(n, n)
	case graph.OpAccumulateOuter:
		return c.gemm(n, n.In[0])
	case graph.OpNormGrad:
		return c.normGrad(n)
	case graph.OpNormGradW:
		return c.normGradW(n)
	case graph.OpUnaryGrad:
		return c.unaryGrad(n)
	case graph.OpSoftmaxGrad:
		return c.softmaxGrad(n)
	case graph.OpSumTo:
		return c.sumTo(n)
	case graph.OpPad:
		return c.pad(n)
	case graph.OpScatterRows:
		return c.scatterRows(n, n, n.In[0], n.In[1], true)
	case graph.OpAccumulateRows:
		return c.scatterRows(n, n.In[0], n.In[1], n.In[2], false)
	case graph.OpDropout:
		return c.dropout(n)
	case graph.OpFakeQuant:
		return c.fakeQuant(n)
	case graph.OpGlobalNorm:
		return c.globalNorm(n)
	case graph.OpAccumulate:
		return c.accumulate(n)
	case graph.OpAdamW:
		return c.adamW(n)
	}
	return nil, fmt.Errorf("the cpu backend does not know this operation")
}

// gemm is a product of values whose result goes to out's memory: linear with a
// matrix that is no loaded weight, linear_t, outer, accumulate_outer.
func (c *compiler) gemm(n, out *graph.Node) (func(*pool.Worker), error) {
	c.train.gemm = true
	e, round := c.executable, n.Round() != ""
	switch n.Op {
	case graph.OpLinear:
		return func(w *pool.Worker) {
			x, cols, rows := n.In[0], e.Cols(n.In[0]), e.Cols(n)
			g := &kernels.Gemm{
				M: e.RowsOf(x), N: rows, K: cols,
				A: kernels.Operand{F32: e.value(x), LD: cols},
				B: kernels.Operand{F32: e.value(n.In[1]), LD: cols, T: true},
				C: e.value(out), LDC: rows, Round: round,
			}
			e.multiply(w, g)
		}, nil
	case graph.OpLinearT:
		if n.In[1].Op == graph.OpWeight {
			return c.frozen(n)
		}
		return func(w *pool.Worker) {
			x, cols, rows := n.In[0], e.Cols(n), e.Cols(n.In[0])
			e.multiply(w, &kernels.Gemm{
				M: e.RowsOf(x), N: cols, K: rows,
				A: kernels.Operand{F32: e.value(x), LD: rows},
				B: kernels.Operand{F32: e.value(n.In[1]), LD: cols},
				C: e.value(out), LDC: cols, Round: round,
			})
		}, nil
	}
	in := n.In
	if n.Op == graph.OpAccumulateOuter {
		in = in[1:]
	}
	return func(w *pool.Worker) {
		rows, cols := e.Cols(in[0]), e.Cols(in[1])
		e.multiply(w, &kernels.Gemm{
			M: rows, N: cols, K: e.RowsOf(in[0]),
			A: kernels.Operand{F32: e.value(in[0]), LD: rows, T: true},
			B: kernels.Operand{F32: e.value(in[1]), LD: cols},
			C: e.value(out), LDC: cols, Add: n.Op == graph.OpAccumulateOuter, Round: round,
		})
	}, nil
}

// multiply shares a product out. All pack a block of its second matrix, then each
// computes rows; while some still do, the next block goes to the other buffer.
func (e *executable) multiply(w *pool.Worker, g *kernels.Gemm) {
	l := &e.workers[w.ID].train
	if g.K == 0 || g.M < kernels.GemmRows*w.N || g.M <= fewGemmRows && !g.A.T && g.N >= 2*kernels.GroupRows*w.N {
		// Too few rows to share, no blocks at all, or columns that are shared out
		// evenly without waiting for each other.
		lo, hi := pool.Split(g.N, kernels.GroupRows, w.ID, w.N)
		e.multiplyAlone(w, g, lo, hi, l.gemm)
		return
	}
	lo, hi := pool.Split(g.M, gemmUnit, w.ID, w.N)
	for i := range e.k.GemmBlocks(g) {
		packed := e.shared.train.packed[i%2]
		s0, s1 := pool.Split(kernels.GemmSteps, 16, w.ID, w.N)
		e.k.GemmPack(packed, g, i, s0, s1)
		w.Barrier()
		e.block(w, g, packed, i, lo, hi, l.gemm)
	}
}

// yielder is a worker, as far as the products of one alone know it.
type yielder interface{ Yield() }

// multiplyAlone computes columns [lo, hi) of a product as one worker's: its blocks,
// packed to the worker's own scratch.
func (e *executable) multiplyAlone(y yielder, g *kernels.Gemm, lo, hi int, scratch []float32) {
	part := g.Columns(lo, hi)
	if g.K == 0 || part.N <= 0 {
		e.k.Gemm(g, 0, g.M, lo, hi, scratch)
		return
	}
	packed, scratch := scratch[:kernels.GemmPacked], scratch[kernels.GemmPacked:]
	for i := range e.k.GemmBlocks(&part) {
		e.k.GemmPack(packed, &part, i, 0, kernels.GemmSteps)
		e.block(y, &part, packed, i, 0, part.M, scratch)
	}
}

// block computes rows [lo, hi) of a block that is packed.
func (e *executable) block(y yielder, g *kernels.Gemm, packed []float32, i, lo, hi int, scratch []float32) {
	for m := lo; m < hi; m += gemmYield {
		e.k.GemmBlock(g, packed, i, m, min(hi, m+gemmYield), scratch)
		y.Yield()
	}
}

const (
	fewGemmRows = 128 // rows, up to which products share columns
	gemmUnit    = 6   // rows that kernels take at once
	gemmYield   = 768 // rows of a block that are computed between yields
)

// frozenRows is how many rows of a frozen weight are dequantised at once: a multiple
// of what products take, so that sums are the same chain.
const frozenRows = 4 * kernels.GemmSteps

// frozen is linear_t with a loaded weight, a few rows of which are there as float32 at
// a time.
func (c *compiler) frozen(n *graph.Node) (func(*pool.Worker), error) {
	e, m := c.executable, c.weights.byName[n.In[1].Name].packed
	c.train.matrix = max(c.train.matrix, frozenElems(m))
	return func(w *pool.Worker) {
		e.timesFrozen(w, e.value(n.In[0]), e.RowsOf(n.In[0]), m, e.value(n), m.Cols, n.Round() != "")
	}, nil
}

// frozenElems is how much scratch timesFrozen needs.
func frozenElems(m *kernels.Matrix) int { return min(frozenRows, m.Rows) * m.Cols }

// timesFrozen is x times a loaded weight, of which x has a column for each row; out has
// rows of ldo.
func (e *executable) timesFrozen(w *pool.Worker, x []float32, rows int, m *kernels.Matrix, out []float32, ldo int, round bool) {
	part := e.shared.train.matrix
	for r := 0; r < m.Rows; r += frozenRows {
		some := min(frozenRows, m.Rows-r)
		eachRow(w, some, func(i int) { e.k.GatherRow(part[i*m.Cols:(i+1)*m.Cols], m, r+i) })
		w.Barrier()
		e.multiply(w, &kernels.Gemm{
			M: rows, N: m.Cols, K: some,
			A: kernels.Operand{F32: x[min(r, len(x)):], LD: m.Rows},
			B: kernels.Operand{F32: part, LD: m.Cols},
			C: out, LDC: ldo, Add: r > 0, Round: round,
		})
		w.Barrier()
	}
}

func (c *compiler) accumulate(n *graph.Node) (func(*pool.Worker), error) {
	e := c.executable
	return func(w *pool.Worker) {
		sum, x := e.value(n.In[0]), e.value(n.In[1])
		eachChunk(w, len(x), func(lo, hi int) { e.k.Add(sum[lo:hi], sum[lo:hi], x[lo:hi]) })
	}, nil
}

// normBlock is how many elements a partial sum of squares is of.
const normBlock = 4096

// globalNorm sums squares of blocks in float32, and the blocks in order in float64.
func (c *compiler) globalNorm(n *graph.Node) (func(*pool.Worker), error) {
	e, blocks := c.executable, 0
	for _, in := range n.In {
		blocks += (c.maxElems(in.Type.Shape) + normBlock - 1) / normBlock
	}
	c.train.norms = max(c.train.norms, blocks)
	return func(w *pool.Worker) {
		sums, at := e.shared.train.norms, 0
		for _, in := range n.In {
			x := e.value(in)
			count := (len(x) + normBlock - 1) / normBlock
			eachRow(w, count, func(i int) {
				sums[at+i] = float64(e.k.SumSquares(x[i*normBlock : min(len(x), (i+1)*normBlock)]))
			})
			at += count
		}
		w.Barrier()
		if w.ID == 0 {
			sum := 0.0
			for _, v := range sums[:at] {
				sum += v
			}
			e.value(n)[0] = float32(math.Sqrt(sum))
		}
	}, nil
}

func (c *compiler) adamW(n *graph.Node) (func(*pool.Worker), error) {
	e, a := c.executable, n.Attr.(graph.AdamWAttr)
	return func(w *pool.Worker) {
		p, g, m, v := e.value(n.In[0]), e.value(n.In[1]), e.value(n.In[2]), e.value(n.In[3])
		rates := e.value(n.In[len(n.In)-1])
		s := kernels.AdamW{
			Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps, Scale: 1,
			Keep: 1 - rates[0]*a.Decay, Rate: rates[0] / rates[1], Bias2: 1 / rates[2],
		}
		if len(n.In) == 6 {
			norm := e.value(n.In[4])[0]
			if norm != norm || norm > math.MaxFloat32 {
				eachChunk(w, len(g), func(lo, hi int) { clear(g[lo:hi]) })
				return
			}
			if a.Clip > 0 && norm > a.Clip {
				s.Scale = a.Clip / norm
			}
		}
		eachChunk(w, len(p), func(lo, hi int) { e.k.AdamW(&s, p[lo:hi], g[lo:hi], m[lo:hi], v[lo:hi]) })
	}, nil
}

func (c *compiler) fakeQuant(n *graph.Node) (func(*pool.Worker), error) {
	t, err := dtype.Parse(n.Attr.(graph.QuantAttr).Type)
	if err != nil {
		return nil, err
	}
	size, err := t.RowBytes(lastDim(n))
	if err != nil {
		return nil, err
	}
	c.train.store = max(c.train.store, size)
	e := c.executable
	return func(w *pool.Worker) {
		x, out, cols, data := e.value(n.In[0]), e.value(n), e.Cols(n), e.workers[w.ID].train.store[:size]
		eachRow(w, e.RowsOf(n), func(i int) {
			row := out[i*cols : (i+1)*cols]
			err := dtype.Quantize(t, data, x[i*cols:(i+1)*cols])
			if err == nil {
				err = dtype.Dequantize(t, row, data)
			}
			if err != nil {
				e.fail(err)
			}
		})
	}, nil
}
