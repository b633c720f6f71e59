// Package dtype knows what the values of a tensor look like in memory: the
// plain and block-quantised element types of GGUF files, how to turn them into
// float32 and back, and shapes whose dimensions are constants or symbols.
//
// It is a leaf package: it imports the standard library only, and the graph,
// the kernels and the readers of weight files all speak its types.
//
// A block-quantised type stores values in blocks of BlockLen values, each block
// taking BlockBytes bytes; a row (the innermost dimension of a tensor) is a
// whole number of blocks. All multi-byte fields are little-endian. The layouts
// are those of ggml (ggml-common.h); the codecs here are the readable reference
// for them, and never the fast path.
package dtype

import (
	"fmt"
	"math"
	"strings"
)

// DType is the element type of a tensor. The zero value is Invalid. The numbers
// are Ledge's own; package gguf maps the type ids of files to them.
type DType uint8

// The element types. Those without codecs (Computable reports false) can be
// named, sized and passed around, but not computed with.
const (
	Invalid DType = iota

	F32  // IEEE 754 binary32
	F16  // IEEE 754 binary16
	BF16 // the upper half of a binary32
	F64  // IEEE 754 binary64
	I8   // two's complement
	I16
	I32
	I64

	Q4_0 // 32 values: f16 scale, 4-bit q-8
	Q4_1 // 32 values: f16 scale and minimum, 4-bit q
	Q5_0 // 32 values: f16 scale, 5-bit q-16
	Q5_1 // 32 values: f16 scale and minimum, 5-bit q
	Q8_0 // 32 values: f16 scale, int8 q
	Q8_1 // 32 values: f16 scale and scaled sum, int8 q (activations only)

	Q2_K // 256 values in 16 groups: 4-bit scales and minimums, 2-bit q
	Q3_K // 256 values in 16 groups: 6-bit scales, 3-bit q-4
	Q4_K // 256 values in 8 groups: 6-bit scales and minimums, 4-bit q
	Q5_K // 256 values in 8 groups: 6-bit scales and minimums, 5-bit q
	Q6_K // 256 values in 16 groups: int8 scales, 6-bit q-32
	Q8_K // 256 values: f32 scale, int8 q, group sums (activations only)

	IQ1_S
	IQ1_M
	IQ2_XXS
	IQ2_XS
	IQ2_S
	IQ3_XXS
	IQ3_S
	IQ4_NL // 32 values: f16 scale, 4-bit index into a fixed curve
	IQ4_XS // 256 values in 8 groups: 6-bit scales, 4-bit index into the curve

	TQ1_0
	TQ2_0
	MXFP4 // 32 values: power-of-two scale (E8M0), 4-bit floats (E2M1)
	NVFP4
	Q1_0
	Q2_0

	numDTypes
)

// NumDTypes is one more than the largest DType: the length of a table indexed
// by DType.
const NumDTypes = int(numDTypes)

type traits struct {
	name       string
	blockLen   int
	blockBytes int
	dequant    func(dst []float32, src []byte) // whole blocks; nil if not computable
	quant      func(dst []byte, src []float32)
}

// table has the traits of each type, indexed by DType.
var table = [numDTypes]traits{
	Invalid: {"invalid", 0, 0, nil, nil},

	F32:  {"f32", 1, 4, dequantF32, quantF32},
	F16:  {"f16", 1, 2, dequantF16, quantF16},
	BF16: {"bf16", 1, 2, dequantBF16, quantBF16},
	F64:  {"f64", 1, 8, nil, nil},
	I8:   {"i8", 1, 1, nil, nil},
	I16:  {"i16", 1, 2, nil, nil},
	I32:  {"i32", 1, 4, nil, nil},
	I64:  {"i64", 1, 8, nil, nil},

	Q4_0: {"q4_0", 32, 18, dequantQ4_0, quantQ4_0},
	Q4_1: {"q4_1", 32, 20, dequantQ4_1, quantQ4_1},
	Q5_0: {"q5_0", 32, 22, dequantQ5_0, quantQ5_0},
	Q5_1: {"q5_1", 32, 24, dequantQ5_1, quantQ5_1},
	Q8_0: {"q8_0", 32, 34, dequantQ8_0, quantQ8_0},
	Q8_1: {"q8_1", 32, 36, nil, nil},

	Q2_K: {"q2_k", 256, 84, dequantQ2_K, quantQ2_K},
	Q3_K: {"q3_k", 256, 110, dequantQ3_K, quantQ3_K},
	Q4_K: {"q4_k", 256, 144, dequantQ4_K, quantQ4_K},
	Q5_K: {"q5_k", 256, 176, dequantQ5_K, quantQ5_K},
	Q6_K: {"q6_k", 256, 210, dequantQ6_K, quantQ6_K},
	Q8_K: {"q8_k", 256, 292, nil, nil},

	IQ1_S:   {"iq1_s", 256, 50, nil, nil},
	IQ1_M:   {"iq1_m", 256, 56, nil, nil},
	IQ2_XXS: {"iq2_xxs", 256, 66, nil, nil},
	IQ2_XS:  {"iq2_xs", 256, 74, nil, nil},
	IQ2_S:   {"iq2_s", 256, 82, nil, nil},
	IQ3_XXS: {"iq3_xxs", 256, 98, nil, nil},
	IQ3_S:   {"iq3_s", 256, 110, nil, nil},
	IQ4_NL:  {"iq4_nl", 32, 18, dequantIQ4_NL, quantIQ4_NL},
	IQ4_XS:  {"iq4_xs", 256, 136, dequantIQ4_XS, quantIQ4_XS},

	TQ1_0: {"tq1_0", 256, 54, nil, nil},
	TQ2_0: {"tq2_0", 256, 66, nil, nil},
	MXFP4: {"mxfp4", 32, 17, dequantMXFP4, quantMXFP4},
	NVFP4: {"nvfp4", 64, 36, nil, nil},
	Q1_0:  {"q1_0", 128, 18, nil, nil},
	Q2_0:  {"q2_0", 64, 18, nil, nil},
}

func (d DType) traits() *traits {
	if d >= numDTypes {
		d = Invalid
	}
	return &table[d]
}

// Valid reports whether d is one of the types above other than Invalid.
func (d DType) Valid() bool { return d > Invalid && d < numDTypes }

// String returns the type's name in lower case, such as "f32" or "q4_k".
func (d DType) String() string {
	if d >= numDTypes {
		return fmt.Sprintf("dtype(%d)", uint8(d))
	}
	return table[d].name
}

// Parse is the inverse of String; upper and lower case are the same to it.
func Parse(s string) (DType, error) {
	for d := F32; d < numDTypes; d++ {
		if strings.EqualFold(s, table[d].name) {
			return d, nil
		}
	}
	return Invalid, fmt.Errorf("dtype: unknown element type %q (known: %s)", clip(s), strings.Join(names(), " "))
}

// BlockLen is the number of values in a block: 1 for plain types, 0 for Invalid.
func (d DType) BlockLen() int { return d.traits().blockLen }

// BlockBytes is the size of a block in bytes, 0 for Invalid.
func (d DType) BlockBytes() int { return d.traits().blockBytes }

// RowBytes is the size in bytes of n consecutive values. n must be a multiple
// of BlockLen, and the size must fit an int.
func (d DType) RowBytes(n int) (int, error) {
	t := d.traits()
	switch {
	case t.blockLen == 0:
		return 0, fmt.Errorf("dtype: %v has no size", d)
	case n < 0:
		return 0, fmt.Errorf("dtype: a row of %d values", n)
	case n%t.blockLen != 0:
		return 0, fmt.Errorf("dtype: a row of %d values is not a whole number of %v blocks of %d values", n, d, t.blockLen)
	case n/t.blockLen > math.MaxInt/t.blockBytes:
		return 0, fmt.Errorf("dtype: a row of %d %v values does not fit in memory", n, d)
	}
	return n / t.blockLen * t.blockBytes, nil
}

// Computable reports whether Dequantize and Quantize know the type. Integers
// are not: they are indices, not values to compute with.
func (d DType) Computable() bool { return d.traits().dequant != nil }

// Quantized reports whether the type stores values in blocks of more than one.
func (d DType) Quantized() bool { return d.traits().blockLen > 1 }

// All returns every valid type, in order.
func All() []DType {
	all := make([]DType, 0, numDTypes-1)
	for d := F32; d < numDTypes; d++ {
		all = append(all, d)
	}
	return all
}

func names() []string {
	var out []string
	for _, d := range All() {
		out = append(out, d.String())
	}
	return out
}

// clip shortens outside text for an error message.
func clip(s string) string {
	const limit = 40
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}
