package engine

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/sched"
)

// pageStore keeps runs and the copying of pages apart, which may come from
// other goroutines (a session being saved while others generate), and refuses
// pages of a model that was closed or whose device was lost.
type pageStore struct {
	mu    sync.Mutex // held during a run
	state backend.State
	gone  error // why there is no state
}

// set brings a state in; it belongs to the store from then on.
func (p *pageStore) set(s backend.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, p.gone = s, nil
}

// drop closes the state; whoever asks for a page gets the reason.
func (p *pageStore) drop(reason error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.state
	p.state, p.gone = nil, reason
	if s == nil {
		return nil
	}
	return s.Close()
}

func (p *pageStore) use(f func(s backend.State) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == nil {
		return p.gone
	}
	return f(p.state)
}

func (p *pageStore) Layout() (text string) {
	_ = p.use(func(s backend.State) error { text = s.Layout(); return nil }) // else there is none to be read
	return text
}

func (p *pageStore) PageBytes() (n int) {
	_ = p.use(func(s backend.State) error { n = s.PageBytes(); return nil })
	return n
}

func (p *pageStore) CopyPage(dst, src int) error {
	return p.use(func(s backend.State) error { return s.CopyPage(dst, src) })
}

func (p *pageStore) ReadPage(page int, dst []byte) error {
	return p.use(func(s backend.State) error { return s.ReadPage(page, dst) })
}

func (p *pageStore) WritePage(page int, src []byte) error {
	return p.use(func(s backend.State) error { return s.WritePage(page, src) })
}

func (p *pageStore) Close() error { return p.drop(sched.ErrClosed) }

// states are those of several devices as one: a page of it is the page of that
// number in each, one after the other.
type states struct {
	of   []backend.State // by device; nil where nothing runs
	wrap []func(error) error
}

// each calls f for every device's state with where its bytes of a page lie.
func (s *states) each(f func(st backend.State, from, to int) error) error {
	at := 0
	for i, st := range s.of {
		if st == nil {
			continue
		}
		to := at + st.PageBytes()
		if err := f(st, at, to); err != nil {
			return s.wrap[i](err)
		}
		at = to
	}
	return nil
}

// Layout names the devices' layouts in order; that of a single one is its own.
func (s *states) Layout() string {
	var names []string
	for _, st := range s.of {
		if st != nil {
			names = append(names, st.Layout())
		}
	}
	return strings.Join(names, " | ")
}

func (s *states) PageBytes() (n int) {
	for _, st := range s.of {
		if st != nil {
			n += st.PageBytes()
		}
	}
	return n
}

func (s *states) CopyPage(dst, src int) error {
	return s.each(func(st backend.State, _, _ int) error { return st.CopyPage(dst, src) })
}

func (s *states) ReadPage(page int, dst []byte) error {
	if err := s.check(dst); err != nil {
		return err
	}
	return s.each(func(st backend.State, from, to int) error { return st.ReadPage(page, dst[from:to]) })
}

func (s *states) WritePage(page int, src []byte) error {
	if err := s.check(src); err != nil {
		return err
	}
	return s.each(func(st backend.State, from, to int) error { return st.WritePage(page, src[from:to]) })
}

func (s *states) check(page []byte) error {
	if n := s.PageBytes(); len(page) != n {
		return fmt.Errorf("engine: a page has %d bytes, not %d", n, len(page))
	}
	return nil
}

// Close closes every state.
func (s *states) Close() error {
	var errs []error
	for _, st := range s.of {
		if st != nil {
			errs = append(errs, st.Close())
		}
	}
	return errors.Join(errs...)
}
