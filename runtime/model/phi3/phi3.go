// Package phi3 emits the Phi-3 architecture: Llama's layer with q, k and v in
// one tensor, gate and up in another, rotary embeddings on halves of the first
// rope.dimension_count elements, and longrope's factors where the file has
// them (LongRoPE, https://arxiv.org/abs/2402.13753). https://arxiv.org/abs/2404.14219.
package phi3

import (
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/model/block"
)

func init() { model.Register(model.Architecture{Name: "phi3", New: New}) }

// Model is one file's Phi-3.
type Model struct{ c block.Config }

// New reads the hyperparameters.
func New(s model.Source) (model.Model, error) {
	c, err := block.ReadConfig(s)
	return &Model{c}, err
}

// Info describes the model.
func (m *Model) Info() model.Info { return m.c.Info }

// Decoder emits the graph.
func (m *Model) Decoder(o model.Options) (*graph.Graph, error) {
	return m.c.Standard(o, nil)
}
