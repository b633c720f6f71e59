package vulkan

import (
	"context"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/quirks"
)

// injected makes a fault known of every device, and checks what is asked for.
func injected(t *testing.T, words ...string) {
	t.Helper()
	was := knownFaults
	t.Cleanup(func() { knownFaults = was })
	knownFaults = func(api string, vendor uint32, _, device, driver string) []quirks.Quirk {
		if api != "vulkan" || vendor == 0 || device == "" || !strings.Contains(driver, ".") {
			t.Errorf("asked for faults of %q, vendor %#x, device %q, driver %q", api, vendor, device, driver)
		}
		return []quirks.Quirk{{Avoid: words, Why: "a fault of the test", Report: "https://example.org/7"}}
	}
}

func TestKnownFaults(t *testing.T) {
	openTest(t, options{})
	open := func(level string) (backend.Info, error) {
		d, err := openNamed(context.Background(), "vulkan0", backend.Options{Level: level})
		if err != nil {
			return backend.Info{}, err
		}
		return d.Info(), d.Close()
	}
	plain, err := open("")
	if err != nil || plain.Kind == backend.CPU && len(plain.Quirks) > 0 {
		t.Fatalf("a software driver has known faults, or none: %+v, %v", plain, err)
	}
	injected(t, "-subgroup")
	info, err := open("")
	if err != nil || len(info.Quirks) != 1 || !strings.Contains(info.Quirks[0], "a fault of the test") || strings.Contains(info.Numerics.Level, "subgroup") {
		t.Errorf("%+v, %v", info, err)
	}
	if strings.Contains(plain.Numerics.Level, "subgroup") {
		if info, err = open("+subgroup"); err != nil || !strings.Contains(info.Numerics.Level, "subgroup") || len(info.Quirks) != 1 {
			t.Errorf("asked for by name: %+v, %v", info, err)
		}
	}
	injected(t, "refuse")
	if _, err := open(""); err == nil || !strings.Contains(err.Error(), "a fault of the test (https://example.org/7)") {
		t.Errorf("a device to be refused: %v", err)
	}
	if list, err := probe(context.Background()); err != nil || len(list) == 0 || len(list[0].Quirks) != 1 {
		t.Errorf("a refused device is to be shown: %+v, %v", list, err)
	}
}

func TestFullVersion(t *testing.T) {
	text := func(to []byte, s string) { copy(to, s) }
	p := &physical{}
	p.properties.driverVersion = 512<<22 | 502<<12
	if v := p.fullVersion(); v != "512.502.0" {
		t.Errorf("%q", v)
	}
	p.driver.driverID = driverQualcomm
	text(p.driver.driverName[:], "Qualcomm Technologies Inc. Adreno Vulkan Driver")
	text(p.driver.driverInfo[:], "Compiler Version: E031.45.02.16")
	if v := p.fullVersion(); !strings.HasPrefix(v, "512.502.0 Qualcomm") {
		t.Errorf("%q", v)
	}
	p.driver = driverProperties{driverID: 3}
	text(p.driver.driverName[:], "radv")
	text(p.driver.driverInfo[:], "Mesa 25.0.7-2")
	if v := p.fullVersion(); v != "radv Mesa 25.0.7-2" {
		t.Errorf("%q", v)
	}
}
