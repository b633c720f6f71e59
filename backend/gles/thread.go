//go:build gles && cgo && !static && linux

package gles

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ledge-run/ledge/backend"
)

// hung is set when a driver did not come back from a call: the process does not
// try it again, for locks inside the driver may be held for ever.
var hung atomic.Bool

// grace is what a call may take beyond the limit that it keeps itself.
const grace = time.Second

// thread runs functions, one at a time, on an operating system thread of its own.
type thread struct {
	mu    sync.Mutex // held while a function runs
	calls chan func()
	done  chan struct{}
	timer *time.Timer
	limit time.Duration
	lost  error // why nothing more can be called
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

// do runs f on the thread and waits for it, not longer than the limit (and the
// grace that a function needs which keeps the limit itself). f's results may only
// be looked at if do gives no error: it may be running still. It allocates nothing.
func (t *thread) do(what string, f func()) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost != nil {
		return t.lost
	}
	t.calls <- f
	t.timer.Reset(t.limit + grace)
	select {
	case <-t.done:
		t.timer.Stop()
		return nil
	case <-t.timer.C:
		hung.Store(true)
		t.lost = fmt.Errorf("gles: %s: the driver did not come back within %v: %w", what, t.limit+grace, backend.ErrDeviceLost)
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

// stop ends the thread once what it runs is over.
func (t *thread) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls != nil {
		close(t.calls)
		t.calls = nil
	}
	if t.lost == nil {
		t.lost = fmt.Errorf("gles: the device is closed")
	}
}
