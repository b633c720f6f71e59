package backendtest

import (
	"fmt"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// opCase is a small graph around one operation and the runs it is put to.
type opCase struct {
	op    graph.Op
	name  string
	graph *graph.Graph
	steps []step
	bound float64 // 0: by the activation format

	always bool // in every share
}

// manyRows are the batch sizes that every kernel must take: all small ones, so
// that each tail of a tile occurs, and one beyond a page.
var manyRows = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 65}

// fewRows are for operations whose rows do not know of each other.
var fewRows = []int{1, 2, 5, 17, 65}

func prompts(rows []int) []step {
	var s []step
	for _, n := range rows {
		s = append(s, prompt(n))
	}
	return s
}

// testCases runs each case as built; the passes do not touch it.
func testCases(t *testing.T, dev backend.Device, cases []opCase, share Share) {
	skipped := map[string]bool{}
	for i, c := range cases {
		if i%int(share) != 0 && !c.always {
			continue
		}
		t.Run(c.op.String()+"/"+c.name, func(t *testing.T) {
			if why := unsupported(dev, c.graph); why != "" {
				skipped[why] = true
				t.Skip(why)
			}
			specs := weightsFor(t, c.graph, 7)
			m := compile(t, dev, c.graph, specs, false)
			bound := c.bound
			if bound == 0 {
				bound = formatBound("")
			}
			for _, n := range m.lowered.Nodes {
				bound = max(bound, formatBound(n.Format))
			}
			want := expected(t, c.op.String()+"/"+c.name, c.graph, specs, c.steps)
			check(t, m, c.steps, want, bound)
			if t.Failed() {
				t.Logf("graph:\n%s", m.lowered)
			}
		})
	}
	for why := range skipped {
		t.Logf("not supported here: %s", why)
	}
}

// T and C shorten shapes.
var T = dtype.Sym(dtype.T)

func C(n int) dtype.Dim { return dtype.Const(n) }

// one builds the graph of a case: make gives the value read back.
func one(op graph.Op, name string, rows []int, make func(b *graph.Builder) *graph.Node) opCase {
	most := 0
	for _, n := range rows {
		most = max(most, n)
	}
	b := graph.NewBuilder(name, graph.Limits{T: most, S: 3, R: most, P: 12})
	b.Output("y", make(b))
	g, err := b.Graph()
	if err != nil {
		panic(fmt.Sprintf("backendtest: case %s: %v", name, err))
	}
	return opCase{op: op, name: name, graph: g, steps: prompts(rows)}
}

// opCases are all operations but products and attention.
func opCases() []opCase {
	var all []opCase
	add := func(c opCase) { all = append(all, c) }
	x := func(b *graph.Builder, dims ...int) *graph.Node {
		shape := []dtype.Dim{T}
		for _, d := range dims {
			shape = append(shape, C(d))
		}
		return b.Input("x", graph.F32(shape...))
	}
	vec := func(b *graph.Builder, name string, n int) *graph.Node { return b.Weight(name, dtype.F32, n) }
	widths := []int{1, 2, 15, 16, 17, 31, 64, 80, 127, 257, 576, 1031}

	for _, d := range widths {
		for _, op := range []graph.Op{graph.OpSilu, graph.OpGelu, graph.OpGeluErf, graph.OpRelu, graph.OpTanh, graph.OpSigmoid, graph.OpExp} {
			c := one(op, fmt.Sprint(d), fewRows, func(b *graph.Builder) *graph.Node { return b.Add(op, nil, b.Scale(x(b, d), 4)) })
			if op == graph.OpGelu || op == graph.OpGeluErf {
				c.bound = 1e-8 // 1 + tanh and 1 + erf cancel for negative x
			}
			add(c)
		}
		add(one(graph.OpScale, fmt.Sprint(d), fewRows, func(b *graph.Builder) *graph.Node { return b.Scale(x(b, d), -0.37) }))
		add(one(graph.OpSoftCap, fmt.Sprint(d), fewRows, func(b *graph.Builder) *graph.Node { return b.SoftCap(b.Scale(x(b, d), 9), 7.5) }))
		for _, op := range []graph.Op{graph.OpAdd, graph.OpSub, graph.OpMul, graph.OpDiv} {
			add(one(op, fmt.Sprintf("%d", d), fewRows, func(b *graph.Builder) *graph.Node {
				return b.Add(op, nil, x(b, d), b.Input("y", graph.F32(T, C(d))))
			}))
			add(one(op, fmt.Sprintf("%d-rows", d), fewRows, func(b *graph.Builder) *graph.Node {
				return b.Add(op, nil, x(b, d), vec(b, "v", d))
			}))
			add(one(op, fmt.Sprintf("%d-self", d), []int{1, 3}, func(b *graph.Builder) *graph.Node {
				v := x(b, d)
				return b.Add(op, nil, v, v)
			}))
		}
		add(one(graph.OpRMSNorm, fmt.Sprint(d), fewRows, func(b *graph.Builder) *graph.Node { return b.RMSNorm(x(b, d), vec(b, "w", d), 1e-5) }))
		add(one(graph.OpRMSNorm, fmt.Sprintf("%d-plain", d), fewRows, func(b *graph.Builder) *graph.Node { return b.RMSNorm(x(b, d), nil, 1e-6) }))
		add(one(graph.OpNormAdd, fmt.Sprint(d), fewRows, func(b *graph.Builder) *graph.Node {
			return b.Add(graph.OpNormAdd, graph.NormAttr{Eps: 1e-5}, x(b, d), vec(b, "w", d), b.Input("y", graph.F32(T, C(d))))
		}))
		for n := range 3 {
			c := one(graph.OpLayerNorm, fmt.Sprintf("%d-%d", d, n), fewRows, func(b *graph.Builder) *graph.Node {
				in := []*graph.Node{x(b, d), vec(b, "w", d), vec(b, "b", d)}
				return b.Add(graph.OpLayerNorm, graph.NormAttr{Eps: 1e-2}, in[:n+1]...)
			})
			c.bound = 1e-9 // the mean cancels
			add(c)
		}
		add(one(graph.OpSoftmax, fmt.Sprint(d), fewRows, func(b *graph.Builder) *graph.Node { return b.Add(graph.OpSoftmax, nil, b.Scale(x(b, d), 3)) }))
		add(one(graph.OpGatherRows, fmt.Sprint(d), fewRows, func(b *graph.Builder) *graph.Node {
			return b.Add(graph.OpGatherRows, nil, x(b, d), b.Input("rows", graph.I32(dtype.Sym(dtype.R))))
		}))
	}
	// Suffixes of more than one dimension, norms of heads.
	add(one(graph.OpMul, "suffix", fewRows, func(b *graph.Builder) *graph.Node {
		return b.Add(graph.OpMul, nil, x(b, 3, 7), b.Weight("v", dtype.F32, 3, 7))
	}))
	for _, size := range []int{16, 64, 80, 96, 128, 256} {
		add(one(graph.OpRMSNorm, fmt.Sprintf("heads-%d", size), fewRows, func(b *graph.Builder) *graph.Node {
			return b.RMSNorm(x(b, 5, size), vec(b, "w", size), 1e-6)
		}))
		for _, mode := range []graph.RopeMode{graph.RopePairs, graph.RopeHalves} {
			for _, dims := range []int{size, size / 2, 2} {
				attr := graph.RopeAttr{Mode: mode, Dims: dims, Base: 10000}
				add(one(graph.OpRope, fmt.Sprintf("%s-%d-of-%d", mode, dims, size), fewRows, func(b *graph.Builder) *graph.Node {
					return b.Rope(x(b, 3, size), b.Input("pos", graph.I32(T)), nil, attr)
				}))
			}
		}
	}
	for name, a := range map[string]graph.RopeAttr{
		"linear": {Scaling: graph.RopeLinear, Factor: 4},
		"yarn":   {Scaling: graph.RopeYarn, Factor: 8, OrigCtx: 64, BetaFast: 32, BetaSlow: 1, Ext: 1, Mag: 1.1},
	} {
		a.Mode, a.Dims, a.Base = graph.RopeHalves, 24, 500000
		add(one(graph.OpRope, name, fewRows, func(b *graph.Builder) *graph.Node {
			return b.Rope(x(b, 2, 32), b.Input("pos", graph.I32(T)), vec(b, "factors", 12), a)
		}))
	}
	// Moving elements about.
	for _, dims := range [][]int{{6}, {3, 4}, {1, 5}, {7, 1}, {2, 3, 4}} {
		name := fmt.Sprint(dims)
		n := 1
		for _, d := range dims {
			n *= d
		}
		add(one(graph.OpReshape, name, fewRows, func(b *graph.Builder) *graph.Node { return b.Reshape(x(b, dims...), T, C(n)) }))
		for axis := range dims {
			for start := range min(3, dims[axis]) {
				add(one(graph.OpSlice, fmt.Sprintf("%s-%d-%d", name, axis+1, start), fewRows, func(b *graph.Builder) *graph.Node {
					return b.Slice(x(b, dims...), axis+1, start, dims[axis]-start)
				}))
			}
			add(one(graph.OpConcat, fmt.Sprintf("%s-%d", name, axis+1), fewRows, func(b *graph.Builder) *graph.Node {
				v := x(b, dims...)
				return b.Add(graph.OpConcat, graph.AxisAttr{Axis: axis + 1}, v, b.Scale(v, 2), b.Slice(v, axis+1, 0, 1))
			}))
		}
	}
	for _, perm := range [][]int{{0, 2, 1}, {1, 0, 2}, {2, 1, 0}, {1, 2, 0}, {0, 1, 2}} {
		add(one(graph.OpTranspose, fmt.Sprint(perm), fewRows, func(b *graph.Builder) *graph.Node {
			return b.Add(graph.OpTranspose, graph.PermAttr{Perm: perm}, x(b, 3, 5))
		}))
	}
	for _, s := range [][3]int{{1, 1, 1}, {3, 5, 7}, {16, 33, 8}, {2, 64, 31}} {
		add(one(graph.OpMatMul, fmt.Sprint(s), fewRows, func(b *graph.Builder) *graph.Node {
			return b.Add(graph.OpMatMul, nil, x(b, s[0], s[1]), b.Input("y", graph.F32(T, C(s[1]), C(s[2]))))
		}))
	}
	// A sum over rows: the last dimension is a symbol.
	add(one(graph.OpMatMul, "over-rows", fewRows, func(b *graph.Builder) *graph.Node {
		v := x(b, 6)
		return b.Add(graph.OpMatMul, nil, b.Add(graph.OpTranspose, graph.PermAttr{Perm: []int{1, 0}}, v), v)
	}))
	add(one(graph.OpSoftmax, "over-rows", fewRows, func(b *graph.Builder) *graph.Node {
		return b.Add(graph.OpSoftmax, nil, b.Add(graph.OpTranspose, graph.PermAttr{Perm: []int{1, 0}}, x(b, 6)))
	}))
	return all
}

// productTypes are the types that products and look-ups read.
func productTypes() []dtype.DType {
	var types []dtype.DType
	for _, d := range dtype.All() {
		if d.Computable() {
			types = append(types, d)
		}
	}
	return types
}

// productCases are embed, linear and fused_linear with every weight type.
func productCases() []opCase {
	var all []opCase
	add := func(c opCase) { all = append(all, c) }
	for _, d := range productTypes() {
		block := d.BlockLen()
		// K in blocks (plain types: in elements), N.
		shapes := [][2]int{{1, 1}, {2, 16}, {3, 17}, {5, 33}, {2, 127}}
		if block == 1 {
			shapes = append(shapes, [2]int{7, 15}, [2]int{31, 8}, [2]int{64, 40}, [2]int{577, 19})
		}
		if block == 32 {
			shapes = append(shapes, [2]int{18, 21})
		}
		for i, s := range shapes {
			k, n, rows := s[0]*block, s[1], fewRows
			if i == 2 {
				rows = manyRows
			}
			name := fmt.Sprintf("%s-%dx%d", d, n, k)
			add(one(graph.OpEmbed, name, fewRows, func(b *graph.Builder) *graph.Node {
				return b.Embed(b.Weight("w", d, n, k), b.Input("ids", graph.I32(T)))
			}))
			add(one(graph.OpLinear, name, rows, func(b *graph.Builder) *graph.Node {
				return b.Linear(b.Input("x", graph.F32(T, C(k))), b.Weight("w", d, n, k))
			}))
		}
		// Read both ways: one matrix, packed once.
		add(one(graph.OpEmbed, d.String()+"-tied", fewRows, func(b *graph.Builder) *graph.Node {
			w := b.Weight("w", d, 37, 2*block)
			return b.Linear(b.Embed(w, b.Input("ids", graph.I32(T))), w)
		}))
	}
	for _, d := range []dtype.DType{dtype.F32, dtype.F16, dtype.Q8_0, dtype.Q4_0} {
		// More columns than a backend computes at once.
		add(one(graph.OpLinear, d.String()+"-wide", []int{1, 3, 66}, func(b *graph.Builder) *graph.Node {
			return b.Linear(b.Input("x", graph.F32(T, C(32))), b.Weight("w", d, 1100, 32))
		}))
		// Heads: the rows of a product are all dimensions but the last.
		add(one(graph.OpLinear, d.String()+"-heads", fewRows, func(b *graph.Builder) *graph.Node {
			return b.Linear(b.Input("x", graph.F32(T, C(3), C(64))), b.Weight("w", d, 20, 64))
		}))
	}
	for _, f := range fusedCases() {
		add(f.build())
	}
	return all
}

// fusedCase are the parameters of a fused_linear node.
type fusedCase struct {
	types []dtype.DType // of the segments
	rows  []int         // of the segments
	k     int
	attr  graph.FusedLinearAttr // without Segments
	batch []int
}

func (f fusedCase) build() opCase {
	a := f.attr
	a.Segments = len(f.rows)
	name := ""
	for i, n := range f.rows {
		name += fmt.Sprintf("%s-%d,", f.types[i%len(f.types)], n)
	}
	name += fmt.Sprintf("k%d", f.k)
	for _, s := range []struct {
		on   bool
		name string
	}{{a.Norm, "norm"}, {a.NormWeight, "weight"}, {a.Bias, "bias"}, {a.Scale != 0, "scale"}, {a.Act != "", a.Act}, {a.Gated, "gated"}, {a.SoftCap != 0, "cap"}, {a.Residual, "residual"}} {
		if s.on {
			name += "," + s.name
		}
	}
	batch := f.batch
	if batch == nil {
		batch = fewRows
	}
	return one(graph.OpFusedLinear, name, batch, func(b *graph.Builder) *graph.Node {
		in := []*graph.Node{b.Input("x", graph.F32(T, C(f.k)))}
		if a.NormWeight {
			in = append(in, b.Weight("norm", dtype.F32, f.k))
		}
		total := 0
		for i, n := range f.rows {
			in = append(in, b.Weight(fmt.Sprintf("w%d", i), f.types[i%len(f.types)], n, f.k))
			total += n
		}
		if a.Bias {
			for i, n := range f.rows {
				in = append(in, b.Weight(fmt.Sprintf("b%d", i), dtype.F32, n))
			}
		}
		if a.Gated {
			total /= 2
		}
		if a.Residual {
			in = append(in, b.Input("r", graph.F32(T, C(total))))
		}
		return b.Add(graph.OpFusedLinear, a, in...)
	})
}

func fusedCases() []fusedCase {
	f32, f16 := []dtype.DType{dtype.F32}, []dtype.DType{dtype.F16}
	q8 := []dtype.DType{dtype.Q8_0}
	mixed := []dtype.DType{dtype.Q5_0, dtype.Q8_0, dtype.F32}
	kmix := []dtype.DType{dtype.Q4_K, dtype.Q6_K, dtype.F16, dtype.Q8_0}
	var all []fusedCase
	for _, types := range [][]dtype.DType{f32, f16, q8, mixed, kmix} {
		k := 64
		if types[0] == dtype.Q4_K {
			k = 256
		}
		for _, rows := range [][]int{{24}, {48, 16, 16}, {9, 3, 3}, {17, 1, 30, 4}, {96, 96}, {7, 7}, {530, 40}} {
			all = append(all,
				fusedCase{types: types, rows: rows, k: k},
				fusedCase{types: types, rows: rows, k: k, attr: graph.FusedLinearAttr{Norm: true, NormWeight: true, Eps: 1e-5, Bias: true}},
			)
		}
		for _, act := range []string{"silu", "gelu", "gelu_erf", "relu"} {
			all = append(all,
				fusedCase{types: types, rows: []int{33}, k: k, attr: graph.FusedLinearAttr{Act: act, Scale: 0.5}},
				fusedCase{types: types, rows: []int{21, 21}, k: k, attr: graph.FusedLinearAttr{Act: act, Gated: true, Norm: true, NormWeight: true, Eps: 1e-5}},
				fusedCase{types: types, rows: []int{32, 32}, k: k, attr: graph.FusedLinearAttr{Act: act, Gated: true, Bias: true, SoftCap: 3, Residual: true}, batch: manyRows},
			)
		}
		all = append(all,
			fusedCase{types: types, rows: []int{46}, k: k, attr: graph.FusedLinearAttr{Gated: true, Act: "silu"}}, // one tensor, halved
			fusedCase{types: types, rows: []int{1060}, k: k, attr: graph.FusedLinearAttr{Gated: true, Act: "gelu", Residual: true}, batch: []int{1, 66}},
			fusedCase{types: types, rows: []int{40}, k: k, attr: graph.FusedLinearAttr{SoftCap: 4, Scale: 2, Residual: true}},
			fusedCase{types: types, rows: []int{k}, k: k, attr: graph.FusedLinearAttr{Norm: true, Eps: 1e-3, Residual: true}},
		)
	}
	return all
}
