package ref

import (
	"math"
	"testing"
)

// near compares with values computed elsewhere (numpy, in double precision).
func near(t *testing.T, name string, got []float32, want ...float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - want[i]); !(d <= 1e-6*max(1, math.Abs(want[i]))) {
			t.Errorf("%s: element %d is %v, want %v", name, i, got[i], want[i])
		}
	}
}

func TestNorms(t *testing.T) {
	x := []float32{3, 4, 0, 0, 1, -1, 1, -1}
	out := make([]float32, 8)
	RMSNorm(out, x, nil, 4, 0)
	near(t, "rms_norm", out, 1.2, 1.6, 0, 0, 1, -1, 1, -1)
	RMSNorm(out, x, []float32{1, 2, 3, 4}, 4, 0.75)
	s := math.Sqrt(25.0/4 + 0.75)
	r := math.Sqrt(1.75)
	near(t, "rms_norm with weight", out, 3/s, 8/s, 0, 0, 1/r, -2/r, 3/r, -4/r)
	LayerNorm(out, x, nil, nil, 4, 0)
	// mean 1.75, variance (1.25²+2.25²+1.75²+1.75²)/4 = 3.1875
	v := math.Sqrt(3.1875)
	near(t, "layer_norm", out, 1.25/v, 2.25/v, -1.75/v, -1.75/v, 1, -1, 1, -1)
	LayerNorm(out[:4], x[4:], []float32{1, 2, 3, 4}, []float32{5, 6, 7, 8}, 4, 3)
	near(t, "layer_norm with weight and bias", out[:4], 0.5+5, -1+6, 1.5+7, -2+8)
}

func TestProducts(t *testing.T) {
	out := make([]float32, 4)
	Linear(out, []float32{1, 2, 3, 4, 5, 6}, []float32{1, 0, -1, 2, 2, 2}, 2, 2, 3)
	near(t, "linear", out, -2, 12, -2, 30)
	MatMul(out, []float32{1, 2, 3, 4}, []float32{5, 6, 7, 8}, 1, 2, 2, 2)
	near(t, "matmul", out, 19, 22, 43, 50)
	MatMul(out[:2], []float32{1, 2, 3, 4}, []float32{5, 6, 7, 8}, 2, 1, 1, 2)
	near(t, "matmul in a batch", out[:2], 17, 53)
}

func TestFunctions(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(float64) float64
		x, y float64
	}{
		{"silu", Silu, 1, 0.7310585786300049},
		{"silu", Silu, -2, -0.2384058440442351},
		{"silu", Silu, -1000, 0},
		{"sigmoid", Sigmoid, 0.5, 0.6224593312018546},
		{"relu", Relu, -3, 0},
		{"relu", Relu, 3, 3},
		{"gelu", Gelu, 1, 0.8411919906082768},
		{"gelu", Gelu, -0.5, -0.154285988},
		{"gelu_erf", GeluErf, 1, 0.8413447460685429},
		{"gelu_erf", GeluErf, -0.5, -0.1542687694},
		{"soft_cap", SoftCap(30), 30, 22.847824676672},
		{"soft_cap", SoftCap(2), -100, -2},
	} {
		out := make([]float32, 1)
		Map(out, []float32{float32(c.x)}, c.f)
		near(t, c.name, out, c.y)
	}
	out := make([]float32, 4)
	Zip(out, []float32{1, 2, 3, 4}, []float32{10, 20}, func(x, y float64) float64 { return x - y })
	near(t, "zip", out, -9, -18, -7, -16)
	Softmax(out, []float32{0, 0, 1000, 1002}, 2)
	near(t, "softmax", out, 0.5, 0.5, 0.11920292202211755, 0.8807970779778823)
}

func TestRope(t *testing.T) {
	// A quarter turn of the first pair, half a turn of the second; the last
	// two elements stay.
	cos, sin := []float32{0, -1}, []float32{1, 0}
	x := []float32{1, 2, 3, 4, 5, 6}
	Rope(x, 6, cos, sin, true)
	near(t, "pairs", x, -2, 1, -3, -4, 5, 6)
	x = []float32{1, 2, 3, 4, 5, 6}
	Rope(x, 6, cos, sin, false)
	near(t, "halves", x, -3, -2, 1, -4, 5, 6)
}

func TestAttention(t *testing.T) {
	keys := [][]float32{{1, 0}, {0, 1}, {5, 5}}
	values := [][]float32{{1, 10}, {3, 30}, {100, 100}}
	key := func(p int) []float32 { return keys[p] }
	value := func(p int) []float32 { return values[p] }
	out := make([]float32, 2)
	Attention(out, []float32{float32(math.Log(3)), 0}, 3, 1, 0, func(p int) bool { return p < 2 }, key, value)
	near(t, "attention", out, 1.5, 15) // weights 3/4 and 1/4
	Attention(out, []float32{1, 1}, 3, 1, 1e-9, func(p int) bool { return true }, key, value)
	near(t, "capped to nothing", out, 104.0/3, 140.0/3)
	Attention(out, []float32{1, 1}, 3, 1, 0, func(p int) bool { return false }, key, value)
	near(t, "sees nothing", out, 0, 0)
}
