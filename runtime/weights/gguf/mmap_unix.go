//go:build unix && !aix && !solaris

package gguf

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// readFile maps the first size bytes of a file for reading.
func readFile(path string, size int) (data []byte, mapped bool, info os.FileInfo, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, nil, err
	}
	defer f.Close() // the mapping outlives the descriptor
	if info, err = f.Stat(); err != nil {
		return nil, false, nil, err
	}
	if info.Size() < int64(size) { // replaced meanwhile; beyond its end a mapping faults
		return nil, false, nil, io.ErrUnexpectedEOF
	}
	data, err = unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, false, nil, mapError(size, err)
	}
	return data, true, info, nil
}

// mapError is of mapping size bytes, for which memory is not needed, but addresses are.
func mapError(size int, err error) error {
	if errors.Is(err, unix.ENOMEM) {
		return fmt.Errorf("no address space for its %d bytes (%w): raise the limit (ulimit -v) or use a smaller model", size, err)
	}
	return os.NewSyscallError("mmap", err)
}

func unmap(data []byte) error { return unix.Munmap(data) }

func pageSize() int { return os.Getpagesize() }

func madvise(data []byte, a Advice) error {
	how := unix.MADV_WILLNEED
	if a == DontNeed {
		how = unix.MADV_DONTNEED
	}
	return os.NewSyscallError("madvise", unix.Madvise(data, how))
}
