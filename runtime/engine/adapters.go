package engine

import (
	"fmt"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/runtime/model"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
	"github.com/ledge-run/ledge/runtime/weights/lora"
)

// adapt takes the options' adapters into use: they belong to the model from then on,
// also if there is an error.
func (m *Model) adapt() error {
	uses := m.Options.Adapters
	if len(uses) == 0 {
		return nil
	}
	if m.Options.Tap != nil {
		return fmt.Errorf("a model with adapters is not tapped: merge them into it first")
	}
	set, err := lora.Join(m.File, uses...)
	if err != nil {
		return err
	}
	m.Options.adapters = set
	// What the graph does not read would silently do nothing.
	g, err := m.Network.Decoder(modelOptions(m.Options, graph.Limits{T: 1, S: 1, R: 1, P: 1}, false))
	if err != nil {
		return err
	}
	read := map[string]bool{}
	for _, w := range g.Weights() {
		read[w.Name] = true
	}
	for _, w := range set.Weights() {
		if !read[w+lora.SuffixA] {
			return fmt.Errorf("the adapter %s changes %q, which is no matrix that this model multiplies with", changing(uses, w), w)
		}
	}
	return nil
}

// changing is the name of the first adapter that changes a weight.
func changing(uses []lora.Use, weight string) string {
	for _, u := range uses {
		for _, p := range u.File.Pairs {
			if p.Weight == weight {
				return u.File.Name()
			}
		}
	}
	return "given"
}

// adapterOf shows a set of adapters to package model.
func adapterOf(s *lora.Set) func(weight string) (model.Adapter, bool) {
	if s == nil {
		return nil
	}
	return func(weight string) (model.Adapter, bool) {
		a, ok := s.Adapter(weight)
		return model.Adapter{Rank: a.Rank, Scale: a.Scale, A: a.A, B: a.B}, ok
	}
}

// tensor is the weight of this name: the model's, or an adapter's.
func (m *Model) tensor(name string) *gguf.Tensor {
	if m.Options.adapters != nil {
		if t, ok := m.Options.adapters.Tensor(name); ok {
			return t
		}
	}
	t, _ := m.File.Tensor(name) // the network has asked for it already
	return t
}
