package shader

import (
	"fmt"
	"slices"
)

// axis is constants of a kernel that go together, by name, and the values they are
// looked at with.
type axis struct {
	names  []string
	values [][]uint32
}

func each(name string, values ...uint32) axis {
	a := axis{names: []string{name}}
	for _, v := range values {
		a.values = append(a.values, []uint32{v})
	}
	return a
}

// Types of matrices by the numbers of their layouts, and pairs of them as products
// have them: Q5_0 beside Q8_0 is what real files mix.
var (
	matrixTypes = []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	matrixPairs = axis{[]string{"TYPE0", "TYPE1"}, append(twice(matrixTypes), []uint32{4, 6})}
	intPairs    = axis{matrixPairs.names, matrixPairs.values[2:]} // not of floats
)

func twice(values []uint32) [][]uint32 {
	var out [][]uint32
	for _, v := range values {
		out = append(out, []uint32{v, v})
	}
	return out
}

// variants are the constants that matter of kernels that have some: what models
// use, and what takes the most registers. A constant that is not named is 0, and
// the workgroup's size is always 128. The heads are those of SmolLM2 (64 wide, 3
// for one of keys), Llama 3 (128, 4) and Gemma 3 (256, 4).
var variants = map[string][]axis{
	"product": {matrixPairs, {[]string{"ROWS", "NT", "PROLOGUE"}, [][]uint32{{1, 1, 0}, {2, 1, 2}, {4, 1, 2}, {4, 4, 1}}}},
	"product_subgroup": {
		{[]string{"TYPE0", "TYPE1"}, [][]uint32{{2, 2}, {6, 6}, {7, 7}, {4, 6}}},
		{[]string{"ROWS", "NT", "PROLOGUE"}, [][]uint32{{1, 1, 0}, {2, 1, 2}, {4, 1, 2}}}, each("SUBGROUP", 32),
	},
	"product_dot":  {intPairs, {[]string{"ROWS", "NT", "PROLOGUE"}, [][]uint32{{1, 1, 0}, {2, 1, 2}, {4, 1, 2}, {4, 4, 1}}}},
	"product_half": {intPairs, {[]string{"ROWS", "NT", "PROLOGUE"}, [][]uint32{{1, 1, 0}, {2, 1, 2}, {4, 1, 2}, {4, 4, 1}}}},
	"tile":         {matrixPairs, each("QUADS", 1, 2)},
	"tile_dot":     {intPairs, each("QUADS", 1, 2)},
	"tile_half":    {intPairs, each("QUADS", 1, 2)},
	"embed":        {each("TYPE", matrixTypes...)},
	"norm":         {{[]string{"KIND", "WEIGHT", "BIAS", "ADD"}, [][]uint32{{0, 1, 0, 0}, {0, 1, 0, 1}, {1, 1, 1, 0}}}},
	"attention": {
		{[]string{"KEY_DIM", "VALUE_DIM", "HEADS", "ROWS", "MANY"}, [][]uint32{
			{64, 64, 3, 1, 0}, {64, 64, 3, 2, 1}, {64, 64, 4, 1, 0}, {64, 64, 4, 2, 1}, {128, 128, 2, 1, 0}, {128, 128, 2, 4, 1},
			{128, 128, 4, 1, 0}, {128, 128, 4, 2, 1}, {256, 256, 4, 1, 0}, {256, 256, 4, 1, 1},
		}},
		each("F32", 0, 1), each("CAUSAL", 1),
	},
	"attention_merge": {each("VALUE_DIM", 64, 128, 256), each("CAUSAL", 1)},
	"rope_cache": {
		{[]string{"KEY_DIM", "DIMS", "QNORM", "KNORM"}, [][]uint32{{64, 64, 0, 0}, {128, 128, 1, 1}, {256, 256, 1, 1}}},
		each("F32", 0, 1),
	},
	"cache_write": {each("F32", 0, 1)},
	"rope":        {each("PAIRS", 0, 1)},
	"argmax":      {{[]string{"FIRST", "LAST"}, [][]uint32{{1, 0}, {0, 1}, {1, 1}}}},
	"top":         {{[]string{"FIRST", "LAST"}, [][]uint32{{1, 0}, {0, 1}, {1, 1}}}},
	"unary":       {each("OP", 0, 1, 2, 3, 4, 5, 6, 7)},
	"binary":      {each("OP", 0, 1, 2, 3), each("VECTOR", 0, 1)},
}

// variantGroup is the invocations of a workgroup in all of them.
const variantGroup = 128

// Variants lists sets of constants that a kernel is looked at with: by tools that
// compile for GPUs which are not there, and by tests.
func Variants(kernel string) ([][]uint32, error) {
	names, err := Constants(kernel)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 || names[0] != "WG" {
		return nil, fmt.Errorf("shader: kernel %q: its first constant is not WG", kernel)
	}
	first := make([]uint32, len(names))
	first[0] = variantGroup
	all := [][]uint32{first}
	for _, a := range variants[kernel] {
		var next [][]uint32
		for _, base := range all {
			for _, values := range a.values {
				one := slices.Clone(base)
				for i, name := range a.names {
					at := slices.Index(names, name)
					if at < 1 {
						return nil, fmt.Errorf("shader: kernel %q has no constant %q", kernel, name)
					}
					one[at] = values[i]
				}
				next = append(next, one)
			}
		}
		all = next
	}
	return all, nil
}
