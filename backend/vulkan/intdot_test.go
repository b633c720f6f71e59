package vulkan

import (
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/accel/kerneltest"
)

// TestIntDot runs the products by int8 with the device's instruction and without:
// a device that lacks it does them with shifts.
func TestIntDot(t *testing.T) {
	on, err := accel.ParseSwitches("+intdot")
	if err != nil {
		t.Fatal(err)
	}
	for name, lacks := range map[string]bool{"instruction": false, "shifts": true} {
		t.Run(name, func(t *testing.T) {
			d := openTest(t, options{switches: on, noDot: lacks})
			if !d.limits.IntDot || lacks && d.dotEnabled() {
				t.Fatalf("int8 %v, its instruction %v", d.limits.IntDot, d.dotEnabled())
			}
			if !lacks && !d.dotEnabled() {
				t.Skip("the device has no such instruction")
			}
			kerneltest.Run(t, func() (accel.API, error) { return unclosed{d}, nil }, kerneltest.DotSuites...)
		})
	}
}

type unclosed struct{ accel.API }

func (unclosed) Close() error { return nil }
