// Package qwen3 emits the Qwen3 architecture: Llama's layer with an RMS norm on
// every head of q and k before the rotary embedding. https://arxiv.org/abs/2505.09388.
package qwen3

import (
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/model/block"
)

func init() { model.Register(model.Architecture{Name: "qwen3", New: New}) }

// Model is one file's Qwen3.
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
	return m.c.Standard(o, func(d *block.Decoder, q, k *graph.Node) (*graph.Node, *graph.Node) {
		return d.Norm(q, "attn_q_norm"), d.Norm(k, "attn_k_norm")
	})
}
