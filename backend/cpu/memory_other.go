//go:build !linux

package cpu

import "runtime"

// allocate gives cleared memory.
func allocate(what string, size int) (memory, error) {
	b := make([]byte, size+align)
	off := 0
	if size > 0 {
		off = -int(address(b)) & (align - 1)
	}
	return memory{bytes: b[off : off+size : off+size]}, nil
}

func (m memory) free() error {
	if m.unmap != nil {
		return m.unmap()
	}
	return nil
}

func processorName() string { return runtime.GOARCH + " processor" }
