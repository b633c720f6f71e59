package cpu

import "golang.org/x/sys/cpu"

// levelPairs returns the kernels of bfloat16 pairs that go with a level, nil if there
// are none or the processor cannot run them.
func levelPairs(l Level) *pairs {
	if l == AVX512 && cpu.X86.HasAVX512BF16 {
		return &avx512Pairs
	}
	return nil
}
