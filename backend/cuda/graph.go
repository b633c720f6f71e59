//go:build cuda && cgo && linux && !android && !static

package cuda

// #cgo CFLAGS: -fvisibility=hidden
// #include "calls.h"
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"github.com/ledge-run/ledge/backend/cuda/internal/driver"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// mostGraphs are kept, or twice as many as a submission was made of if that is more; then
// the one goes that was not used for longest. A token needs one, or a few: with and without
// the logits' read-out, and whenever a call more or less is skipped. Where the system stops
// kernels that take long, a part of a prompt is a hundred (launch), all of which come again
// with the next.
const mostGraphs = 32

// graph is a sequence of recordings as CUDA runs it: copies of what the host filled,
// the kernels that are not skipped, copies of what is read back.
type graph struct {
	list    []*recording
	calls   []node
	copies  []copyNode // to the host
	handle  C.CUgraph  // its nodes are the names of those of exec
	exec    C.CUgraphExec
	used    uint64        // by which submission, last
	took    time.Duration // with what else was submitted with it, the last time
	context C.CUcontext

	overlaps int  // kernels that begin while the one before them still runs
	refused  bool // by the driver, which may take the graph without these
}

// node is a kernel: call i of a recording, with the grid that it has in exec.
type node struct {
	live
	handle C.CUgraphNode
}

type copyNode struct {
	accel.Range
	handle C.CUgraphNode
}

// live is a call that is not skipped.
type live struct {
	r    *recording
	i    int
	grid [3]uint32
}

// fits reports whether the graph is of the recordings, with the same calls skipped and
// the same buffers read.
func (g *graph) fits(list []*recording, calls []live, reads []accel.Range) bool {
	if len(g.calls) != len(calls) || len(g.copies) != len(reads) || !slices.Equal(g.list, list) {
		return false
	}
	for i := range reads {
		if g.copies[i].Buffer != reads[i].Buffer {
			return false
		}
	}
	for i := range calls {
		if g.calls[i].i != calls[i].i || g.calls[i].r != calls[i].r {
			return false
		}
	}
	return true
}

// reading reports whether the graph reads a buffer back.
func (g *graph) reading(b *buffer) bool {
	return slices.ContainsFunc(g.copies, func(c copyNode) bool { return c.Buffer == b })
}

// graphFor gives the graph of what is to run, with its grids and ranges.
func (d *device) graphFor(list []*recording, calls []live, reads []accel.Range) (*graph, error) {
	for _, g := range d.graphs {
		if !g.fits(list, calls, reads) {
			continue
		}
		if err := g.update(calls, reads); err != nil {
			return nil, errors.Join(err, d.drop(g)) // it may be of neither the old grids nor the new
		}
		return g, nil
	}
	for len(d.graphs) >= max(mostGraphs, 2*d.mostParts) {
		d.drain()
		if d.stuck.Load() {
			return nil, d.late("run")
		}
		oldest := d.graphs[0]
		for _, g := range d.graphs {
			if g.used < oldest.used {
				oldest = g
			}
		}
		if err := d.drop(oldest); err != nil {
			return nil, err
		}
	}
	g, err := d.newGraph(list, calls, reads)
	if err != nil && g.refused { // once for the device
		d.overlap = false
		g, err = d.newGraph(list, calls, reads)
	}
	if err != nil {
		return nil, err
	}
	d.built++
	return g, nil
}

// newGraph builds a graph. Of one that cannot be built nothing is left.
func (d *device) newGraph(list []*recording, calls []live, reads []accel.Range) (*graph, error) {
	g := &graph{list: slices.Clone(list), context: C.CUcontext(handleOf(&d.context))}
	d.graphs = append(d.graphs, g)
	if err := g.build(d, calls, reads); err != nil {
		return g, errors.Join(err, d.drop(g))
	}
	return g, nil
}

// update sets grids and ranges that changed since the graph was last launched.
func (g *graph) update(calls []live, reads []accel.Range) error {
	for i := range calls {
		n, c := &g.calls[i], &calls[i]
		if n.grid == c.grid {
			continue
		}
		if err := check("cuGraphExecKernelNodeSetParams", driver.Check(int(C.ledge_set_kernel(g.exec, n.handle, c.packed())))); err != nil {
			return fmt.Errorf("%s: %w", c.r.calls[c.i].label, err)
		}
		n.grid = c.grid
	}
	for i := range reads {
		n := &g.copies[i]
		if n.Range == reads[i] {
			continue
		}
		c := downCopy(reads[i])
		if err := check("cuGraphExecMemcpyNodeSetParams", driver.Check(int(C.ledge_set_copy(g.exec, n.handle, &c, g.context)))); err != nil {
			return err
		}
		n.Range = reads[i]
	}
	return nil
}

// packed is the call with its grid.
func (c *live) packed() *C.ledge_call {
	p := c.r.at(c.i)
	for i, n := range c.grid {
		p.grid[i] = C.uint(n)
	}
	return p
}

// build makes the graph.
func (g *graph) build(d *device, calls []live, reads []accel.Range) error {
	if err := made(&g.handle, "cuGraphCreate", C.cuGraphCreate(&g.handle, 0)); err != nil {
		return err
	}
	var up, after []C.CUgraphNode
	for _, b := range uploadsOf(g.list) {
		c := C.ledge_copy{device: C.CUdeviceptr(b.memory), host: (*C.char)(unsafe.Pointer(&b.host[0])), bytes: C.size_t(b.size)}
		n, err := g.copy(&c, nil)
		if err != nil {
			return err
		}
		up = append(up, n)
	}
	nodes := func(of span) []C.CUgraphNode {
		if of.from == of.to {
			return up
		}
		after = after[:0]
		for i := of.from; i < of.to; i++ {
			after = append(after, g.calls[i].handle)
		}
		return after
	}
	of, last := dependencies(g.list, calls)
	var early []bool
	if d.overlap {
		early = overlapping(of)
	}
	for i := range calls {
		c := &calls[i]
		overlaps := early != nil && early[i]
		var before []C.CUgraphNode
		if !overlaps {
			before = nodes(of[i])
		}
		var h C.CUgraphNode
		err := made(&h, "cuGraphAddKernelNode", C.ledge_add_kernel(&h, g.handle, first(before), C.size_t(len(before)), c.packed()))
		if err != nil {
			return fmt.Errorf("%s: %w", c.r.calls[c.i].label, err)
		}
		if overlaps {
			g.overlaps++
			if err := check("cuGraphAddDependencies", driver.Check(int(C.ledge_overlap(g.handle, g.calls[of[i].from].handle, h)))); err != nil {
				g.refused = true
				return fmt.Errorf("%s: %w", c.r.calls[c.i].label, err)
			}
		}
		g.calls = append(g.calls, node{*c, h})
		d.progress.Add(1)
	}
	for _, r := range reads {
		c := downCopy(r)
		n, err := g.copy(&c, nodes(last))
		if err != nil {
			return err
		}
		g.copies = append(g.copies, copyNode{r, n})
	}
	err := made(&g.exec, "cuGraphInstantiate", C.cuGraphInstantiate(&g.exec, g.handle, 0))
	g.refused = err != nil && g.overlaps > 0 && !is(err, outOfMemory)
	return err
}

// span is some of the calls that are not skipped, one after the other.
type span struct{ from, to int }

// dependencies says which calls each comes after, an empty span for what the host has
// filled alone, and which are the last. A call that is not free comes after all those
// since the last one of its kind, and that one; a free one after what that one comes
// after. Skipped calls divide, too: the next may be free beside them alone. Calls of
// one recording come after all of those before.
func dependencies(list []*recording, calls []live) (of []span, last span) {
	var before, now span
	next := 0
	for _, r := range list {
		for i := range r.calls {
			if (i == 0 || !r.calls[i].free) && now.from < now.to {
				before, now = now, span{now.to, now.to}
			}
			if next < len(calls) && calls[next].r == r && calls[next].i == i {
				of = append(of, before)
				next++
				now.to = next
			}
		}
	}
	if now.from < now.to {
		return of, now
	}
	return of, before
}

func (g *graph) copy(c *C.ledge_copy, after []C.CUgraphNode) (n C.CUgraphNode, err error) {
	err = made(&n, "cuGraphAddMemcpyNode", C.ledge_add_copy(&n, g.handle, first(after), C.size_t(len(after)), c, g.context))
	return n, err
}

// made is the error of a call that makes something. A handle that comes with an error
// is none.
func made[T C.CUgraph | C.CUgraphExec | C.CUgraphNode](h *T, call string, r C.CUresult) error {
	if err := check(call, driver.Check(int(r))); err != nil {
		*h = nil
		return err
	}
	if *h == nil {
		return fmt.Errorf("%s: %w", call, errNull)
	}
	return nil
}

func first(list []C.CUgraphNode) *C.CUgraphNode {
	if len(list) == 0 {
		return nil
	}
	return &list[0]
}

// downCopy copies a range of a Download buffer to the host.
func downCopy(r accel.Range) C.ledge_copy {
	b := r.Buffer.(*buffer)
	return C.ledge_copy{device: C.CUdeviceptr(b.memory) + C.CUdeviceptr(r.From), host: (*C.char)(unsafe.Pointer(&b.host[r.From])),
		bytes: C.size_t(r.To - r.From), down: 1}
}

// uploadsOf are the buffers that the host fills for recordings.
func uploadsOf(list []*recording) (all []*buffer) {
	for _, r := range list {
		for _, b := range r.uploads {
			if !slices.Contains(all, b) {
				all = append(all, b)
			}
		}
	}
	return all
}

// drop gives a graph back, which does not run.
func (d *device) drop(g *graph) error {
	var errs []error
	if g.exec != nil {
		errs = append(errs, d.released("cuGraphExecDestroy", driver.Check(int(C.cuGraphExecDestroy(g.exec)))))
	}
	if g.handle != nil {
		errs = append(errs, d.released("cuGraphDestroy", driver.Check(int(C.cuGraphDestroy(g.handle)))))
	}
	g.exec, g.handle = nil, nil
	d.graphs = slices.DeleteFunc(d.graphs, func(x *graph) bool { return x == g })
	return errors.Join(errs...)
}

// forget drops the graphs that a recording is in.
func (d *device) forget(r *recording) error {
	var errs []error
	for i := len(d.graphs) - 1; i >= 0; i-- {
		if slices.Contains(d.graphs[i].list, r) {
			errs = append(errs, d.drop(d.graphs[i]))
		}
	}
	return errors.Join(errs...)
}
