package vulkan

import (
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/accel/kerneltest"
)

// TestAgainstReference compares every kernel with kernels/ref.
func TestAgainstReference(t *testing.T) {
	kerneltest.Run(t, func() (accel.API, error) { return unclosed{openTest(t, options{})}, nil })
}

// unclosed leaves closing to openTest.
type unclosed struct{ accel.API }

func (unclosed) Close() error { return nil }
