//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// ignoreFileLimit makes a file that may not grow an error of the write, as a full disk
// is, instead of the end of the program.
func ignoreFileLimit() { signal.Ignore(syscall.SIGXFSZ) }
