package backendtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/selftest"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// trainingCases are the operations of training that give values.
func trainingCases() []opCase {
	var all []opCase
	add := func(c opCase) { all = append(all, c) }
	value := func(b *graph.Builder, name string, dims ...int) *graph.Node {
		shape := []dtype.Dim{T}
		for _, d := range dims {
			shape = append(shape, C(d))
		}
		return b.Input(name, graph.F32(shape...))
	}
	rows := []int{1, 2, 5, 17, 65, 130}
	for _, d := range []int{1, 2, 15, 16, 17, 64, 127, 257} {
		name := fmt.Sprint(d)
		for _, f := range []string{"silu", "gelu", "gelu_erf", "relu", "tanh", "sigmoid", "exp", "soft_cap"} {
			a := graph.UnaryGradAttr{Of: f}
			if f == "soft_cap" {
				a.Cap = 2.5
			}
			c := one(graph.OpUnaryGrad, f+"-"+name, fewRows, func(b *graph.Builder) *graph.Node {
				return b.Add(graph.OpUnaryGrad, a, b.Scale(value(b, "x", d), 2), value(b, "dy", d))
			})
			c.bound = 1e-9 // sums of terms that cancel
			add(c)
		}
		for n := range 4 {
			a := graph.NormGradAttr{Eps: 1e-2, Centre: n%2 == 1}
			c := one(graph.OpNormGrad, fmt.Sprintf("%d-%d", d, n), fewRows, func(b *graph.Builder) *graph.Node {
				in := []*graph.Node{value(b, "x", d), value(b, "dy", d), b.Weight("w", dtype.F32, d)}
				return b.Add(graph.OpNormGrad, a, in[:2+n/2]...)
			})
			c.bound = 1e-8 // what a norm leaves of a gradient may be little
			if d > 1 || !a.Centre {
				add(c)
			}
		}
		for _, centre := range []bool{false, true} {
			c := one(graph.OpNormGradW, fmt.Sprintf("%d-%v", d, centre), rows, func(b *graph.Builder) *graph.Node {
				return b.Add(graph.OpNormGradW, graph.NormGradAttr{Eps: 1e-2, Centre: centre}, value(b, "x", d), value(b, "dy", d))
			})
			c.bound = 1e-8
			if d > 1 || !centre {
				add(c)
			}
		}
		c := one(graph.OpSoftmaxGrad, name, fewRows, func(b *graph.Builder) *graph.Node {
			return b.Add(graph.OpSoftmaxGrad, nil, b.Add(graph.OpSoftmax, nil, value(b, "x", d)), value(b, "dy", d))
		})
		c.bound = 1e-8
		if d > 1 {
			add(c)
		}
		add(one(graph.OpSumTo, name, rows, func(b *graph.Builder) *graph.Node {
			return b.Add(graph.OpSumTo, graph.KeepAttr{Keep: 1}, value(b, "x", d))
		}))
		add(one(graph.OpSumTo, "heads-"+name, rows, func(b *graph.Builder) *graph.Node {
			return b.Add(graph.OpSumTo, graph.KeepAttr{Keep: 1}, value(b, "x", 3, d))
		}))
		add(one(graph.OpSumTo, "all-"+name, rows, func(b *graph.Builder) *graph.Node {
			return b.Add(graph.OpSumTo, graph.KeepAttr{}, b.Add(graph.OpExp, nil, value(b, "x", d)))
		}))
		for _, p := range []graph.PadAttr{{Axis: 1, Start: 0, Size: d + 3}, {Axis: 1, Start: 5, Size: d + 5}, {Axis: 2, Start: 1, Size: 9}} {
			add(one(graph.OpPad, fmt.Sprintf("%d-%d-%d", d, p.Axis, p.Start), []int{1, 5}, func(b *graph.Builder) *graph.Node {
				return b.Add(graph.OpPad, p, value(b, "x", d, 4))
			}))
		}
		add(one(graph.OpScatterRows, name, rows, func(b *graph.Builder) *graph.Node {
			return b.Add(graph.OpScatterRows, graph.ReshapeAttr{Shape: dtype.Shape{C(23), C(d)}}, value(b, "x", d), b.Input("rows", graph.I32(T)))
		}))
		add(one(graph.OpDropout, name, fewRows, func(b *graph.Builder) *graph.Node {
			return b.Add(graph.OpDropout, graph.DropoutAttr{Rate: 0.3, Site: d}, value(b, "x", d), b.Input("key", graph.I32(C(2))))
		}))
	}
	add(one(graph.OpDropout, "in-layers", []int{65}, func(b *graph.Builder) *graph.Node {
		x, key := value(b, "x", 300), b.Input("key", graph.I32(C(2)))
		return b.Add(graph.OpDropout, graph.DropoutAttr{Rate: 0.1, Site: 2}, b.Add(graph.OpDropout, graph.DropoutAttr{Rate: 0.1, Site: 1}, x, key), key)
	}))
	for _, typ := range []dtype.DType{dtype.Q8_0, dtype.Q4_0, dtype.BF16} {
		add(one(graph.OpFakeQuant, typ.String(), fewRows, func(b *graph.Builder) *graph.Node {
			return b.Add(graph.OpFakeQuant, graph.QuantAttr{Type: typ.String()}, value(b, "x", 64))
		}))
	}
	// Tables that are computed: rounded, as in training for a block format.
	add(one(graph.OpEmbed, "of-a-value", fewRows, func(b *graph.Builder) *graph.Node {
		table := b.Add(graph.OpFakeQuant, graph.QuantAttr{Type: dtype.Q8_0.String()}, b.Input("w", graph.F32(C(23), C(64))))
		return b.Embed(table, b.Input("ids", graph.I32(T)))
	}))
	return append(append(append(all, transposedCases()...), selfAttentionCases()...), lossCases()...)
}

// transposedCases are the products that gradients are.
func transposedCases() []opCase {
	var all []opCase
	rows := []int{1, 3, 17, 64, 129}
	x := func(b *graph.Builder, name string, d int) *graph.Node { return b.Input(name, graph.F32(T, C(d))) }
	bf16 := graph.ProductAttr{Round: dtype.BF16.String()}
	for _, s := range [][2]int{{1, 1}, {5, 64}, {64, 5}, {80, 17}, {200, 130}, {33, 600}} {
		n, k := s[0], s[1]
		all = append(all,
			one(graph.OpLinearT, fmt.Sprintf("rounded-%dx%d", n, k), rows, func(b *graph.Builder) *graph.Node {
				return b.Add(graph.OpLinearT, bf16, x(b, "x", n), b.Weight("w", dtype.F32, n, k))
			}),
			one(graph.OpLinear, fmt.Sprintf("rounded-%dx%d", n, k), rows, func(b *graph.Builder) *graph.Node {
				return b.Add(graph.OpLinear, bf16, x(b, "x", k), b.Input("w", graph.F32(C(n), C(k))))
			}),
			one(graph.OpOuter, fmt.Sprintf("rounded-%dx%d", n, k), rows, func(b *graph.Builder) *graph.Node {
				return b.Add(graph.OpOuter, bf16, x(b, "a", n), x(b, "b", k))
			}),
			one(graph.OpLinearT, fmt.Sprintf("%dx%d", n, k), rows, func(b *graph.Builder) *graph.Node {
				return b.Add(graph.OpLinearT, nil, x(b, "x", n), b.Weight("w", dtype.F32, n, k))
			}),
			one(graph.OpLinear, fmt.Sprintf("value-%dx%d", n, k), rows, func(b *graph.Builder) *graph.Node {
				return b.Linear(x(b, "x", k), b.Input("w", graph.F32(C(n), C(k))))
			}),
			one(graph.OpOuter, fmt.Sprintf("%dx%d", n, k), rows, func(b *graph.Builder) *graph.Node {
				return b.Add(graph.OpOuter, nil, x(b, "a", n), x(b, "b", k))
			}))
	}
	for _, typ := range []dtype.DType{dtype.F16, dtype.Q8_0, dtype.Q4_0, dtype.Q6_K} {
		c := one(graph.OpLinearT, "frozen-"+typ.String(), []int{1, 17}, func(b *graph.Builder) *graph.Node {
			return b.Add(graph.OpLinearT, nil, b.Input("x", graph.F32(T, C(1050))), b.Weight("w", typ, 1050, 256))
		})
		c.bound = formatBound("")
		all = append(all, c)
	}
	return all
}

// selfAttentionCases are batches of one and of several segments.
func selfAttentionCases() []opCase {
	var all []opCase
	batches := []step{prompt(1), prompt(7), prompt(130), {segs: []seg{{0, 0, 3}, {1, 0, 1}, {2, 0, 40}}}, {segs: []seg{{0, 0, 99}, {1, 0, 97}}}}
	for i, c := range []struct {
		heads, groups, key, value int
		a                         graph.SelfAttentionAttr
	}{
		{1, 1, 1, 1, graph.SelfAttentionAttr{Scale: 0.5, Mask: graph.Causal}},
		{4, 2, 16, 16, graph.SelfAttentionAttr{Scale: 0.25, Mask: graph.Causal}},
		{6, 2, 24, 20, graph.SelfAttentionAttr{Scale: 0.2, SoftCap: 1.5, Mask: graph.Causal}},
		{2, 2, 33, 17, graph.SelfAttentionAttr{Scale: 0.3, Window: 9, Mask: graph.Causal}},
		{3, 1, 8, 64, graph.SelfAttentionAttr{Scale: -0.4, Mask: graph.Bidirectional}},
		{2, 1, 20, 20, graph.SelfAttentionAttr{Scale: 0.3, SoftCap: 3, Window: 5, Mask: graph.Bidirectional}},
	} {
		for _, op := range []graph.Op{graph.OpSelfAttention, graph.OpSelfAttentionGrad} {
			b := graph.NewBuilder("attention", graph.Limits{T: 200, S: 3, R: 1, P: 1})
			in := []*graph.Node{b.Input("q", graph.F32(T, C(c.heads), C(c.key))), b.Input("k", graph.F32(T, C(c.groups), C(c.key))), b.Input("v", graph.F32(T, C(c.groups), C(c.value)))}
			bound := formatBound("")
			if op == graph.OpSelfAttentionGrad {
				in = append(in, b.Input("dy", graph.F32(T, C(c.heads), C(c.value))))
				bound = 1e-9 // probabilities' gradients cancel
			}
			b.Output("y", b.Add(op, c.a, in...))
			g, err := b.Graph()
			if err != nil {
				panic(fmt.Sprintf("backendtest: self attention %d: %v", i, err))
			}
			all = append(all, opCase{op: op, name: fmt.Sprint(i), graph: g, steps: batches, bound: bound})
		}
	}
	return all
}

// updates is a graph that writes states in all ways.
func updates(t testing.TB, clip float32) *graph.Graph {
	b := graph.NewBuilder("updates", graph.Limits{T: 40, S: 3, R: 1, P: 1})
	param := func(name string, dims ...int) *graph.Node {
		shape := dtype.ConstShape(dims...)
		n, _ := shape.NumElems(dtype.Binding{})
		b.State(graph.StateDecl{Name: name, Kind: graph.Tensor, DType: dtype.F32, Elems: n})
		return b.Add(graph.OpParam, graph.ParamAttr{State: name, Shape: shape})
	}
	x, y, ids := b.Input("x", graph.F32(T, C(70))), b.Input("y", graph.F32(T, C(33))), b.Input("ids", graph.I32(T))
	outer, rounded, rows, sum := param("outer", 33, 70), param("rounded", 33, 70), param("rows", 9, 70), param("sum", 70)
	b.Add(graph.OpAccumulateOuter, nil, outer, y, x)
	b.Add(graph.OpAccumulateOuter, nil, outer, y, x)
	b.Add(graph.OpAccumulateOuter, graph.ProductAttr{Round: dtype.BF16.String()}, rounded, y, x)
	b.Add(graph.OpAccumulateRows, nil, rows, x, ids)
	b.Add(graph.OpAccumulate, nil, sum, b.Add(graph.OpSumTo, graph.KeepAttr{Keep: 1}, x))
	table, low, bias := param("table", 50, 70), param("low", 50, 33), param("bias", 50)
	labels, dy := b.Input("labels", graph.I32(T)), b.Input("dy", graph.F32(T))
	matrix := b.Input("matrix", graph.F32(C(50), C(70)))
	b.Output("loss", b.Add(graph.OpLinearLoss, graph.LinearLossAttr{Sums: 1}, x, matrix, labels, dy, table))
	b.Output("losses", b.Add(graph.OpLinearLoss, graph.LinearLossAttr{Terms: 2, Bias: true, SoftCap: 5, Sums: 6},
		x, matrix, y, b.Input("second", graph.F32(C(50), C(33))), b.Input("offsets", graph.F32(C(50))), labels, dy, low, bias))
	w, g, m, v := param("w", 130, 41), param("g", 130, 41), param("m", 130, 41), param("v", 130, 41)
	norm := b.Add(graph.OpGlobalNorm, nil, g, w, b.Scale(w, 2))
	b.Output("norm", norm)
	b.Output("embedded", b.Embed(w, b.Input("rows", graph.I32(T))))
	b.Output("product", b.Linear(b.Add(graph.OpConcat, graph.AxisAttr{Axis: 1}, y, b.Slice(x, 1, 0, 8)), w))
	b.Add(graph.OpAdamW, graph.AdamWAttr{Beta1: 0.9, Beta2: 0.99, Eps: 1e-6, Decay: 0.1, Clip: clip}, w, g, m, v, norm, b.Input("rates", graph.F32(C(3))))
	built, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// testUpdates compares what runs leave in the states.
func testUpdates(t *testing.T, dev backend.Device) {
	for _, c := range []struct {
		name string
		clip float32
		bad  bool
	}{{"update", 0, false}, {"update-clipped", 1, false}, {"update-not-finite", 1, true}} {
		t.Run(c.name, func(t *testing.T) {
			g := updates(t, c.clip)
			if why := unsupported(dev, g); why != "" {
				t.Skip(why)
			}
			m := compile(t, dev, g, nil, false)
			tensors, ok := m.state.(backend.Tensors)
			if !ok {
				t.Fatalf("the target supports operations on tensors, but its state is no backend.Tensors (%T)", m.state)
			}
			r, err := selftest.NewReference(g, nil)
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(5, 6))
			for name, x := range r.Tensors {
				for i := range x {
					if x[i] = float32(rng.NormFloat64()); name == "v" {
						x[i] *= x[i]
					}
				}
				if c.bad && name == "g" {
					x[7] = float32(math.Inf(1))
				}
				if err := tensors.WriteTensor(name, x); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				s := prompt(40)
				a := args(g, s, m.state)
				rates := a.Inputs[len(a.Inputs)-1].F32
				copy(rates, []float32{0.01, 0.1, 0.01})
				want, err := r.Run(a)
				if err != nil {
					t.Fatal(err)
				}
				f, err := m.exe.Submit(t.Context(), a)
				if err == nil {
					err = f.Wait()
				}
				if err != nil {
					t.Fatal(err)
				}
				for i := range want {
					compare(t, g.Outputs[i].Name, a.Outputs[i].F32, want[i])
				}
				for name, x := range r.Tensors {
					got := make([]float32, len(x))
					if err := tensors.ReadTensor(name, got); err != nil {
						t.Fatal(err)
					}
					compare(t, name, got, x)
				}
			}
			if err := tensors.ReadTensor("w", make([]float32, 3)); err == nil {
				t.Error("reading a tensor into too little room is no error")
			}
			if err := tensors.WriteTensor("nothing", nil); err == nil {
				t.Error("writing a tensor that is not there is no error")
			}
		})
	}
}

// compare asks for values within the bound of exact arithmetic, or not finite both.
func compare(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if x := float64(w); math.IsInf(x, 0) || math.IsNaN(x) {
			if y := float64(got[i]); !math.IsInf(y, 0) && !math.IsNaN(y) {
				t.Errorf("%s[%d] is %g, want %g", what, i, y, x)
			}
			return
		}
	}
	var d deviation
	if d.add(got, want); !(d.nmse() <= 1e-9) {
		t.Errorf("%s: normalised error %.3g; %s", what, d.nmse(), worst(got, want))
	}
}
