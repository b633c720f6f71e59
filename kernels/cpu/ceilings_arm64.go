package cpu

// levelCeilings returns the loops of a level, nil if there are none.
func levelCeilings(l Level) *ceilings {
	switch l {
	case NEON:
		return &neonCeilings
	case DotProd:
		return &dotprodCeilings
	case I8MM:
		return &i8mmCeilings
	}
	return nil
}
