//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/accel/kerneltest"
)

type unclosed struct{ accel.API }

func (unclosed) Close() error { return nil }

// TestTiles: products of many rows, also as on Turing, with its shared memory.
func TestTiles(t *testing.T) {
	for _, words := range []string{"capability=87", "capability=75"} {
		t.Run(words, func(t *testing.T) {
			kerneltest.Run(t, func() (accel.API, error) { return unclosed{opened(t, words)}, nil }, "products of many rows on tensor cores")
		})
	}
}
