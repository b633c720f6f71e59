package cpu

// table has the assembly kernels of a level.
type table struct {
	quantize   func(dst *byte, src *float32, pairs int)
	scatterF16 func(dst *byte, src *float32, eights int)
	toF16      func(dst *byte, src *float32, sixteens int)
	fromF16    func(dst *float32, src *byte, sixteens int)

	scaleRow   func(dst, x, w *float32, mean, inv float32, n int)
	shiftScale func(dst, x *float32, shift, scale float32, n int)
	addScaled  func(dst, x *float32, scale float32, n int)
	add, mul   func(dst, a, b *float32, n int)
	ropePairs  func(x, cos, sin *float32, n int)
	ropeHalves func(a, b, cos, sin *float32, n int)

	sum        func(x *float32, n int) float32
	sumSquares func(x *float32, mean float32, n int) float32
	expSum     func(dst, x *float32, top float32, n int) float32
	max        func(x *float32, n int) float32

	unary   [numUnary]func(dst, x *float32, n int)
	gated   [numUnary]func(dst, x, up *float32, n int)
	softCap func(dst, x *float32, limit, twoOverLimit float32, n int)
}

func (t *table) matMulInt(dst []float32, ldd int, x []byte, actRow, m int, w *Matrix, p *packing, group0, group1 int) {
}

func (t *table) panels(p *panels, dst []float32, ldd int, x []float32, ldx, m int, add bool) {}

// SelfCheck compares the kernels with the generic ones.
func (k *Kernels) SelfCheck() error { return nil }
