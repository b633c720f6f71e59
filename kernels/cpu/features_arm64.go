package cpu

import (
	"strings"

	"golang.org/x/sys/cpu"
)

const architecture = "arm64"

// missingFeatures lists what the processor lacks for the level; empty if nothing.
func missingFeatures(l Level) string {
	var missing []string
	if l >= DotProd && !cpu.ARM64.HasASIMDDP {
		missing = append(missing, "dotprod")
	}
	if l >= I8MM && !cpu.ARM64.HasI8MM {
		missing = append(missing, "i8mm")
	}
	return strings.Join(missing, ", ")
}

// levelTable returns the assembly kernels of a level, nil if there are none.
func levelTable(l Level) *table {
	switch l {
	case NEON:
		return &neonTable
	case DotProd:
		return &dotprodTable
	case I8MM:
		return &i8mmTable
	}
	return nil
}
