package cpu

import "unsafe"

// align is the alignment of everything that kernels read: a cache line.
const align = 64

// memory is a block that begins at a multiple of align.
type memory struct {
	bytes []byte
	whole []byte       // what was asked of the system; nil if the block is Go's
	unmap func() error // for what is mapped from a file
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// floatsOf sees bytes, aligned to 4, as float32 in the machine's order. The
// only machines Ledge runs on are little-endian, as its files are.
func floatsOf(b []byte) []float32 {
	if len(b) < 4 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
