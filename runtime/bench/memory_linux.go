package bench

import "syscall"

// hugeMemory is cleared memory in huge pages, as packed weights are.
func hugeMemory(size int) (mem []byte, free func(), err error) {
	const huge = 2 << 20
	b, err := syscall.Mmap(-1, 0, size+huge, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, nil, err
	}
	mem = aligned(b, huge)[:size]
	_ = syscall.Madvise(mem[:size&^(huge-1)], 14) // MADV_HUGEPAGE, only a hint
	return mem, func() { _ = syscall.Munmap(b) }, nil
}
