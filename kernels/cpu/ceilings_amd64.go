package cpu

// levelCeilings returns the loops of a level, nil if there are none.
func levelCeilings(l Level) *ceilings {
	switch l {
	case AVX2:
		return &avx2Ceilings
	case AVXVNNI:
		return &avxvnniCeilings
	case AVX512:
		return &avx512Ceilings
	}
	return nil
}
