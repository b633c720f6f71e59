package run

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lock keeps other programs from writing until the file is closed: the byte far
// beyond its end that is locked stands for the file, which stays readable.
func lock(f *os.File) error {
	at := &windows.Overlapped{Offset: ^uint32(0), OffsetHigh: 0x7fffffff}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errLocked
	}
	return err
}
