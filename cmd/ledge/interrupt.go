package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

var (
	errInterrupted = errors.New("interrupted")
	errTerminated  = errors.New("terminated")
)

// interrupts turns Ctrl-C into the end of the innermost piece of work, and one
// that comes when all work has been told to end into the end of the program.
type interrupts struct {
	signals chan os.Signal
	done    chan struct{}
	exit    func(code int)

	mu    sync.Mutex
	scope []*scope // innermost last
}

type scope struct{ cancel context.CancelCauseFunc }

// watchInterrupts begins to watch; the context ends with the first interrupt
// that no inner scope takes.
func watchInterrupts(ctx context.Context) (context.Context, *interrupts) {
	i := &interrupts{signals: make(chan os.Signal, 4), done: make(chan struct{}), exit: os.Exit}
	ctx, _ = i.within(ctx)
	signal.Notify(i.signals, os.Interrupt, syscall.SIGTERM)
	go i.watch()
	return ctx, i
}

// within opens a scope: the next interrupt ends its context and no other. The
// caller calls end when the work is over.
func (i *interrupts) within(ctx context.Context) (inner context.Context, end func()) {
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

func (i *interrupts) stop() {
	signal.Stop(i.signals)
	close(i.done)
}

func (i *interrupts) watch() {
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
func (i *interrupts) take(s os.Signal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	cause, code, n := errInterrupted, exitInterrupted, len(i.scope)-1
	if s == syscall.SIGTERM {
		cause, code, n = errTerminated, exitTerminated, 0
	}
	if len(i.scope) == 0 {
		i.exit(code)
		return
	}
	for _, x := range i.scope[n:] {
		x.cancel(cause)
	}
	i.scope = i.scope[:n]
}
