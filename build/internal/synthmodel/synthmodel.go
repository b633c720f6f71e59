// Package synthmodel says what a synthetic model of the llama architecture is made
// of: its sizes, tensors and metadata, the tokenizer's included. What is in the
// tensors, and of which types they are, is its users' affair.
package synthmodel

import (
	"fmt"

	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// A Shape is the sizes of a model.
type Shape struct {
	Layers, Dim, Heads, KVHeads, FFN, Vocab, Context int

	// Tied: the embedding is also the output matrix, as small models have it.
	Tied bool
}

// Shapes that are measured, by name. Their sizes are multiples of 256, so that
// every row is whole blocks of any type.
var Shapes = map[string]Shape{
	// small enough for a test
	"tiny": {Layers: 2, Dim: 256, Heads: 4, KVHeads: 2, FFN: 512, Vocab: 512, Context: 2048},
	// those of Llama 3.2 1B and Llama 3 8B
	"1b": {Layers: 16, Dim: 2048, Heads: 32, KVHeads: 8, FFN: 8192, Vocab: 128256, Context: 32768, Tied: true},
	"8b": {Layers: 32, Dim: 4096, Heads: 32, KVHeads: 8, FFN: 14336, Vocab: 128256, Context: 32768},
	// eight layers as wide as those of Llama 3 70B
	"wide": {Layers: 8, Dim: 8192, Heads: 64, KVHeads: 8, FFN: 28672, Vocab: 32000, Context: 32768},
}

// A Tensor is one that a model needs. The shape is outermost first: [rows, columns]
// of a matrix, which maps columns to rows, or [size] of a norm's factors.
type Tensor struct {
	Name  string
	Shape []int
}

// Matrix says whether it isn't a norm's factors.
func (t Tensor) Matrix() bool { return len(t.Shape) == 2 }

// Tensors are those of a model, in the order of a file.
func (s Shape) Tensors() []Tensor {
	kv := s.KVHeads * (s.Dim / s.Heads)
	all := []Tensor{{"token_embd.weight", []int{s.Vocab, s.Dim}}}
	for l := range s.Layers {
		name := func(part string) string { return fmt.Sprintf("blk.%d.%s.weight", l, part) }
		all = append(all,
			Tensor{name("attn_norm"), []int{s.Dim}},
			Tensor{name("attn_q"), []int{s.Dim, s.Dim}},
			Tensor{name("attn_k"), []int{kv, s.Dim}},
			Tensor{name("attn_v"), []int{kv, s.Dim}},
			Tensor{name("attn_output"), []int{s.Dim, s.Dim}},
			Tensor{name("ffn_norm"), []int{s.Dim}},
			Tensor{name("ffn_gate"), []int{s.FFN, s.Dim}},
			Tensor{name("ffn_up"), []int{s.FFN, s.Dim}},
			Tensor{name("ffn_down"), []int{s.Dim, s.FFN}})
	}
	all = append(all, Tensor{"output_norm.weight", []int{s.Dim}})
	if !s.Tied {
		all = append(all, Tensor{"output.weight", []int{s.Vocab, s.Dim}})
	}
	return all
}

// SetMetadata sets the sizes, and a byte-level vocabulary: one token for each
// byte, one merge (there must be some), two control tokens, and names that no
// text is made of. The file type is llama.cpp's number of what most tensors are.
func (s Shape) SetMetadata(w *gguf.Writer, fileType uint32) error {
	tokens, types := s.vocabulary()
	for _, kv := range []struct {
		key   string
		value any
	}{
		{"general.architecture", "llama"},
		{"general.name", "synthetic"},
		{"general.file_type", fileType},
		{"llama.vocab_size", uint32(s.Vocab)},
		{"llama.context_length", uint32(s.Context)},
		{"llama.embedding_length", uint32(s.Dim)},
		{"llama.block_count", uint32(s.Layers)},
		{"llama.feed_forward_length", uint32(s.FFN)},
		{"llama.rope.dimension_count", uint32(s.Dim / s.Heads)},
		{"llama.rope.freq_base", float32(500000)},
		{"llama.attention.head_count", uint32(s.Heads)},
		{"llama.attention.head_count_kv", uint32(s.KVHeads)},
		{"llama.attention.layer_norm_rms_epsilon", float32(1e-5)},
		{"tokenizer.ggml.model", "gpt2"},
		{"tokenizer.ggml.pre", "smollm"},
		{"tokenizer.ggml.tokens", tokens},
		{"tokenizer.ggml.token_type", types},
		{"tokenizer.ggml.merges", []string{"t h"}},
		{"tokenizer.ggml.bos_token_id", uint32(257)},
		{"tokenizer.ggml.eos_token_id", uint32(258)},
	} {
		if err := w.Set(kv.key, kv.value); err != nil {
			return err
		}
	}
	return nil
}

func (s Shape) vocabulary() (tokens []string, types []int32) {
	tokens, types = make([]string, s.Vocab), make([]int32, s.Vocab)
	for i := range tokens {
		types[i] = 1
		switch i {
		case 256:
			tokens[i] = "th"
		case 257, 258:
			tokens[i], types[i] = []string{"<|bos|>", "<|eos|>"}[i-257], 3
		default:
			tokens[i] = fmt.Sprintf("tok%d", i)
		}
	}
	next := rune(256)
	for b := range min(256, s.Vocab) { // GPT-2's names of bytes
		r := rune(b)
		if r < '!' || r > '~' && r < 0xa1 || r == 0xad {
			r = next
			next++
		}
		tokens[b] = string(r)
	}
	return tokens, types
}
