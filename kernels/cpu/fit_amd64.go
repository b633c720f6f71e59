package cpu

// levelFits returns the kernels of a level, nil if there are none.
func levelFits(l Level) *fits {
	switch l {
	case AVX2, AVXVNNI:
		return &avx2Fits
	case AVX512:
		return &avx512Fits
	}
	return nil
}
