package engine

import (
	"context"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/sched"
)

// Pacer holds a model's runs back, so that the machine stays within limits. It changes
// when they happen and with how many threads, and no result. Before and After are called
// by one goroutine.
type Pacer interface {
	// Begin tells what computes: a card with memory of its own, or the processor with
	// what shares its memory. It comes before any run, and again when the model moves. An
	// error ends that.
	Begin(card bool) error

	// Before comes before each run, which may have so many threads of the processor, 0
	// if none computes. It may wait until ctx ends (which has no Done: ask its Err), and
	// gives the threads to take. An error ends every generation of the run.
	Before(ctx context.Context, threads int) (use int, err error)

	// After comes after each run, with how long it took.
	After(took time.Duration)

	// Paused is how long Before has waited so far. It may be called at any time.
	Paused() time.Duration
}

// pacedBatch is how many rows a prompt's chunk has with a Pacer: it can wait between
// chunks only.
const pacedBatch = 128

// heldUp is an error of a Pacer: no fault of a device.
type heldUp struct{ err error }

func (h *heldUp) Error() string { return h.err.Error() }
func (h *heldUp) Unwrap() error { return h.err }

// beginPace tells the Pacer what a rig computes with.
func (m *Model) beginPace(r *rig) error {
	if m.Options.Pacer == nil {
		return nil
	}
	return m.Options.Pacer.Begin(r.info.Kind != backend.CPU && !r.info.Memory.Unified)
}

// run executes a batch when its time has come; the scheduler calls it.
func (r *runner) run(ctx context.Context, b *sched.Batch) error {
	if err := r.m.lostTo(); err != nil {
		return err // there was no time yet to replace the device: see recover
	}
	rig, p := r.m.current(), r.m.Options.Pacer
	if p == nil {
		return r.runNow(ctx, rig, b, 0)
	}
	use, err := p.Before(ctx, rig.threads)
	if err != nil {
		return &heldUp{err}
	}
	start := time.Now()
	err = r.runNow(ctx, rig, b, use)
	p.After(time.Since(start))
	return err
}

// Paused is how long the Pacer has held runs up so far.
func (m *Model) Paused() time.Duration {
	if m.Options.Pacer == nil {
		return 0
	}
	return m.Options.Pacer.Paused()
}
