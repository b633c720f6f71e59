package graphtest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
)

// Decoder describes a transformer decoder; Graph emits it. The zero value of
// an option leaves that part out. Tensor names are those of GGUF files.
type Decoder struct {
	Name             string
	Max              graph.Limits
	Layers           int
	Vocab, Width     int
	Heads, KVHeads   int
	KeyDim, ValueDim int
	FFN              int
	Act              graph.Op // of the gate: silu, gelu, gelu_erf
	Eps              float32

	Rope      graph.RopeAttr
	LocalRope *graph.RopeAttr // of layers with a window, if it differs
	Factors   bool            // rope_freqs.weight divides the angles
	Window    int             // sliding window ...
	Every     int             // ... in all layers but each Every-th; 0: in all
	Mask      graph.MaskKind  // "" is causal
	AttnScale float32         // 0: 1/sqrt(KeyDim)
	AttnCap   float32
	LogitCap  float32

	Bias       bool    // on q, k and v
	QKNorm     bool    // RMS norm of each head before the rotation
	PostNorm   bool    // norms after attention and feed-forward too (gemma)
	EmbedScale bool    // embeddings times sqrt(Width) (gemma)
	FusedQKV   bool    // one tensor attn_qkv, sliced (phi3)
	FusedFFN   bool    // gate and up in one tensor ffn_up, sliced (phi3)
	Tied       bool    // the embedding is the output matrix
	ReadScale  float32 // of logits; 0 for none

	Cache dtype.DType   // of keys and values; 0 is f16
	Types []dtype.DType // of matrices, in turn; none is f32
}

// Architectures are small decoders built like those that package model emits.
func Architectures() []Decoder {
	base := Decoder{
		Max: graph.Limits{T: 32, S: 4, R: 8, P: 8}, Layers: 2, Vocab: 160, Width: 64,
		Heads: 4, KVHeads: 2, KeyDim: 16, ValueDim: 16, FFN: 96, Act: graph.OpSilu, Eps: 1e-5,
		Rope: graph.RopeAttr{Mode: graph.RopePairs, Dims: 16, Base: 10000},
	}
	make := func(name string, change func(d *Decoder)) Decoder {
		d := base
		d.Name = name
		change(&d)
		return d
	}
	halves := graph.RopeAttr{Mode: graph.RopeHalves, Dims: 16, Base: 1e6}
	return []Decoder{
		make("llama", func(d *Decoder) {}),
		make("llama-tied", func(d *Decoder) {
			d.Tied, d.Heads, d.KVHeads, d.Width = true, 9, 3, 144
			d.Types = []dtype.DType{dtype.Q8_0, dtype.F16}
			d.Width, d.FFN = 96, 160
		}),
		make("llama-rope-llama3", func(d *Decoder) { d.Factors = true }),
		make("llama-rope-yarn", func(d *Decoder) {
			d.Rope.Scaling, d.Rope.Factor, d.Rope.OrigCtx = graph.RopeYarn, 4, 32
			d.Rope.BetaFast, d.Rope.BetaSlow, d.Rope.Ext = 32, 1, 1
		}),
		make("llama-rope-linear", func(d *Decoder) { d.Rope.Scaling, d.Rope.Factor = graph.RopeLinear, 2.5 }),
		make("qwen2", func(d *Decoder) { d.Bias, d.Rope = true, halves }),
		make("qwen3", func(d *Decoder) { d.QKNorm, d.Rope, d.KeyDim, d.ValueDim, d.Rope.Dims = true, halves, 32, 32, 32 }),
		make("phi3", func(d *Decoder) {
			d.FusedQKV, d.FusedFFN, d.Rope, d.Rope.Dims, d.Window = true, true, halves, 12, 20
		}),
		make("gemma2", func(d *Decoder) {
			d.PostNorm, d.EmbedScale, d.Tied, d.Act, d.Rope = true, true, true, graph.OpGelu, halves
			d.AttnCap, d.LogitCap, d.Window, d.Every = 50, 30, 7, 2
		}),
		make("gemma3", func(d *Decoder) {
			d.PostNorm, d.EmbedScale, d.Tied, d.QKNorm, d.Act, d.Rope = true, true, true, true, graph.OpGelu, halves
			d.Window, d.Every, d.Layers, d.KVHeads = 7, 3, 3, 1
			local := halves
			local.Base = 10000
			d.LocalRope = &local
		}),
		make("mixed", func(d *Decoder) {
			d.Types = []dtype.DType{dtype.Q5_0, dtype.Q5_0, dtype.Q8_0, dtype.Q4_0, dtype.F32}
			d.Cache = dtype.F32
		}),
	}
}

// RandomDecoder picks every option at random: head counts and sizes that are no
// powers of two, odd widths, any mixture of the architectures' features.
func RandomDecoder(seed uint64) Decoder {
	r := rand.New(rand.NewPCG(seed, 0xdec0de))
	yes := func(oneIn int) bool { return r.IntN(oneIn) == 0 }
	d := Decoder{
		Name:   fmt.Sprintf("random%d", seed),
		Max:    graph.Limits{T: 1 + r.IntN(40), S: 4, R: 1 + r.IntN(6), P: 4},
		Layers: 1 + r.IntN(3), Vocab: 17 + r.IntN(150), KVHeads: 1 + r.IntN(3),
		KeyDim: pick(r, 2, 8, 10, 16, 24, 32, 48), FFN: 8 + r.IntN(90),
		Act: pick(r, graph.OpSilu, graph.OpGelu, graph.OpGeluErf, graph.OpRelu), Eps: pick[float32](r, 1e-5, 1e-6),
		Factors: yes(4), Bias: yes(3), QKNorm: yes(3), PostNorm: yes(3), EmbedScale: yes(3), Tied: yes(2),
		FusedQKV: yes(3), FusedFFN: yes(3), Cache: pick(r, dtype.F16, dtype.F32),
	}
	d.Heads = d.KVHeads * pick(r, 1, 1, 2, 3, 4)
	d.ValueDim = d.KeyDim
	if yes(4) {
		d.ValueDim = pick(r, 3, 8, 20)
	}
	d.Width = 11 + r.IntN(90)
	if yes(2) { // block-quantised weights need whole blocks
		d.Width, d.FFN = 32*(1+r.IntN(3)), 32*(1+r.IntN(4))
		d.KeyDim = pick(r, 8, 16, 32)
		d.ValueDim, d.KVHeads = d.KeyDim, 32/d.KeyDim
		d.Heads = d.KVHeads * pick(r, 1, 2, 3)
		for range 1 + r.IntN(4) {
			d.Types = append(d.Types, pick(r, dtype.Q8_0, dtype.Q4_0, dtype.Q4_1, dtype.Q5_0, dtype.Q5_1, dtype.IQ4_NL, dtype.F16, dtype.BF16, dtype.F32))
		}
	}
	d.Rope = graph.RopeAttr{
		Mode: pick(r, graph.RopePairs, graph.RopeHalves), Dims: 2 * (1 + r.IntN(d.KeyDim/2)), Base: pick[float32](r, 10000, 500000),
	}
	switch r.IntN(4) {
	case 0:
		d.Rope.Scaling, d.Rope.Factor = graph.RopeLinear, 1+4*r.Float32()
	case 1:
		d.Rope.Scaling, d.Rope.Factor, d.Rope.OrigCtx = graph.RopeYarn, 1+4*r.Float32(), 64
		d.Rope.BetaFast, d.Rope.BetaSlow, d.Rope.Ext = 32, 1, 1
	}
	if yes(3) {
		d.Window, d.Every = 1+r.IntN(30), r.IntN(3)
	}
	if yes(4) {
		d.AttnCap = 10 + 40*r.Float32()
	}
	if yes(4) {
		d.LogitCap = 5 + 30*r.Float32()
	}
	if yes(5) {
		d.ReadScale = 0.25
	}
	if yes(8) {
		d.Mask = graph.Bidirectional
	}
	return d
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// builder emits a decoder.
type builder struct {
	*graph.Builder
	Decoder
	layer   int
	product int // products so far
}

// Graph emits and verifies the decoder. Inputs are tokens [T], positions [T]
// and rows [R]; the output is logits.
func (d Decoder) Graph() (*graph.Graph, error) {
	if d.Cache == 0 {
		d.Cache = dtype.F16
	}
	if d.Mask == "" {
		d.Mask = graph.Causal
	}
	if d.AttnScale == 0 {
		d.AttnScale = float32(1 / math.Sqrt(float64(d.KeyDim)))
	}
	b := &builder{Builder: graph.NewBuilder(d.Name, d.Max), Decoder: d, layer: -1}
	t, r := dtype.Sym(dtype.T), dtype.Sym(dtype.R)
	tokens, pos, rows := b.Input("tokens", graph.I32(t)), b.Input("positions", graph.I32(t)), b.Input("rows", graph.I32(r))
	table := b.Weight("token_embd.weight", b.matrixType(d.Width), d.Vocab, d.Width)
	x := b.Label("token_embd").Embed(table, tokens)
	if d.EmbedScale {
		x = b.Scale(x, float32(math.Sqrt(float64(d.Width))))
	}
	for l := range d.Layers {
		b.layer = l
		b.SetLayer(l)
		a := b.attention(b.norm(x, "attn_norm"), pos)
		if d.PostNorm {
			a = b.norm(a, "post_attention_norm")
		}
		x = b.Add(graph.OpAdd, nil, x, a)
		f := b.feedForward(b.norm(x, "ffn_norm"))
		if d.PostNorm {
			f = b.norm(f, "post_ffw_norm")
		}
		x = b.Add(graph.OpAdd, nil, x, f)
	}
	b.layer = -1
	b.SetLayer(-1)
	x = b.norm(b.Add(graph.OpGatherRows, nil, x, rows), "output_norm")
	out := table
	if !d.Tied {
		out = b.Weight("output.weight", b.matrixType(d.Width), d.Vocab, d.Width)
	}
	x = b.Label("output").Linear(x, out)
	if d.ReadScale != 0 {
		x = b.Scale(x, d.ReadScale)
	}
	if d.LogitCap != 0 {
		x = b.SoftCap(x, d.LogitCap)
	}
	b.Output("logits", b.Add(graph.OpReadout, nil, x))
	return b.Builder.Graph()
}

// Must is Graph for decoders known to be right; it panics if one is not.
func (d Decoder) Must() *graph.Graph {
	g, err := d.Graph()
	if err != nil {
		panic(err)
	}
	return g
}

// matrixType is the type of the next matrix; rows that are no whole blocks of
// it fall back to f16, as in real files.
func (b *builder) matrixType(cols int) dtype.DType {
	if len(b.Types) == 0 {
		return dtype.F32
	}
	t := b.Types[b.product%len(b.Types)]
	b.product++
	if cols%t.BlockLen() != 0 {
		return dtype.F16
	}
	return t
}

func (b *builder) name(short string) string {
	if b.layer < 0 {
		return short
	}
	return fmt.Sprintf("blk.%d.%s", b.layer, short)
}

func (b *builder) norm(x *graph.Node, short string) *graph.Node {
	s := x.Type.Shape
	w := b.Weight(b.name(short)+".weight", dtype.F32, s[len(s)-1].N)
	return b.Label("%s", b.name(short)).RMSNorm(x, w, b.Eps)
}

func (b *builder) linear(x *graph.Node, short string, in, out int, bias bool) *graph.Node {
	y := b.Label("%s", b.name(short)).Linear(x, b.Weight(b.name(short)+".weight", b.matrixType(in), out, in))
	if bias {
		y = b.Add(graph.OpAdd, nil, y, b.Weight(b.name(short)+".bias", dtype.F32, out))
	}
	return y
}

func (b *builder) attention(x, pos *graph.Node) *graph.Node {
	nq, nk, nv := b.Heads*b.KeyDim, b.KVHeads*b.KeyDim, b.KVHeads*b.ValueDim
	var q, k, v *graph.Node
	if b.FusedQKV {
		y := b.linear(x, "attn_qkv", b.Width, nq+nk+nv, b.Bias)
		q, k, v = b.Slice(y, 1, 0, nq), b.Slice(y, 1, nq, nk), b.Slice(y, 1, nq+nk, nv)
	} else {
		q = b.linear(x, "attn_q", b.Width, nq, b.Bias)
		k = b.linear(x, "attn_k", b.Width, nk, b.Bias)
		v = b.linear(x, "attn_v", b.Width, nv, b.Bias)
	}
	t := dtype.Sym(dtype.T)
	q = b.Reshape(q, t, dtype.Const(b.Heads), dtype.Const(b.KeyDim))
	k = b.Reshape(k, t, dtype.Const(b.KVHeads), dtype.Const(b.KeyDim))
	v = b.Reshape(v, t, dtype.Const(b.KVHeads), dtype.Const(b.ValueDim))
	if b.QKNorm {
		q, k = b.norm(q, "attn_q_norm"), b.norm(k, "attn_k_norm")
	}
	window, rope := b.Window, b.Decoder.Rope
	if b.Every > 0 && b.layer%b.Every == b.Every-1 {
		window = 0
	}
	if window > 0 && b.LocalRope != nil {
		rope = *b.LocalRope
	}
	var factors *graph.Node
	if b.Factors {
		factors = b.Weight("rope_freqs.weight", dtype.F32, rope.Dims/2)
	}
	q, k = b.Builder.Rope(q, pos, factors, rope), b.Builder.Rope(k, pos, factors, rope)
	state := fmt.Sprintf("kv.%d", b.layer)
	b.State(graph.StateDecl{Name: state, Kind: graph.Paged, KVHeads: b.KVHeads, KeyDim: b.KeyDim, ValueDim: b.ValueDim, DType: b.Cache})
	a := b.Label("%s", b.name("attn")).Attention(q, b.CacheWrite(k, v, state), graph.AttentionAttr{
		State: state, Scale: b.AttnScale, SoftCap: b.AttnCap, Window: window, Mask: b.Mask,
	})
	n := b.Heads * b.ValueDim
	return b.linear(b.Reshape(a, t, dtype.Const(n)), "attn_output", n, b.Width, false)
}

func (b *builder) feedForward(x *graph.Node) *graph.Node {
	var gate, up *graph.Node
	if b.FusedFFN {
		y := b.linear(x, "ffn_up", b.Width, 2*b.FFN, false)
		gate, up = b.Slice(y, 1, 0, b.FFN), b.Slice(y, 1, b.FFN, b.FFN)
	} else {
		gate = b.linear(x, "ffn_gate", b.Width, b.FFN, false)
		up = b.linear(x, "ffn_up", b.Width, b.FFN, false)
	}
	h := b.Add(graph.OpMul, nil, b.Add(b.Act, nil, gate), up)
	return b.linear(h, "ffn_down", b.FFN, b.Width, false)
}
