package opencl

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/dl"

	"github.com/ledge-run/ledge/backend/internal/accel"
)

// fence is the end of a submission: the events of its last kernel and of its
// reads. The driver is asked by a goroutine, as it may never answer. A fence that
// is over is used again by the submission after the next.
type fence struct {
	d      *device
	what   string
	state  state
	events []uintptr
	status code      // what the device reported
	err    error     // of the driver, beside status
	done   chan bool // from the goroutine
	timer  *time.Timer
	result error

	flushes int
}

func (f *fence) Submissions() int { return f.flushes }

type state uint8

const (
	idle state = iota
	running
	over
)

func (d *device) newFence() *fence {
	f := &fence{d: d, done: make(chan bool, 1), events: make([]uintptr, 0, 8), timer: time.NewTimer(time.Hour)}
	f.timer.Stop()
	d.fences = append(d.fences, f)
	return f
}

// reset prepares a fence for a submission.
func (f *fence) reset() {
	f.state, f.events, f.status, f.err, f.result, f.flushes = idle, f.events[:0], 0, nil, nil, 0
}

// event is where the driver puts the next event.
func (f *fence) event() uintptr {
	f.events = append(f.events, 0)
	return uintptr(unsafe.Pointer(&f.events[len(f.events)-1]))
}

// noEvent takes back the last event, whose call failed.
func (f *fence) noEvent() { f.events = f.events[:len(f.events)-1] }

// send flushes what was submitted, and has the fence waited for.
func (f *fence) send(what string) {
	d := f.d
	f.what = what
	for _, e := range f.events {
		if e == 0 {
			f.err = fmt.Errorf("an event: %w", errNull)
		} else {
			d.lib.handles.Add(1)
		}
	}
	if c := code(int32(dl.CallWords(d.lib.flush, d.queue))); c != 0 {
		f.err = c.err("clFlush")
	}
	f.flushes++
	f.state = running
	d.progress.Add(1)
	d.waiter <- f
}

// waiting waits for fences in the order of their submission.
func waiting(l *library, fences <-chan *fence, limit time.Duration) {
	for f := range fences {
		f.settle(l, limit)
		f.done <- true
	}
}

// settle waits until all events are over and notes the first that failed.
func (f *fence) settle(l *library, limit time.Duration) {
	kept := f.events[:0]
	for _, e := range f.events {
		if e != 0 {
			kept = append(kept, e)
		}
	}
	f.events = kept
	if len(f.events) == 0 {
		return
	}
	// What it returns is repeated by the events, with the reason.
	answer := code(int32(dl.CallWords(l.waitForEvents, uintptr(len(f.events)), uintptr(unsafe.Pointer(&f.events[0])))))
	ask := &[2]uintptr{}
	patience := accel.NewPatience(time.Now())
	for _, e := range f.events {
		for {
			ask[0] = 1
			c := code(int32(dl.CallWords(l.getEventInfo, e, eventStatus, 4, uintptr(unsafe.Pointer(&ask[0])), 0)))
			if c != 0 {
				f.err = errors.Join(f.err, c.err("clGetEventInfo"))
				break
			}
			s := code(int32(uint32(ask[0])))
			if s < 0 && f.status == 0 {
				f.status = s
			}
			if s <= 0 {
				break
			}
			if patience.Over(limit) { // clWaitForEvents came back, but the event is not over
				f.err = errors.Join(f.err, errNotOver)
				break
			}
			time.Sleep(100 * time.Microsecond)
		}
		l.handles.Add(-1)
		dl.CallWords(l.releaseEvent, e)
	}
	if answer != 0 && f.status == 0 && f.err == nil {
		f.err = answer.err("clWaitForEvents")
	}
	runtime.KeepAlive(ask)
}

var errNotOver = errors.New("the driver says that it is over and that it is not")

// Wait blocks until the submission is over, at most for the time limit.
func (f *fence) Wait() error {
	if f.state != running {
		return f.result
	}
	d := f.d
	if d.stuck.Load() {
		return d.alive()
	}
	select {
	case <-f.done: // the usual case of a Wait after other work
		return f.conclude()
	default:
	}
	quiet := accel.NewQuiet(d.limits.Timeout, 0) // what others submit is no step
	for {
		f.timer.Reset(quiet.Half)
		select {
		case <-f.done:
			f.timer.Stop()
			return f.conclude()
		case <-f.timer.C:
			if quiet.Over(0) {
				return d.hangs(f.what)
			}
		}
	}
}

// join is Wait for the worker, whose time is limited already.
func (f *fence) join() error {
	if f.await() != nil {
		return f.conclude()
	}
	return nil
}

// await blocks until the submission is over, and gives its result.
func (f *fence) await() error {
	if f.state == running {
		<-f.done
		f.d.progress.Add(1)
		f.over()
	}
	return f.result
}

// over notes how the submission ended.
func (f *fence) over() {
	f.state = over
	switch {
	case f.status != 0:
		f.result = lost(f.what, f.status)
	case f.err != nil:
		f.result = lost(f.what, accel.OneLine(f.err))
	}
}

// conclude is over for a submission whose failure is the device's.
func (f *fence) conclude() error {
	if f.state == running {
		f.over()
	}
	if f.result != nil {
		return f.d.lose(f.result)
	}
	return nil
}
