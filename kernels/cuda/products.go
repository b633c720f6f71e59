package cuda

import (
	"fmt"

	"github.com/ledge-run/ledge/kernels/shader"
)

// products are the variants of product_tensor: one for each layout, the rows of x
// and the tiles of an item.
func products() []variant {
	var list []variant
	for _, v := range shader.ProductVariants() {
		list = append(list, variant{
			suffix: v.Name,
			defines: []string{fmt.Sprintf("TYPE=%d", v.Type), fmt.Sprintf("NT=%d", v.NT), fmt.Sprintf("R=%d", v.R),
				// which the source is held against
				fmt.Sprintf("MEMORY_BYTES=%d", v.Memory()), fmt.Sprintf("STAGE_UINTS=%d", v.Stage())},
			fits:  all(is(1, v.Type), is(2, v.NT), is(3, v.R)),
			only:  map[bool]targets{false: newer, true: older}[v.Basic],
			worst: v.Worst,
		})
	}
	return list
}

// embeds are the variants of embed_tensor: one for each layout.
func embeds() []variant {
	var list []variant
	for i, name := range shader.TensorNames() {
		list = append(list, variant{suffix: name, defines: []string{fmt.Sprintf("TYPE=%d", i)}, fits: is(1, uint32(i))})
	}
	return list
}
