package main

import (
	"context"
	"errors"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/cmd/internal/console"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitModel       = 3
	exitDevice      = 4
	exitLimit       = 5
	exitOutside     = 6
	exitInterrupted = console.ExitInterrupted
	exitTerminated  = console.ExitTerminated
)

const exitCodesHelp = `EXIT CODES:
   0    the command did what it was asked to do
   1    it failed: a damaged file, a full disk, text that is not UTF-8, JSON of --json-schema
        that -n or the context cut, ...
   2    wrong usage: an unknown command or flag, a value out of range, no prompt
   3    the model was not found or could not be fetched
   4    the device is not there, failed its self-test, broke or ran out of memory
   5    a limit (--max-watts, --max-temp, --battery-floor) has no sensor on this machine, or
        the battery is at its floor; what was generated until then has been written
   6    what the built-in model was asked is no household command, and the line of JSON that
        it has written says so: "intent":"none"
   130  interrupted (Ctrl-C); what was generated until then has been written
   143  terminated (SIGTERM)
`

// modelError is a model that was not found or could not be fetched.
type modelError struct{ err error }

func (e modelError) Error() string { return e.err.Error() }
func (e modelError) Unwrap() error { return e.err }

// deviceError is a device that is not there or does not work.
type deviceError struct{ err error }

func (e deviceError) Error() string { return e.err.Error() }
func (e deviceError) Unwrap() error { return e.err }

// limitError is a limit that cannot be watched, or is reached for good.
type limitError struct{ err error }

func (e limitError) Error() string { return e.err.Error() }
func (e limitError) Unwrap() error { return e.err }

// outsideError is a text that is no household command.
type outsideError struct{ text string }

func (e outsideError) Error() string { return e.text }

// exitCode maps the outcome of a command to the program's exit code.
func exitCode(ctx context.Context, err error) int {
	var usage usageError
	var model modelError
	var device deviceError
	var memory *backend.ErrOutOfMemory
	var limit limitError
	var outside outsideError
	if code, ok := console.Interrupted(ctx, err); ok {
		return code
	}
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &model):
		return exitModel
	case errors.As(err, &limit):
		return exitLimit
	case errors.As(err, &outside):
		return exitOutside
	case errors.As(err, &device), errors.As(err, &memory), errors.Is(err, backend.ErrDeviceLost), errors.Is(err, backend.ErrDevice):
		return exitDevice
	}
	return exitFailed
}
