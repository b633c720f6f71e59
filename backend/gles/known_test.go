//go:build gles && cgo && !static && linux

package gles

import (
	"context"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/quirks"
)

// TestKnownFaults: faults of drivers that others reported are avoided and shown,
// and a device that must not be used is refused with the reason.
func TestKnownFaults(t *testing.T) {
	opened(t, "")
	was := knownFaults
	t.Cleanup(func() { knownFaults = was })
	inject := func(words ...string) {
		knownFaults = func(api string, _ uint32, vendor, device, driver string) []quirks.Quirk {
			if api != "gles" || vendor == "" || device == "" || driver == "" {
				t.Errorf("asked for faults of %q, vendor %q, device %q, driver %q", api, vendor, device, driver)
			}
			return []quirks.Quirk{{Avoid: words, Why: "a fault of the test", Report: "https://example.org/7"}}
		}
	}
	list, err := probe(context.Background())
	if err != nil || list[0].Kind == backend.CPU && len(list[0].Quirks) > 0 {
		t.Fatalf("a software driver has known faults, or none: %+v, %v", list, err)
	}
	inject("-half", "-subgroup")
	d, err := openDevice(context.Background(), "gles0", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if q := d.Info().Quirks; len(q) != 1 || !strings.Contains(q[0], "-half -subgroup: a fault of the test") {
		t.Errorf("%q", q)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	inject("refuse")
	if d, err := openDevice(context.Background(), "gles0", backend.Options{}); err == nil || !strings.Contains(err.Error(), "a fault of the test (https://example.org/7)") {
		t.Errorf("a device to be refused: %v, %v", d, err)
	}
	if list, err = probe(context.Background()); err != nil || len(list) == 0 || len(list[0].Quirks) != 1 {
		t.Errorf("a refused device is to be shown: %+v, %v", list, err)
	}
}
