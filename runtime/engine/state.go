package engine

import (
	"sync"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/sched"
)

// pageStore keeps runs and the copying of pages apart, which may come from
// other goroutines (a session being saved while others generate), and refuses
// pages of a model that was closed.
type pageStore struct {
	backend.State

	mu     sync.Mutex // held during a run
	closed bool
}

func (p *pageStore) use(f func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return sched.ErrClosed
	}
	return f()
}

func (p *pageStore) CopyPage(dst, src int) error {
	return p.use(func() error { return p.State.CopyPage(dst, src) })
}

func (p *pageStore) ReadPage(page int, dst []byte) error {
	return p.use(func() error { return p.State.ReadPage(page, dst) })
}

func (p *pageStore) WritePage(page int, src []byte) error {
	return p.use(func() error { return p.State.WritePage(page, src) })
}

func (p *pageStore) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return p.State.Close()
}
