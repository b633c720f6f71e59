package backend

import (
	"errors"
	"fmt"
)

// ErrDeviceLost is wrapped by the error of a run whose device stopped working:
// nothing on it can be used any more.
var ErrDeviceLost = errors.New("device lost")

// ErrDevice is what errors.Is finds in the errors of devices other than the
// processor, and in those of Select: what has nothing to do with a model or a file.
var ErrDevice = errors.New("device error")

// deviceError is an error of devices, without another word.
type deviceError struct{ error }

func (e deviceError) Unwrap() error        { return e.error }
func (e deviceError) Is(target error) bool { return target == ErrDevice }

// ErrOutOfMemory is an allocation that did not fit.
type ErrOutOfMemory struct {
	What string // what was to be allocated
	Need uint64 // bytes
	Have uint64 // bytes, 0 if unknown
}

func (e *ErrOutOfMemory) Error() string {
	if e.Have == 0 {
		return fmt.Sprintf("out of memory: %s needs %s", e.What, mib(e.Need))
	}
	return fmt.Sprintf("out of memory: %s needs %s, %s are free", e.What, mib(e.Need), mib(e.Have))
}

func mib(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
