// Package qwen2 emits the Qwen2 architecture: Llama's layer with biases on q,
// k and v and rotary embeddings on halves. https://arxiv.org/abs/2407.10671.
package qwen2

import (
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/model/block"
)

func init() { model.Register(model.Architecture{Name: "qwen2", New: New}) }

// Model is one file's Qwen2.
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
