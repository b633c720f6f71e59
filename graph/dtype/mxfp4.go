package dtype

import "math"

// MXFP4 (OCP Microscaling Formats 1.0): 32 values of 4 bits, E2M1, under one
// power-of-two scale, E8M0. A block is the scale byte e and 16 bytes of codes,
// value j in the lower and value j+16 in the upper half of byte j.
//
// As in ggml the codes stand for twice their value, so that they are integers,
// under half the scale: v = 2^(e-128) * curve[code]. The NaN scale 255 is read
// as a number, 2^127, as ggml does.

var mxfp4Curve = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

// halfE8M0 is 2^(e-128); the two smallest are subnormal.
func halfE8M0(e byte) float32 {
	if e < 2 {
		return math.Float32frombits(0x00200000 << e)
	}
	return math.Float32frombits(uint32(e-1) << 23)
}

func dequantMXFP4(dst []float32, src []byte) {
	for ; len(src) > 0; dst, src = dst[32:], src[17:] {
		d := halfE8M0(src[0])
		for j, b := range src[1:17] {
			dst[j] = d * float32(mxfp4Curve[b&15])
			dst[j+16] = d * float32(mxfp4Curve[b>>4])
		}
	}
}

// quantMXFP4 takes the scale from the exponent of the largest magnitude, as
// ggml and the OCP text do, and for each value the nearest code, the first one
// if several are equally near (so never the second zero).
func quantMXFP4(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[17:], src[32:] {
		var e int
		if amax := abs32(signedMax(src[:32])); amax > 0 {
			_, exp := math.Frexp(float64(amax)) // amax = f * 2^exp, f in [0.5, 1)
			e = max(0, min(254, exp-1-2+127))
		}
		dst[0] = byte(e)
		d := halfE8M0(byte(e))
		for j := range 16 {
			dst[1+j] = mxfp4Nearest(src[j], d) | mxfp4Nearest(src[j+16], d)<<4
		}
	}
}

func mxfp4Nearest(v, d float32) byte {
	best, bestErr := 0, abs32(v)
	for code := 1; code < len(mxfp4Curve); code++ {
		if err := abs32(float32(d*float32(mxfp4Curve[code])) - v); err < bestErr {
			best, bestErr = code, err
		}
	}
	return byte(best)
}
