package hub

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ledge-run/ledge/runtime/files"
)

// tryLock takes the lock of a model's folder if it is free. Locks are empty files
// that stay: removing one while another process opens it would make two locks of it.
// The system frees a lock when its process ends, however it ends.
func (h *Hub) tryLock(folder string) (unlock func(), ok bool, err error) {
	dir := filepath.Join(h.dir, locksFolder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, false, &localError{fmt.Errorf("cannot write to %s: %w", h.dir, reason(err))}
	}
	f, err := os.OpenFile(filepath.Join(dir, folder+".lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, false, &localError{fmt.Errorf("cannot write to %s: %w", dir, reason(err))}
	}
	free, err := files.TryLock(f)
	switch {
	case err != nil:
		f.Close()
		return nil, false, &localError{fmt.Errorf("cannot lock %s: %w", f.Name(), err)}
	case !free:
		f.Close()
		return nil, false, nil
	}
	return func() { f.Close() }, true, nil
}

// lock waits for the lock of a model's folder, or for the end of ctx; waiting is
// called once if it is not free.
func (h *Hub) lock(ctx context.Context, folder string, waiting func()) (unlock func(), err error) {
	for first := true; ; first = false {
		unlock, ok, err := h.tryLock(folder)
		if ok || err != nil {
			return unlock, err
		}
		if first {
			waiting()
		}
		if err := pause(ctx, h.tune.lockPoll); err != nil {
			return nil, err
		}
	}
}
