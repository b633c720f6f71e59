package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/graph/dtype"
	"github.com/ledge-run/ledge/runtime/model"
	_ "github.com/ledge-run/ledge/runtime/model/llama"
	"github.com/ledge-run/ledge/runtime/train/recipe"
	"github.com/ledge-run/ledge/runtime/train/step"
)

// settings are all that a side needs to know; their names are peer.py's, too.
type settings struct {
	Vocab    int     `json:"vocab"`
	Hidden   int     `json:"hidden"`
	FFN      int     `json:"ffn"`
	Layers   int     `json:"layers"`
	Heads    int     `json:"heads"`
	KVHeads  int     `json:"kv_heads"`
	Context  int     `json:"context"`
	NormEps  float32 `json:"norm_eps"`
	RopeBase float32 `json:"rope_base"`

	Batch     int     `json:"batch"`
	Length    int     `json:"length"`
	Precision string  `json:"precision"` // f32 or bf16
	Threads   int     `json:"threads"`
	Rate      float64 `json:"rate"`
	Beta1     float32 `json:"beta1"`
	Beta2     float32 `json:"beta2"`
	AdamEps   float32 `json:"adam_eps"`
	Decay     float32 `json:"decay"`
	Clip      float32 `json:"clip"`

	Seed    uint64 `json:"seed"`
	Weights string `json:"weights"` // file of PyTorch's names
	Tokens  string `json:"tokens"`  // file of int32
}

// standard are the settings of docs/training.md: a Llama of 2.4 million parameters.
func standard() settings {
	return settings{
		Vocab: 4096, Hidden: 192, FFN: 512, Layers: 4, Heads: 6, KVHeads: 3, Context: 512, NormEps: 1e-6, RopeBase: 10000,
		Rate: 1e-3, Beta1: 0.9, Beta2: 0.95, AdamEps: 1e-8, Decay: 0.1, Clip: 1, Seed: 1,
	}
}

// source describes the model.
func (s *settings) source() *recipe.Source {
	return recipe.Model{
		Architecture: "llama", Layers: s.Layers, Embedding: s.Hidden, Heads: s.Heads, KVHeads: s.KVHeads, KeyLength: s.Hidden / s.Heads,
		FeedForward: s.FFN, Context: s.Context, Tied: true, RopeBase: float64(s.RopeBase), NormEps: float64(s.NormEps),
	}.Source(s.Vocab)
}

// base is a weight's name without its layer and its ending.
func base(name string) string {
	name = strings.TrimSuffix(name, ".weight")
	if strings.HasPrefix(name, "blk.") {
		_, name, _ = strings.Cut(name[len("blk."):], ".")
	}
	return name
}

func (s *settings) graph() (*graph.Graph, error) {
	m, err := model.New(s.source())
	if err != nil {
		return nil, err
	}
	n := s.Batch * s.Length
	return m.Decoder(model.Options{Max: graph.Limits{T: n, S: s.Batch, R: n}, Context: s.Context, Train: &model.Train{}})
}

func (s *settings) random() step.Open { return step.Random(s.Seed, 0.02, s.Layers) }

// theirs is a weight's name in transformers.
func theirs(name string) string {
	other := map[string]string{
		"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
		"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
		"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
		"token_embd": "model.embed_tokens", "output_norm": "model.norm",
	}[base(name)]
	if layer, ok := strings.CutPrefix(name, "blk."); ok {
		layer, _, _ = strings.Cut(layer, ".")
		other = "model.layers." + layer + "." + other
	}
	return other + ".weight"
}

// turn puts rows of q and k into transformers' order: theirs rotates the halves of a
// head together, GGUF's neighbours.
func (s *settings) turn(name string, data []byte, rows int) []byte {
	if b := base(name); b != "attn_q" && b != "attn_k" {
		return data
	}
	size, row := s.Hidden/s.Heads, len(data)/rows
	out := make([]byte, 0, len(data))
	for r := range rows {
		h, i := r/size, r%size
		from := h*size + i%(size/2)*2 + i/(size/2)
		out = append(out, data[from*row:(from+1)*row]...)
	}
	return out
}

// writeWeights writes the first weights as a file of safetensors:
// https://huggingface.co/docs/safetensors/index#format.
func (s *settings) writeWeights(path string) (err error) {
	g, err := s.graph()
	if err != nil {
		return err
	}
	type entry struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header, all := map[string]entry{}, []byte(nil)
	open, source := s.random(), s.source()
	for _, w := range g.Weights() {
		_, shape, ok := source.TensorType(w.Name)
		if !ok {
			return fmt.Errorf("the model has a weight %q that is unknown here", w.Name)
		}
		data, release, err := open(backend.WeightSpec{Name: w.Name, DType: dtype.F32, Shape: shape})
		if err != nil {
			return err
		}
		data = s.turn(w.Name, data, shape[0])
		header[theirs(w.Name)] = entry{"F32", shape, [2]int{len(all), len(all) + len(data)}}
		all = append(all, data...)
		release()
	}
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	return os.WriteFile(path, slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text, all), 0o644)
}

// writeTokens writes so many steps' documents, each of a token more than is read, at
// random.
func (s *settings) writeTokens(path string, steps int) error {
	rng := rand.New(rand.NewPCG(s.Seed, 2))
	var b []byte
	for range steps * s.Batch * (s.Length + 1) {
		b = binary.LittleEndian.AppendUint32(b, uint32(rng.IntN(s.Vocab)))
	}
	return os.WriteFile(path, b, 0o644)
}

// readTokens gives the parts of the steps.
func (s *settings) readTokens() ([]step.Part, error) {
	data, err := os.ReadFile(s.Tokens)
	if err != nil {
		return nil, err
	}
	var parts []step.Part
	for one := 4 * s.Batch * (s.Length + 1); len(data) > 0; data = data[one:] {
		if len(data) < one {
			return nil, fmt.Errorf("%s: %w", s.Tokens, io.ErrUnexpectedEOF)
		}
		var p step.Part
		for d := range s.Batch {
			at := func(i int) int32 { return int32(binary.LittleEndian.Uint32(data[4*(d*(s.Length+1)+i):])) }
			for i := range s.Length {
				p.Tokens, p.Labels = append(p.Tokens, at(i)), append(p.Labels, at(i+1))
			}
			p.Lengths = append(p.Lengths, s.Length)
		}
		parts = append(parts, p)
	}
	return parts, nil
}
