package files

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks the byte far beyond the file's end, which stands for the file: that stays
// readable.
func tryLock(f *os.File) (bool, error) {
	at := &windows.Overlapped{Offset: ^uint32(0), OffsetHigh: 0x7fffffff}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return false, nil
	}
	return err == nil, err
}
