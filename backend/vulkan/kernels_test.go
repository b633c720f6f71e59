package vulkan

import (
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/accel/kerneltest"
)

// TestAgainstReference compares every kernel with kernels/ref, as the device is and
// without what is optional; and the products in float16, which a driver that
// computes on the processor has to be asked for.
func TestAgainstReference(t *testing.T) {
	for _, c := range []struct {
		words string
		only  []string
	}{
		{"", nil},
		{"min,-subgroup,-half,-intdot", nil},
		{"+half", []string{"products", "products of uneven rows", "products of what is not finite"}},
	} {
		t.Run("switches="+c.words, func(t *testing.T) {
			d := openSwitched(t, c.words)
			kerneltest.Run(t, func() (accel.API, error) { return unclosed{d}, nil }, c.only...)
		})
	}
}

// openSwitched opens the first device with switches, or skips where it has not what
// they ask for.
func openSwitched(t *testing.T, words string) *device {
	s, err := accel.ParseSwitches(words)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Missing(openTest(t, options{}).phys.limits()); err != nil {
		t.Skip(err)
	}
	return openTest(t, options{switches: s})
}

// TestNeeds: a kernel that needs a feature does not reach a driver without it.
func TestNeeds(t *testing.T) {
	d := openSwitched(t, "-half,-subgroup")
	for kernel, constants := range map[string][]uint32{
		"product_half": {128, 2, 2, 1, 1, 0}, "tile_half": {128, 2, 2, 1}, "product_subgroup": {128, 2, 2, 1, 1, 0, 8},
	} {
		if _, err := d.Program(kernel, constants); err == nil {
			t.Errorf("%s compiles", kernel)
		}
	}
	if n := openTest(t, options{}).limits.Subgroup; n > 0 {
		if _, err := openTest(t, options{}).Program("product_subgroup", []uint32{128, 2, 2, 1, 1, 0, uint32(2 * n)}); err == nil {
			t.Errorf("subgroups of %d compile, the device's have %d", 2*n, n)
		}
	}
}
