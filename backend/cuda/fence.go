//go:build cuda && cgo && linux && !android && !static

package cuda

// #include "calls.h"
import "C"

import (
	"fmt"
	"time"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cuda/internal/driver"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// fence is the end of a submission: an event after it. One that is over serves again for
// the submission after the next.
type fence struct {
	d        *device
	event    cu.Event
	usual    time.Duration  // what the same took the last time
	since    time.Time      // when it was the oldest to run, the worker's
	patience accel.Patience // since then
	graph    *graph         // the last that was launched, or nil
	launches int            // of graphs, or of kernels one by one
	done     chan struct{}  // from the worker
	result   error          // before done
	pending  bool           // submitted and not waited for; the caller's
	timer    *time.Timer
}

// newFence makes a fence, on the worker.
func (d *device) newFence() (*fence, error) {
	f := &fence{d: d, done: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	f.timer.Stop()
	var err error
	if f.event, err = d.makeEvent(cu.DisableTiming); err != nil {
		return nil, err
	}
	return f, nil
}

func (d *device) makeEvent(flags cu.EventFlags) (cu.Event, error) {
	e, err := cu.MakeEvent(flags)
	if err == nil && handleOf(&e) == nil {
		err = errNull
	}
	if err != nil {
		return cu.Event{}, check("cuEventCreate", err)
	}
	d.events = append(d.events, e)
	return e, nil
}

// nextFence gives a fence of a submission that is over, waited for or not, but not the last
// one, whose owner may ask once more.
func (d *device) nextFence() *fence {
	for _, f := range d.ring {
		if f.pending && f != d.last {
			select { // over, and nobody cared
			case <-f.done:
				f.pending = false
			default:
			}
		}
		if !f.pending && f != d.last {
			f.result = nil
			return f
		}
	}
	return nil
}

func (f *fence) Submissions() int { return f.launches }

// start has the worker watch a fence whose event is recorded.
func (f *fence) start() {
	w := f.d.worker
	w.running = append(w.running, f)
	if len(w.running) == 1 {
		f.begins(time.Now())
	}
	f.usual = 0
	if f.graph != nil {
		f.usual = f.graph.took
	}
}

// begins notes that it is the oldest from now on.
func (f *fence) begins(now time.Time) { f.since, f.patience = now, accel.NewPatience(now) }

// watch asks whether the oldest submission is over.
func (d *device) watch() {
	d.progress.Add(1)
	f := d.worker.running[0]
	err := query(f.event)
	switch {
	case err == nil:
		f.over(nil)
	case err != notReady:
		f.over(d.lose(lost("run", check("cuEventQuery", err))))
	case f.patience.Over(d.limits.Timeout):
		d.abandon()
		f.over(d.lose(d.late("run")))
	}
}

// rest is how long there is no use in asking whether the submission is over; 0: ask.
func (f *fence) rest() time.Duration {
	took := time.Since(f.since)
	if early := f.early(); took < early {
		return min(early-took, longNap)
	}
	if took < f.usual+spin {
		return 0
	}
	return min(max(nap, took/128), longNap)
}

// early is when the submission may be over soon; 0 if that is at once.
func (f *fence) early() time.Duration {
	if f.usual <= spin {
		return 0
	}
	return f.usual - f.usual/16 - nap
}

// late is the error of what the GPU did not finish in time.
func (d *device) late(what string) error {
	return fmt.Errorf("cuda: %s: %s did not finish within %v (%s sets the limit): %w", what, d.prop.name, d.limits.Timeout, accel.EnvTimeout, backend.ErrDeviceLost)
}

// over ends the oldest submission.
func (f *fence) over(result error) {
	w := f.d.worker
	if f.graph != nil {
		f.graph.took = time.Since(f.since)
	}
	f.graph = nil
	w.running = append(w.running[:0], w.running[1:]...)
	w.over = time.Now()
	if len(w.running) > 0 {
		w.running[0].begins(w.over)
	}
	f.result = result
	f.done <- struct{}{}
}

// query is an event's state: nil when it is over. Unlike that of package cu it
// allocates nothing.
func query(e cu.Event) error {
	r := C.cuEventQuery(C.CUevent(handleOf(&e)))
	if r == C.CUDA_ERROR_NOT_READY {
		return notReady
	}
	return driver.Check(int(r))
}

// handleOf is the driver's handle in a value of package cu, whose types are structures
// of nothing else.
func handleOf[T cu.Stream | cu.Event | cu.Module | cu.Function | cu.CUContext](v *T) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(v))
}

// Wait blocks until the submission is over, at most for the time limit.
func (f *fence) Wait() error {
	if !f.pending {
		return f.result
	}
	d := f.d
	select {
	case <-f.done: // the usual case of a Wait after other work
		f.pending = false
		return f.result
	default:
	}
	if d.stuck.Load() {
		return d.alive()
	}
	if d.worker.eager.Load() && f.soon() {
		f.pending = false
		return f.result
	}
	quiet := d.quiet()
	f.timer.Reset(quiet.Half)
	for {
		select {
		case <-f.done:
			f.timer.Stop()
			f.pending = false
			return f.result
		case <-f.timer.C:
			if d.stuck.Load() || quiet.Over(d.progress.Load()) {
				return d.hangs("run")
			}
			f.timer.Reset(quiet.Half)
		}
	}
}

// soon sleeps until the submission may be over and then asks, for some time. It reports
// whether it is.
func (f *fence) soon() bool {
	if early := f.early(); early > 0 {
		f.timer.Reset(early)
		select {
		case <-f.done:
			f.timer.Stop()
			return true
		case <-f.timer.C:
		}
	}
	_, ok := ask(f.done, min(f.d.limits.Timeout, spin))
	return ok
}

// await blocks the worker until an event is over.
func (d *device) await(what string, e cu.Event) error {
	start := time.Now()
	for patience := accel.NewPatience(start); ; {
		d.progress.Add(1)
		err := query(e)
		took := time.Since(start)
		switch {
		case err == nil:
			return nil
		case err != notReady:
			return d.lose(lost(what, check("cuEventQuery", err)))
		case patience.Over(d.limits.Timeout):
			d.abandon()
			return d.lose(d.late(what))
		case took > spin:
			time.Sleep(nap)
		}
	}
}

// drain waits on the worker for all that was submitted, and for what is in the stream
// besides: before memory is freed, or a graph.
func (d *device) drain() {
	for len(d.worker.running) > 0 && !d.stuck.Load() {
		d.watch()
		if len(d.worker.running) > 0 && time.Since(d.worker.running[0].since) > spin {
			time.Sleep(nap)
		}
	}
	start := time.Now()
	for patience := accel.NewPatience(start); d.busy && !d.stuck.Load(); {
		d.progress.Add(1)
		took := time.Since(start)
		switch {
		case C.cuStreamQuery(C.CUstream(handleOf(&d.stream))) != C.CUDA_ERROR_NOT_READY: // over, if with an error
			d.busy = false
		case patience.Over(d.limits.Timeout):
			d.abandon()
			_ = d.lose(d.late("wait for what runs"))
		case took > spin:
			time.Sleep(nap)
		}
	}
}
