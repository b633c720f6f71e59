package opencl

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
)

// submission is the arguments of Submit on their way to the worker.
type submission struct {
	list  []accel.Recording
	reads []accel.Range
	fence *fence
}

// Submit enqueues writes, kernels and reads, and flushes: once for a recording and
// those after it that only write what is read back. It allocates nothing after the
// first few.
func (d *device) Submit(list []accel.Recording, reads []accel.Range) (accel.Fence, error) {
	if err := d.checkSubmit(list, reads); err != nil {
		return nil, err
	}
	d.next = submission{list, reads, d.nextFence()}
	f := d.next.fence
	err := d.do("submit", d.submit)
	if !d.stuck.Load() { // otherwise the worker is still at it
		d.next = submission{}
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// enqueueNext enqueues d.next. If that fails on the way, what was enqueued is
// waited for, as it uses the host's memory.
func (d *device) enqueueNext() error {
	d.submits++
	s := &d.next
	err := d.enqueue(s.fence, s.list, s.reads)
	if err == nil {
		s.fence.send("run")
		return nil
	}
	if s.fence.mark() == nil {
		s.fence.send("run")
		err = errors.Join(err, s.fence.join())
	}
	return d.lose(lost("run", accel.OneLine(err)))
}

// checkSubmit finds what is wrong before anything is enqueued, and the sizes of
// all calls.
func (d *device) checkSubmit(list []accel.Recording, reads []accel.Range) error {
	for _, l := range list {
		r, ok := l.(*recording)
		if !ok || r.d != d || r.calls == nil {
			return fmt.Errorf("opencl: a recording that is closed or of another device (%T)", l)
		}
		for i := range r.calls {
			if err := r.calls[i].size(d.limits.Groups); err != nil {
				return fmt.Errorf("opencl: %s: %w", r.calls[i].label, err)
			}
		}
	}
	for _, g := range reads {
		b, ok := g.Buffer.(*buffer)
		if !ok || b.d != d || b.handle == 0 || b.use != accel.Download || g.From < 0 || g.From > g.To || g.To > b.size {
			return fmt.Errorf("opencl: bytes %d to %d of a buffer (%T) cannot be read back", g.From, g.To, g.Buffer)
		}
	}
	return nil
}

// nextFence gives a fence whose submission is over, but for the last: its owner
// may ask it once more.
func (d *device) nextFence() *fence {
	for _, f := range d.ring {
		if f.state != running && f != d.last {
			f.reset()
			d.last = f
			return f
		}
	}
	f := d.newFence()
	d.ring = append(d.ring, f)
	d.last = f
	return f
}

func (d *device) enqueue(f *fence, list []accel.Recording, reads []accel.Range) error {
	var last *call
	for _, l := range list {
		for _, b := range l.(*recording).uploads {
			if b.written == d.submits {
				continue
			}
			b.written = d.submits
			c := code(int32(dl.CallWords(d.lib.enqueueWriteBuffer, d.queue, b.handle, 0, 0, uintptr(b.size), address(b.host), 0, 0, 0)))
			if c != 0 {
				return fmt.Errorf("%s: %w", b.what, c.err("clEnqueueWriteBuffer"))
			}
		}
	}
	for n, l := range list {
		if n > 0 && !l.(*recording).reads { // in pieces: drivers stop one that takes some seconds
			if c := code(int32(dl.CallWords(d.lib.flush, d.queue))); c != 0 {
				return c.err("clFlush")
			}
			f.flushes++
		}
		calls := l.(*recording).calls
		for i := range calls {
			s := &calls[i]
			if s.skip {
				continue
			}
			if last != nil {
				if err := last.enqueue(d, 0); err != nil {
					return err
				}
			}
			last = s
		}
	}
	if last != nil { // the last one's event tells of a kernel that failed
		if err := last.enqueue(d, f.event()); err != nil {
			f.noEvent()
			return err
		}
	}
	for _, g := range reads {
		b := g.Buffer.(*buffer)
		if g.From == g.To {
			continue
		}
		c := code(int32(dl.CallWords(d.lib.enqueueReadBuffer, d.queue, b.handle, 0, uintptr(g.From), uintptr(g.To-g.From), address(b.host[g.From:]), 0, 0, f.event())))
		if c != 0 {
			f.noEvent()
			return fmt.Errorf("%s: %w", b.what, c.err("clEnqueueReadBuffer"))
		}
	}
	if len(f.events) == 0 {
		return f.mark()
	}
	return nil
}

func (s *call) enqueue(d *device, event uintptr) error {
	d.progress.Add(1)
	c := code(int32(dl.CallWords(d.lib.enqueueKernel, d.queue, s.kernel, 3, 0,
		uintptr(unsafe.Pointer(&s.global[0])), uintptr(unsafe.Pointer(&s.local[0])), 0, 0, event)))
	if c != 0 {
		return fmt.Errorf("%s: %w", s.label, c.err("clEnqueueNDRangeKernel"))
	}
	return nil
}

// mark adds an event after everything that was enqueued.
func (f *fence) mark() error {
	c := code(int32(dl.CallWords(f.d.lib.enqueueMarker, f.d.queue, 0, 0, f.event())))
	if c != 0 {
		f.noEvent()
	}
	return c.err("clEnqueueMarkerWithWaitList")
}
