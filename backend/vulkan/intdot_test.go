package vulkan

import (
	"context"
	"slices"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/backendtest"
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

// TestIntDotConformance runs what sees products of the suite of all backends.
func TestIntDotConformance(t *testing.T) {
	openTest(t, options{}) // skips where there is no driver
	backendtest.Run(t, func() (backend.Device, error) {
		d, err := openNamed(context.Background(), Name+"0", backend.Options{Level: "+intdot"})
		if err == nil && !slices.Contains(d.Info().Features, "intdot") {
			t.Errorf("features %v", d.Info().Features)
		}
		return d, err
	}, backendtest.OfProducts...)
}
