package cpu

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu/pool"
)

// done is the fence of a run that is over.
type done struct{}

func (done) Wait() error { return nil }

// Submit checks the arguments and runs the steps; the fence it returns is
// already passed.
func (e *executable) Submit(ctx context.Context, a *backend.Args) (backend.Fence, error) {
	e.ctx, e.err = ctx, nil
	e.stop.Store(int32(len(e.steps)))
	if e.steps == nil {
		return nil, errors.New("cpu: the executable is closed")
	}
	if err := e.bind(a); err != nil {
		return nil, fmt.Errorf("cpu: %w", err)
	}
	for _, r := range e.ropes {
		r.Prepare(e.Ints(r.pos))
	}
	e.prepareAttention()
	threads, size := e.threads, uint64(e.serial)<<20|uint64(e.Size.T)
	if a.Threads > 0 && a.Threads < threads {
		threads = a.Threads
		size |= uint64(threads) << 52 // compared with runs of as many
	}
	if err := e.pool.RunUpTo(ctx, threads, size, e.work); err != nil {
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
		if w.ID == 0 && i%8 == 0 {
			if err := e.ctx.Err(); err != nil {
				e.fail(err)
				e.stop.Store(int32(i))
			}
		}
		w.Barrier()
		if int(e.stop.Load()) <= i {
			return
		}
	}
	e.readBack(w)
}

// fail notes an error of the run, of any worker; the first is kept.
func (e *executable) fail(err error) {
	e.failing.Lock()
	defer e.failing.Unlock()
	if e.err == nil {
		e.err = err
	}
}

// bind finds the run's sizes and checks every argument against the graph.
func (e *executable) bind(a *backend.Args) error {
	if err := e.Bind(a); err != nil {
		return err
	}
	if len(e.Graph.States) > 0 {
		s, ok := a.State.(*state)
		if !ok || s.layers == nil {
			return fmt.Errorf("the run needs an open state of this device, has %T", a.State)
		}
		if err := e.CheckState(s.decl); err != nil {
			return err
		}
		for _, n := range e.params {
			e.tensors[n.ID] = s.tensor(n.State())
		}
		if e.cached {
			return e.CheckSegments(s.pages)
		}
	}
	if e.buffers > 0 {
		e.prepareSelfAttention()
		return e.CheckRows()
	}
	return nil
}
