// Package gemma3 emits the Gemma 3 text architecture: Gemma 2's layer with
// norms on the heads of q and k instead of soft caps, and five local layers
// (sliding window, rope base 10,000 unscaled) to every global one (the file's
// rope base and scaling). https://arxiv.org/abs/2503.19786.
package gemma3

import (
	"math"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/model/block"
)

func init() { model.Register(model.Architecture{Name: "gemma3", New: New}) }

// Model is one file's Gemma 3.
type Model struct {
	c         block.Config
	localRope graph.RopeAttr
	pattern   int // every pattern-th layer is global
}

// New reads the hyperparameters.
func New(s model.Source) (model.Model, error) {
	c, err := block.ReadConfig(s)
	if err != nil {
		return nil, err
	}
	r := model.NewReader(s)
	m := &Model{c: c}
	m.pattern = r.IntOr("attention.sliding_window_pattern", 6)
	m.localRope = graph.RopeAttr{Mode: c.Rotary.Mode, Dims: c.Rotary.Dims, Base: r.FloatOr("rope.freq_base_swa", r.FloatOr("rope.local.freq_base", 10000))}
	if !(m.localRope.Base > 1) {
		r.Fail("metadata key %q stands for %g: want more than 1", r.Prefix+"rope.freq_base_swa", m.localRope.Base)
	}
	if c.Layers == 62 && !r.Has("attention.scale") {
		// As in Gemma 2, the 27B model alone scales by the embedding's share of a head.
		m.c.AttnScale = float32(1 / math.Sqrt(float64(c.Embedding)/float64(c.Heads)))
	}
	return m, r.Err()
}

// Info describes the model.
func (m *Model) Info() model.Info { return m.c.Info }

// Decoder emits the graph.
func (m *Model) Decoder(o model.Options) (*graph.Graph, error) {
	d := block.NewDecoder(m.c, o)
	x := d.Scale(d.Embed(), float32(math.Sqrt(float64(m.c.Embedding))))
	for l := range d.EachLayer() {
		window, rope := m.c.Window, m.localRope
		if m.pattern > 0 && (l+1)%m.pattern == 0 {
			window, rope = 0, m.c.Rotary
		}
		q, k, v := d.QKV(d.Norm(x, "attn_norm"))
		q, k = d.Norm(q, "attn_q_norm"), d.Norm(k, "attn_k_norm")
		a := d.Attention(d.Rotate(q, rope), d.Rotate(k, rope), v, window)
		x = d.Sum(x, d.Norm(a, "post_attention_norm"))
		f := d.GatedFFN(d.Norm(x, "ffn_norm"), graph.OpGelu)
		x = d.Sum(x, d.Norm(f, "post_ffw_norm"))
	}
	return d.Finish(x)
}
