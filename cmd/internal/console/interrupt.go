package console

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

var (
	ErrInterrupted = errors.New("interrupted")
	ErrTerminated  = errors.New("terminated")
)

// Interrupts turns Ctrl-C into the end of the innermost piece of work, and one
// that comes when all work has been told to end into the end of the program.
type Interrupts struct {
	signals chan os.Signal
	done    chan struct{}
	Exit    func(code int) // os.Exit; tests set another

	mu    sync.Mutex
	scope []*scope // innermost last
}

type scope struct{ cancel context.CancelCauseFunc }

// WatchInterrupts begins to watch; the context ends with the first interrupt
// that no inner scope takes.
func WatchInterrupts(ctx context.Context) (context.Context, *Interrupts) {
	i := &Interrupts{signals: make(chan os.Signal, 4), done: make(chan struct{}), Exit: os.Exit}
	ctx, _ = i.Within(ctx)
	signal.Notify(i.signals, os.Interrupt, syscall.SIGTERM)
	go i.watch()
	return ctx, i
}

// Within opens a scope: the next interrupt ends its context and no other. The
// caller calls end when the work is over.
func (i *Interrupts) Within(ctx context.Context) (inner context.Context, end func()) {
	inner, cancel := context.WithCancelCause(ctx)
	s := &scope{cancel}
	i.mu.Lock()
	i.scope = append(i.scope, s)
	i.mu.Unlock()
	return inner, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		for n, x := range i.scope {
			if x == s {
				i.scope = append(i.scope[:n], i.scope[n+1:]...)
				break
			}
		}
		cancel(nil)
	}
}

func (i *Interrupts) Stop() {
	signal.Stop(i.signals)
	close(i.done)
}

func (i *Interrupts) watch() {
	for {
		select {
		case <-i.done:
			return
		case s := <-i.signals:
			i.take(s)
		}
	}
}

// take ends the innermost scope; SIGTERM ends all.
func (i *Interrupts) take(s os.Signal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	cause, code, n := ErrInterrupted, ExitInterrupted, len(i.scope)-1
	if s == syscall.SIGTERM {
		cause, code, n = ErrTerminated, ExitTerminated, 0
	}
	if len(i.scope) == 0 {
		i.Exit(code)
		return
	}
	for _, x := range i.scope[n:] {
		x.cancel(cause)
	}
	i.scope = i.scope[:n]
}
