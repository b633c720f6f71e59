package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Exit codes that every program has. Others are its own.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitInterrupted = 130 // 128 + SIGINT, as shells count
	ExitTerminated  = 143 // 128 + SIGTERM
)

// UsageError is a command line that makes no sense.
type UsageError struct{ text string }

func (e UsageError) Error() string { return e.text }

// Usagef is a UsageError with a formatted text.
func Usagef(format string, args ...any) error { return UsageError{fmt.Sprintf(format, args...)} }

// ofUsage makes a UsageError of what a library's error marks as one by a method WrongUsage:
// it knows what its settings take.
func ofUsage(err error) error {
	var wrong interface{ WrongUsage() }
	if errors.As(err, &wrong) {
		return UsageError{err.Error()}
	}
	return err
}

// ErrSilent ends the program with code 1 after everything has been said.
var ErrSilent = errors.New("failed")

// Interrupted reports whether a command ended because it was told to, and with which
// exit code.
func Interrupted(ctx context.Context, err error) (code int, ok bool) {
	switch {
	case err == nil:
	case errors.Is(err, ErrTerminated), errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), ErrTerminated):
		return ExitTerminated, true
	case errors.Is(err, context.Canceled), errors.Is(err, ErrInterrupted):
		return ExitInterrupted, true
	}
	return 0, false
}

// OneLine makes a message fit for one line of a terminal: parts of a joined
// error are divided by semicolons, control characters left out.
func OneLine(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}
