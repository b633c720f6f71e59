package cpu

import (
	"bytes"
	"context"
	"sync/atomic"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu/pool"
)

// restore brings the packed weights of an earlier start, if there are any that
// pass their checks. Whatever is wrong with the cache, the weights are packed
// instead: the error is that of the memory or of the context.
func (d *device) restore(ctx context.Context, w *weights) error {
	e := w.pack.Find(ctx, &w.block)
	if e == nil {
		return nil
	}
	piece, origin := e.Read, backend.Cached
	if w.pack.Share() {
		if block, unmap, err := e.Map(); err == nil {
			w.memory = memory{bytes: block, unmap: unmap}
			piece, origin = e.Check, backend.Shared
		}
	}
	if origin == backend.Cached {
		var err error
		if w.memory, err = allocate("weights", w.block.Size); err != nil {
			_ = e.Close()
			return err
		}
	}
	var bad atomic.Bool
	err := d.pool.Run(ctx, d.threads, func(wk *pool.Worker) {
		for c := wk.Next(e.Chunks()); c >= 0; c = wk.Next(e.Chunks()) {
			if !bad.Load() && ctx.Err() == nil && piece(c, w.memory.bytes) != nil {
				bad.Store(true)
			}
		}
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = e.Close()
		return err
	}
	if bad.Load() {
		e.Discard()
		if origin == backend.Shared { // read-only
			err = w.memory.free()
			w.memory = memory{}
		}
		return err
	}
	w.origin = origin
	return e.Close()
}

// exchange keeps freshly packed weights at once and maps them instead, so that
// the first process, too, has them in common with the others. It leaves w as it
// is where that fails.
func (d *device) exchange(ctx context.Context, w *weights) {
	if w.origin != backend.Packed || w.pack.Save(ctx, &w.block, bytes.NewReader(w.memory.bytes), func() {}) != nil {
		return
	}
	mapped := &weights{pack: w.pack, block: w.block, origin: backend.Packed}
	if err := d.restore(ctx, mapped); err != nil || mapped.origin != backend.Shared {
		_ = mapped.memory.free()
		return
	}
	old := w.memory
	w.memory, w.origin = mapped.memory, backend.Shared
	for _, it := range w.block.Items {
		w.byName[it.Name].packed.Data = w.memory.bytes[it.Off : it.Off+it.Size : it.Off+it.Size]
	}
	_ = old.free()
}

// Origin says where the weights came from.
func (w *weights) Origin() backend.Origin { return w.origin }

// Keep writes freshly packed weights for the next start.
func (w *weights) Keep(ctx context.Context, pace func()) error {
	if w.pack == nil || w.origin != backend.Packed || w.block.Size == 0 {
		return nil
	}
	return w.pack.Save(ctx, &w.block, bytes.NewReader(w.memory.bytes), pace)
}
