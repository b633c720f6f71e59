package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/ledge-run/ledge/kernels/ref"
)

// adamWOf takes a step with gradients x from parameters and moments y, and writes the
// parameters, and with them what came of the moments.
func adamWOf(k *Kernels, dst, x, y []float32) {
	a := AdamW{Scale: 0.5, Beta1: 0.9, Beta2: 0.99, Bias2: 1 / 0.3, Eps: 1e-6, Keep: 0.999, Rate: 0.01}
	g, m, v := append([]float32(nil), x...), append([]float32(nil), y...), make([]float32, len(x))
	copy(dst, y)
	for i := range v {
		g[i] = min(max(g[i], -1e3), 1e3)
		v[i] = y[i] * y[i]
	}
	k.AdamW(&a, dst, g, m, v)
	for i := range dst {
		dst[i] += m[i] + v[i] + g[i]
	}
}

// TestTrainKernels: at each level and for odd lengths, within float32's rounding of
// the oracle.
func TestTrainKernels(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, n := range lengths {
			x, dy, w := randoms(newRand(uint64(n)), n), randoms(newRand(uint64(n)+1), n), randoms(newRand(uint64(n)+2), n)
			tmp, got, want := make([]float32, n), make([]float32, n), make([]float32, n)
			near := func(what string, most float64) {
				t.Helper()
				size, worst := 0.0, 0.0
				for i := range want {
					size, worst = max(size, math.Abs(float64(want[i]))), max(worst, math.Abs(float64(got[i]-want[i])))
				}
				if !(worst <= most*max(1e-3, size)) {
					t.Errorf("%s of %d: off by %g of %g", what, n, worst, size)
				}
			}
			for f, name := range []string{"silu", "gelu", "gelu_erf", "relu", "tanh", "sigmoid", "exp"} {
				k.UnaryGrad(Derivative(f), got, x, dy, tmp)
				ref.Zip(want, x, dy, func(x, dy float64) float64 { return ref.Derivatives[name](x) * dy })
				near("derivative of "+name, 1e-6)
			}
			for _, centre := range []bool{false, true} {
				if n == 1 && centre {
					continue // all of it cancels
				}
				k.NormGrad(got, x, dy, w, tmp, n, 1e-2, centre)
				ref.NormGrad(want, x, dy, w, n, 1e-2, centre)
				near(fmt.Sprintf("norm's gradient (%v)", centre), 1e-5)
				clear(got)
				k.NormGradW(got, x, dy, tmp, 1e-2, centre)
				ref.NormGradW(want, x, dy, 1e-2, centre)
				near(fmt.Sprintf("norm's gradient by weight (%v)", centre), 1e-5)
			}
			y := make([]float32, n)
			ref.Softmax(y, x, n)
			ref.SoftmaxGrad(want, y, dy, n)
			k.SoftmaxGrad(got, y, dy, n)
			near("softmax's gradient", 1e-5)
			copy(got, dy)
			k.SoftmaxGrad(got, y, got, n)
			near("softmax's gradient in place", 1e-5)
			adamWOf(k, got, x, dy)
			m, v, g, p := append([]float32(nil), dy...), make([]float32, n), make([]float32, n), append([]float32(nil), dy...)
			for i := range v {
				v[i], g[i] = dy[i]*dy[i], min(max(x[i], -1e3), 1e3)
			}
			ref.AdamW(p, g, m, v, ref.AdamWStep{Beta1: 0.9, Beta2: 0.99, Eps: 1e-6, Scale: 0.5, Rate: 0.01, Bias1: 1, Bias2: 0.3, Decay: 0.1})
			for i := range want {
				want[i] = p[i] + m[i] + v[i]
			}
			near("adamw", 1e-5)
			ref.Dropout(want, x, [2]int32{7, -9}, 3, 0.3)
			Dropout(got[:n/2], x[:n/2], [2]int32{7, -9}, 3, 0, 0.3)
			Dropout(got[n/2:], x[n/2:], [2]int32{7, -9}, 3, n/2, 0.3)
			near("dropout", 1e-6)
		}
	})
}

// TestDropoutRate: as many stay as should, and sites differ.
func TestDropoutRate(t *testing.T) {
	const n = 100000
	x, a, b := make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range x {
		x[i] = 1
	}
	for _, rate := range []float32{0, 0.1, 0.5, 0.9} {
		Dropout(a, x, [2]int32{1, 2}, 1, 0, rate)
		Dropout(b, x, [2]int32{1, 2}, 2, 0, rate)
		stay, both := 0.0, 0.0
		for i := range a {
			if a[i] != 0 {
				stay++
				if b[i] != 0 {
					both++
				}
			}
		}
		keep := 1 - float64(rate)
		if d := math.Abs(stay/n - keep); d > 5*math.Sqrt(keep*(1-keep)/n) {
			t.Errorf("rate %g: %g stay", rate, stay/n)
		}
		if p := keep * keep; math.Abs(both/n-p) > 5*math.Sqrt(p*(1-p)/n) {
			t.Errorf("rate %g: %g stay at two sites, want %g", rate, both/n, p)
		}
	}
}

// TestSoftCrossEntropy: losses and gradients at each level are the oracle's, with
// targets from none to all, with a label among them or not, and where the student is
// so sure that what its targets leave of 1 is less than rounding.
func TestSoftCrossEntropy(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, n := range []int{2, 3, 17, 64, 129, 1000} {
			for _, targets := range []int{1, 2, 7, 64, n} {
				if targets > n {
					continue
				}
				for c, temperature := range []float32{1, 2.5, 0.5} {
					rng := newRand(uint64(n*100 + targets))
					x := randoms(rng, n)
					s := Soft{IDs: make([]int32, targets), Probs: make([]float32, targets), Temperature: temperature, Mix: float32(c) * 0.5}
					left := float32(1)
					for i, id := range rng.Perm(n)[:targets] {
						s.IDs[i], s.Probs[i] = int32(id), left*float32(rng.Float64())
						left -= s.Probs[i]
						if c == 0 && i == 0 {
							x[id] += 60
						}
						if c == 1 && i%3 == 2 { // no target
							left += s.Probs[i]
							s.IDs[i], s.Probs[i] = -1, 0
						}
					}
					label, dy := int32(rng.IntN(n)), []float32{-0.75}
					oracle := ref.Soft[float32]{IDs: s.IDs, Probs: s.Probs, K: targets, Temperature: float64(temperature), Mix: float64(s.Mix)}
					loss, want := []float32{0}, make([]float32, n)
					ref.SoftCrossEntropy(loss, x, []int32{label}, oracle, n)
					ref.SoftCrossEntropyGrad(want, x, []int32{label}, dy, oracle, n)
					tmp, got := make([]float32, SoftScratch(n)), append([]float32(nil), x...)
					what := fmt.Sprintf("%d of %d at %g", targets, n, temperature)
					if l := k.SoftCrossEntropy(nil, x, int(label), &s, 0, tmp); !(math.Abs(float64(l-loss[0])) <= 2e-6*max(1, math.Abs(float64(loss[0])))) {
						t.Errorf("%s: loss %g, want %g", what, l, loss[0])
					}
					k.SoftCrossEntropy(got, got, int(label), &s, dy[0], tmp)
					for i := range want {
						if !(math.Abs(float64(got[i]-want[i])) <= 1e-6) {
							t.Fatalf("%s: gradient %d is %g, want %g", what, i, got[i], want[i])
						}
					}
				}
			}
		}
	})
}

// TestSoftCrossEntropyExtremes: where logits are without probability, or one has all of
// it, what is finite stays so; what is no number is not hidden.
func TestSoftCrossEntropyExtremes(t *testing.T) {
	none, nan := float32(math.Inf(-1)), float32(math.NaN())
	eachLevel(t, func(t *testing.T, k *Kernels) {
		for _, c := range []struct {
			name         string
			x            []float32
			ids          []int32
			probs        []float32
			temp, mix    float32
			label        int
			loss         float64
			first, third float64 // of the gradient
		}{
			{"the others have none", []float32{0, 0, none, none}, []int32{0, 1}, []float32{1, 0}, 1, 0, 0, math.Ln2, -0.5, 0},
			{"one other has none", []float32{0, 0, none, 0}, []int32{0}, []float32{1}, 1, 0, 0, math.Log(3), -2. / 3, 0},
			{"a target has none", []float32{0, 0, none, 0}, []int32{0, 2}, []float32{1, 0}, 1, 0.5, 0, math.Log(3), -2. / 3, 0},
			{"the label has none, and does not count", []float32{0, 0, none, none}, []int32{0, 1}, []float32{0.5, 0.5}, 1, 0, 2, 0, 0, 0},
			{"one has all", []float32{3e4, 0, -3e4, 0}, []int32{0, 1}, []float32{1, 0}, 0.01, 0.5, 0, 0, 0, 0},
			{"the teacher has all elsewhere", []float32{200, 0, 0, 0}, []int32{1}, []float32{1}, 1, 0, 1, 200, 1, 0},
			{"no number among the targets", []float32{nan, 0, 0, 0}, []int32{0}, []float32{1}, 1, 0, 1, math.NaN(), 0, 0},
			{"no number among the others", []float32{0, 0, nan, 0}, []int32{0}, []float32{1}, 1, 0, 1, math.NaN(), 0, 0},
		} {
			s := Soft{IDs: c.ids, Probs: c.probs, Temperature: c.temp, Mix: c.mix}
			tmp, got := make([]float32, SoftScratch(len(c.x))), make([]float32, len(c.x))
			loss := float64(k.SoftCrossEntropy(got, c.x, c.label, &s, 1, tmp))
			if math.IsNaN(c.loss) {
				if !math.IsNaN(loss) {
					t.Errorf("%s: the loss is %g", c.name, loss)
				}
				continue
			}
			if !(math.Abs(loss-c.loss) <= 1e-5*max(1, c.loss)) {
				t.Errorf("%s: the loss is %g, want %g", c.name, loss, c.loss)
			}
			sum := 0.0
			for _, g := range got {
				sum += float64(g)
			}
			if !(math.Abs(float64(got[0])-c.first) <= 1e-6 && math.Abs(float64(got[2])-c.third) <= 1e-6 && math.Abs(sum) <= 1e-6) {
				t.Errorf("%s: the gradient is %g", c.name, got)
			}
		}
	})
}
