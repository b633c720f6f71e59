package block

import (
	"fmt"
	"iter"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// Decoder emits the parts of one decoder graph. Tensor names inside a layer
// are given without "blk.N." and ".weight".
type Decoder struct {
	*graph.Builder
	Config

	Tokens, Positions, Rows *graph.Node

	opts    model.Options
	layer   int
	sites   int                    // of dropout so far
	rounded map[string]*graph.Node // matrices, by name
}

// NewDecoder starts a graph with the usual inputs.
func NewDecoder(c Config, o model.Options) *Decoder {
	d := &Decoder{Builder: graph.NewBuilder(c.Architecture, o.Max), Config: c, opts: o, layer: -1}
	t, r := dtype.Sym(dtype.T), dtype.Sym(dtype.R)
	d.Tokens = d.Input("tokens", graph.I32(t))
	d.Positions = d.Input("positions", graph.I32(t))
	d.Rows = d.Input("rows", graph.I32(r))
	return d
}

// Layer starts layer l.
func (d *Decoder) Layer(l int) {
	d.layer = l
	d.SetLayer(l)
}

// EachLayer starts one layer after the other, up to the first mistake: a file
// may speak of thousands that it does not have.
func (d *Decoder) EachLayer() iter.Seq[int] {
	return func(yield func(int) bool) {
		for l := range d.Layers {
			if d.Layer(l); d.Err() != nil || !yield(l) {
				return
			}
		}
	}
}

func (d *Decoder) name(short string) string {
	if d.layer < 0 {
		return short
	}
	return fmt.Sprintf("blk.%d.%s", d.layer, short)
}

// Has reports whether the layer (or the model, outside layers) has the tensor.
func (d *Decoder) Has(short string) bool {
	_, _, ok := d.src.TensorType(d.name(short))
	return ok
}

// Tensor is a weight that must have the given shape.
func (d *Decoder) Tensor(full string, shape ...int) *graph.Node {
	t, have, ok := d.src.TensorType(full)
	switch {
	case !ok:
		d.Fail("tensor %q is missing", full)
	case !equal(have, shape):
		d.Fail("tensor %q has shape %v, the metadata asks for %v", full, have, shape)
	case !t.Computable():
		d.Fail("tensor %q has type %s, which is not supported", full, t)
	case len(shape) == 1 && t != dtype.F32:
		d.Fail("tensor %q has type %s, vectors must be f32", full, t)
	}
	return d.Weight(full, t, shape...)
}

// Embed looks the tokens up.
func (d *Decoder) Embed() *graph.Node {
	const name = "token_embd.weight"
	w := d.matrix(name, d.Vocab, d.Embedding)
	x := d.Label("token_embd").Embed(w, d.Tokens)
	if a, ok := d.adapter(name); ok {
		low := d.Label("%s", name+lora.SuffixA).Embed(d.Weight(name+lora.SuffixA, a.A, d.Vocab, a.Rank), d.Tokens)
		x = d.adapted(x, low, name, a, d.Embedding)
	}
	return d.dropout(x)
}

// dropout applies it in training, if asked for.
func (d *Decoder) dropout(x *graph.Node) *graph.Node {
	if d.opts.Train == nil || d.opts.Train.Dropout == 0 {
		return x
	}
	d.sites++
	key := d.Input("key", graph.I32(dtype.Const(2)))
	return d.Add(graph.OpDropout, graph.DropoutAttr{Rate: d.opts.Train.Dropout, Site: d.sites}, x, key)
}

// Norm is an RMS norm with a weight of the size of x's last dimension.
func (d *Decoder) Norm(x *graph.Node, short string) *graph.Node {
	size := x.Type.Shape
	n := d.Embedding
	if len(size) > 0 {
		n = size[len(size)-1].N
	}
	w := d.Tensor(d.name(short)+".weight", n)
	return d.Label("%s", d.name(short)).RMSNorm(x, w, d.NormEps)
}

// Linear is the projection of this name, out rows high, with its bias if the
// file has one. Every projection of every model goes through here.
func (d *Decoder) Linear(x *graph.Node, short string, in, out int) *graph.Node {
	name := d.name(short)
	return d.linear(x, name, name+".weight", in, out)
}

// linear is the projection of this name, with the adapter of a weight that may be
// another's: see model.Options.Adapters.
func (d *Decoder) linear(x *graph.Node, name, weight string, in, out int) *graph.Node {
	w := d.matrix(name+".weight", out, in)
	y := d.Label("%s", name).Linear(x, w)
	if _, _, ok := d.src.TensorType(name + ".bias"); ok {
		y = d.Add(graph.OpAdd, nil, y, d.Tensor(name+".bias", out))
	}
	if a, ok := d.adapter(weight); ok {
		low := d.Label("%s", weight+lora.SuffixA).Linear(x, d.Weight(weight+lora.SuffixA, a.A, a.Rank, in))
		y = d.adapted(y, low, weight, a, out)
	}
	return y
}

// QKV projects to queries, keys and values as heads [T H D], from one fused
// tensor (attn_qkv) or three.
func (d *Decoder) QKV(x *graph.Node) (q, k, v *graph.Node) {
	nq, nk, nv := d.Heads*d.KeyDim, d.KVHeads*d.KeyDim, d.KVHeads*d.ValueDim
	if d.Has("attn_qkv.weight") {
		y := d.Linear(x, "attn_qkv", d.Embedding, nq+nk+nv)
		q, k, v = d.Slice(y, 1, 0, nq), d.Slice(y, 1, nq, nk), d.Slice(y, 1, nq+nk, nv)
	} else {
		q = d.Linear(x, "attn_q", d.Embedding, nq)
		k = d.Linear(x, "attn_k", d.Embedding, nk)
		v = d.Linear(x, "attn_v", d.Embedding, nv)
	}
	return d.heads(q, d.Heads, d.KeyDim), d.heads(k, d.KVHeads, d.KeyDim), d.heads(v, d.KVHeads, d.ValueDim)
}

func (d *Decoder) heads(x *graph.Node, h, size int) *graph.Node {
	return d.Reshape(x, dtype.Sym(dtype.T), dtype.Const(h), dtype.Const(size))
}

// Rotate applies a rotary embedding to heads, with the file's factors if it has any.
func (d *Decoder) Rotate(x *graph.Node, a graph.RopeAttr) *graph.Node {
	name := d.RopeFactor.Short
	if d.opts.Context > d.RopeFactor.Switch {
		name = d.RopeFactor.Long
	}
	var factors *graph.Node
	if name != "" {
		factors = d.Tensor(name, a.Dims/2)
	}
	return d.Rope(x, d.Positions, factors, a)
}

// Attention attends and projects the result with attn_output. A window of 0 sees
// everything.
func (d *Decoder) Attention(q, k, v *graph.Node, window int) *graph.Node {
	n := d.Heads * d.ValueDim
	a := d.Reshape(d.attend(q, k, v, window), dtype.Sym(dtype.T), dtype.Const(n))
	return d.dropout(d.Linear(a, "attn_output", n, d.Embedding))
}

// attend writes k and v to the layer's cache and attends to that; in training, to
// the segment's own rows.
func (d *Decoder) attend(q, k, v *graph.Node, window int) *graph.Node {
	if d.opts.Train != nil {
		return d.Label("%s", d.name("attn")).Add(graph.OpSelfAttention, graph.SelfAttentionAttr{
			Scale: d.AttnScale, SoftCap: d.AttnCap, Window: window, Mask: graph.Causal,
		}, q, k, v)
	}
	state := fmt.Sprintf("kv.%d", d.layer)
	d.State(graph.StateDecl{Name: state, Kind: graph.Paged, KVHeads: d.KVHeads, KeyDim: d.KeyDim, ValueDim: d.ValueDim, DType: d.opts.Cache})
	w := d.CacheWrite(k, v, state)
	return d.Label("%s", d.name("attn")).Attention(q, w, graph.AttentionAttr{
		State: state, Scale: d.AttnScale, SoftCap: d.AttnCap, Window: window, Mask: graph.Causal,
	})
}

// GatedFFN is down(act(gate(x)) * up(x)); a file without ffn_gate has gate and
// up in one tensor, ffn_up.
func (d *Decoder) GatedFFN(x *graph.Node, act graph.Op) *graph.Node {
	var gate, up *graph.Node
	if d.Has("ffn_gate.weight") {
		gate = d.Linear(x, "ffn_gate", d.Embedding, d.FeedForward)
		up = d.Linear(x, "ffn_up", d.Embedding, d.FeedForward)
	} else {
		y := d.Linear(x, "ffn_up", d.Embedding, 2*d.FeedForward)
		gate, up = d.Slice(y, 1, 0, d.FeedForward), d.Slice(y, 1, d.FeedForward, d.FeedForward)
	}
	h := d.Add(graph.OpMul, nil, d.Add(act, nil, gate), up)
	return d.dropout(d.Linear(h, "ffn_down", d.FeedForward, d.Embedding))
}

// Sum adds two values of one shape.
func (d *Decoder) Sum(x, y *graph.Node) *graph.Node { return d.Add(graph.OpAdd, nil, x, y) }

// Finish picks the rows read out, norms them, projects them to the vocabulary
// (by output.weight, or the embedding where the file ties them) and ends the
// graph.
func (d *Decoder) Finish(x *graph.Node) (*graph.Graph, error) {
	d.Layer(-1)
	x = d.Add(graph.OpGatherRows, nil, x, d.Rows)
	x = d.Norm(x, "output_norm")
	if d.opts.Hidden {
		d.Output("hidden", x)
		return d.Graph()
	}
	name := "output"
	if !d.Has("output.weight") {
		name = "token_embd"
	}
	y := d.linear(x, name, "output.weight", d.Embedding, d.Vocab)
	if d.LogitCap > 0 {
		y = d.SoftCap(y, d.LogitCap)
	}
	if d.opts.Train != nil {
		d.Output("loss", d.loss(y))
		return d.Graph()
	}
	d.Output("logits", d.Add(graph.OpReadout, nil, y))
	return d.Graph()
}

// loss is that of each row's logits, by its label and, if there is a teacher, by that.
func (d *Decoder) loss(logits *graph.Node) *graph.Node {
	r, a := dtype.Sym(dtype.R), graph.CrossEntropyAttr{}
	in := []*graph.Node{logits, d.Input("labels", graph.I32(r))}
	if t := d.opts.Train.Teacher; t != nil {
		if t.K < 1 || t.K > d.Vocab || !(t.Temperature > 0) {
			d.Fail("a teacher of %d ids at temperature %g: want 1 to %d ids and a positive temperature", t.K, t.Temperature, d.Vocab)
		}
		k := dtype.Const(t.K)
		in = append(in, d.Input("targets", graph.I32(r, k)), d.Input("target.probs", graph.F32(r, k)))
		a = graph.CrossEntropyAttr{Temperature: t.Temperature, Mix: t.Mix}
	}
	return d.Add(graph.OpCrossEntropy, a, in...)
}

// Standard is the pre-norm decoder with SwiGLU: attention and feed-forward,
// each added to its input. Before q and k are rotated, prepare may change
// them; it may be nil.
func (c Config) Standard(o model.Options, prepare func(d *Decoder, q, k *graph.Node) (*graph.Node, *graph.Node)) (*graph.Graph, error) {
	d := NewDecoder(c, o)
	x := d.Embed()
	for range d.EachLayer() {
		q, k, v := d.QKV(d.Norm(x, "attn_norm"))
		if prepare != nil {
			q, k = prepare(d, q, k)
		}
		x = d.Sum(x, d.Attention(d.Rotate(q, c.Rotary), d.Rotate(k, c.Rotary), v, c.Window))
		x = d.Sum(x, d.GatedFFN(d.Norm(x, "ffn_norm"), graph.OpSilu))
	}
	return d.Finish(x)
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
