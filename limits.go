package ledge

import (
	"context"
	"sync"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/power"
	"github.com/ledge-run/ledge/runtime/power/governor"
)

// openMeter finds what this machine measures; tests bring the files of others.
var openMeter = power.Open

// limiter holds a model back, and keeps what is to be told of it.
type limiter struct {
	*governor.Governor

	mu    sync.Mutex
	notes []string
}

func newLimiter(l governor.Limits) (*limiter, error) {
	g := &limiter{}
	var err error
	g.Governor, err = governor.New(governor.Options{Limits: l, Meter: openMeter(), Note: g.note})
	return g, err
}

func (l *limiter) note(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes = append(l.notes, text)
}

// told gives the notes once. A nil limiter has none.
func (l *limiter) told() []string {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.notes
	l.notes = nil
	return n
}

// close ends the readings of a limiter, which may be nil.
func (l *limiter) close() {
	if l != nil {
		l.Close()
	}
}

// openLimited opens a model that is held back if there are limits.
func openLimited(ctx context.Context, path string, c config) (*engine.Model, *limiter, error) {
	var l *limiter
	if c.limits.Any() {
		var err error
		if l, err = newLimiter(c.limits); err != nil {
			return nil, nil, err
		}
		c.o.Pacer = l
	}
	if err := c.openAdapters(); err != nil {
		l.close()
		return nil, nil, err
	}
	m, err := engine.Open(ctx, path, c.o)
	if err != nil {
		l.close()
	}
	return m, l, err
}
