package main

import (
	"strings"

	"github.com/ledge-run/ledge/graph/dtype"
)

// A recipe says of which types the matrices are; norms are F32.
type recipe struct {
	most     dtype.DType
	output   dtype.DType
	more     dtype.DType // attn_v and ffn_down of half the layers; Invalid: as the others
	fileType uint32      // llama.cpp's number
}

// recipes by name, as llama-quantize mixes types.
var recipes = map[string]recipe{
	"f16":    {dtype.F16, dtype.F16, dtype.Invalid, 1},
	"q8_0":   {dtype.Q8_0, dtype.Q8_0, dtype.Invalid, 7},
	"q4_0":   {dtype.Q4_0, dtype.Q6_K, dtype.Invalid, 2},
	"q4_k":   {dtype.Q4_K, dtype.Q6_K, dtype.Invalid, 14},
	"q4_k_m": {dtype.Q4_K, dtype.Q6_K, dtype.Q6_K, 15},
	"q6_k":   {dtype.Q6_K, dtype.Q6_K, dtype.Invalid, 18},
}

// typeOf a matrix; layer is its layer of layers, if it is in one.
func (r recipe) typeOf(name string, layer, layers int, tied bool) dtype.DType {
	switch {
	case name == "output.weight", tied && name == "token_embd.weight":
		return r.output
	case r.more != dtype.Invalid && moreBits(layer, layers) && (strings.HasSuffix(name, ".attn_v.weight") || strings.HasSuffix(name, ".ffn_down.weight")):
		return r.more
	}
	return r.most
}

// moreBits says which layers llama-quantize gives more bits: the first and the
// last eighth, and each third between.
func moreBits(layer, layers int) bool {
	return layer < layers/8 || layer >= 7*layers/8 || (layer-layers/8)%3 == 2
}
