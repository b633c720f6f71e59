package bench

import "unsafe"

// aligned is the part of b from its first multiple of n on.
func aligned(b []byte, n uintptr) []byte {
	return b[-uintptr(unsafe.Pointer(unsafe.SliceData(b)))&(n-1):]
}
