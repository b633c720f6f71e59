//go:build cgo && linux

package main

// #include "calls.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"syscall"
	"unsafe"

	"github.com/ledge-run/ledge"
	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/kvcache"
)

// call runs what a function of ledge.h does and gives its result. A panic is a fault
// of ours, and no reason for the caller's program to end.
func call(e *C.ledge_error, f func() error) (status C.int) {
	defer func() {
		if r := recover(); r != nil {
			status = fail(e, &fault{r, debug.Stack()})
		}
	}()
	if err := f(); err != nil {
		return fail(e, err)
	}
	return C.LEDGE_OK
}

// fail fills in an error, which may be NULL, and gives its code.
func fail(e *C.ledge_error, err error) C.int {
	code, value, need, have := codeOf(err)
	text := textOfError(code, err)
	return C.ledgego_fail(e, code, (*C.char)(unsafe.Pointer(unsafe.StringData(text))), C.size_t(len(text)), value, need, have)
}

// textOfError is an error's text for programs in C.
func textOfError(code C.int, err error) string {
	switch code {
	case C.LEDGE_ERROR_CANCELLED:
		return "the call was cancelled" // Go speaks of contexts
	case C.LEDGE_ERROR_CACHE_FULL:
		return oneLine(err.Error()) + " (ledge_open_options.sequences)"
	case C.LEDGE_ERROR_ARGUMENT:
		return strings.TrimPrefix(oneLine(err.Error()), "ledge: ") // like what is refused here
	}
	return oneLine(err.Error())
}

// codeOf is what ledge.h says of an error.
func codeOf(err error) (code, value C.int, need, have C.uint64_t) {
	var own *failure
	var handle *handleError
	var refused *refusal
	var long *ledge.ContextError
	var memory *ledge.MemoryError
	var full *kvcache.ErrFull
	var bug *fault
	var wrong interface {
		error
		Argument()
	}
	switch {
	case errors.As(err, &own):
		return own.code, 0, own.need, own.have
	case errors.As(err, &handle):
		switch handle.why {
		case handleNull:
			return C.LEDGE_ERROR_ARGUMENT, 0, 0, 0
		case handleClosed:
			return C.LEDGE_ERROR_CLOSED, 0, 0, 0
		}
		return C.LEDGE_ERROR_HANDLE, 0, 0, 0
	case errors.As(err, &refused):
		return C.LEDGE_ERROR_CALLBACK, refused.value, 0, 0
	case errors.As(err, &wrong):
		return C.LEDGE_ERROR_ARGUMENT, 0, 0, 0
	case errors.As(err, &bug):
		return C.LEDGE_ERROR_INTERNAL, 0, 0, 0
	case errors.As(err, &long):
		return C.LEDGE_ERROR_CONTEXT, 0, C.uint64_t(long.Tokens), C.uint64_t(long.Limit)
	case errors.As(err, &full):
		return C.LEDGE_ERROR_CACHE_FULL, 0, C.uint64_t(full.Need), C.uint64_t(full.Free)
	case errors.As(err, &memory):
		return C.LEDGE_ERROR_MEMORY, 0, C.uint64_t(memory.Need), C.uint64_t(memory.Have)
	}
	for _, k := range []struct {
		err  error
		code C.int
	}{
		{ledge.ErrClosed, C.LEDGE_ERROR_CLOSED},
		{ledge.ErrSessionClosed, C.LEDGE_ERROR_CLOSED},
		{ledge.ErrBusy, C.LEDGE_ERROR_BUSY},
		{ledge.ErrEmptyPrompt, C.LEDGE_ERROR_EMPTY_PROMPT},
		{ledge.ErrCacheFull, C.LEDGE_ERROR_CACHE_FULL},
		{ledge.ErrDeviceLost, C.LEDGE_ERROR_DEVICE},
		{ledge.ErrBattery, C.LEDGE_ERROR_BATTERY}, // which is an ErrLimit, too
		{ledge.ErrLimit, C.LEDGE_ERROR_SENSOR},
		{context.Canceled, C.LEDGE_ERROR_CANCELLED},
		{backend.ErrDevice, C.LEDGE_ERROR_DEVICE},
		{syscall.ENOMEM, C.LEDGE_ERROR_MEMORY}, // of address space, for a file
	} {
		if errors.Is(err, k.err) {
			return k.code, 0, 0, 0
		}
	}
	return C.LEDGE_ERROR_FAILED, 0, 0, 0
}

// failure is an error with its code.
type failure struct {
	code       C.int
	text       string
	need, have C.uint64_t
}

func (f *failure) Error() string { return f.text }

func argument(format string, args ...any) error {
	return &failure{code: C.LEDGE_ERROR_ARGUMENT, text: fmt.Sprintf(format, args...)}
}

// refusal is a callback that gave another value than 0.
type refusal struct{ value C.int }

func (r *refusal) Error() string { return fmt.Sprintf("the callback gave %d", int(r.value)) }

// went is the error of a call to a callback.
func went(s *C.ledgego_sink, how C.int) error {
	switch how {
	case C.LEDGEGO_ON:
		return nil
	case C.LEDGEGO_STOP:
		return &refusal{s.value}
	}
	return &failure{code: C.LEDGE_ERROR_MEMORY, text: "no memory for a token's text"}
}

// fault is a panic, with where it came from.
type fault struct {
	what  any
	stack []byte
}

func (f *fault) Error() string { return fmt.Sprintf("a fault in Ledge%s: %v", f.at(), f.what) }

// at is the place of the panic: the first one in its stack that is not Go's own.
func (f *fault) at() string {
	_, stack, _ := strings.Cut(string(f.stack), "\npanic(") // then its arguments and its own place
	function := "runtime.gopanic"
	for line := range strings.Lines(stack) {
		place, isPlace := strings.CutPrefix(line, "\t")
		if !isPlace {
			if !strings.HasPrefix(line, "{") {
				function = line
			}
		} else if !strings.HasPrefix(function, "runtime.") {
			place, _, _ = strings.Cut(strings.TrimSpace(place), " +0x")
			return " at " + place
		}
	}
	return ""
}

// oneLine has the parts of joined errors divided by semicolons.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, strings.ReplaceAll(text, "\n", "; "))
}
