package recipe

import (
	"strings"

	"github.com/ledge-run/ledge/graph/dtype"
)

// Architectures are those that a model can be made of from nothing.
func Architectures() []string { return []string{"llama", "qwen2", "qwen3"} }

// Source describes the model with a vocabulary of the given size: what runtime/model
// makes a network of (it is a model.Source), and what its file says.
func (m Model) Source(vocab int) *Source {
	s := &Source{model: m, vocab: vocab, values: map[string]any{}}
	set := func(key string, value any) {
		s.keys = append(s.keys, key)
		s.values[key] = value
	}
	p := m.Architecture + "."
	set("general.architecture", m.Architecture)
	set("general.type", "model")
	if m.Name != "" {
		set("general.name", m.Name)
	}
	set(p+"block_count", uint32(m.Layers))
	set(p+"context_length", uint32(m.Context))
	set(p+"embedding_length", uint32(m.Embedding))
	set(p+"feed_forward_length", uint32(m.FeedForward))
	set(p+"attention.head_count", uint32(m.Heads))
	set(p+"attention.head_count_kv", uint32(m.KVHeads))
	set(p+"attention.key_length", uint32(m.KeyLength))
	set(p+"attention.value_length", uint32(m.KeyLength))
	set(p+"attention.layer_norm_rms_epsilon", float32(m.NormEps))
	set(p+"rope.dimension_count", uint32(m.KeyLength))
	set(p+"rope.freq_base", float32(m.RopeBase))
	set(p+"vocab_size", uint32(vocab))
	return s
}

// Source is a model's description.
type Source struct {
	model  Model
	vocab  int
	keys   []string
	values map[string]any
}

// Keys are the metadata's, in the order of a file.
func (s *Source) Keys() []string { return s.keys }

// Value is the value of a key.
func (s *Source) Value(key string) (any, bool) {
	v, ok := s.values[key]
	return v, ok
}

// TensorType is the type and the shape of a tensor: f32, as all begins.
func (s *Source) TensorType(name string) (dtype.DType, []int, bool) {
	m := s.model
	q, kv := m.Heads*m.KeyLength, m.KVHeads*m.KeyLength
	layer := strings.HasPrefix(name, "blk.")
	if layer {
		_, name, _ = strings.Cut(name[len("blk."):], ".")
	}
	shapes := map[string][]int{"token_embd.weight": {s.vocab, m.Embedding}, "output_norm.weight": {m.Embedding}}
	if !m.Tied {
		shapes["output.weight"] = []int{s.vocab, m.Embedding}
	}
	if layer {
		shapes = map[string][]int{
			"attn_norm.weight": {m.Embedding}, "ffn_norm.weight": {m.Embedding},
			"attn_q.weight": {q, m.Embedding}, "attn_k.weight": {kv, m.Embedding}, "attn_v.weight": {kv, m.Embedding}, "attn_output.weight": {m.Embedding, q},
			"ffn_gate.weight": {m.FeedForward, m.Embedding}, "ffn_up.weight": {m.FeedForward, m.Embedding}, "ffn_down.weight": {m.Embedding, m.FeedForward},
		}
		switch m.Architecture {
		case "qwen2":
			shapes["attn_q.bias"], shapes["attn_k.bias"], shapes["attn_v.bias"] = []int{q}, []int{kv}, []int{kv}
		case "qwen3":
			shapes["attn_q_norm.weight"], shapes["attn_k_norm.weight"] = []int{m.KeyLength}, []int{m.KeyLength}
		}
	}
	shape, ok := shapes[name]
	return dtype.F32, shape, ok
}
