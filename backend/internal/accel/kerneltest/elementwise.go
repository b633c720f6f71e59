package kerneltest

import (
	"fmt"
	"math"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/kernels/ref"
	"github.com/ledge-run/ledge/kernels/shader"
)

// off is a pointer to an offset.
func off(n uint32) *uint32 { return &n }

// features of the API.
func features(api accel.API) shader.Features { return api.Limits().Features }

func testNorms(t *testing.T, api accel.API) {
	m := New(t, api)
	for _, cols := range []int{1, 2, 64, 127, 128, 129, 576, 1031, 4100} {
		for _, rows := range []int{1, 5, 33} {
			for _, kind := range []string{"rms", "rms-plain", "rms-add", "layer", "layer-weight", "layer-bias", "in-place"} {
				t.Run(fmt.Sprintf("%s-%dx%d", kind, rows, cols), func(t *testing.T) {
					r := newRand(cols, rows, len(kind))
					x, w, b, y := random(r, rows*cols), random(r, cols), random(r, cols), random(r, rows*cols)
					var a Arena
					n := shader.Norm{Cols: cols, Rows: shader.Each(1, shader.SizeT), Eps: 1e-5}
					want := make([]float32, rows*cols)
					if kind == "in-place" {
						n.X = a.Room(rows * cols)
						n.Out = n.X
						copy(a.words[n.X:], Bits(x))
					} else {
						n.X, n.Out = a.Value(x), a.Room(rows*cols)
					}
					add := a.Value(y)
					m.Put(shader.Vectors, 0, Bits(append(append([]float32{5}, w...), b...)))
					weight, bias := off(1), off(uint32(1+cols))
					switch kind {
					case "rms", "in-place":
						n.Weight = weight
						ref.RMSNorm(want, x, w, cols, n.Eps)
					case "rms-plain":
						ref.RMSNorm(want, x, nil, cols, n.Eps)
					case "rms-add":
						n.Weight, n.Add = weight, off(add)
						ref.RMSNorm(want, x, w, cols, n.Eps)
						for i := range want {
							want[i] += y[i]
						}
					default:
						n.Kind, n.Eps = shader.NormLayer, 1e-2
						var rw, rb []float32
						if kind != "layer" {
							n.Weight, rw = weight, w
						}
						if kind == "layer-bias" {
							n.Bias, rb = bias, b
						}
						ref.LayerNorm(want, x, rw, rb, cols, n.Eps)
					}
					a.Load(m)
					m.Do(shader.Sizes{T: rows}, n.Calls(features(api))...)
					a.Check(m)
					Near(t, "norm", m.Floats(shader.Arena, n.Out, rows*cols), want, 1e-10)
				})
			}
		}
	}
}

func testUnary(t *testing.T, api accel.API) {
	m := New(t, api)
	for _, c := range []struct {
		name   string
		op     shader.UnaryOp
		factor float32
		f      func(float64) float64
		big    []float32 // where the result is finite
		bound  float64
	}{
		{"scale", shader.UnaryScale, -0.37, func(x float64) float64 { return x * float64(float32(-0.37)) }, []float32{1e30}, 1e-13},
		{"soft_cap", shader.UnarySoftCap, 7.5, ref.SoftCap(7.5), []float32{1e3, -1e3, 1e30, -1e30}, 1e-12},
		{"silu", shader.UnarySilu, 0, ref.Silu, []float32{1e3, -1e3, 88, -88, 1e30, -1e30}, 1e-12},
		{"gelu", shader.UnaryGelu, 0, ref.Gelu, []float32{50, -50, 1e3, -1e3, 1e30, -1e30}, 1e-10},
		{"gelu_erf", shader.UnaryGeluErf, 0, ref.GeluErf, []float32{50, -50, 1e3, -1e3, 1e30, -1e30}, 1e-10},
		{"relu", shader.UnaryRelu, 0, ref.Relu, []float32{1e30, -1e30}, 0},
		{"tanh", shader.UnaryTanh, 0, math.Tanh, []float32{50, -50, 1e30, -1e30}, 1e-12},
		{"sigmoid", shader.UnarySigmoid, 0, ref.Sigmoid, []float32{50, -50, 1e30, -1e30}, 1e-12},
		{"exp", shader.UnaryExp, 0, math.Exp, []float32{-200, -1e30}, 1e-12},
	} {
		for _, n := range []int{1, 3, 511, 512, 513, 2100} {
			t.Run(fmt.Sprintf("%s-%d", c.name, n), func(t *testing.T) {
				r := newRand(n, int(c.op))
				x := random(r, 3*n)
				for i := range x {
					x[i] *= 3
				}
				want := make([]float32, 3*n)
				ref.Map(want, x, c.f)
				var a Arena
				from, to := a.Value(x), a.Room(3*n)
				big, bigTo := a.Value(c.big), a.Room(len(c.big))
				a.Load(m)
				u := shader.Unary{Op: c.op, Factor: c.factor, Elems: shader.Each(n, shader.SizeT), X: from, Out: to}
				calls := u.Calls(features(api))
				u.X, u.Out, u.Elems = big, bigTo, shader.Const(len(c.big))
				m.Do(shader.Sizes{T: 3}, append(calls, u.Calls(features(api))...)...)
				a.Check(m)
				Near(t, c.name, m.Floats(shader.Arena, to, 3*n), want, c.bound)
				for i, got := range m.Floats(shader.Arena, bigTo, len(c.big)) {
					w := c.f(float64(c.big[i]))
					// GLSL's exp may be off by 2|x|+3 units in the last place, and a device may
					// take the smallest numbers for zero.
					if !(math.Abs(float64(got)-w) <= 1e-5*math.Abs(w)+1e-36) {
						t.Errorf("%s(%g) is %g, want %g", c.name, c.big[i], got, w)
					}
				}
			})
		}
	}
}

func testBinary(t *testing.T, api accel.API) {
	m := New(t, api)
	fs := []func(x, y float64) float64{
		func(x, y float64) float64 { return x + y }, func(x, y float64) float64 { return x - y },
		func(x, y float64) float64 { return x * y }, func(x, y float64) float64 { return x / y },
	}
	for op, f := range fs {
		for _, n := range []int{1, 7, 512, 2100} {
			for _, kind := range []string{"same", "self", "vector", "rows", "in-place"} {
				t.Run(fmt.Sprintf("%d-%s-%d", op, kind, n), func(t *testing.T) {
					const rows = 3
					r := newRand(op, n)
					x, y := random(r, 2*rows*n), random(r, 2*rows*n)
					b := shader.Binary{Op: shader.BinaryOp(op), Elems: shader.Each(2*n, shader.SizeT), Period: shader.Each(2*n, shader.SizeT)}
					var a Arena
					b.A, b.Out = a.Value(x), a.Room(len(x))
					switch kind {
					case "same":
						b.B = a.Value(y)
					case "in-place":
						b.B = b.Out
						copy(a.words[b.Out:], Bits(y))
					case "self":
						y, b.B = x, b.A
					case "vector":
						y, b.B, b.BIsVector, b.Period = y[:n], 2, true, shader.Const(n)
						m.Put(shader.Vectors, 0, Bits(append([]float32{8, 9}, y...)))
					case "rows": // the suffix [T, n] of [2, T, n]
						y, b.Period = y[:rows*n], shader.Each(n, shader.SizeT)
						b.B = a.Value(y)
					}
					want := make([]float32, len(x))
					ref.Zip(want, x, y, f)
					a.Load(m)
					m.Do(shader.Sizes{T: rows}, b.Calls(features(api))...)
					a.Check(m)
					Near(t, kind, m.Floats(shader.Arena, b.Out, len(x)), want, 1e-13)
				})
			}
		}
	}
}

func testSoftmax(t *testing.T, api accel.API) {
	m := New(t, api)
	for _, cols := range []int{1, 2, 127, 128, 129, 1000} {
		for _, rows := range []int{1, 6} {
			t.Run(fmt.Sprintf("%dx%d", rows, cols), func(t *testing.T) {
				x := random(newRand(cols, rows), rows*cols)
				for i := range x {
					x[i] *= 10
				}
				want := make([]float32, len(x))
				ref.Softmax(want, x, cols)
				var a Arena
				from, to := a.Value(x), a.Room(len(x))
				a.Load(m)
				// The columns are a size of the run, then the rows.
				calls := shader.Softmax{Cols: shader.Each(1, shader.SizeT), Rows: shader.Const(rows), X: from, Out: to}.Calls(features(api))
				m.Do(shader.Sizes{T: cols}, calls...)
				a.Check(m)
				Near(t, "over the run's size", m.Floats(shader.Arena, to, len(x)), want, 1e-11)
				calls = shader.Softmax{Cols: shader.Const(cols), Rows: shader.Each(1, shader.SizeR), X: from, Out: to}.Calls(features(api))
				m.Do(shader.Sizes{R: rows}, calls...)
				a.Check(m)
				Near(t, "of the run's rows", m.Floats(shader.Arena, to, len(x)), want, 1e-11)
			})
		}
	}
}
