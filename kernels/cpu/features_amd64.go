package cpu

import (
	"strings"

	"golang.org/x/sys/cpu"
)

const architecture = "amd64"

// missingFeatures lists what the processor lacks for the level; empty if nothing.
func missingFeatures(l Level) string {
	x := &cpu.X86
	type feature struct {
		name string
		has  bool
	}
	var need []feature
	if l >= AVX2 {
		need = append(need, feature{"AVX2", x.HasAVX2}, feature{"FMA", x.HasFMA}, feature{"F16C", x.HasF16C})
	}
	if l == AVXVNNI {
		need = append(need, feature{"AVX-VNNI", x.HasAVXVNNI})
	}
	if l == AVX512 {
		need = append(need, feature{"AVX512F", x.HasAVX512F}, feature{"AVX512BW", x.HasAVX512BW}, feature{"AVX512VL", x.HasAVX512VL},
			feature{"AVX512DQ", x.HasAVX512DQ}, feature{"AVX512VNNI", x.HasAVX512VNNI})
	}
	var missing []string
	for _, f := range need {
		if !f.has {
			missing = append(missing, f.name)
		}
	}
	return strings.Join(missing, ", ")
}

// levelTable returns the assembly kernels of a level, nil if there are none.
func levelTable(l Level) *table {
	switch l {
	case AVX2:
		return &avx2Table
	case AVXVNNI:
		return &avxvnniTable
	case AVX512:
		return &avx512Table
	}
	return nil
}
