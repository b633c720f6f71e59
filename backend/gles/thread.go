//go:build gles && cgo && !static && linux

package gles

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// hung is set when a driver did not come back from a call: the process does not
// try it again, for locks inside the driver may be held for ever.
var hung atomic.Bool

// thread runs functions, one at a time, on an operating system thread of its own.
type thread struct {
	mu    sync.Mutex // held while a function runs
	calls chan func()
	done  chan struct{}
	timer *time.Timer
	limit time.Duration
	steps atomic.Int64 // of functions
	lost  error        // why nothing more can be called
	stuck bool         // a function did not come back
}

// newThread starts a thread.
func newThread(limit time.Duration) (*thread, error) {
	if hung.Load() {
		return nil, fmt.Errorf("gles: the driver hung earlier in this process: %w", backend.ErrDeviceLost)
	}
	t := &thread{calls: make(chan func(), 1), done: make(chan struct{}, 1), timer: time.NewTimer(limit), limit: limit}
	t.timer.Stop()
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and its context's ties with it
		for f := range t.calls {
			f()
			t.done <- struct{}{}
		}
	}()
	return t, nil
}

// do runs f on the thread and waits for it, not much longer than the limit. f's
// results may only be looked at if do gives no error: it may be running still. It
// allocates nothing.
func (t *thread) do(what string, f func()) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost != nil {
		return t.lost
	}
	return t.run(what, f)
}

// run is do on a thread that is not stuck, whatever was lost.
func (t *thread) run(what string, f func()) error {
	t.calls <- f
	quiet := accel.NewQuiet(t.limit, t.steps.Load())
	for {
		t.timer.Reset(quiet.Half)
		select {
		case <-t.done:
			t.timer.Stop()
			return nil
		case <-t.timer.C:
			if !quiet.Over(t.steps.Load()) {
				continue
			}
		}
		hung.Store(true)
		t.stuck = true
		t.lost = fmt.Errorf("gles: %s: the driver did not come back within %v: %w", what, t.limit, backend.ErrDeviceLost)
		return t.lost
	}
}

// lose makes every later call fail with err.
func (t *thread) lose(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost == nil {
		t.lost = err
	}
	return err
}

// stop runs f, unless a call is stuck, and ends the thread. A stuck one stays, with
// what it holds.
func (t *thread) stop(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls == nil {
		return
	}
	if !t.stuck {
		_ = t.run("closing", f) // what hangs now was no use any more
	}
	close(t.calls)
	t.calls = nil
	if t.lost == nil {
		t.lost = errors.New("gles: the device is closed")
	}
}
