package cpu

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/backend/internal/bind"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/plan"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// executable is a list of steps; every worker runs all of them, each on its
// own part, and meets the others after each.
type executable struct {
	*bind.Run
	k       *kernels.Kernels
	pool    *pool.Pool
	threads int
	serial  int // tells executables apart
	plan    *plan.Plan
	weights *weights
	arena   memory
	scratch memory
	steps   []step
	attends []*attention
	ropes   []*ropeTable
	params  []*graph.Node // nodes whose values are tensors of the state
	cached  bool          // there are states with pages
	buffers int           // of scores, if there is attention within the batch
	workers []*local
	shared  shared

	// of the current run
	tensors [][]float32 // by node ID
	ctx     context.Context
	work    func(*pool.Worker) // the function given to the pool, made once
	stop    atomic.Int32       // number of the step after which a cancelled run ends
	err     error
}

var serials atomic.Int32

// step is one node's work. It is called by all workers at once.
type step struct {
	node *graph.Node
	run  func(w *pool.Worker)
}

// local is what one worker has to itself.
type local struct {
	acts   acts      // its own activations, for single rows
	tile   []float32 // a product's output before its epilogue
	row    []float32 // a row of any value
	attend []float32 // attention's scratch
	merge  []float32 // weights of partial results
	store  []byte    // for quantising what the cache stores
	parts  []float32 // attention's partial results, for tiles
	top    []kernels.Candidate
	spare  []kernels.Candidate
	sums   []float32
	train  trainLocal
	_      [64]byte
}

// shared is scratch that all workers see.
type shared struct {
	acts  acts
	parts []float32 // attention's partial results, for few rows
	top   [][]kernels.Candidate
	sums  []kernels.ExpSum
	task  []attendTask
	train trainShared
}

// Compile makes the steps and allocates everything a run needs.
func (d *device) Compile(ctx context.Context, spec backend.CompileSpec) (_ backend.Executable, err error) {
	g, p := spec.Graph, spec.Plan
	ws, ok := spec.Weights.(*weights)
	if !ok {
		return nil, fmt.Errorf("cpu: weights of another device (%T)", spec.Weights)
	}
	e := &executable{k: d.k, pool: d.pool, threads: d.threads, serial: int(serials.Add(1)), plan: p, weights: ws}
	if len(p.Slots) != len(g.Nodes) {
		return nil, fmt.Errorf("cpu: a plan of %d values for a graph of %d", len(p.Slots), len(g.Nodes))
	}
	loaded := func(name string) (backend.WeightSpec, bool) {
		if w := ws.byName[name]; w != nil {
			return w.spec, true
		}
		return backend.WeightSpec{}, false
	}
	if err := bind.CheckWeights(g, loaded); err != nil {
		return nil, fmt.Errorf("cpu: %w", err)
	}
	e.Run = bind.New(g)
	e.tensors = make([][]float32, len(g.Nodes))
	for _, s := range g.States {
		e.cached = e.cached || s.Kind != graph.Tensor
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if e.arena, err = allocate("the arena", p.Arena); err != nil {
		return nil, err
	}
	for range d.threads {
		e.workers = append(e.workers, &local{})
	}
	b := &compiler{executable: e}
	for _, n := range g.Nodes {
		run, err := b.step(n)
		if err != nil {
			return nil, fmt.Errorf("cpu: %s: %w", n, err)
		}
		if run != nil {
			e.steps = append(e.steps, step{n, run})
		}
	}
	b.outputs()
	if err := b.allocate(); err != nil {
		return nil, err
	}
	e.work = e.runSteps
	if e.steps == nil {
		e.steps = []step{} // nil means closed
	}
	return e, nil
}

func (e *executable) Close() error {
	a, s := e.arena, e.scratch
	e.arena, e.scratch, e.steps = memory{}, memory{}, nil
	return errors.Join(a.free(), s.free())
}

// compiler gathers, over all steps, how much scratch a worker needs.
type compiler struct {
	*executable
	maxRow   int // elements of the longest row of any value
	maxRows  int // rows of the largest product
	maxCols  int // columns of the widest product's input
	tile     int // elements of a product's output tile
	store    int // bytes that storing a row in the cache needs
	hasTop   bool
	maxVocab int
	train    trainNeeds
}

// step makes the function that computes n, or nil where there is nothing to do.
func (c *compiler) step(n *graph.Node) (func(*pool.Worker), error) {
	if s := n.Type.Shape; len(s) > 0 {
		c.maxRow = max(c.maxRow, c.maxElems(s[len(s)-1:]))
	}
	switch {
	case n.Op == graph.OpParam:
		c.params = append(c.params, n)
		return nil, nil
	case n.Op == graph.OpInput || n.Op == graph.OpWeight:
		return nil, nil
	case n.Op.Stage() == graph.Training:
		return c.trainStep(n)
	case n.Op.IsUnary():
		return c.unary(n)
	case n.Op.IsBinary():
		return c.binary(n)
	}
	switch n.Op {
	case graph.OpEmbed:
		return c.embed(n)
	case graph.OpLinear:
		if n.In[1].Op != graph.OpWeight {
			return c.gemm(n, n)
		}
		return c.linear(n, graph.FusedLinearAttr{Segments: 1}, graph.FusedLinearParts{X: n.In[0], Weights: n.In[1:2]})
	case graph.OpFusedLinear:
		return c.linear(n, n.Attr.(graph.FusedLinearAttr), n.FusedLinear())
	case graph.OpMatMul:
		return c.matMul(n)
	case graph.OpRMSNorm, graph.OpLayerNorm:
		return c.norm(n)
	case graph.OpNormAdd:
		return c.normAdd(n)
	case graph.OpRope:
		return c.rope(n)
	case graph.OpCacheWrite:
		return c.cacheWrite(n)
	case graph.OpRopeCache:
		return c.ropeCache(n)
	case graph.OpAttention:
		return c.attend(n)
	case graph.OpSoftmax:
		return c.softmax(n)
	case graph.OpReshape:
		return c.reshape(n)
	case graph.OpSlice:
		return c.slice(n)
	case graph.OpConcat:
		return c.concat(n)
	case graph.OpTranspose:
		return c.transpose(n)
	case graph.OpGatherRows:
		return c.gatherRows(n)
	case graph.OpReadout:
		return c.reshape(n) // its value is its input's; outputs reads it back
	}
	return nil, fmt.Errorf("the cpu backend does not know this operation")
}

// allocate makes the scratch that the steps asked for.
func (c *compiler) allocate() error {
	q8 := kernels.Q8RowBytes(c.maxCols)
	f32, ok := dtype.Product([]int{c.maxRows, c.maxCols, 4})
	if !ok {
		return fmt.Errorf("cpu: %d rows of %d activations are too many", c.maxRows, c.maxCols)
	}
	at := roundUp(f32, align)
	var err error
	if c.scratch, err = allocate("a batch's activations", at+c.maxRows*q8); err != nil {
		return err
	}
	c.shared.acts = acts{f32: floatsOf(c.scratch.bytes[:f32]), q8: c.scratch.bytes[at:]}
	for _, l := range c.workers {
		l.acts = acts{f32: make([]float32, c.maxCols), q8: make([]byte, q8)}
		l.tile = make([]float32, c.tile)
		l.row = make([]float32, c.maxRow)
		for _, a := range c.attends {
			l.attend = grow(l.attend, max(a.base.AttendScratch(tileRows(&a.base), 1), a.base.AttendScratch(fewRows(&a.base), a.base.Heads)))
		}
		l.store = make([]byte, c.store)
	}
	c.allocateTrain()
	if c.hasTop {
		c.shared.top = make([][]kernels.Candidate, c.threads)
		for i, l := range c.workers {
			c.shared.top[i] = make([]kernels.Candidate, backend.TopCount)
			l.top = make([]kernels.Candidate, backend.TopCount)
			l.spare = make([]kernels.Candidate, backend.TopCount)
			l.sums = make([]float32, kernels.ExpSumLen)
		}
		c.shared.sums = make([]kernels.ExpSum, (c.maxVocab+kernels.ExpSumLen-1)/kernels.ExpSumLen)
	}
	return nil
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// value gives the elements that n has in the current run.
func (e *executable) value(n *graph.Node) []float32 {
	switch n.Op {
	case graph.OpWeight:
		return e.weights.byName[n.Name].vector
	case graph.OpInput:
		return e.Floats(n)
	case graph.OpParam:
		return e.tensors[n.ID]
	}
	s := e.plan.Slots[n.ID]
	return floatsOf(e.arena.bytes[s.Off : s.Off+s.Size])[:e.Elems(n.Type.Shape)]
}

// maxElems is the number of elements of a shape at the graph's limits.
func (e *executable) maxElems(s dtype.Shape) int {
	n, _ := s.NumElems(e.Graph.Max.Binding()) // Verify has checked it
	return n
}

// wantInts asks that an integer operand is a run-time input: nothing computes
// integers here.
func wantInts(n *graph.Node) error {
	if n.Op != graph.OpInput {
		return fmt.Errorf("%s must be an input of the graph", n)
	}
	return nil
}
