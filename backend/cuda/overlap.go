//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"github.com/ledge-run/ledge/backend/cuda/internal/driver"
	"github.com/ledge-run/ledge/backend/internal/owned"
	"github.com/ledge-run/ledge/kernels/cuda"
)

// EnvOverlap is the variable that, set to 0, has every kernel begin when the one before
// it has ended.
const EnvOverlap = "LEDGE_CUDA_OVERLAP"

// overlaps reports whether kernels can begin before: the GPU and its driver can, and nobody
// is against it.
func (p *properties) overlaps() (bool, error) {
	asked, err := owned.Switch(EnvOverlap, true)
	return asked && p.capability >= cuda.OverlapFrom && driver.Has("cuGraphAddDependencies_v2"), err
}

// overlapping says of calls, by what they come after, which may begin while that still
// runs, and wait for it themselves (wait_for_inputs of kernels/cuda/device.h): those
// after one kernel alone, which no other comes after. A kernel waits for the end of the
// one before, which has waited for its own, so that all before has ended, too; beside
// another, it would have to wait for both.
func overlapping(of []span) []bool {
	then := make([]int, len(of)) // how many come after it
	for _, s := range of {
		for i := s.from; i < s.to; i++ {
			then[i]++
		}
	}
	early := make([]bool, len(of))
	for i, s := range of {
		early[i] = s.to == s.from+1 && then[s.from] == 1
	}
	return early
}
