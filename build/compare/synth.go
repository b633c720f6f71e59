package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"

	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// A shape is the size of a synthetic model of the llama architecture. Its output
// matrix is the embedding, as small models have it.
type shape struct {
	layers, dim, heads, kvHeads, ffn, vocab, context int
}

// oneB has the sizes of a common model of a thousand million parameters; each is
// a multiple of 256, so that no type of the K family falls back to another.
var oneB = shape{layers: 16, dim: 2048, heads: 32, kvHeads: 8, ffn: 8192, vocab: 128256, context: 32768}

// writeSynth writes a model of normally distributed F16 weights, the same each
// time. Products keep the scale of their inputs, so activations stay finite; the
// text that comes out is noise.
func writeSynth(path string, s shape) error {
	var w gguf.Writer
	if err := setMetadata(&w, s); err != nil {
		return err
	}
	seed := uint64(0)
	matrix := func(name string, rows, cols int) error {
		seed++
		rng := rand.New(rand.NewPCG(seed, 0x6c65646765))
		return w.AddFunc(name, dtype.F16, []int{rows, cols}, func(out io.Writer) error {
			return writeNormal(out, rng, rows*cols, 1/math.Sqrt(float64(cols)))
		})
	}
	ones := func(name string) error {
		b := make([]byte, 4*s.dim)
		for i := range s.dim {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(1))
		}
		return w.Add(name, dtype.F32, []int{s.dim}, b)
	}
	head := s.dim / s.heads
	add := []func() error{func() error { return matrix("token_embd.weight", s.vocab, s.dim) }}
	for l := range s.layers {
		name := func(part string) string { return fmt.Sprintf("blk.%d.%s.weight", l, part) }
		add = append(add,
			func() error { return ones(name("attn_norm")) },
			func() error { return matrix(name("attn_q"), s.heads*head, s.dim) },
			func() error { return matrix(name("attn_k"), s.kvHeads*head, s.dim) },
			func() error { return matrix(name("attn_v"), s.kvHeads*head, s.dim) },
			func() error { return matrix(name("attn_output"), s.dim, s.heads*head) },
			func() error { return ones(name("ffn_norm")) },
			func() error { return matrix(name("ffn_gate"), s.ffn, s.dim) },
			func() error { return matrix(name("ffn_up"), s.ffn, s.dim) },
			func() error { return matrix(name("ffn_down"), s.dim, s.ffn) })
	}
	add = append(add, func() error { return ones("output_norm.weight") })
	for _, f := range add {
		if err := f(); err != nil {
			return err
		}
	}
	return writeFile(path, &w)
}

// writeNormal writes n F16 values of a normal distribution around 0: each is one
// of 65,536 quantiles, drawn evenly.
func writeNormal(out io.Writer, rng *rand.Rand, n int, deviation float64) error {
	var quantiles [1 << 16]uint16
	for i := range quantiles {
		p := (float64(i) + 0.5) / float64(len(quantiles))
		quantiles[i] = dtype.F32ToF16(float32(deviation * math.Sqrt2 * math.Erfinv(2*p-1)))
	}
	b := bufio.NewWriterSize(out, 1<<20)
	var buf [8]byte
	for n > 0 {
		bits := rng.Uint64()
		k := min(4, n)
		for i := range k {
			binary.LittleEndian.PutUint16(buf[2*i:], quantiles[uint16(bits>>(16*i))])
		}
		if _, err := b.Write(buf[:2*k]); err != nil {
			return err
		}
		n -= k
	}
	return b.Flush()
}

// setMetadata sets the sizes, and a byte-level vocabulary: one token for each
// byte, one merge (there must be some), two control tokens, and names that no
// text is made of.
func setMetadata(w *gguf.Writer, s shape) error {
	tokens, types := make([]string, s.vocab), make([]int32, s.vocab)
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
	for b := range min(256, s.vocab) { // GPT-2's names of bytes
		r := rune(b)
		if r < '!' || r > '~' && r < 0xa1 || r == 0xad {
			r = next
			next++
		}
		tokens[b] = string(r)
	}
	for _, kv := range []struct {
		key   string
		value any
	}{
		{"general.architecture", "llama"},
		{"general.name", "synthetic"},
		{"general.file_type", uint32(1)}, // mostly F16
		{"llama.vocab_size", uint32(s.vocab)},
		{"llama.context_length", uint32(s.context)},
		{"llama.embedding_length", uint32(s.dim)},
		{"llama.block_count", uint32(s.layers)},
		{"llama.feed_forward_length", uint32(s.ffn)},
		{"llama.rope.dimension_count", uint32(s.dim / s.heads)},
		{"llama.rope.freq_base", float32(500000)},
		{"llama.attention.head_count", uint32(s.heads)},
		{"llama.attention.head_count_kv", uint32(s.kvHeads)},
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
