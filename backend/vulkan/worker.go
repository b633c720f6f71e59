package vulkan

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// worker calls the driver on a goroutine of its own, so that a call that never
// comes back ends in an error for whoever asked. It allocates nothing for a task.
type worker struct {
	mu    sync.Mutex
	tasks chan task
	done  chan error
	timer *time.Timer
	steps *atomic.Int64 // of tasks
}

type task interface{ do() error }

// taskFunc is a task that happens seldom.
type taskFunc func() error

func (f taskFunc) do() error { return f() }

func newWorker(steps *atomic.Int64) *worker {
	w := &worker{tasks: make(chan task), done: make(chan error), timer: time.NewTimer(time.Hour), steps: steps}
	w.timer.Stop()
	go func() {
		for t := range w.tasks {
			w.done <- t.do()
		}
	}()
	return w
}

// run does a task. If it makes no step for longer than the limit, ended is false, the
// task goes on for ever, and the worker is not to be used any more.
func (w *worker) run(t task, limit time.Duration) (err error, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tasks <- t
	quiet := accel.NewQuiet(limit, w.steps.Load())
	for {
		w.timer.Reset(quiet.Half)
		select {
		case err = <-w.done:
			w.timer.Stop()
			return err, true
		case <-w.timer.C:
			if quiet.Over(w.steps.Load()) {
				return nil, false
			}
		}
	}
}

// end lets the goroutine go.
func (w *worker) end() { close(w.tasks) }

// guard runs a task with the device. Waiting has its own limit, which comes first.
func (d *device) guard(w *worker, what string, t task) error {
	if err := d.usable(); err != nil {
		return err
	}
	limit := 2 * d.limits.Timeout
	err, ended := w.run(t, limit)
	if !ended {
		err = fmt.Errorf("vulkan: %s: the driver of %s did not come back within %v: %w", what, d.phys.name(), limit, backend.ErrDeviceLost)
		d.lose(err, true)
	}
	return err
}
