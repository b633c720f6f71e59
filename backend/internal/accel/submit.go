package accel

import (
	"context"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/kernels/shader"
)

// run is the executable's current run, and its fence.
type run struct {
	*executable
	sizes      shader.Sizes
	recordings []Recording
	reads      []Range
	fence      Fence // of the device; nil when there is nothing to wait for
	pending    bool
	err        error
}

// Submit checks the arguments, writes them where the device reads them, and
// submits the calls, and those that read the outputs back, all at once. A run
// whose fence nobody waited for is waited for first. A run that was submitted
// ends: the context is asked before.
func (e *executable) Submit(ctx context.Context, a *backend.Args) (backend.Fence, error) {
	r := &e.current
	if e.closed || e.weights.byName == nil {
		return nil, fmt.Errorf("%s: the executable, or its weights, are closed", e.device.info.Name)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := e.drain(); err != nil {
		return nil, err
	}
	s, err := e.bind(a)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.device.info.Name, err)
	}
	r.sizes, r.err, r.fence = sizesOf(e.Run), nil, nil
	l := e.few
	if r.sizes.T > l.max.T || r.sizes.R > l.max.R {
		l = e.many
	}
	if err := l.fill(&r.sizes); err != nil {
		return nil, fmt.Errorf("%s: %w", e.device.info.Name, err)
	}
	if err := e.device.do(func() error { return r.submit(l, s) }); err != nil {
		return nil, err
	}
	r.pending = true
	return r, nil
}

// bind checks every argument against the graph, and finds the state.
func (e *executable) bind(a *backend.Args) (*state, error) {
	if err := e.Bind(a); err != nil {
		return nil, err
	}
	if len(e.Graph.States) == 0 {
		return nil, nil
	}
	s, ok := a.State.(*state)
	if !ok || s.device != e.device || s.closed {
		return nil, fmt.Errorf("the run needs an open state of this device, has %T", a.State)
	}
	if err := e.CheckState(s.decl); err != nil {
		return nil, err
	}
	return s, e.CheckSegments(s.pages)
}

// submit gives the device a run whose arguments are written. The device is held.
func (r *run) submit(l *list, s *state) error {
	r.recordings, r.reads = r.recordings[:0], r.reads[:0]
	body, err := l.bodyFor(s)
	if err != nil {
		return err
	}
	r.recordings = append(r.recordings, body...)
	count := r.size(l, l.body)
	for i := range r.Args.Outputs {
		o := &r.Args.Outputs[i]
		if o.Skip {
			continue
		}
		mode := r.modeOf(i)
		uints := r.resultUints(i, mode)
		if uints == 0 {
			continue
		}
		if err := r.room(i, mode); err != nil {
			return err
		}
		tail, err := l.tailFor(i, mode)
		if err != nil {
			return err
		}
		r.recordings = append(r.recordings, tail)
		r.reads = append(r.reads, Range{Buffer: r.outs[i][mode].buffer, To: 4 * uints})
		count = count.Add(r.size(l, l.tails[i][mode]))
		count.ReadBacks++
		count.ReadBackBytes += int64(4 * uints)
	}
	if count.Dispatches > 0 {
		if r.fence, err = r.device.api.Submit(r.recordings, r.reads); err != nil {
			r.fence = nil
			return err
		}
		count.Submissions += int64(r.fence.Submissions())
	}
	r.counters = r.counters.Add(count)
	return nil
}

// size writes the calls' grids and counts what they do.
func (r *run) size(l *list, calls []call) (n backend.Counters) {
	for i := range calls {
		c := &calls[i]
		g := c.Grid(r.sizes)
		copy(l.groups[c.grid:], g[:])
		if g[0] == 0 || g[1] == 0 || g[2] == 0 {
			continue
		}
		n.Dispatches++
		if c.Traffic != nil {
			c.moved = c.Traffic(r.sizes)
			n.Traffic += c.moved
		}
		if c.Streamed != nil {
			n.Streamed += c.Streamed(r.sizes)
		}
	}
	return n
}

// Counters are what the executable has asked of the device so far.
func (e *executable) Counters() backend.Counters {
	e.device.mu.Lock()
	defer e.device.mu.Unlock()
	return e.counters
}

// Wait blocks until the run is over and copies its outputs to the caller.
func (r *run) Wait() error {
	if !r.pending {
		return r.err
	}
	if r.err = r.drain(); r.err == nil {
		r.err = r.readBack()
	}
	return r.err
}

// drain waits for the run that is on the device, if there is one.
func (e *executable) drain() error {
	r := &e.current
	if !r.pending {
		return nil
	}
	r.pending = false
	if r.fence == nil {
		return nil
	}
	return e.device.do(r.fence.Wait)
}

// decl finds a declaration of the state's.
func (s *state) decl(name string) (graph.StateDecl, bool) {
	for _, d := range s.decls {
		if d.Name == name {
			return d, true
		}
	}
	return graph.StateDecl{}, false
}

// layerOf finds a layer that decl has found.
func (s *state) layerOf(name string) layer {
	for i, d := range s.decls {
		if d.Name == name {
			return s.layers[i]
		}
	}
	return layer{}
}
