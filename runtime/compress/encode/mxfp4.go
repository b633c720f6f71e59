package encode

import (
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/kernels/cpu"
)

// mx are the values of MXFP4. A code is a sign and a magnitude; the second zero
// is not used.
var mx = func() *scheme {
	values := dtype.MXFP4Curve()
	var rising []float32
	codes := []byte{15, 14, 13, 12, 11, 10, 9, 0, 1, 2, 3, 4, 5, 6, 7}
	for _, c := range codes {
		rising = append(rising, float32(values[c]))
	}
	return &scheme{codes: cpu.Codebook{Curve: cpu.NewCurve(rising, codes, -16, 1)}}
}()

// mxfp4Scales are the powers of two that are tried: the largest magnitude becomes 16
// to 32, 8 to 16, 4 to 8 or 2 to 4, of which the largest code stands for 12. ggml takes
// the second always, which may clip or waste a bit. With weights the largest may be
// worth little, and smaller scales are tried as well.
var (
	mxfp4Scales = []float32{0.5, 1, 2, 4}
	mxfp4Wide   = []float32{1. / 32, 1. / 16, 1. / 8, 1. / 4, 0.5, 1, 2, 4}
)

func (e *Encoder) mxfp4(dst []byte, x []float32, blocks int) {
	b := &e.b
	var exp [cpu.BatchLanes]int
	for i, hi := range &b.Hi {
		bits := math.Float32bits(max(hi, -b.Lo[i]))
		// MXFP4Scale(exp) is 2^(exp-128); below 2^-126 inverses would overflow.
		exp[i] = max(int(bits>>23)-127-3+128, 8)
		b.A[i], b.B[i] = dtype.MXFP4Scale(byte(exp[i])), 0
	}
	b.Reset()
	grid := mxfp4Scales
	if e.weighted {
		grid = mxfp4Wide
	}
	e.k.FitNear(b, e.size, grid, &mx.codes)
	for i, p := range &b.P {
		exp[i] = max(exp[i]+math.Ilogb(float64(p)), 0)
		if b.Hi[i] == 0 && b.Lo[i] == 0 {
			exp[i] = 0
		}
		e.id[i] = 1 / max(dtype.MXFP4Scale(byte(exp[i])), 1e-37)
	}
	mx.write(e, x)
	for i := range blocks {
		dtype.PackMXFP4(dst[17*i:], byte(exp[i]), e.q[32*i:32*i+32])
	}
}
