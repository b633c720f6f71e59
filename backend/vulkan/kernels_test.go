package vulkan

import (
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/accel/kerneltest"
)

// TestAgainstReference compares every kernel with kernels/ref, as the device is and
// with each feature that chooses kernels switched off or on.
func TestAgainstReference(t *testing.T) {
	for _, words := range []string{"", "min,-subgroup,-half,-intdot", "+half,-subgroup"} {
		t.Run("switches="+words, func(t *testing.T) {
			s, err := accel.ParseSwitches(words)
			if err != nil {
				t.Fatal(err)
			}
			d := openTest(t, options{})
			if l := d.phys.limits(); s.Missing(l) != nil {
				t.Skip(s.Missing(l))
			}
			kerneltest.Run(t, func() (accel.API, error) { return open(0, options{switches: s}) })
		})
	}
}
