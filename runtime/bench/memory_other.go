//go:build !linux

package bench

// hugeMemory is cleared memory.
func hugeMemory(size int) (mem []byte, free func(), err error) {
	return aligned(make([]byte, size+64), 64)[:size], func() {}, nil
}
