package cpu

import (
	"fmt"
	"os"
	"strings"
)

// Level is a set of processor features that one family of kernels needs. Levels
// compute the same thing with different roundings.
type Level uint8

// The levels, from the one that runs everywhere to the fastest.
const (
	Generic Level = iota // plain Go
	AVX2                 // amd64 with AVX2, FMA and F16C
	AVXVNNI              // amd64 with AVX-VNNI besides
	AVX512               // amd64 with AVX-512 F, BW, VL, DQ and VNNI
	NEON                 // any arm64
	DotProd              // arm64 with the dot products of bytes (ARMv8.2 dotprod)
	I8MM                 // arm64 with dotprod and the products of matrices of bytes (i8mm)

	numLevels
)

var levelNames = [numLevels]string{"generic", "avx2", "avxvnni", "avx512", "neon", "dotprod", "i8mm"}

// String returns the name that LEDGE_CPU takes.
func (l Level) String() string {
	if l >= numLevels {
		return fmt.Sprintf("level(%d)", uint8(l))
	}
	return levelNames[l]
}

// Version changes with every change of what a kernel computes, if only in the
// last bit: what was computed by one version is not mixed with another's.
const Version = "2"

// EnvLevel is the environment variable that forces a level.
const EnvLevel = "LEDGE_CPU"

// Kernels are the kernels of one level. They are safe for concurrent use.
type Kernels struct {
	level Level
	asm   *table // nil at the generic level
	pairs *pairs // nil if the processor cannot multiply pairs of bfloat16
}

// Level returns the level of the kernels.
func (k *Kernels) Level() Level { return k.level }

// Layout returns the packed layout that the kernels read weights in.
func (k *Kernels) Layout() Layout { return rows16 }

// Levels returns the levels that this processor and build can run, the slowest
// first. Generic is always there.
func Levels() []Level {
	levels := []Level{Generic}
	for l := Generic + 1; l < numLevels; l++ {
		if levelTable(l) != nil && missingFeatures(l) == "" {
			levels = append(levels, l)
		}
	}
	return levels
}

// Select returns the kernels of the level named by force; if force is empty, of
// the level in the environment variable LEDGE_CPU; if that is empty too, of the
// best level whose self-check passes. A level that is unknown, not in this build
// or not supported by the processor is an error.
func Select(force string) (*Kernels, error) {
	from := "forced level"
	if force == "" {
		force, from = os.Getenv(EnvLevel), EnvLevel
	}
	if force == "" {
		levels := Levels()
		for i := len(levels) - 1; i > 0; i-- {
			if k := kernelsOf(levels[i]); k.SelfCheck() == nil {
				return k, nil
			}
		}
		return kernelsOf(Generic), nil
	}
	for l := range numLevels {
		if !strings.EqualFold(force, levelNames[l]) {
			continue
		}
		if l != Generic && levelTable(l) == nil {
			return nil, fmt.Errorf("%s %q: no such kernels in a build for %s; use one of %v", from, force, architecture, Levels())
		}
		if missing := missingFeatures(l); missing != "" {
			return nil, fmt.Errorf("%s %q: this processor lacks %s; use one of %v", from, force, missing, Levels())
		}
		k := kernelsOf(l)
		if err := k.SelfCheck(); err != nil {
			return nil, fmt.Errorf("%s %q: %w", from, force, err)
		}
		return k, nil
	}
	return nil, fmt.Errorf("%s %q is not a level; use one of %v", from, force, Levels())
}

func kernelsOf(l Level) *Kernels { return &Kernels{level: l, asm: levelTable(l), pairs: levelPairs(l)} }
