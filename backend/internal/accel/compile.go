package accel

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/bind"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/plan"
)

// executable is a graph as two lists of calls, for few rows and for many, over one
// arena. The arena has, from its start: the values as planned, then for good the
// float inputs of a run and the weights that kernels read there, then the places of
// folded values (see fold), and last the scratch of whatever call is running.
type executable struct {
	*bind.Run
	device  *device
	plan    *plan.Plan
	weights *weights
	closed  bool

	arena    Buffer
	inputs   map[int]uint32 // floats of the arena, by node ID
	constant map[int]uint32 // likewise: weights
	folds    map[int]fold   // by the product's ID
	own      map[int]uint32 // folded values
	base     int            // float of the arena where scratch begins
	most     int            // floats of scratch

	few, many *list
	outs      []output
	tables    []*angles
	states    map[*state]bool // that recordings were made for

	current  run
	hostRow  []float32 // for rows that the host looks through
	counters backend.Counters
}

// angles is a rotary embedding's table in the run buffer. Layers with the same
// embedding share one.
type angles struct {
	bind.Angles
	pos, factors *graph.Node
}

// Compile lowers the graph for few and for many rows, allocates the arena and has
// all kernels compiled. What names a state's buffers is recorded when first run.
func (d *device) Compile(ctx context.Context, spec backend.CompileSpec) (_ backend.Executable, err error) {
	g := spec.Graph
	ws, ok := spec.Weights.(*weights)
	if !ok || ws.device != d || ws.byName == nil {
		return nil, fmt.Errorf("%s: weights that are closed or of another device (%T)", d.info.Name, spec.Weights)
	}
	if len(spec.Plan.Slots) != len(g.Nodes) {
		return nil, fmt.Errorf("%s: a plan of %d values for a graph of %d", d.info.Name, len(spec.Plan.Slots), len(g.Nodes))
	}
	if err := bind.CheckWeights(g, ws.spec); err != nil {
		return nil, fmt.Errorf("%s: %w", d.info.Name, err)
	}
	e := &executable{Run: bind.New(g), device: d, plan: spec.Plan, weights: ws, states: map[*state]bool{}, outs: make([]output, len(g.Outputs))}
	e.current.executable = e
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	e.layOut()
	for _, many := range []bool{false, true} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l, err := e.newList(many)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.info.Name, err)
		}
		if many {
			e.many = l
		} else {
			e.few = l
		}
	}
	if err := e.allocate(); err != nil {
		return nil, err
	}
	for _, l := range []*list{e.few, e.many} {
		if err := l.makeBuffers(); err != nil {
			return nil, err
		}
	}
	if err := d.prepare(ctx, spec.Progress, e.few, e.many); err != nil {
		return nil, err
	}
	for _, l := range []*list{e.few, e.many} {
		if err := l.compile(ctx, spec.Progress); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// spec gives what a weight was loaded as.
func (w *weights) spec(name string) (backend.WeightSpec, bool) {
	if x := w.byName[name]; x != nil {
		return x.spec, true
	}
	return backend.WeightSpec{}, false
}

// layOut finds what the arena holds behind the planned values.
func (e *executable) layOut() {
	e.inputs, e.constant = map[int]uint32{}, map[int]uint32{}
	e.base = roundUp(e.plan.Arena, arenaAlign) / 4
	take := func(n *graph.Node, to map[int]uint32) {
		if _, ok := to[n.ID]; ok {
			return
		}
		elems, _ := n.Type.Shape.NumElems(e.Graph.Max.Binding()) // Verify has checked it
		to[n.ID] = uint32(e.base)
		e.base += roundUp(elems, arenaAlign/4)
	}
	for _, n := range e.Inputs {
		if n.Type.DType == dtype.F32 {
			take(n, e.inputs)
		}
	}
	for _, n := range e.Graph.Nodes {
		for _, w := range arenaWeights(n) {
			take(w, e.constant)
		}
	}
	for _, o := range e.Graph.Outputs {
		if o.Node.Op == graph.OpWeight {
			take(o.Node, e.constant)
		}
	}
	e.folds = folds(e.Graph, e.plan)
	own, size := ownPlaces(e.Graph, e.folds, e.base)
	e.own = own
	e.base += size
	for _, n := range e.Graph.Nodes {
		switch n.Op {
		case graph.OpRope:
			var factors *graph.Node
			if len(n.In) == 3 {
				factors = n.In[2]
			}
			e.table(n.Attr.(graph.RopeAttr), n.In[1], factors)
		case graph.OpRopeCache:
			p := n.RopeCache()
			e.table(n.Attr.(graph.RopeCacheAttr).Rope, p.Pos, p.Factors)
		}
	}
}

// table is the number of an embedding's table of angles, new if need be.
func (e *executable) table(a graph.RopeAttr, pos, factors *graph.Node) int {
	for i, t := range e.tables {
		if t.Attr == a && t.pos == pos && t.factors == factors {
			return i
		}
	}
	e.tables = append(e.tables, &angles{Angles: bind.Angles{Attr: a}, pos: pos, factors: factors})
	return len(e.tables) - 1
}

// arenaWeights are the weights that a node's kernel reads in the arena: it has no
// buffer left for the vectors, or takes a value there that happens to be a weight.
func arenaWeights(n *graph.Node) (all []*graph.Node) {
	var in []*graph.Node
	switch {
	case n.Op.IsBinary(), n.Op == graph.OpRMSNorm, n.Op == graph.OpLayerNorm, n.Op == graph.OpLinear, n.Op == graph.OpRope, n.Op == graph.OpGatherRows:
		in = n.In[:1] // the others are vectors, matrices or integers
	case n.Op == graph.OpNormAdd:
		in = []*graph.Node{n.In[0], n.In[2]}
	case n.Op == graph.OpFusedLinear:
		p := n.FusedLinear()
		in = []*graph.Node{p.X, p.Residual}
	case n.Op == graph.OpRopeCache:
		p := n.RopeCache()
		in = []*graph.Node{p.X, p.QNorm, p.KNorm}
	case n.Op == graph.OpEmbed:
	default:
		in = n.In
	}
	for _, x := range in {
		if x != nil && x.Op == graph.OpWeight {
			all = append(all, x)
		}
	}
	return all
}

// allocate makes the arena and fills in the weights that belong there.
func (e *executable) allocate() (err error) {
	floats := e.base + e.most
	m := e.Graph.Max
	what := fmt.Sprintf("the values of a batch of %d rows, %d of them read out (a smaller batch needs less)", m.T, m.R)
	if e.arena, err = e.device.allocate(what, 4*floats, Local); err != nil {
		return err
	}
	for _, t := range e.tables {
		if t.factors != nil {
			if t.Factors, err = e.weights.read(t.factors.Name, t.Attr.Dims/2); err != nil {
				return err
			}
		}
	}
	for _, n := range e.Graph.Nodes {
		at, ok := e.constant[n.ID]
		if !ok {
			continue
		}
		elems, _ := n.Type.Shape.NumElems(dtype.Binding{})
		x, err := e.weights.read(n.Name, elems)
		if err != nil {
			return err
		}
		if elems == 0 {
			continue
		}
		if err := e.device.do(func() error { return e.arena.Write(4*int(at), bytesOf(x)) }); err != nil {
			return err
		}
	}
	return nil
}

// read gives the first elements of a weight that was loaded as a vector.
func (w *weights) read(name string, elems int) ([]float32, error) {
	x := make([]float32, elems)
	if elems == 0 {
		return x, nil
	}
	err := w.device.do(func() error { return w.vectors.Read(4*int(w.byName[name].vector), bytesOf(x)) })
	return x, err
}
