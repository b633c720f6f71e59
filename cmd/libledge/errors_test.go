//go:build cgo && linux

package main

import (
	"errors"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"github.com/ledge-run/ledge"
	"github.com/ledge-run/ledge/runtime/kvcache"
	"github.com/ledge-run/ledge/runtime/power"
)

// TestFault: a panic says where it was, also one that the runtime raised.
func TestFault(t *testing.T) {
	for name, f := range map[string]func(){
		"said":   func() { panic("of no use") },
		"nil":    func() { _ = *(*int)(nil) },
		"bounds": func() { _ = make([]int, 3)[len(name())] },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				text := (&fault{recover(), debug.Stack()}).Error()
				if !strings.Contains(text, "errors_test.go:") || strings.Contains(text, "\n") {
					t.Error(text)
				}
			}()
			f()
		})
	}
}

func name() string { return "longer than that" }

// TestArgumentText: what the Go API refuses reads as what is refused here.
func TestArgumentText(t *testing.T) {
	_, err := ledge.Devices(t.Context(), ledge.WithGPULayers(-2))
	if code, _, _, _ := codeOf(err); textOfError(code, err) != "gpu_layers is -2: -1 is as many as fit" {
		t.Errorf("%d, %q", code, textOfError(code, err))
	}
}

// TestCodes: what errors of the Go API are in C, however they are wrapped.
func TestCodes(t *testing.T) {
	_, layers := ledge.Devices(t.Context(), ledge.WithGPULayers(-2))
	for _, c := range []struct {
		err  error
		code int // of ledge.h
	}{
		{errors.New("anything"), 1},
		{argument("out of range"), 2},
		{layers, 2},
		{&handleError{modelKind, handleNull, 0}, 2},
		{&handleError{modelKind, handleUnknown, 0}, 4},
		{&handleError{modelKind, handleOther, sessionKind}, 4},
		{&handleError{modelKind, handleClosed, 0}, 5},
		{ledge.ErrClosed, 5},
		{ledge.ErrSessionClosed, 5},
		{ledge.ErrBusy, 6},
		{&refusal{3}, 8},
		{ledge.ErrEmptyPrompt, 10},
		{&ledge.ContextError{Tokens: 3, Limit: 2}, 11},
		{ledge.ErrCacheFull, 12},
		{&kvcache.ErrFull{Need: 2, Free: 1}, 12},
		{&ledge.MemoryError{Need: 2, Have: 1}, 13},
		{syscall.ENOMEM, 13},
		{ledge.ErrDeviceLost, 14},
		{&fault{"x", nil}, 16},
		{ledge.ErrLimit, 17},
		{ledge.ErrBattery, 18},
	} {
		for _, err := range []error{c.err, wrapped{c.err}, errors.Join(c.err)} {
			if code, _, _, _ := codeOf(err); int(code) != c.code {
				t.Errorf("%T of %T: %d, not %d", err, c.err, code, c.code)
			}
		}
	}
	if got := oneLine("a\nb\tc"); got != "a; b c" {
		t.Errorf("%q", got)
	}
}

// TestCacheFull: how much is missing is told, and which option gives more.
func TestCacheFull(t *testing.T) {
	full := &kvcache.ErrFull{Need: 1, Free: 0}
	if code, _, need, have := codeOf(wrapped{full}); code != 12 || need != 1 || have != 0 {
		t.Error(code, need, have)
	}
	const want = "the key-value cache is full: 1 more page of 64 tokens needed, 0 free; " +
		"close other sessions, or open the model with a larger context or for more sequences (ledge_open_options.sequences)"
	if got := textOfError(12, full); got != want {
		t.Errorf("%q, not %q", got, want)
	}
}

// wrapped has no text of what it wraps: made as they are here, some errors have none.
type wrapped struct{ err error }

func (w wrapped) Error() string { return "on the way" }
func (w wrapped) Unwrap() error { return w.err }

// TestSupply: a board's power is that of the rail that feeds all of it, never a sum.
func TestSupply(t *testing.T) {
	orin := power.Board{Rails: []power.Rail{{Name: "VDD_CPU_GPU_CV", Watts: 2}, {Name: "VDD_IN", Watts: 7.5}}}
	if w, ok := supply(orin); w != 7.5 || !ok {
		t.Error(w, ok)
	}
	for _, b := range []power.Board{{Rails: orin.Rails[:1]}, {}} {
		if w, ok := supply(b); w != 0 || ok {
			t.Error(b, w)
		}
	}
}
