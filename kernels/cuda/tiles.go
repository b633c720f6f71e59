package cuda

import (
	"fmt"

	"github.com/ledge-run/ledge/kernels/shader"
)

// tiles are the variants of tile_tensor: one for each layout and shape of a block's
// tile. The large ones use all registers that there are, and some that are not: a few
// words, written once and read once a step.
func tiles() []variant {
	var list []variant
	for _, v := range shader.TileVariants() {
		list = append(list, variant{
			suffix: v.Name,
			defines: []string{fmt.Sprintf("MATRIX=%d", v.Constants[1]), fmt.Sprintf("SHAPE=%d", v.Constants[2]),
				fmt.Sprintf("SHARED_BYTES=%d", shader.TileShared(v.Constants))}, // which the source is held against
			fits:    all(is(1, v.Constants[1]), is(2, v.Constants[2])),
			threads: int(v.Constants[0]),
			only:    map[bool]targets{false: newer, true: everyTarget}[v.Basic],
			worst: func(most int) []uint32 {
				if !v.Basic && shader.TileShared(v.Constants) > most {
					return nil // a smaller shape is called
				}
				return v.Constants
			},
			maySpill: true,
		})
	}
	return list
}
