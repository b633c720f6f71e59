// Package quantize writes a model's weights anew in fewer bits: by a recipe, which
// says what type each tensor gets as llama.cpp's files of the same name have it,
// or within a budget of bytes, by what each tensor's bits are worth to the model.
package quantize

import (
	"fmt"
	"strings"

	"github.com/ledge-run/ledge/graph/dtype"
)

// Recipe is a way of quantising that has a name.
type Recipe struct {
	Name     string
	FileType uint32      // general.file_type, as llama.cpp numbers them
	Type     dtype.DType // of tensors about which nothing else is said
	mix      mixing      // what else is said; nil for the common rules alone
}

// Recipes are all there are, from many bits to few.
var Recipes = []Recipe{
	{"F32", 0, dtype.F32, nil}, {"F16", 1, dtype.F16, nil}, {"BF16", 32, dtype.BF16, nil},
	{"Q8_0", 7, dtype.Q8_0, nil}, {"Q6_K", 18, dtype.Q6_K, nil},
	{"Q5_K_M", 17, dtype.Q5_K, mixMore}, {"Q5_K_S", 16, dtype.Q5_K, nil},
	{"Q5_1", 9, dtype.Q5_1, nil}, {"Q5_0", 8, dtype.Q5_0, mixQ50},
	{"Q4_K_M", 15, dtype.Q4_K, mixQ4KM}, {"Q4_K_S", 14, dtype.Q4_K, mixQ4KS},
	{"Q4_1", 3, dtype.Q4_1, nil}, {"IQ4_NL", 25, dtype.IQ4_NL, mixIQ4}, {"Q4_0", 2, dtype.Q4_0, mixQ40},
	{"MXFP4", 38, dtype.MXFP4, mixMXFP4}, {"IQ4_XS", 30, dtype.IQ4_XS, mixIQ4},
	{"Q3_K_L", 13, dtype.Q3_K, mixQ3KL}, {"Q3_K_M", 12, dtype.Q3_K, mixQ3KM}, {"Q3_K_S", 11, dtype.Q3_K, mixQ3KS},
	{"Q2_K", 10, dtype.Q2_K, mixQ2K},
}

// FindRecipe finds a recipe by its name, in upper or lower case; Q4_K is Q4_K_M, as
// people say it, and so are Q5_K and Q3_K.
func FindRecipe(name string) (Recipe, error) {
	var names []string
	for _, r := range Recipes {
		if strings.EqualFold(name, r.Name) || strings.EqualFold(name+"_M", r.Name) {
			return r, nil
		}
		names = append(names, r.Name)
	}
	return Recipe{}, fmt.Errorf("no quantisation %q: it must be one of %s", name, strings.Join(names, " "))
}

// facts of the model that the rules ask for.
type facts struct {
	layers  int
	values  int // tensors that make attention's values
	experts int
	gqa     int  // heads that share a key
	wide    bool // llama of 80 layers: its attn_v is small and weighs much
	matrix  bool // there is an importance matrix
	tied    bool // the embedding is the output matrix
}

// tensor is one that a rule decides on.
type tensor struct {
	kind  kind
	layer int // by which the rules tell the first and last layers
	third bool
}

// kind is what a tensor does, as far as the rules tell.
type kind int

const (
	other kind = iota
	embedding
	output
	attnQ
	attnK
	attnV
	attnQKV
	attnKVB
	attnOutput
	ffnUp
	ffnGate
	ffnDown
)

var kinds = []struct {
	part string
	kind kind
}{
	{"attn_qkv.weight", attnQKV}, {"attn_kv_b.weight", attnKVB}, {"attn_v.weight", attnV}, {"attn_k.weight", attnK},
	{"attn_q.weight", attnQ}, {"attn_output.weight", attnOutput}, {"ffn_up", ffnUp}, {"ffn_gate", ffnGate}, {"ffn_down", ffnDown},
}

func kindOf(name string) kind {
	switch name {
	case "output.weight":
		return output
	case "token_embd.weight", "per_layer_token_embd.weight":
		return embedding
	}
	for _, k := range kinds {
		if strings.Contains(name, k.part) {
			return k.kind
		}
	}
	return other
}

// values tells the tensors that make attention's values: the rules count them, and
// give them more bits.
func (k kind) values() bool { return k == attnV || k == attnQKV || k == attnKVB }

// mixing gives a tensor a type; dtype.Invalid leaves it the recipe's.
type mixing func(t tensor, f facts) dtype.DType

// more tells the layers that get more bits: the first and last eighth, and every
// third between.
func more(i, n int) bool { return i < n/8 || i >= 7*n/8 || (i-n/8)%3 == 2 }

// eight experts share attention that is small beside them.
func eight(f facts) bool { return f.experts == 8 }

// mixMore gives Q6_K to a part of the two kinds that need it most.
func mixMore(t tensor, f facts) dtype.DType {
	if t.kind.values() && more(t.layer, f.values) || t.kind == ffnDown && more(t.layer, f.layers) {
		return dtype.Q6_K
	}
	return dtype.Invalid
}

func mixQ4KM(t tensor, f facts) dtype.DType {
	if t.kind == attnOutput && eight(f) {
		return dtype.Q5_K
	}
	return mixMore(t, f)
}

func mixQ4KS(t tensor, f facts) dtype.DType {
	if t.kind.values() && t.layer < 4 || t.kind == ffnDown && t.layer < f.layers/8 || t.kind == attnOutput && eight(f) {
		return dtype.Q5_K
	}
	return dtype.Invalid
}

func mixQ3KM(t tensor, f facts) dtype.DType {
	switch {
	case t.kind.values() && t.layer < 2, t.kind == ffnDown && t.layer < f.layers/16, t.kind == attnOutput && eight(f):
		return dtype.Q5_K
	case t.kind.values(), t.kind == ffnDown, t.kind == attnOutput:
		return dtype.Q4_K
	}
	return dtype.Invalid
}

func mixQ3KS(t tensor, f facts) dtype.DType {
	if t.kind == attnOutput && eight(f) {
		return dtype.Q5_K
	}
	return dtype.Invalid
}

func mixQ3KL(t tensor, f facts) dtype.DType {
	if t.kind.values() || t.kind == ffnDown || t.kind == attnOutput && !eight(f) {
		return dtype.Q5_K
	}
	return dtype.Invalid
}

func mixQ2K(t tensor, f facts) dtype.DType {
	switch {
	case t.kind.values() && f.gqa >= 4:
		return dtype.Q4_K
	case t.kind == attnOutput && eight(f):
		return dtype.Q5_K
	case t.kind.values(), t.kind == ffnDown, t.kind == attnOutput:
		return dtype.Q3_K
	}
	return dtype.Invalid
}

func mixIQ4(t tensor, f facts) dtype.DType {
	switch {
	case t.kind.values() && f.gqa >= 4, t.kind == ffnDown && t.layer < f.layers/8 && !f.matrix, t.kind == attnOutput && eight(f):
		return dtype.Q5_K
	}
	return dtype.Invalid
}

func mixQ40(t tensor, f facts) dtype.DType { return guard(t, f, dtype.Q4_1) }
func mixQ50(t tensor, f facts) dtype.DType { return guard(t, f, dtype.Q5_1) }

// guard: with an importance matrix the first layers' ffn_down is at risk of a few
// columns taking all, which a minimum helps against.
func guard(t tensor, f facts, better dtype.DType) dtype.DType {
	if t.kind == ffnDown && t.layer < f.layers/8 && f.matrix {
		return better
	}
	return dtype.Invalid
}

// mixMXFP4: in models of experts these alone, which are nearly everything; all else
// is Q8_0. llama.cpp knows that much (MXFP4_MOE) and makes other models Q8_0
// throughout; here their layers are MXFP4.
func mixMXFP4(t tensor, f facts) dtype.DType {
	if t.kind == embedding || f.experts > 0 && !t.third {
		return dtype.Q8_0
	}
	return dtype.Invalid
}

// choose applies the rules to a tensor whose rows have so many values.
func (r Recipe) choose(t tensor, f facts, columns int) dtype.DType {
	d := r.Type
	if !d.Quantized() {
		return d
	}
	if t.kind == output || t.kind == embedding && f.tied {
		// What makes the logits is worth more bits than the rest.
		if r.Type == dtype.MXFP4 || r.Type == dtype.Q8_0 || columns%d.BlockLen() != 0 {
			return dtype.Q8_0
		}
		return dtype.Q6_K
	}
	if r.mix != nil {
		if m := r.mix(t, f); m != dtype.Invalid {
			d = m
		}
	}
	if t.kind.values() && f.wide && (d == dtype.Q3_K || d == dtype.Q4_K) {
		d = dtype.Q5_K
	}
	if eight(f) && (t.kind.values() || t.kind == attnK) {
		d = dtype.Q8_0
	}
	return d
}

// fallback is the type instead of d for rows of so many values.
func fallback(d dtype.DType, columns int) dtype.DType {
	if columns%d.BlockLen() == 0 {
		return d
	}
	switch d {
	case dtype.IQ4_XS:
		d = dtype.IQ4_NL
	case dtype.Q2_K, dtype.Q3_K:
		d = dtype.Q4_0
	case dtype.Q4_K:
		d = dtype.Q5_0
	case dtype.Q5_K:
		d = dtype.Q5_1
	case dtype.Q6_K:
		d = dtype.Q8_0
	}
	if columns%d.BlockLen() != 0 {
		return dtype.F16
	}
	return d
}
