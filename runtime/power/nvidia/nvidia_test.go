package nvidia

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ledge-run/ledge/backend/nvml/nvmltest"
	"github.com/ledge-run/ledge/runtime/power"
)

// measure is what a machine with such a library measures.
func measure(t *testing.T, root fstest.MapFS, faults ...string) (*power.Meter, power.Energy) {
	t.Helper()
	m := power.OpenWith(root, Cards(nvmltest.Library(t, faults...)))
	return m, m.Start().Stop()
}

func TestEnergy(t *testing.T) {
	_, e := measure(t, nil, "GPUS=1")
	// A reading to see whether there is a counter, then two: 50 J.
	m, err := e.Main(true)
	if err != nil || m.Joules != 50 || m.String() != "nvidia0 NVIDIA Fake 100: the graphics card alone, counter" || m.Covers != power.Card {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := e.Main(false); err == nil { // the processor computed
		t.Errorf("%+v", m)
	}
	_, e = measure(t, nil)
	if m, err := e.Main(true); err != nil || m.Joules != 100 || m.Name != "nvidia0 NVIDIA Fake 100 + nvidia1 NVIDIA Fake 200" {
		t.Errorf("%+v, %v", m, err)
	}
	// Without a counter the power is sampled, which takes a while.
	meter, _ := measure(t, nil, "GPUS=1", "NO_ENERGY")
	run := meter.Start()
	time.Sleep(100 * time.Millisecond)
	e = run.Stop()
	if m, err := e.Main(true); err != nil || m.Watts < 50 || m.Watts > 100.01 || m.Method != "sampled every 50 ms" {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestAbsent: what a driver does not give is named, and no figure made up.
func TestAbsent(t *testing.T) {
	for name, c := range map[string]struct {
		faults []string
		say    string
	}{
		"no sensors": {[]string{"NO_ENERGY", "NO_POWER", "GPUS=1"}, "nvidia0 NVIDIA Fake 100: nvmlDeviceGetPowerUsage: this driver does not have it"},
		"garbage":    {[]string{"GARBAGE", "GPUS=1"}, "nvidia0 NVIDIA GPU 0: nvmlDeviceGetPowerUsage gives 4294967295 mW"},
		"errors":     {[]string{"STATUS=4"}, "NVML: nvmlDeviceGetCount_v2: permission denied"},
		"no driver":  {[]string{"INIT=9"}, "NVML: libnvidia-ml.so.1 does not begin: the driver is not loaded"},
		"two lost":   {[]string{"GPUS=1", "LOST=0"}, "NVML: GPU 0: nvmlDeviceGetHandleByIndex_v2: the GPU has fallen off the bus"},
		"too old":    {[]string{"OLD"}, "it is another library, or a driver that is too old"},
	} {
		meter, e := measure(t, nil, c.faults...)
		m, err := e.Main(true)
		if err == nil || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "\n") || len(e.Sources) != 0 {
			t.Errorf("%s: %+v, %v; want %s", name, m, err, c.say)
		}
		if s := meter.State(); (len(s.Clocks) > 0) != (name == "no sensors") {
			t.Errorf("%s: clocks %+v", name, s.Clocks)
		}
	}
	if _, err := power.OpenWith(nil, Cards("/none/lib.so")).Start().Stop().Main(true); err == nil || !strings.Contains(err.Error(), "NVML: no NVIDIA driver: /none/lib.so was not found") &&
		!strings.Contains(err.Error(), "cannot load drivers' libraries") {
		t.Error(err)
	}
}

// TestModule: a Jetson's GPU is a part of the module, which its own rail measures.
func TestModule(t *testing.T) {
	_, e := measure(t, fstest.MapFS{"proc/device-tree/compatible": {Data: []byte("nvidia,p3768-0000\x00nvidia,tegra234\x00")}}, "GPUS=1")
	if len(e.Sources) != 1 || e.Sources[0].Covers != power.Part {
		t.Errorf("%+v", e)
	}
}

func TestState(t *testing.T) {
	meter, _ := measure(t, nil)
	s := meter.State()
	if len(s.Temperatures) != 2 || s.Temperatures[1] != (power.Temperature{Name: "nvidia1 NVIDIA Fake 200", Celsius: 62}) || len(s.Absent) != 0 {
		t.Errorf("%+v", s)
	}
	if want := []string{"nvidia0 NVIDIA Fake 100: held down by its power limit, heat (hardware)"}; !slices.Equal(s.Held, want) {
		t.Errorf("%q", s.Held)
	}
	if len(s.Clocks) != 4 || s.Clocks[2].String() != "1501 of 2101 MHz" || len(s.Counts) != 6 || s.Counts[4] != (power.Count{Name: "nvidia1, held down by heat", N: 7, Unit: "ms"}) || len(s.Limits) != 2 {
		t.Errorf("%+v", s)
	}
	after := s
	after.Counts = slices.Clone(s.Counts)
	after.Counts[4].N += 1500
	v := power.Between(s, after)
	if !slices.Contains(v.Slowed, "nvidia1, held down by heat: 1.50 s") || v.Unseen != "" {
		t.Errorf("%+v", v)
	}
}
