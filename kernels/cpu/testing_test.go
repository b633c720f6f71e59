package cpu

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/ledge-run/ledge/graph/dtype"
)

// eachLevel runs a test at every level that this processor has, and with the
// AVX-512 kernels interpreted if it has not that.
func eachLevel(t *testing.T, f func(t *testing.T, k *Kernels)) {
	t.Helper()
	for _, l := range Levels() {
		t.Run(l.String(), func(t *testing.T) { f(t, kernelsOf(l)) })
	}
	if architecture == "amd64" && !slices.Contains(Levels(), AVX512) {
		t.Run("avx512 interpreted", func(t *testing.T) { f(t, interpreted(t)) })
	}
}

var packedTypes = []dtype.DType{
	dtype.F32, dtype.F16, dtype.BF16, dtype.Q4_0, dtype.Q4_1, dtype.Q5_0, dtype.Q5_1, dtype.Q8_0, dtype.Q2_K,
	dtype.Q3_K, dtype.Q4_K, dtype.Q5_K, dtype.Q6_K, dtype.IQ4_NL, dtype.IQ4_XS, dtype.MXFP4,
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 17)) }

func randoms(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

const guard = 0xa5

// guardedBytes returns n bytes at a multiple of 64 with guard bytes around them,
// and a function that checks those.
func guardedBytes(t *testing.T, n int) ([]byte, func()) {
	t.Helper()
	buf := make([]byte, n+256+64)
	for i := range buf {
		buf[i] = guard
	}
	from := 128 + (64-int(uintptr(unsafe.Pointer(&buf[128]))&63))&63
	return buf[from : from+n : from+n], func() {
		t.Helper()
		for i, b := range buf {
			if (i < from || i >= from+n) && b != guard {
				t.Fatalf("wrote outside of %d bytes, at %d", n, i-from)
			}
		}
	}
}

// guardedFloats is guardedBytes for float32.
func guardedFloats(t *testing.T, n int) ([]float32, func()) {
	t.Helper()
	b, check := guardedBytes(t, 4*n)
	if n == 0 {
		return nil, check
	}
	x := unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), n)
	for i := range x {
		x[i] = 77
	}
	return x, check
}

// randomWeights returns rows x cols values as the type stores them, and what they
// stand for.
func randomWeights(t testing.TB, r *rand.Rand, dt dtype.DType, rows, cols int) ([]byte, []float32) {
	t.Helper()
	rowBytes, err := dt.RowBytes(cols)
	if err != nil {
		t.Fatal(err)
	}
	src, vals := make([]byte, rows*rowBytes), randoms(r, rows*cols)
	if err := dtype.Quantize(dt, src, vals); err != nil {
		t.Fatal(err)
	}
	if err := dtype.Dequantize(dt, vals, src); err != nil {
		t.Fatal(err)
	}
	return src, vals
}

// randomActs returns m rows of activations in both forms.
func randomActs(k *Kernels, cols, m int) *Acts {
	x := randoms(newRand(1), m*cols)
	a := &Acts{Cols: cols, F32: x, LD: cols, Q8: make([]byte, m*Q8RowBytes(cols))}
	k.QuantizeRows(a.Q8, x, cols, cols, 0, m)
	return a
}

func packWeights(t testing.TB, dt dtype.DType, src []byte, rows, cols int) *Matrix {
	t.Helper()
	size, err := rows16.PackedSize(dt, rows, cols)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, size+64)
	buf = buf[-uintptr(unsafe.Pointer(&buf[0]))&63:][:size]
	if err := rows16.Pack(buf, dt, src, rows, cols, 0, Groups(rows)); err != nil {
		t.Fatal(err)
	}
	return &Matrix{dt, rows, cols, buf}
}

// nmse is the squared error of got relative to the squares of want.
func nmse(got []float32, want []float64) float64 {
	var e, s float64
	for i, w := range want {
		d := float64(got[i]) - w
		e, s = e+d*d, s+w*w
	}
	if e == 0 {
		return 0
	}
	return e / s
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: value %d is %v (%#x), want %v (%#x)", what, i, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}
