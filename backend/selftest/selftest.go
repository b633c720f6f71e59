// Package selftest proves a device before it is trusted: it runs a small
// network with every kernel a model needs on the device and on the reference,
// and refuses the device if they differ.
package selftest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/graph/pass"
	"github.com/ledge-run/ledge/graph/plan"
)

// Tolerance is the largest normalised mean square error that the self-test
// lets pass: quantised activations stay below it, a wrong kernel does not.
const Tolerance = 1e-3

// quick are the weight types that every start tries: a few milliseconds.
var quick = []dtype.DType{dtype.Q8_0, dtype.Q4_0, dtype.Q4_1, dtype.F32}

// thorough are those of nearly all files. The reference needs a tenth of a
// second for them: too long for every start.
var thorough = []dtype.DType{
	dtype.F32, dtype.F16, dtype.BF16, dtype.Q8_0, dtype.Q4_0, dtype.Q4_1, dtype.Q5_0, dtype.Q5_1,
	dtype.Q4_K, dtype.Q5_K, dtype.Q6_K, dtype.Q3_K, dtype.Q2_K, dtype.IQ4_NL, dtype.IQ4_XS, dtype.MXFP4,
}

// passed remembers, for this process, the devices that passed, by name and
// numerics: what ran right once is not asked again by every model.
var passed sync.Map

// Run tests a device. The error tells which stage failed and how.
func Run(ctx context.Context, d backend.Device) error {
	info := d.Info()
	key := info.Name + "\x00" + info.Numerics.String()
	if _, ok := passed.Load(key); ok {
		return nil
	}
	if err := run(ctx, d, quick); err != nil {
		return err
	}
	passed.Store(key, true)
	return nil
}

// RunAll tests a device with every weight type it takes, and asks again what has
// passed before.
func RunAll(ctx context.Context, d backend.Device) error { return run(ctx, d, thorough) }

func run(ctx context.Context, d backend.Device, types []dtype.DType) error {
	tried := 0
	for i, t := range types {
		g, err := network(t, i%2 == 1)
		if err != nil {
			return err
		}
		if !takes(d, g) {
			continue
		}
		tried++
		if err := runGraph(ctx, d, g); err != nil {
			return fmt.Errorf("weights of type %s: %w", t, err)
		}
	}
	if tried == 0 {
		return errors.New("the device takes no decoder of any weight type")
	}
	return nil
}

// takes reports whether the device supports all that g has.
func takes(d backend.Device, g *graph.Graph) bool {
	target := d.Target()
	for _, n := range g.Nodes {
		if n.Op != graph.OpInput && n.Op != graph.OpWeight && target.Supports(g, n) != nil {
			return false
		}
	}
	return true
}

const (
	vocab, heads, kvHeads = 96, 4, 2
	rows                  = 5
)

// network is one decoder layer in miniature, with every fused operation. A
// second kind has what fewer models have: biases, norms of the heads, pairs
// rotated, a window, soft caps, a GELU gate, norms after each part.
func network(t dtype.DType, second bool) (*graph.Graph, error) {
	width := max(64, t.BlockLen()) // rows must be whole blocks
	headDim, ffn := width/heads, max(96, t.BlockLen())
	b := graph.NewBuilder("selftest", graph.Limits{T: rows, S: 1, R: 2, P: 1})
	T, R := dtype.Sym(dtype.T), dtype.Sym(dtype.R)
	tokens, pos, out := b.Input("tokens", graph.I32(T)), b.Input("positions", graph.I32(T)), b.Input("rows", graph.I32(R))
	b.State(graph.StateDecl{Name: "kv", Kind: graph.Paged, KVHeads: kvHeads, KeyDim: headDim, ValueDim: headDim, DType: dtype.F16})
	table := b.Weight("embd", t, vocab, width)
	x := b.Embed(table, tokens)
	norm := func(x *graph.Node, name string, n int) *graph.Node {
		return b.RMSNorm(x, b.Weight(name, dtype.F32, n), 1e-5)
	}
	linear := func(x *graph.Node, name string, n, k int) *graph.Node {
		return b.Linear(x, b.Weight(name, t, n, k))
	}
	project := func(x *graph.Node, name string, heads int) *graph.Node {
		y := linear(x, name, heads*headDim, width)
		if second {
			y = b.Add(graph.OpAdd, nil, y, b.Weight(name+".bias", dtype.F32, heads*headDim))
		}
		return b.Reshape(y, T, dtype.Const(heads), dtype.Const(headDim))
	}
	rope := graph.RopeAttr{Mode: graph.RopeHalves, Dims: headDim, Base: 10000}
	attend := graph.AttentionAttr{State: "kv", Scale: float32(1 / math.Sqrt(float64(headDim))), Mask: graph.Causal}
	act := graph.OpSilu
	if second {
		rope = graph.RopeAttr{Mode: graph.RopePairs, Dims: headDim / 2, Base: 10000}
		attend.Window, attend.SoftCap, act = 3, 20, graph.OpGelu
	}
	sum := func(x, y *graph.Node, name string) *graph.Node {
		if second {
			y = norm(y, name, width)
		}
		return b.Add(graph.OpAdd, nil, x, y)
	}
	h := norm(x, "n1", width)
	q, k, v := project(h, "q", heads), project(h, "k", kvHeads), project(h, "v", kvHeads)
	if second {
		q, k = norm(q, "qn", headDim), norm(k, "kn", headDim)
	}
	w := b.CacheWrite(b.Rope(k, pos, nil, rope), v, "kv")
	a := b.Attention(b.Rope(q, pos, nil, rope), w, attend)
	x = sum(x, linear(b.Reshape(a, T, dtype.Const(heads*headDim)), "o", width, heads*headDim), "p1")
	h = norm(x, "n2", width)
	g := b.Add(graph.OpMul, nil, b.Add(act, nil, linear(h, "gate", ffn, width)), linear(h, "up", ffn, width))
	x = sum(x, linear(g, "down", width, ffn), "p2")
	x = norm(b.Add(graph.OpGatherRows, nil, x, out), "n3", width)
	x = b.Linear(x, table)
	if second {
		x = b.SoftCap(x, 30)
	}
	b.Output("logits", b.Add(graph.OpReadout, nil, x))
	return b.Graph()
}

func runGraph(ctx context.Context, d backend.Device, g *graph.Graph) (err error) {
	specs, err := RandomWeights(g, 1)
	if err != nil {
		return err
	}
	parts, err := pass.Compile(g, []pass.Target{d.Target()}, pass.Options{Layers: -1})
	if err != nil {
		return err
	}
	lowered := parts[0].Graph
	uses := backend.WeightUses(lowered)
	for i := range specs {
		specs[i].Uses = uses[specs[i].Name]
	}
	p, err := plan.New(lowered, d.Target().Align)
	if err != nil {
		return err
	}
	w, err := d.Load(ctx, backend.LoadSpec{Weights: specs})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	e, err := d.Compile(ctx, backend.CompileSpec{Graph: lowered, Plan: p, Weights: w})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	s, err := d.NewState(backend.StateSpec{Decls: g.States, Pages: 1, Sequences: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r, err := NewReference(g, specs)
	if err != nil {
		return err
	}
	return compare(ctx, e, s, r)
}

// compare runs a prompt and one more token on both.
func compare(ctx context.Context, e backend.Executable, s backend.State, r *Reference) error {
	start := 0
	for _, n := range []int{rows, 1} {
		a := &backend.Args{
			Inputs:   []backend.Tensor{{I32: make([]int32, n)}, {I32: make([]int32, n)}, {I32: []int32{0, int32(n - 1)}}},
			Segments: []backend.Segment{{Start: start, Rows: n, Pages: []int32{0}}},
			Seqs:     1, State: s,
			Outputs: []backend.Output{{F32: make([]float32, 2*vocab)}},
		}
		for i := range n {
			a.Inputs[0].I32[i], a.Inputs[1].I32[i] = int32((start+i)*37%vocab), int32(start+i)
		}
		f, err := e.Submit(ctx, a)
		if err != nil {
			return err
		}
		if err := f.Wait(); err != nil {
			return err
		}
		want, err := r.Run(a)
		if err != nil {
			return err
		}
		if err := Compare(a.Outputs[0].F32, want[0], Tolerance); err != nil {
			return fmt.Errorf("after %d tokens: %w", start+n, err)
		}
		start += n
	}
	return nil
}

// Compare judges a result by their normalised mean square error,
// |got-want|² / |want|².
func Compare(got, want []float32, tolerance float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d values instead of %d", len(got), len(want))
	}
	diff, norm := 0.0, 0.0
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		diff += d * d
		norm += float64(w) * float64(w)
	}
	nmse := diff / max(norm, 1e-12)
	if math.IsNaN(nmse) || nmse > tolerance {
		return fmt.Errorf("wrong result: normalised error %.3g, allowed %.3g", nmse, tolerance)
	}
	return nil
}

// RandomWeights makes weights for all of a graph's weights: small random
// values, vectors near one, encoded in each weight's type.
func RandomWeights(g *graph.Graph, seed uint64) ([]backend.WeightSpec, error) {
	rng := rand.New(rand.NewPCG(seed, 0))
	var specs []backend.WeightSpec
	for _, n := range g.Weights() {
		sizes, err := n.Type.Shape.Sizes(g.Max.Binding())
		if err != nil {
			return nil, err
		}
		count, ok := dtype.Product(sizes)
		if !ok {
			return nil, fmt.Errorf("weight %q: shape %v is too large", n.Name, sizes)
		}
		x := make([]float32, count)
		for i := range x {
			x[i] = float32(rng.NormFloat64()) * 0.2
			if len(sizes) == 1 {
				x[i]++
			}
		}
		bytes, err := dtype.ByteSize(n.Type.DType, sizes)
		if err != nil {
			return nil, err
		}
		data := make([]byte, bytes)
		if err := dtype.Quantize(n.Type.DType, data, x); err != nil {
			return nil, err
		}
		specs = append(specs, backend.WeightSpec{
			Name: n.Name, DType: n.Type.DType, Shape: sizes, Uses: backend.WeightUses(g)[n.Name],
			Open: func() ([]byte, func(), error) { return data, func() {}, nil },
		})
	}
	return specs, nil
}
