package dtype

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Dequantize decodes src into dst as float32. src must hold whole blocks and
// dst have room for exactly their values. It is the reference for every kernel
// that reads the type: plain loops, each product and sum rounded to float32 on
// its own, so that the result is the same on every machine.
//
// Types that are not Computable give an error that names the type.
func Dequantize(d DType, dst []float32, src []byte) error {
	t := d.traits()
	if t.dequant == nil {
		return fmt.Errorf("dtype: cannot compute with type %v", d)
	}
	if err := checkLens(d, len(dst), len(src)); err != nil {
		return fmt.Errorf("dtype: dequantize: %w", err)
	}
	t.dequant(dst, src)
	return nil
}

// Quantize encodes src into dst, which must have exactly the bytes src needs;
// len(src) must be a multiple of the type's BlockLen.
//
// F32, F16, BF16, the Q4_0 to Q8_0 family, IQ4_NL and MXFP4 follow the rounding
// of ggml's reference encoders. The K-quants and IQ4_XS use simple encoders
// (range per group, no search for the best scales): valid and sane blocks, for
// tests and tools, of a little less quality than ggml's.
//
// Values must be finite for a meaningful result; others never make it panic.
func Quantize(d DType, dst []byte, src []float32) error {
	t := d.traits()
	if t.quant == nil {
		return fmt.Errorf("dtype: cannot encode type %v", d)
	}
	if err := checkLens(d, len(src), len(dst)); err != nil {
		return fmt.Errorf("dtype: quantize: %w", err)
	}
	t.quant(dst, src)
	return nil
}

func checkLens(d DType, values, bytes int) error {
	need, err := d.RowBytes(values)
	if err != nil {
		return err
	}
	if need != bytes {
		return fmt.Errorf("%d %v values take %d bytes, not %d", values, d, need, bytes)
	}
	return nil
}

func dequantF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func quantF32(dst []byte, src []float32) {
	for i, v := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}

func dequantF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = loadF16(src[2*i:])
	}
}

func quantF16(dst []byte, src []float32) {
	for i, v := range src {
		storeF16(dst[2*i:], v)
	}
}

func dequantBF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = BF16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func quantBF16(dst []byte, src []float32) {
	for i, v := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], F32ToBF16(v))
	}
}

func loadF16(b []byte) float32     { return F16ToF32(binary.LittleEndian.Uint16(b)) }
func storeF16(b []byte, v float32) { binary.LittleEndian.PutUint16(b, F32ToF16(v)) }

// inverse is 1/d, and 0 for 0: a block of zeros encodes as zeros.
func inverse(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

// clampInt truncates v towards zero into [lo, hi]; a NaN gives lo.
func clampInt(v float32, lo, hi int) int {
	if !(v > float32(lo)) {
		return lo
	}
	if v >= float32(hi) {
		return hi
	}
	return int(v)
}

// nearest rounds v to the nearest integer, ties to even, clamped to [lo, hi].
func nearest(v float32, lo, hi int) int {
	return clampInt(float32(math.RoundToEven(float64(v))), lo, hi)
}

// signedMax is the value of the largest magnitude, the first one if several.
func signedMax(x []float32) float32 {
	var best, bestAbs float32
	for _, v := range x {
		if a := abs32(v); a > bestAbs {
			best, bestAbs = v, a
		}
	}
	return best
}

func abs32(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

func minMax(x []float32) (lo, hi float32) {
	lo, hi = x[0], x[0]
	for _, v := range x[1:] {
		lo, hi = min(lo, v), max(hi, v)
	}
	return lo, hi
}
