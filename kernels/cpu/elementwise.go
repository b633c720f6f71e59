package cpu

import (
	"math"

	"github.com/ledge-run/ledge/graph/dtype"
)

// unaryOp numbers the functions of one argument, and of one argument times a
// second one (a gate).
type unaryOp uint8

const (
	opSiLU unaryOp = iota
	opGELU
	opGELUErf
	opExp

	numUnary
)

// Functions in assembly differ from the exact ones by at most: Exp 2 units in the
// last place (below the least normal number the result is 0, above the largest it
// is that); SiLU 4 units; GELU 4 + 2|x|³ units, from the rounding of its argument
// of exp; both 1e-36 where they vanish; GELUErf 2e-7 times the larger of 1 and
// |x|; SoftCap 3e-7 times the cap. The tests hold these bounds.

// Exp computes e to the power of x.
func (k *Kernels) Exp(dst, x []float32) { k.unary(opExp, dst, x, exp) }

// SiLU computes x / (1 + exp(-x)).
func (k *Kernels) SiLU(dst, x []float32) { k.unary(opSiLU, dst, x, silu) }

// GELU computes the tanh form of the Gaussian error linear unit,
// x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x³))).
func (k *Kernels) GELU(dst, x []float32) { k.unary(opGELU, dst, x, gelu) }

// GELUErf computes the exact Gaussian error linear unit, x/2 * (1 + erf(x/sqrt(2))).
func (k *Kernels) GELUErf(dst, x []float32) { k.unary(opGELUErf, dst, x, geluErf) }

// SwiGLU computes SiLU(gate) * up.
func (k *Kernels) SwiGLU(dst, gate, up []float32) { k.gated(opSiLU, dst, gate, up, silu) }

// GeGLU computes GELU(gate) * up.
func (k *Kernels) GeGLU(dst, gate, up []float32) { k.gated(opGELU, dst, gate, up, gelu) }

// GeGLUErf computes GELUErf(gate) * up.
func (k *Kernels) GeGLUErf(dst, gate, up []float32) { k.gated(opGELUErf, dst, gate, up, geluErf) }

// callValues is the number of values that one call of assembly, which cannot be
// preempted, gets of an elementwise operation.
const callValues = 1 << 15

// chunks runs f over [0, n) in ranges of at most callValues.
func chunks(n int, f func(from, n int)) {
	for from := 0; from < n; from += callValues {
		f(from, min(callValues, n-from))
	}
}

func (k *Kernels) unary(op unaryOp, dst, x []float32, f func(float32) float32) {
	dst = dst[:len(x)]
	if k.asm == nil {
		for i, v := range x {
			dst[i] = f(v)
		}
		return
	}
	kernel := k.asm.unary[op]
	chunks(len(x), func(i, n int) { kernel(&dst[i], &x[i], n) })
}

func (k *Kernels) gated(op unaryOp, dst, x, up []float32, f func(float32) float32) {
	dst, up = dst[:len(x)], up[:len(x)]
	if k.asm == nil {
		for i, v := range x {
			dst[i] = f(v) * up[i]
		}
		return
	}
	kernel := k.asm.gated[op]
	chunks(len(x), func(i, n int) { kernel(&dst[i], &x[i], &up[i], n) })
}

// SoftCap computes limit * tanh(x / limit).
func (k *Kernels) SoftCap(dst, x []float32, limit float32) {
	dst = dst[:len(x)]
	if k.asm == nil {
		for i, v := range x {
			dst[i] = limit * float32(math.Tanh(float64(v/limit)))
		}
		return
	}
	kernel := k.asm.softCap
	chunks(len(x), func(i, n int) { kernel(&dst[i], &x[i], limit, 2/limit, n) })
}

// Add computes a + b.
func (k *Kernels) Add(dst, a, b []float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	if k.asm == nil {
		for i, v := range a {
			dst[i] = v + b[i]
		}
		return
	}
	kernel := k.asm.add
	chunks(len(a), func(i, n int) { kernel(&dst[i], &a[i], &b[i], n) })
}

// Mul computes a * b.
func (k *Kernels) Mul(dst, a, b []float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	if k.asm == nil {
		for i, v := range a {
			dst[i] = v * b[i]
		}
		return
	}
	kernel := k.asm.mul
	chunks(len(a), func(i, n int) { kernel(&dst[i], &a[i], &b[i], n) })
}

// Scale computes x * s.
func (k *Kernels) Scale(dst, x []float32, s float32) {
	dst = dst[:len(x)]
	if k.asm == nil {
		for i, v := range x {
			dst[i] = v * s
		}
		return
	}
	kernel := k.asm.shiftScale
	chunks(len(x), func(i, n int) { kernel(&dst[i], &x[i], 0, s, n) })
}

// F32ToF16 writes x as float16, 2 bytes each, rounded to nearest even.
func (k *Kernels) F32ToF16(dst []byte, x []float32) {
	if len(x) == 0 {
		return
	}
	_ = dst[2*len(x)-1]
	i := 0
	if k.asm != nil {
		i = len(x) &^ 15
		kernel := k.asm.toF16
		chunks(i, func(from, n int) { kernel(&dst[2*from], &x[from], n/16) })
	}
	for ; i < len(x); i++ {
		putHalf(dst[2*i:], dtype.F32ToF16(x[i]))
	}
}

// F16ToF32 reads len(dst) float16 values.
func (k *Kernels) F16ToF32(dst []float32, x []byte) {
	if len(dst) == 0 {
		return
	}
	_ = x[2*len(dst)-1]
	i := 0
	if k.asm != nil {
		i = len(dst) &^ 15
		kernel := k.asm.fromF16
		chunks(i, func(from, n int) { kernel(&dst[from], &x[2*from], n/16) })
	}
	for ; i < len(dst); i++ {
		dst[i] = dtype.F16ToF32(loadHalf(x[2*i:]))
	}
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }

func silu(x float32) float32 { return x / (1 + exp(-x)) }

func gelu(x float32) float32 {
	v := float64(x)
	return float32(v / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v))))
}

func geluErf(x float32) float32 {
	return float32(float64(x) / 2 * (1 + math.Erf(float64(x)/math.Sqrt2)))
}
