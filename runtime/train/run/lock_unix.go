//go:build unix && !solaris && !illumos && !aix

package run

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lock keeps other programs away until the file is closed.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return errLocked
	case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOLCK):
		return nil // a file system without locks: there is nothing better
	}
	return err
}
