package ledge

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/kvcache"
	"github.com/ledge-run/ledge/runtime/power/governor"
	"github.com/ledge-run/ledge/runtime/sched"
)

var (
	// ErrClosed reports the use of a model that was closed, also by a
	// generation that was running when it was.
	ErrClosed = errors.New("ledge: the model is closed")

	// ErrSessionClosed reports the use of a session that was closed.
	ErrSessionClosed = errors.New("ledge: the session is closed")

	// ErrBusy reports the use of a session that is generating: a session does
	// one thing at a time, use another one.
	ErrBusy = errors.New("ledge: the session is generating")

	// ErrEmptyPrompt reports a prompt without a token.
	ErrEmptyPrompt = errors.New("ledge: the prompt is empty")

	// ErrCacheFull reports that the sessions together need more cache than
	// there is: close some, shorten them, or open the model with WithSequences.
	ErrCacheFull = errors.New("ledge: the key-value cache is full")

	// ErrDeviceLost reports that the device stopped working. Nothing can be
	// done with the model any more but to close it. A device that was picked
	// automatically does not give it: the processor goes on (see Model.Notes).
	ErrDeviceLost = errors.New("ledge: device lost")

	// ErrLimit reports a limit of WithLimits: the machine has no sensor for it, or it is
	// [ErrBattery].
	ErrLimit = errors.New("ledge: a limit of the machine")

	// ErrBattery reports that the battery is at its floor, and is an ErrLimit, too. What
	// was generated is there, and with a charger the session goes on.
	ErrBattery = fmt.Errorf("%w: the battery is at its floor", ErrLimit)
)

// ContextError reports a prompt, or a text to be embedded, that does not fit the context.
type ContextError struct {
	Tokens int // of it
	Limit  int // tokens of a sequence, with the answer: Info.Context
	err    error
}

func (e *ContextError) Error() string { return e.err.Error() }

// Unwrap gives the cause.
func (e *ContextError) Unwrap() error { return e.err }

// MemoryError reports an allocation that did not fit.
type MemoryError struct {
	What       string // was to be allocated
	Need, Have uint64 // bytes; Have is 0 if unknown
	err        error
}

func (e *MemoryError) Error() string { return e.err.Error() }

// Unwrap gives the cause.
func (e *MemoryError) Unwrap() error { return e.err }

// errNoContext is an error of the call: on the goroutine that works for all sessions, a
// nil context would end the program.
var errNoContext = errors.New("ledge: the context is nil; context.Background() is one that never ends")

// checkContext refuses a nil context.
func checkContext(ctx context.Context) error {
	if ctx == nil {
		return errNoContext
	}
	return nil
}

// wrap gives an inner error the type or sentinel that this package promises.
func wrap(err error) error {
	if err == nil {
		return nil
	}
	var memory *backend.ErrOutOfMemory
	var long *sched.ErrTooLong
	var full *kvcache.ErrFull
	var sensor *governor.SensorError
	var floor *governor.FloorError
	switch {
	case err == ErrClosed || err == ErrSessionClosed || err == errNoMessages:
		return err
	case errors.As(err, &memory):
		return &MemoryError{What: memory.What, Need: memory.Need, Have: memory.Have, err: fmt.Errorf("ledge: %w", err)}
	case errors.As(err, &long):
		return &ContextError{Tokens: long.Tokens, Limit: long.Limit, err: fmt.Errorf("ledge: %w", err)}
	case errors.As(err, &full):
		return &kindError{ErrCacheFull, err}
	case errors.As(err, &floor):
		return &kindError{ErrBattery, err}
	case errors.As(err, &sensor):
		return &kindError{ErrLimit, err}
	case errors.Is(err, sched.ErrClosed):
		return &kindError{ErrClosed, err}
	case errors.Is(err, engine.ErrEmptyPrompt):
		return &kindError{ErrEmptyPrompt, err}
	case errors.Is(err, backend.ErrDeviceLost):
		return &kindError{ErrDeviceLost, err}
	}
	return fmt.Errorf("ledge: %w", err)
}

// kindError is an error of one of this package's kinds, with the text of its
// cause.
type kindError struct{ kind, cause error }

func (e *kindError) Error() string   { return "ledge: " + e.cause.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.cause} }

// errStop says that the consumer of an iterator has stopped.
var errStop = errors.New("stopped")
