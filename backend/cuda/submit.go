//go:build cuda && cgo && linux && !android && !static

package cuda

// #include "calls.h"
import "C"

import (
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend/cuda/internal/driver"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// submission is what Submit hands to the worker. Its lists are used again, so that a
// submission allocates nothing after the first few.
type submission struct {
	list  []*recording
	begin []int // of each recording in calls, and the end
	calls []live
	reads []accel.Range
	fence *fence
	count uint64
}

// Submit launches the recordings as one graph, where nothing stops kernels that run
// for long.
func (d *device) Submit(list []accel.Recording, reads []accel.Range) (accel.Fence, error) {
	if err := d.gather(list, reads); err != nil {
		return nil, err
	}
	d.next.fence = d.nextFence()
	if err := d.do("submit", d.submit); err != nil {
		return nil, err
	}
	f := d.next.fence
	f.pending = true
	d.last = f
	return f, nil
}

// gather checks what is to run, and finds the calls that are not skipped.
func (d *device) gather(list []accel.Recording, reads []accel.Range) error {
	if err := d.alive(); err != nil { // the worker may be at the last one still
		return err
	}
	s := &d.next
	s.list, s.begin, s.calls, s.reads = s.list[:0], s.begin[:0], s.calls[:0], s.reads[:0]
	for _, l := range list {
		r, ok := l.(*recording)
		if !ok || r.d != d || r.packed == nil {
			return fmt.Errorf("cuda: a recording that is closed or of another device (%T)", l)
		}
		if r.broken != nil {
			return fmt.Errorf("cuda: a recording whose buffer %s is closed", r.broken.what)
		}
		s.list = append(s.list, r)
		s.begin = append(s.begin, len(s.calls))
		for i := range r.calls {
			g, err := r.calls[i].groups(d.limits.Groups)
			if err != nil {
				return err
			}
			if g[0] != 0 && g[1] != 0 && g[2] != 0 {
				s.calls = append(s.calls, live{r, i, g})
			}
		}
	}
	s.begin = append(s.begin, len(s.calls))
	for _, g := range reads {
		b, ok := g.Buffer.(*buffer)
		if !ok || b.d != d || b.memory == 0 || b.use != accel.Download || g.From < 0 || g.From > g.To || g.To > b.size {
			return fmt.Errorf("cuda: bytes %d to %d of a buffer (%T) cannot be read back", g.From, g.To, g.Buffer)
		}
		if g.From < g.To {
			s.reads = append(s.reads, g)
		}
	}
	return nil
}

// startNext launches d.next. If that fails on the way, the device is lost, but for want of
// memory: then what was launched is waited for, as it uses the host's memory.
func (d *device) startNext() error {
	s := &d.next
	s.count++
	d.busy = true
	if s.fence == nil {
		f, err := d.newFence()
		if err != nil {
			return d.fail("run", check("cuEventCreate", err))
		}
		d.ring = append(d.ring, f)
		s.fence = f
	}
	s.fence.graph, s.fence.launches = nil, 0
	launched, err := d.launch(s)
	if err == nil {
		if err = s.fence.event.Record(d.stream); err == nil {
			s.fence.start()
			return nil
		}
		launched, err = true, check("cuEventRecord", err)
	}
	if is(err, outOfMemory) {
		if d.drain(); d.loss() == nil {
			return d.full("a graph of calls", nodeBytes*len(s.calls), err)
		}
		return d.loss()
	}
	if launched {
		return d.lose(lost("run", err))
	}
	return d.fail("run", err)
}

// nodeBytes is about what the driver keeps of a call in a graph.
const nodeBytes = 8 << 10

// launch runs the submission: all of it at once, or, where the system stops kernels
// that take some seconds, a recording with those after it that only write what is read
// back.
func (d *device) launch(s *submission) (launched bool, err error) {
	if d.profile != nil {
		s.fence.launches = len(s.calls)
		return true, d.measure(s)
	}
	if d.prop.watchdog {
		d.mostParts = max(d.mostParts, len(s.list))
	}
	for from, to := 0, 0; from < len(s.list) || from == 0 && len(s.reads) > 0; from = to {
		to = len(s.list)
		if d.prop.watchdog {
			for to = min(from+1, to); to < len(s.list) && s.list[to].reads; to++ {
			}
		}
		reads := s.reads
		if to < len(s.list) {
			reads = nil
		}
		if err := d.launchPart(s.list[from:to], s.calls[s.begin[from]:s.begin[to]], reads, s.count); err != nil {
			return launched, err
		}
		launched = launched || s.begin[to] > s.begin[from]
		if to == 0 {
			break // reads alone
		}
	}
	return launched, nil
}

func (d *device) launchPart(list []*recording, calls []live, reads []accel.Range, count uint64) error {
	if len(calls) == 0 && len(reads) == 0 {
		return nil
	}
	g, err := d.graphFor(list, calls, reads)
	if err != nil {
		return err
	}
	g.used, d.next.fence.graph = count, g
	d.next.fence.launches++
	d.progress.Add(1)
	if err := check("cuGraphLaunch", driver.Check(int(C.cuGraphLaunch(g.exec, C.CUstream(handleOf(&d.stream)))))); err != nil {
		if is(err, outOfMemory) { // nothing was launched, and what has room goes on
			return err
		}
		return errors.Join(err, d.lose(lost("run", err)))
	}
	return nil
}
