// Package gemma2 emits the Gemma 2 architecture: embeddings scaled by
// sqrt(size), a norm before and after each part, GeGLU, soft caps on scores
// and logits, and a sliding window in every other layer, beginning with the
// first. https://arxiv.org/abs/2408.00118.
package gemma2

import (
	"math"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/model/block"
)

func init() { model.Register(model.Architecture{Name: "gemma2", New: New}) }

// Model is one file's Gemma 2.
type Model struct{ c block.Config }

// New reads the hyperparameters.
func New(s model.Source) (model.Model, error) {
	c, err := block.ReadConfig(s)
	if err == nil && c.Layers == 46 && !model.NewReader(s).Has("attention.scale") {
		// The 27B model alone scales by the embedding's share of a head,
		// not the head's size; its file does not say so.
		c.AttnScale = float32(1 / math.Sqrt(float64(c.Embedding)/float64(c.Heads)))
	}
	return &Model{c}, err
}

// Info describes the model.
func (m *Model) Info() model.Info { return m.c.Info }

// Decoder emits the graph.
func (m *Model) Decoder(o model.Options) (*graph.Graph, error) {
	d := block.NewDecoder(m.c, o)
	x := d.Scale(d.Embed(), float32(math.Sqrt(float64(m.c.Embedding))))
	for l := range d.EachLayer() {
		window := 0
		if l%2 == 0 {
			window = m.c.Window
		}
		q, k, v := d.QKV(d.Norm(x, "attn_norm"))
		a := d.Attention(d.Rotate(q, m.c.Rotary), d.Rotate(k, m.c.Rotary), v, window)
		x = d.Sum(x, d.Norm(a, "post_attention_norm"))
		f := d.GatedFFN(d.Norm(x, "ffn_norm"), graph.OpGelu)
		x = d.Sum(x, d.Norm(f, "post_ffw_norm"))
	}
	return d.Finish(x)
}
