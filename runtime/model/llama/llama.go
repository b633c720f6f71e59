// Package llama emits the Llama architecture, which Mistral and SmolLM share:
// RMS norm before each part, grouped-query attention with rotary embeddings on
// pairs (as GGUF orders them), SwiGLU. Llama 2: https://arxiv.org/abs/2307.09288.
package llama

import (
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/model/block"
)

func init() { model.Register(model.Architecture{Name: "llama", New: New}) }

// Model is one file's Llama.
type Model struct{ c block.Config }

// New reads the hyperparameters.
func New(s model.Source) (model.Model, error) {
	c, err := block.ReadConfig(s)
	c.Rotary.Mode = graph.RopePairs
	return &Model{c}, err
}

// Info describes the model.
func (m *Model) Info() model.Info { return m.c.Info }

// Decoder emits the graph.
func (m *Model) Decoder(o model.Options) (*graph.Graph, error) {
	return m.c.Standard(o, nil)
}
