//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// Who waits for a job, or for the end of a submission, asks for some time before it
// sleeps, where there are processors for that: to wake a thread takes as long as dozens
// of kernels. So does the worker, when a submission is over and the next may follow.
const (
	briefly   = 200 * time.Microsecond // for the answer of a job
	following = 300 * time.Microsecond // for the next submission
	spare     = 3                      // processors: for both, and for others
)

// A worker with nothing to do but to watch a submission asks without a break for spin,
// and then every nap. Where the same took longer the last time, it sleeps almost until
// then and spins around that: boards share their power between processor and GPU.
const (
	spin    = 2 * time.Millisecond
	nap     = 50 * time.Microsecond
	longNap = time.Millisecond
)

// worker is the thread that a device's context is current on. It does jobs, and
// watches submissions in between: so the end of one is noticed at once, and reaches
// whoever waits for it with one change of threads.
type worker struct {
	jobs    chan func() error
	answers chan error
	timer   *time.Timer // of who waits for an answer
	napping *time.Timer
	running []*fence    // oldest first
	eager   atomic.Bool // there are processors to ask with
	over    time.Time   // when the last submission was
}

func (d *device) startWorker() {
	stopped := func() *time.Timer {
		t := time.NewTimer(time.Hour)
		t.Stop()
		return t
	}
	w := &worker{jobs: make(chan func() error, 1), answers: make(chan error, 1), timer: stopped(), napping: stopped()}
	w.eager.Store(min(runtime.GOMAXPROCS(0), runtime.NumCPU()) >= spare)
	d.worker = w
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for job := d.nextJob(); job != nil; job = d.nextJob() {
			if d.stuck.Load() { // it was left over: see hangs
				w.answer(d.lose(fmt.Errorf("cuda: %s did not answer before: %w", d.prop.name, backend.ErrDeviceLost)))
				continue
			}
			w.answer(job())
		}
	}()
}

// answer gives a job's answer, unless nobody has taken the last one.
func (w *worker) answer(err error) {
	select {
	case w.answers <- err:
	default:
	}
}

// ask takes what comes through a channel within a time, and lets goroutines and other
// processes run meanwhile.
func ask[T any](from <-chan T, most time.Duration) (v T, ok bool) {
	for start := time.Now(); time.Since(start) < most; yield() {
		for range 50 {
			select {
			case v = <-from:
				return v, true
			default:
			}
		}
		runtime.Gosched()
	}
	return v, false
}

// yield lets the system run another thread on this processor: it may be the one that is
// waited for.
func yield() { _, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }

// nextJob waits for a job, nil if there will be none, and watches submissions.
func (d *device) nextJob() func() error {
	w := d.worker
	for len(w.running) > 0 && !d.stuck.Load() {
		d.watch()
		if len(w.running) == 0 {
			break
		}
		rest := w.running[0].rest()
		if rest == 0 {
			select {
			case job := <-w.jobs:
				return job
			default:
			}
			yield()
			continue
		}
		w.napping.Reset(rest)
		select {
		case job := <-w.jobs:
			w.napping.Stop()
			return job
		case <-w.napping.C:
		}
	}
	for w.eager.Load() && !d.stuck.Load() && time.Since(w.over) < following {
		select {
		case job := <-w.jobs:
			return job
		default:
		}
		yield()
	}
	return <-w.jobs
}

// do runs a job on the worker. The device is lost if the job does not come back and
// gets no step further within the time limit.
func (d *device) do(what string, job func() error) error {
	if err := d.alive(); err != nil {
		return err
	}
	return d.run(what, job)
}

// run is do for what is done on a lost device, too, but not on one that hangs. What
// job writes may only be looked at if the error is job's: it may be running still.
func (d *device) run(what string, job func() error) error {
	w := d.worker
	quiet := d.quiet()
	w.timer.Reset(quiet.Half)
	jobs := w.jobs
	for {
		select {
		case jobs <- job:
			jobs = nil
			if !w.eager.Load() {
				continue
			}
			if err, ok := ask(w.answers, briefly); ok {
				w.timer.Stop()
				return accel.OneLine(err)
			}
		case err := <-w.answers:
			w.timer.Stop()
			return accel.OneLine(err)
		case <-w.timer.C:
			if quiet.Over(d.progress.Load()) {
				return d.hangs(what)
			}
			w.timer.Reset(quiet.Half)
		}
	}
}

// quiet is the time limit of what begins now.
func (d *device) quiet() accel.Quiet { return accel.NewQuiet(d.limits.Timeout, d.progress.Load()) }

// lose notes that the device is lost.
func (d *device) lose(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead == nil {
		d.dead = err
	}
	return err
}

// hangs gives the device up: its driver is not called any more, and what it may still
// use is kept.
func (d *device) hangs(what string) error {
	d.abandon()
	return d.lose(fmt.Errorf("cuda: %s: no answer from %s in %v: %w", what, d.prop.name, d.limits.Timeout, backend.ErrDeviceLost))
}

func (d *device) abandon() {
	if !d.stuck.Swap(true) {
		abandoned.Lock()
		defer abandoned.Unlock()
		abandoned.devices = append(abandoned.devices, d)
	}
}

// abandoned keeps the memory of devices that hang.
var abandoned struct {
	sync.Mutex
	devices []*device
}

// loss is why the device is lost, nil if it is not.
func (d *device) loss() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// alive is the error of a device that is lost or closed.
func (d *device) alive() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead != nil {
		return fmt.Errorf("cuda: %s was lost before: %w", d.prop.name, backend.ErrDeviceLost)
	}
	if d.closed {
		return fmt.Errorf("cuda: %s is closed", d.prop.name)
	}
	return nil
}
