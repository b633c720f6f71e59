package gguf

import (
	"os"

	"golang.org/x/sys/unix"
)

// sendOn has the system begin to write n bytes of a file to disk, and does not wait.
// Where it cannot, or fails, Sync does it, and tells.
func sendOn(f *os.File, from, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), from, n, unix.SYNC_FILE_RANGE_WRITE)
}
