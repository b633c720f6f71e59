package opencl

import (
	"fmt"
	"sync"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// worker is the goroutine that calls the driver, so that a driver which does not
// come back from a call stops that goroutine and not Ledge. Waiting for events is
// left to another one: what is submitted need not wait for what runs.
type worker struct {
	jobs    chan func() error
	answers chan error
	timer   *time.Timer
}

func newWorker() *worker {
	w := &worker{jobs: make(chan func() error), answers: make(chan error, 1), timer: time.NewTimer(time.Hour)}
	w.timer.Stop()
	go func() {
		for job := range w.jobs {
			w.answers <- job()
		}
	}()
	return w
}

// do runs a job on the worker. The device is lost if the job does not come back
// and gets no step further within the time limit.
func (d *device) do(what string, job func() error) error {
	if err := d.alive(); err != nil {
		return err
	}
	return d.run(what, job)
}

// run is do for what is done on a lost device, too, but not on one that hangs.
func (d *device) run(what string, job func() error) error {
	w := d.worker
	w.jobs <- job
	quiet := accel.NewQuiet(d.limits.Timeout, d.progress.Load())
	for {
		w.timer.Reset(quiet.Half)
		select {
		case err := <-w.answers:
			w.timer.Stop()
			return err
		case <-w.timer.C:
			if quiet.Over(d.progress.Load()) {
				return d.hangs(what)
			}
		}
	}
}

// lose notes that the device is lost.
func (d *device) lose(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead == nil {
		d.dead = err
	}
	return err
}

// hangs gives the device up: its driver is not called any more, and what it may
// still use is kept.
func (d *device) hangs(what string) error {
	if !d.stuck.Swap(true) {
		abandoned.Lock()
		defer abandoned.Unlock()
		abandoned.devices = append(abandoned.devices, d)
	}
	return d.lose(fmt.Errorf("opencl: %s: no answer from %s in %v: %w", what, d.prop.name, d.limits.Timeout, backend.ErrDeviceLost))
}

// abandoned keeps the memory of devices that hang.
var abandoned struct {
	sync.Mutex
	devices []*device
}

// alive is the error of a device that is lost or closed.
func (d *device) alive() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead != nil {
		return fmt.Errorf("opencl: %s was lost before: %w", d.prop.name, backend.ErrDeviceLost)
	}
	if d.closed {
		return fmt.Errorf("opencl: %s is closed", d.prop.name)
	}
	return nil
}
