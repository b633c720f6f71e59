package accel

import (
	"fmt"
	"strings"
	"time"

	"github.com/ledge-run/ledge/backend"
)

// Guarded runs what finds or opens devices of an API, before there is a worker that
// keeps the time limit: what does not come back is left behind.
func Guarded[T any](api, what string, f func() (T, error)) (T, error) {
	var none T
	limit, err := Timeout(TimeoutGPU)
	if err != nil {
		return none, fmt.Errorf("%s: %w", api, err)
	}
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		v, err := f()
		answers <- answer{v, err}
	}()
	quiet := NewQuiet(limit, 0)
	timer := time.NewTimer(quiet.Half)
	defer timer.Stop()
	for {
		select {
		case a := <-answers:
			return a.value, a.err
		case <-timer.C:
		}
		if quiet.Over(0) {
			break
		}
		timer.Reset(quiet.Half)
	}
	return none, fmt.Errorf("%s: a driver did not come back within %v: %w", what, limit, backend.ErrDeviceLost)
}

// OneLine is an error whose text is one line; nil for nil.
func OneLine(err error) error {
	if err == nil || !strings.Contains(err.Error(), "\n") {
		return err
	}
	return flat{err}
}

type flat struct{ error }

func (f flat) Error() string { return strings.ReplaceAll(f.error.Error(), "\n", "; ") }
func (f flat) Unwrap() error { return f.error }
