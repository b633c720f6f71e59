package selftest

import (
	"math"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

const (
	vocab, heads, kvHeads = 96, 4, 2
	rows                  = 5
)

// kind is which network is run.
type kind struct {
	weights dtype.DType
	cache   dtype.DType
	limits  graph.Limits

	// second has what fewer models have: biases, norms of the heads, pairs
	// rotated, a window, soft caps, a GELU gate, norms after each part.
	second bool
}

// network is one decoder layer in miniature, with every fused operation.
func (k kind) network() (*graph.Graph, error) {
	t, second := k.weights, k.second
	width := max(64, t.BlockLen()) // rows must be whole blocks
	headDim, ffn := width/heads, max(96, t.BlockLen())
	b := graph.NewBuilder("selftest", k.limits)
	T, R := dtype.Sym(dtype.T), dtype.Sym(dtype.R)
	tokens, pos, out := b.Input("tokens", graph.I32(T)), b.Input("positions", graph.I32(T)), b.Input("rows", graph.I32(R))
	b.State(graph.StateDecl{Name: "kv", Kind: graph.Paged, KVHeads: kvHeads, KeyDim: headDim, ValueDim: headDim, DType: k.cache})
	table := b.Weight("embd", t, vocab, width)
	x := b.Embed(table, tokens)
	norm := func(x *graph.Node, name string, n int) *graph.Node {
		return b.RMSNorm(x, b.Weight(name, dtype.F32, n), 1e-5)
	}
	linear := func(x *graph.Node, name string, n, from int) *graph.Node {
		return b.Linear(x, b.Weight(name, t, n, from))
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
	q, key, v := project(h, "q", heads), project(h, "k", kvHeads), project(h, "v", kvHeads)
	if second {
		q, key = norm(q, "qn", headDim), norm(key, "kn", headDim)
	}
	w := b.CacheWrite(b.Rope(key, pos, nil, rope), v, "kv")
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
