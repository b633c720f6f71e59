package trust

import (
	"sync"
	"time"
)

// Watchdog waits for signs of life.
type Watchdog struct {
	half time.Duration
	over func()

	mu     sync.Mutex
	timer  *time.Timer
	silent bool // for the half before
	ended  bool
}

// Watch calls over when no sign of life came for the limit: in two halves of it, one
// after the other. A process that was stopped for longer (Ctrl-Z, a container that is
// paused) finds its timer over when it goes on, before anything could come: one silent half
// says nothing.
func Watch(limit time.Duration, over func()) *Watchdog {
	w := &Watchdog{half: (limit + 1) / 2, over: over}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(w.half, w.ring)
	return w
}

func (w *Watchdog) ring() {
	w.mu.Lock()
	over := w.silent && !w.ended
	if !over && !w.ended {
		w.silent = true
		w.timer.Reset(w.half)
	}
	w.mu.Unlock()
	if over {
		w.over()
	}
}

// Heard notes a sign of life.
func (w *Watchdog) Heard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.silent = false
		w.timer.Reset(w.half)
	}
}

// Stop ends the watch.
func (w *Watchdog) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.timer.Stop()
}
