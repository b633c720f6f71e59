// Package block holds what the decoders of package model have in common:
// reading the hyperparameters and emitting the usual parts of a layer.
package block

import (
	"fmt"
	"math"

	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/runtime/model"
)

// Config are a decoder's hyperparameters, from GGUF's keys.
type Config struct {
	model.Info
	NormEps    float32
	AttnScale  float32 // on q·k; 1/sqrt(KeyDim) unless the file says otherwise
	AttnCap    float32 // soft cap on scores, 0 for none
	LogitCap   float32 // soft cap on logits, 0 for none
	Rotary     graph.RopeAttr
	RopeFactor RopeFactors

	src model.Source
}

// RopeFactors says which tensors divide a rotary embedding's angles.
type RopeFactors struct {
	Short, Long string // tensor names, "" for none; equal unless longrope
	Switch      int    // contexts above this take Long
}

// ReadConfig reads the keys that all decoders share.
func ReadConfig(s model.Source) (Config, error) {
	r := model.NewReader(s)
	c := Config{src: s}
	arch, _ := s.Value("general.architecture")
	c.Architecture, _ = arch.(string)
	c.Layers = r.Int("block_count")
	c.Embedding = r.Int("embedding_length")
	c.Context = r.Int("context_length")
	c.FeedForward = r.IntUniform("feed_forward_length", 0)
	c.Heads = r.IntUniform("attention.head_count", 0)
	c.KVHeads = r.IntUniform("attention.head_count_kv", c.Heads)
	if c.Heads == 0 || c.FeedForward == 0 {
		if err := r.Err(); err != nil {
			return c, err
		}
		return c, fmt.Errorf("metadata keys %[1]sattention.head_count and %[1]sfeed_forward_length must be given", r.Prefix)
	}
	c.KeyDim = r.IntOr("attention.key_length", c.Embedding/c.Heads)
	c.ValueDim = r.IntOr("attention.value_length", c.KeyDim)
	c.NormEps = r.FloatOr("attention.layer_norm_rms_epsilon", 1e-5)
	c.AttnScale = r.FloatOr("attention.scale", 0)
	c.AttnCap = r.FloatOr("attn_logit_softcapping", 0)
	c.LogitCap = r.FloatOr("final_logit_softcapping", 0)
	c.Window = r.IntOr("attention.sliding_window", 0)
	c.Rotary, c.RopeFactor = readRope(r, c.KeyDim, c.Context)
	if err := r.Err(); err != nil {
		return c, err
	}
	if err := c.check(r.Prefix); err != nil {
		return c, err
	}
	if c.AttnScale == 0 {
		c.AttnScale = float32(1 / math.Sqrt(float64(c.KeyDim)))
	}
	_, shape, ok := s.TensorType("token_embd.weight")
	if !ok || len(shape) != 2 || shape[1] != c.Embedding {
		return c, fmt.Errorf("tensor \"token_embd.weight\" must be there with rows of %d, is %v", c.Embedding, shape)
	}
	c.Vocab = shape[0]
	return c, nil
}

// check refuses values that no model has, by their key.
func (c *Config) check(prefix string) error {
	if c.KVHeads == 0 || c.Heads%c.KVHeads != 0 {
		return fmt.Errorf("metadata keys %[1]q (%[2]d) and %[3]q (%[4]d): the first must be a multiple of the second",
			prefix+"attention.head_count", c.Heads, prefix+"attention.head_count_kv", c.KVHeads)
	}
	a := c.Rotary
	for _, n := range []struct {
		key            string
		v, least, most int
	}{
		{"block_count", c.Layers, 1, 4096},
		{"attention.key_length", c.KeyDim, 1, 1 << 16},
		{"attention.value_length", c.ValueDim, 1, 1 << 16},
		{"rope.dimension_count", a.Dims, 2, c.KeyDim},
	} {
		if n.v < n.least || n.v > n.most {
			return fmt.Errorf("metadata key %q stands for %d: want %d to %d", prefix+n.key, n.v, n.least, n.most)
		}
	}
	if a.Dims%2 != 0 {
		return fmt.Errorf("metadata key %q stands for %d: rotary embeddings turn pairs, so it must be even", prefix+"rope.dimension_count", a.Dims)
	}
	for _, n := range []struct {
		key            string
		v, least, most float32
	}{
		{"attention.layer_norm_rms_epsilon", c.NormEps, 1e-30, 1},
		{"attention.scale", c.AttnScale, -1e4, 1e4},
		{"attn_logit_softcapping", c.AttnCap, 0, 1e4},
		{"final_logit_softcapping", c.LogitCap, 0, 1e4},
		{"rope.freq_base", a.Base, 1.001, 1e15},
		{"rope.scaling.factor", a.Factor, 0, 1e6},
		{"rope.scaling.attn_factor", a.Mag, 0, 1e4},
		{"rope.scaling.yarn_beta_fast", a.BetaFast, 0, 1e6},
		{"rope.scaling.yarn_beta_slow", a.BetaSlow, 0, 1e6},
		{"rope.scaling.yarn_ext_factor", a.Ext, 0, 1},
	} {
		if !(n.v >= n.least && n.v <= n.most) {
			return fmt.Errorf("metadata key %q stands for %g: want %g to %g", prefix+n.key, n.v, n.least, n.most)
		}
	}
	if a.Factor != 0 && a.Factor < 1e-3 {
		return fmt.Errorf("metadata key %q is %g: want 0 (none) or at least 0.001", prefix+"rope.scaling.factor", a.Factor)
	}
	if a.Scaling == graph.RopeYarn && (a.OrigCtx == 0 || a.BetaFast == 0 || a.BetaSlow == 0) {
		return fmt.Errorf("metadata keys %[1]q, %[2]q and %[3]q must not be 0 with YaRN", prefix+"rope.scaling.original_context_length",
			prefix+"rope.scaling.yarn_beta_fast", prefix+"rope.scaling.yarn_beta_slow")
	}
	return nil
}

// readRope reads rope.*: plain, linear, YaRN; llama3's and longrope's factors
// come as tensors.
func readRope(r *model.Reader, keyDim, context int) (graph.RopeAttr, RopeFactors) {
	a := graph.RopeAttr{
		Mode: graph.RopeHalves,
		Dims: r.IntOr("rope.dimension_count", keyDim),
		Base: r.FloatOr("rope.freq_base", 10000),
	}
	var f RopeFactors
	if _, _, ok := r.TensorType("rope_freqs.weight"); ok {
		f.Short, f.Long = "rope_freqs.weight", "rope_freqs.weight"
	}
	factor := r.FloatOr("rope.scaling.factor", r.FloatOr("rope.scale_linear", 0))
	kind := r.StringOr("rope.scaling.type", "")
	if kind == "" && factor > 0 && factor != 1 {
		kind = "linear" // older files give rope.scale_linear alone
	}
	orig := r.IntOr("rope.scaling.original_context_length", context)
	switch kind {
	case "", "none", "longrope", "llama3": // the last two come as tensors
	case "linear":
		a.Scaling, a.Factor = graph.RopeLinear, factor
	case "yarn":
		a.Scaling, a.Factor, a.OrigCtx = graph.RopeYarn, factor, orig
		a.BetaFast = r.FloatOr("rope.scaling.yarn_beta_fast", 32)
		a.BetaSlow = r.FloatOr("rope.scaling.yarn_beta_slow", 1)
		a.Ext = r.FloatOr("rope.scaling.yarn_ext_factor", 1)
		a.Mag = r.FloatOr("rope.scaling.attn_factor", 0)
		if m := r.FloatOr("rope.scaling.yarn_attn_factor", 0); m > 0 && factor > 0 {
			// Given outright, it stands for YaRN's own 0.1 ln(factor) + 1.
			a.Mag = m / float32(1+0.1*math.Log(float64(factor)))
		}
	default:
		r.Fail("metadata key %q is %s: want none, linear, yarn, longrope or llama3", r.Prefix+"rope.scaling.type", model.Show(kind))
	}
	if _, _, ok := r.TensorType("rope_factors_long.weight"); ok {
		f = RopeFactors{Short: "rope_factors_short.weight", Long: "rope_factors_long.weight", Switch: orig}
		a.Mag = r.FloatOr("rope.scaling.attn_factor", 0)
	}
	if a.Mag == 1 {
		a.Mag = 0
	}
	return a, f
}
