package cpu

// levelBatch returns the kernels of a level, nil if there are none.
func levelBatch(l Level) *batchKernels {
	switch l {
	case AVX2, AVXVNNI:
		return &avx2Batch
	case AVX512:
		return &avx512Batch
	}
	return nil
}
