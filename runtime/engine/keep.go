package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/packcache"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

const (
	keepAfter = time.Second           // without a first run, weights are kept from then on
	keepBreak = 20 * time.Millisecond // runs closer together are one piece of work
	keepShare = 5                     // beside runs, keeping takes this part of a processor at most
	keepGrace = time.Second           // how long Close waits for what is not kept yet
	keepLeast = 1 << 20               // fewer bytes are faster packed than read: no cache takes them
)

// keeper has the weights kept for the next start, beside everything else: after
// the first run, a fifth of a processor while the model runs, at full speed
// while it does not.
type keeper struct {
	cancel  context.CancelFunc
	hasten  context.CancelFunc // ends waiting for a better moment
	started chan struct{}      // closed with the first run
	over    chan struct{}
	hurry   atomic.Bool

	running atomic.Bool
	ran     atomic.Int64 // when the last run ended, in ns since epoch
	epoch   time.Time
	last    time.Time // of keep's goroutine: when the last piece began
}

// packModel binds a cache to the model's files and its adapters': packed weights are
// those of all of them. It is nil without a cache, or where weights are in no file.
func packModel(c *packcache.Cache, f *gguf.File, adapters *lora.Set, share bool) *packcache.Model {
	var files []packcache.File
	disk := f.OnDisk()
	if adapters != nil && len(disk) > 0 {
		more, ok := adapters.OnDisk()
		if !ok {
			return nil
		}
		disk = append(disk, more...)
	}
	for _, d := range disk {
		files = append(files, packcache.File{Path: d.Path, Info: d.Info, Header: d.Header})
	}
	if c == nil || len(files) == 0 {
		return nil
	}
	return c.Model(filepath.Base(files[0].Path), files, share)
}

func notShared(err error) error {
	return fmt.Errorf("the weights cannot be shared: %w; name a folder that can be written to and has room, or do not share them", err)
}

func (m *Model) notKept(err error) {
	m.notef("packed weights are not kept for the next start: %v", err)
}

// packed are the weights that the next start could have packed.
func packed(ws []backend.Weights) (all []backend.Keeper) {
	for _, w := range ws {
		if k, ok := w.(backend.Keeper); ok && k.Origin() == backend.Packed {
			all = append(all, k)
		}
	}
	return all
}

// keep has weights kept: now, if they should have been shared and are not, which says
// why. What others may write to is not used, and not told of here: who chose the folder does.
func (m *Model) keep(ctx context.Context, ws []backend.Weights, p *packcache.Model) error {
	m.keeper = nil
	kept := packed(ws)
	if p == nil || len(kept) == 0 {
		return nil
	}
	c := m.Options.PackCache
	distrusted := c.Distrusted() != nil
	if !distrusted {
		err := os.MkdirAll(c.Dir(), 0o700)
		switch {
		case err != nil && m.Options.Share && m.current() == nil:
			return notShared(err)
		case err != nil:
			m.notKept(err)
			return nil
		}
	}
	kept = slices.DeleteFunc(kept, func(k backend.Keeper) bool { return k.(backend.Weights).Bytes() < keepLeast })
	if !m.Options.Share {
		if !distrusted {
			m.keeper = newKeeper(kept, p, m.notKept)
		}
		return nil
	}
	for _, w := range kept {
		err := w.Keep(ctx, func() {})
		switch {
		case err != nil && m.current() == nil: // else it goes on in place of a device that failed
			return notShared(err)
		case err != nil:
			m.notef("the weights are not shared: %v", err)
		default:
			m.notef("the weights are not shared: they are kept, but could not be mapped")
		}
	}
	return nil
}

// newKeeper begins to keep weights; nil if there is nothing to keep. What fails is told.
func newKeeper(kept []backend.Keeper, p *packcache.Model, failed func(error)) *keeper {
	if len(kept) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	patience, hasten := context.WithCancel(ctx)
	k := &keeper{cancel: cancel, hasten: hasten, started: make(chan struct{}), over: make(chan struct{}), epoch: time.Now()}
	go func() {
		defer close(k.over)
		wait := time.NewTimer(keepAfter)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-k.started:
		case <-ctx.Done():
			return
		}
		p.Settle(patience)
		k.last = time.Now()
		for _, w := range kept {
			if err := w.Keep(ctx, k.pace); err != nil && ctx.Err() == nil {
				failed(err) // the next start packs again
			}
		}
	}()
	return k
}

// begin and end stand around every run.
func (k *keeper) begin() {
	if k != nil {
		k.running.Store(true)
	}
}

func (k *keeper) end() {
	if k == nil {
		return
	}
	k.running.Store(false)
	if k.ran.Swap(max(1, int64(time.Since(k.epoch)))) == 0 {
		close(k.started)
	}
}

// pace rests after a piece of work if the model is in use.
func (k *keeper) pace() {
	now := time.Now()
	took := now.Sub(k.last)
	if !k.hurry.Load() && (k.running.Load() || now.Sub(k.epoch)-time.Duration(k.ran.Load()) < keepBreak) {
		time.Sleep(min((keepShare-1)*took, keepBreak))
		now = time.Now()
	}
	k.last = now
}

// abandon gives up what is not kept yet.
func (k *keeper) abandon() {
	if k != nil {
		k.cancel()
		<-k.over
	}
}

// close lets what is nearly done be finished, and gives up what is
// not. It may be called again.
func (k *keeper) close() {
	if k == nil {
		return
	}
	k.hurry.Store(true)
	k.hasten()
	if k.ran.Load() == 0 {
		k.cancel() // the model was not used: perhaps it could not be
	}
	wait := time.NewTimer(keepGrace)
	defer wait.Stop()
	select {
	case <-k.over:
	case <-wait.C:
	}
	k.cancel()
	<-k.over
}

// wait returns when nothing is left to keep.
func (k *keeper) wait(ctx context.Context) error {
	if k == nil {
		return nil
	}
	k.hurry.Store(true)
	k.hasten()
	select {
	case <-k.over:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
