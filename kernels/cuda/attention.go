package cuda

import "fmt"

// Numbers of attention_tensor's constants: package shader's tensorCalls.
const (
	attentionKeyDim = 1 + iota
	attentionValueDim
	attentionHeads
	attentionTokens
	attentionMany
)

// attentionDims are the widths of heads, keys and values alike, that attention_tensor is
// compiled for; others, and those of which keys and values differ, it reads when it runs.
var attentionDims = []int{64, 80, 96, 128, 256}

// attentionVariants are the kernels for few and for many rows.
func attentionVariants() []variant {
	var list []variant
	for many, name := range []string{"few", "many"} {
		way := is(attentionMany, uint32(many))
		worst := func(d int) func(most int) []uint32 {
			c := []uint32{group, uint32(d), uint32(d), 16, 1, uint32(many), 0}
			return func(int) []uint32 { return c }
		}
		for _, d := range attentionDims {
			list = append(list, variant{
				suffix:  fmt.Sprintf("%s_%d", name, d),
				defines: []string{fmt.Sprintf("MANY=%d", many), fmt.Sprintf("KEY_DIM=%d", d), fmt.Sprintf("VALUE_DIM=%d", d)},
				fits:    all(way, is(attentionKeyDim, uint32(d)), is(attentionValueDim, uint32(d))),
				worst:   worst(d),
			})
		}
		list = append(list, variant{suffix: name, defines: []string{fmt.Sprintf("MANY=%d", many)}, fits: way, worst: worst(256)})
	}
	return list
}

// attentionRooms is the shared memory of attention of many rows: see attention_many.h.
func attentionRooms(c []uint32) int {
	if c[attentionMany] == 0 {
		return 0
	}
	key, value := int(c[attentionKeyDim]), int(c[attentionValueDim])
	const warps, rows, page, pad = 4, 16, 64, 16 // pad in bytes
	return warps*rows*(2*key+pad) + 2*max(page*2*key, page*(2*min(value, 128)+pad))
}
