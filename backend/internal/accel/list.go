package accel

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/shader"
)

// list is the graph's calls for few or for many rows, with the buffers that the
// host fills for a run. A list for few rows has small ones: what a token takes is
// what is copied for it.
type list struct {
	*executable
	many   bool
	max    dtype.Binding
	layout layout
	body   []call
	tails  [][modes][]call // of each output, by how it is read back

	args, grids Buffer
	words       []uint32 // the host's memory of args
	groups      []uint32 // the host's memory of grids
	gridUints   int

	recorded map[*state][]Recording // of body
	tail     [][modes]Recording     // of tails, when first needed
}

// call is a call of a node, and where its grid is.
type call struct {
	shader.Call
	label   string
	program Program
	grid    int   // uint of grids
	moved   int64 // bytes, in the last run
}

// newList lowers all nodes.
func (e *executable) newList(many bool) (*list, error) {
	l := &list{executable: e, many: many, max: bindingOf(e.Graph, many), recorded: map[*state][]Recording{}}
	l.layout = e.newLayout(l.max)
	low := &lowering{places: l, graph: e.Graph, features: e.device.limits.Features, max: l.max, many: many}
	grids := 0
	add := func(to *[]call, label string, calls []shader.Call) {
		for _, c := range calls {
			*to = append(*to, call{Call: c, label: label, grid: grids})
			grids += 3
		}
	}
	for _, n := range e.Inputs {
		if at, ok := e.inputs[n.ID]; ok {
			elems, err := extent(n.Type.Shape)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", n, err)
			}
			add(&l.body, n.String(), shader.Copy{From: shader.Run, Into: shader.Arena, X: l.layout.inputs[n.ID], To: at, Elems: elems}.Calls(low.features))
		}
	}
	for _, n := range e.Graph.Nodes {
		if l.isFolded(n) {
			continue
		}
		calls, err := low.node(n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n, err)
		}
		add(&l.body, n.String(), calls)
	}
	l.tails, l.tail = make([][modes][]call, len(e.Graph.Outputs)), make([][modes]Recording, len(e.Graph.Outputs))
	for i, o := range e.Graph.Outputs {
		for m := range modes {
			calls, err := low.readBack(o.Node, m)
			if err != nil {
				return nil, fmt.Errorf("output %q: %w", o.Name, err)
			}
			add(&l.tails[i][m], fmt.Sprintf("output %q", o.Name), calls)
		}
	}
	l.gridUints = grids
	return l, nil
}

// makeBuffers makes the buffers that the host fills.
func (l *list) makeBuffers() (err error) {
	d := l.device
	if l.args, err = d.allocate("a run's arguments", 4*l.layout.size, Upload); err != nil {
		return err
	}
	if l.grids, err = d.allocate("a run's grids", 4*max(1, l.gridUints), Upload); err != nil {
		return err
	}
	if l.words, err = wordsOf(l.args.Host()); err != nil {
		return err
	}
	l.groups, err = wordsOf(l.grids.Host())
	return err
}

// each calls f for every call, in order, until one fails.
func (l *list) each(f func(*call) error) error {
	calls := func(all []call) error {
		for i := range all {
			if err := f(&all[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if err := calls(l.body); err != nil {
		return err
	}
	for i := range l.tails {
		for m := range l.tails[i] {
			if err := calls(l.tails[i][m]); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepare has the kernels of lists compiled at once by an API that can.
func (d *device) prepare(ctx context.Context, progress func(), lists ...*list) error {
	p, ok := d.api.(Preparer)
	if !ok {
		return nil
	}
	var all []Kernel
	for _, l := range lists {
		_ = l.each(func(c *call) error {
			all = append(all, Kernel{c.Kernel, c.Constants})
			return nil
		})
	}
	return d.do(func() error { return p.Prepare(ctx, all, progress) })
}

// compile has the kernels compiled.
func (l *list) compile(ctx context.Context, progress func()) error {
	d := l.device
	return l.each(func(c *call) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := d.do(func() (err error) {
			c.program, err = d.api.Program(c.Kernel, c.Constants)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: kernel %s: %w", c.label, c.Kernel, err)
		}
		if progress != nil {
			progress()
		}
		return nil
	})
}

func (l *list) close() error {
	var all []interface{ Close() error }
	for _, rs := range l.recorded {
		for _, r := range rs {
			all = append(all, r)
		}
	}
	for i := range l.tail {
		for _, r := range l.tail[i] {
			if r != nil {
				all = append(all, r)
			}
		}
	}
	for _, b := range []Buffer{l.args, l.grids} {
		if b != nil {
			all = append(all, b)
		}
	}
	l.recorded, l.tail, l.args, l.grids, l.words, l.groups = nil, nil, nil, nil, nil, nil
	return l.device.release(all...)
}

// isFolded reports whether another node computes n.
func (l *list) isFolded(n *graph.Node) bool {
	if l.many || n.Op != graph.OpNormAdd {
		return false
	}
	_, own := l.own[n.ID]
	return own
}

// The places of operands: see places.

func (l *list) value(n *graph.Node) uint32 {
	switch n.Op {
	case graph.OpWeight:
		return l.constant[n.ID]
	case graph.OpInput:
		return l.inputs[n.ID]
	}
	if at, ok := l.own[n.ID]; ok && !l.many {
		return at
	}
	return uint32(l.plan.Slots[n.ID].Off / 4)
}

func (l *list) vector(w *graph.Node) uint32         { return l.weights.byName[w.Name].vector }
func (l *list) pieces(w *graph.Node) []shader.Piece { return l.weights.byName[w.Name].pieces }
func (l *list) ids(n *graph.Node) uint32            { return l.layout.inputs[n.ID] }
func (l *list) rowTable() uint32                    { return l.layout.rows }
func (l *list) folded(n *graph.Node) *graph.Node {
	if l.many {
		return nil
	}
	return l.folds[n.ID].add
}

func (l *list) angles(a graph.RopeAttr, pos, factors *graph.Node) uint32 {
	return l.layout.angles[l.table(a, pos, factors)]
}

func (l *list) layer(name string) int {
	for i, s := range l.Graph.States {
		if s.Name == name {
			return i
		}
	}
	return 0
}

func (l *list) scratch(floats int) uint32 {
	l.most = max(l.most, floats)
	return uint32(l.base)
}

// Close frees all but the weights and states.
func (e *executable) Close() error {
	if e.closed {
		return nil
	}
	errs := []error{e.drain()}
	e.closed = true
	for s := range e.states {
		delete(s.users, e)
	}
	for _, l := range []*list{e.few, e.many} {
		if l != nil {
			errs = append(errs, l.close())
		}
	}
	errs = append(errs, e.closeOutputs())
	if e.arena != nil {
		errs = append(errs, e.device.release(e.arena))
	}
	e.arena, e.states = nil, nil
	return errors.Join(errs...)
}
