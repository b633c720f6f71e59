package cpu

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu/pool"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// done is the fence of a run that is over.
type done struct{}

func (done) Wait() error { return nil }

// Submit checks the arguments and runs the steps; the fence it returns is
// already passed.
func (e *executable) Submit(ctx context.Context, a *backend.Args) (backend.Fence, error) {
	e.ctx, e.args, e.err = ctx, a, nil
	e.stop.Store(int32(len(e.steps)))
	if e.steps == nil {
		return nil, errors.New("cpu: the executable is closed")
	}
	if err := e.bind(a); err != nil {
		return nil, fmt.Errorf("cpu: %w", err)
	}
	for _, r := range e.ropes {
		r.prepare(e.ints(r.pos))
	}
	e.prepareAttention()
	if err := e.pool.RunUpTo(ctx, e.threads, e.serial<<20|e.size.T, e.work); err != nil {
		return nil, err
	}
	if e.err != nil {
		return nil, e.err
	}
	return done{}, nil
}

// runSteps is what every worker does. Worker 0 looks at the context; the step
// at which it decides to stop is the last for all: they look for the decision
// after each step's barrier, and one that comes early for a slow worker names a
// later step than the one it has just done.
func (e *executable) runSteps(w *pool.Worker) {
	for i := range e.steps {
		e.steps[i].run(w)
		if w.ID == 0 && i%8 == 0 && e.ctx.Err() != nil && e.err == nil {
			e.err = e.ctx.Err()
			e.stop.Store(int32(i))
		}
		w.Barrier()
		if int(e.stop.Load()) <= i {
			return
		}
	}
	e.readBack(w)
}

// bind finds the run's sizes and checks every argument against the graph.
func (e *executable) bind(a *backend.Args) error {
	if len(a.Inputs) != len(e.inputs) {
		return fmt.Errorf("%d inputs given, the graph has %d", len(a.Inputs), len(e.inputs))
	}
	if len(a.Outputs) != len(e.graph.Outputs) {
		return fmt.Errorf("room for %d outputs given, the graph has %d", len(a.Outputs), len(e.graph.Outputs))
	}
	e.size = dtype.Binding{T: -1, S: a.Seqs, R: -1}
	for i, n := range e.inputs {
		in := a.Inputs[i]
		if n.Type.DType == dtype.I32 && len(n.Type.Shape) == 1 {
			e.setSym(n.Type.Shape[0].Sym, len(in.I32))
		}
	}
	e.rows = e.rows[:0]
	for s, seg := range a.Segments {
		if seg.Rows < 0 || seg.Rows > e.graph.Max.T-len(e.rows) {
			return fmt.Errorf("segment %d: %d rows after %d others; compiled for at most %d", s, seg.Rows, len(e.rows), e.graph.Max.T)
		}
		for i := range seg.Rows {
			e.rows = append(e.rows, rowRef{s, seg.Start + i})
		}
		e.size.P = max(e.size.P, len(seg.Pages))
	}
	if len(a.Segments) > 0 {
		e.setSym(dtype.T, len(e.rows))
	}
	for i, n := range e.inputs {
		if err := e.bindFloats(n, a.Inputs[i]); err != nil {
			return fmt.Errorf("input %q: %w", n.Name, err)
		}
	}
	e.size.T, e.size.R = max(e.size.T, 0), max(e.size.R, 0)
	limit := e.graph.Max
	if e.size.T > limit.T || e.size.S > limit.S || e.size.R > limit.R || e.size.P > limit.P {
		return fmt.Errorf("a batch of %d rows, %d sequences, %d rows out, %d pages; compiled for at most %d, %d, %d, %d",
			e.size.T, e.size.S, e.size.R, e.size.P, limit.T, limit.S, limit.R, limit.P)
	}
	for i, n := range e.inputs {
		want := e.elems(n.Type.Shape)
		have := len(a.Inputs[i].F32)
		if n.Type.DType == dtype.I32 {
			have = len(a.Inputs[i].I32)
		}
		if have != want {
			return fmt.Errorf("input %q has %d elements, want %d", n.Name, have, want)
		}
	}
	if err := e.checkIndices(); err != nil {
		return err
	}
	if err := e.checkOutputs(a); err != nil {
		return err
	}
	return e.checkSegments(a)
}

func (e *executable) setSym(s dtype.Symbol, n int) {
	switch s {
	case dtype.T:
		e.size.T = n
	case dtype.R:
		e.size.R = n
	}
}

// bindFloats takes a symbol's size from a float input if nothing else gave it:
// a part that begins in the middle of a model has no tokens.
func (e *executable) bindFloats(n *graph.Node, in backend.Tensor) error {
	if n.Type.DType != dtype.F32 || len(n.Type.Shape) == 0 {
		return nil
	}
	row := 1
	for _, d := range n.Type.Shape[1:] {
		if !d.IsConst() {
			return nil
		}
		row *= d.N
	}
	sym := n.Type.Shape[0].Sym
	if row == 0 || len(in.F32)%row != 0 {
		return fmt.Errorf("%d elements are no whole rows of %d", len(in.F32), row)
	}
	if sym == dtype.T && e.size.T < 0 || sym == dtype.R && e.size.R < 0 {
		e.setSym(sym, len(in.F32)/row)
	}
	return nil
}

// checkIndices refuses ids and rows that lie outside what they index.
func (e *executable) checkIndices() error {
	for _, n := range e.graph.Nodes {
		var what string
		var limit int
		var idx *graph.Node
		switch n.Op {
		case graph.OpEmbed:
			what, limit, idx = "token", n.In[0].Type.Shape[0].N, n.In[1]
		case graph.OpGatherRows:
			what, limit, idx = "row", e.dim(n.In[0].Type.Shape[0]), n.In[1]
		case graph.OpRope, graph.OpRopeCache:
			what, limit, idx = "position", maxPosition, n.In[1]
		default:
			continue
		}
		for i, v := range e.ints(idx) {
			if v < 0 || int(v) >= limit {
				return fmt.Errorf("%s %d is %d, outside 0 to %d", what, i, v, limit-1)
			}
		}
	}
	return nil
}

// checkOutputs asks for the room that reading back fills.
func (e *executable) checkOutputs(a *backend.Args) error {
	for i := range a.Outputs {
		o, out := &a.Outputs[i], e.graph.Outputs[i]
		if o.Skip {
			continue
		}
		elems, rows := e.elems(out.Node.Type.Shape), e.rowsOf(out.Node)
		readout := out.Node.Op == graph.OpReadout
		if o.Mode == backend.ReadFull || !readout {
			if len(o.F32) != elems {
				return fmt.Errorf("output %q has %d elements, room is given for %d", out.Name, elems, len(o.F32))
			}
			if !readout {
				continue
			}
		}
		cols := lastDim(out.Node)
		k := 1
		switch o.Mode {
		case backend.ReadFull:
			k = 0
		case backend.ReadTop:
			k = min(backend.TopCount, cols)
			if len(o.LogSumExp) < rows {
				return fmt.Errorf("output %q: room for %d log-sum-exps, want %d", out.Name, len(o.LogSumExp), rows)
			}
		case backend.ReadArgMax:
		default:
			return fmt.Errorf("output %q: unknown read mode %d", out.Name, o.Mode)
		}
		if len(o.IDs) < rows*k || len(o.Logits) < rows*k {
			return fmt.Errorf("output %q: room for %d ids and %d logits, want %d", out.Name, len(o.IDs), len(o.Logits), rows*k)
		}
		if words := rows * ((cols + 63) / 64); o.Mask != nil && len(o.Mask) < words {
			return fmt.Errorf("output %q: a mask of %d words, want %d", out.Name, len(o.Mask), words)
		}
		for _, b := range o.Bias {
			if b.Row < 0 || b.Row >= rows || b.ID < 0 || int(b.ID) >= cols {
				return fmt.Errorf("output %q: bias on id %d of row %d, there are %d rows of %d", out.Name, b.ID, b.Row, rows, cols)
			}
		}
	}
	return nil
}

func (e *executable) checkSegments(a *backend.Args) error {
	if len(e.graph.States) == 0 {
		return nil
	}
	s, ok := a.State.(*state)
	if !ok || s.layers == nil {
		return fmt.Errorf("the run needs an open state of this device, has %T", a.State)
	}
	for _, decl := range e.graph.States {
		if l, ok := s.layers[decl.Name]; !ok || l.decl != decl {
			return fmt.Errorf("the state given was made for another model: it has no %q like this one's", decl.Name)
		}
	}
	if len(e.rows) != e.size.T {
		return fmt.Errorf("segments have %d rows, the inputs %d", len(e.rows), e.size.T)
	}
	for i, seg := range a.Segments {
		if seg.Seq < 0 || seg.Seq >= max(1, e.size.S) {
			return fmt.Errorf("segment %d: sequence %d of a batch of %d", i, seg.Seq, e.size.S)
		}
		if seg.Start < 0 || seg.Start > len(seg.Pages)*backend.PageTokens-seg.Rows {
			return fmt.Errorf("segment %d: %d rows from %d do not fit its %d pages", i, seg.Rows, seg.Start, len(seg.Pages))
		}
		for _, p := range seg.Pages {
			if p < 0 || int(p) >= s.pages {
				return fmt.Errorf("segment %d: page %d of a cache of %d", i, p, s.pages)
			}
		}
	}
	return nil
}
