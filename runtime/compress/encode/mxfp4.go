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
	s := &scheme{}
	var rising []float32
	codes := []byte{15, 14, 13, 12, 11, 10, 9, 0, 1, 2, 3, 4, 5, 6, 7}
	for _, c := range codes {
		rising = append(rising, float32(values[c]))
	}
	s.curve = cpu.NewCurve(rising, codes, -16, 1)
	return s
}()

// mxfp4 tries every power of two that could be the best. ggml takes the one from
// the exponent of the largest magnitude, which may clip or waste a bit.
func (e *Encoder) mxfp4(dst []byte, x, w []float32) {
	big := extreme(x)
	if big == 0 {
		dtype.PackMXFP4(dst, 0, make([]byte, 32))
		return
	}
	w, total := e.weights(w)
	_, exp := math.Frexp(math.Abs(float64(big)))
	first := min(max(exp-3+127-lanes/2, 0), 254-lanes)
	for i := range lanes {
		// Below the smallest normal number an inverse would overflow.
		e.f.ID[i] = 1 / max(dtype.MXFP4Scale(byte(first+i)), 1e-37)
	}
	mx.fit(e, x, w, cpu.FitAsIs, total)
	k := e.better()
	if k < 0 {
		return
	}
	mx.codes(e, e.q[:32], x, e.f.ID[k])
	dtype.PackMXFP4(dst, byte(first+k), e.q[:32])
}
