package main

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/worker"
)

// TestSpinIsHeardOf: who is to keep processors busy says so while it does, not when it
// ends: its first line once stayed in a buffer, and a suite stood still.
func TestSpinIsHeardOf(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	heard := errors.New("heard of")
	// Of the limit a loaded machine needs little: the test ends with the first line.
	err = worker.Program{Path: self}.Spin(ctx, 1, 5*time.Minute, func() { cancel(heard) })
	if !errors.Is(err, heard) {
		t.Errorf("the first line did not come while it span: %v", err)
	}
}
