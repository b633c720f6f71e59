//go:build unix && !aix && !solaris

package gguf

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMapError: too few addresses are told from other faults, and stay ENOMEM.
func TestMapError(t *testing.T) {
	if err := mapError(5, unix.ENOMEM); !errors.Is(err, unix.ENOMEM) || !strings.Contains(err.Error(), "no address space for its 5 bytes") {
		t.Error(err)
	}
	if err := mapError(5, unix.ENODEV); !errors.Is(err, unix.ENODEV) || !strings.HasPrefix(err.Error(), "mmap: ") {
		t.Error(err)
	}
}

func TestEmptyPath(t *testing.T) {
	if _, err := Open(""); err == nil || err.Error() != "gguf: the path is empty: name a GGUF file" {
		t.Error(err)
	}
}
