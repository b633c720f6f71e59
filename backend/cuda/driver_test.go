//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"context"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/quirks"
)

// TestProbe: what the driver lists is what it opens.
func TestProbe(t *testing.T) {
	useFake(t)
	fake.Set("devices=2 capability=87 integrated=1 version=12020 name=Orin processors=16")
	infos, err := probe(context.Background())
	if err != nil || len(infos) != 2 {
		t.Fatalf("%d devices, %v", len(infos), err)
	}
	i := infos[1]
	if i.Name != "cuda1" || i.Kind != backend.GPU || !i.Memory.Unified || i.Memory.Total == 0 || i.Score != scoreIntegrated ||
		i.Description != "Orin (sm_87, 16 multiprocessors, driver for CUDA 12.2)" || !strings.HasPrefix(i.Numerics.String(), "cuda/Orin:sm_87:12.2:tensor:1-") {
		t.Errorf("%+v", i)
	}
	d, err := openNamed(context.Background(), "cuda1", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	opened := d.Info()
	if opened.Numerics != i.Numerics || opened.Description != i.Description || strings.Join(opened.Features, " ") != "subgroup32 tensor 1024x48k" || opened.Memory.Free == 0 {
		t.Errorf("opened: %+v", opened)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	fake.Set("integrated=0")
	if infos, err = probe(context.Background()); err != nil || infos[0].Memory.Unified || infos[0].Score != scoreDiscrete {
		t.Errorf("a card: %+v, %v", infos, err)
	}
	if _, err := openNamed(context.Background(), "cuda7", backend.Options{}); err == nil || !strings.Contains(err.Error(), `no device "cuda7": there are 1 devices`) {
		t.Errorf("a device that is not there: %v", err)
	}
	nothingLeft(t, "after probing")
}

// TestRefused: a GPU that there are no kernels for is not listed, and the reason is
// told.
func TestRefused(t *testing.T) {
	useFake(t)
	for words, want := range map[string]string{
		"capability=61 name=Pascal":                 "Pascal: the GPU has compute capability 6.1, 7.2 is the oldest that there are kernels for",
		"devices=0":                                 "the driver shows no GPU",
		"memory=0":                                  "has no memory",
		"only=cuDeviceGetCount fail=1 code=999":     "cuDeviceGetCount: CUDA_ERROR_UNKNOWN",
		"only=cuDeviceGetAttribute fail=3 code=999": "its properties cannot be read: cuDeviceGetAttribute: CUDA_ERROR_UNKNOWN",
	} {
		fake.Set(words)
		_, err := probe(context.Background())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", words, err)
		}
	}
}

// TestSwitches: the kernels are compiled ahead, and words that ask for others are
// refused.
func TestSwitches(t *testing.T) {
	useFake(t)
	for level, want := range map[string]string{
		"nonsense": "nonsense", "-tensor": "leave out min, ", "min": "leave out min, ", "-subgroup": "leave out min, ",
		"+half": `"half" was asked for`, "+coop": "coop", "-half": "", "-intdot,-coop": "",
	} {
		d, err := openNamed(context.Background(), "cuda0", backend.Options{Level: level})
		if err == nil {
			err = d.Close()
			if want == "" && err == nil {
				continue
			}
		}
		if want == "" || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", level, err)
		}
	}
	t.Setenv(accel.EnvTimeout, "soon")
	if _, err := openNamed(context.Background(), "cuda0", backend.Options{}); err == nil || !strings.Contains(err.Error(), accel.EnvTimeout) {
		t.Errorf("a time limit that is none: %v", err)
	}
	t.Setenv(accel.EnvTimeout, "")
	for _, name := range []string{EnvOverlap, EnvProfile} {
		t.Setenv(name, "maybe")
		if _, err := openNamed(context.Background(), "cuda0", backend.Options{}); err == nil || !strings.Contains(err.Error(), name+`="maybe": 1 or 0 is needed`) {
			t.Errorf("%s: %v", name, err)
		}
		t.Setenv(name, "")
	}
	nothingLeft(t, "after all")
}

// TestKnownFaults: faults of drivers that others reported are shown, and a device that
// must not be used, or not without what cannot be avoided, is refused with the reason.
func TestKnownFaults(t *testing.T) {
	useFake(t)
	was := knownFaults
	t.Cleanup(func() { knownFaults = was })
	inject := func(words ...string) {
		knownFaults = func(api string, vendorID uint32, vendor, device, driver string) []quirks.Quirk {
			if api != "cuda" || vendorID != 0x10de || vendor == "" || device == "" || driver != "CUDA 12.6" {
				t.Errorf("asked for faults of %q, vendor %#x %q, device %q, driver %q", api, vendorID, vendor, device, driver)
			}
			return []quirks.Quirk{{Avoid: words, Why: "a fault of the test", Report: "https://example.org/7"}}
		}
	}
	list, err := probe(context.Background())
	if err != nil || len(list[0].Quirks) > 0 {
		t.Fatalf("an emulated device has known faults, or there is none: %+v, %v", list, err)
	}
	inject("-half", "note")
	d, err := openNamed(context.Background(), "cuda0", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if q := d.Info().Quirks; len(q) != 1 || !strings.Contains(q[0], "a fault of the test") {
		t.Errorf("%q", q)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	for word, want := range map[string]string{"refuse": "a fault of the test (https://example.org/7)", "-subgroup": "compiled ahead"} {
		inject(word)
		if d, err := openNamed(context.Background(), "cuda0", backend.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", word, d, err)
		}
		if list, err = probe(context.Background()); err != nil || len(list) == 0 || len(list[0].Quirks) != 1 {
			t.Errorf("%s: a refused device is to be shown: %+v, %v", word, list, err)
		}
	}
}
