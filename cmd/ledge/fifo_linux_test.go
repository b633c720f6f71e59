package main

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestInterruptAtPipe interrupts commands that wait for a named pipe nobody
// writes to.
func TestInterruptAtPipe(t *testing.T) {
	m := golden(t, "llama-gqa")
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("cannot make a named pipe: ", err)
	}
	for _, args := range [][]string{{"perplexity", "-m", m, "-f", pipe}, {"logits", "-m", m, "-o", "-", "--tokens-file", pipe}} {
		c := program(t, args...)
		var errs bytes.Buffer
		c.Stderr = &errs
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond) // until it waits
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if code := exitOf(c.Wait()); code != exitInterrupted {
			t.Errorf("%v: exit code %d, %q", args, code, &errs)
		}
	}
}
