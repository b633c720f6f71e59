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
	if len(s.Clocks) != 4 || s.Clocks[2].String() != "1501 MHz (2101 at most)" || len(s.Counts) != 8 || s.Counts[5] != (power.Count{Name: "nvidia1, held down by heat", N: 7, Unit: "ms"}) || len(s.Limits) != 2 {
		t.Errorf("%+v", s)
	}
	after := s
	after.Counts = slices.Clone(s.Counts)
	after.Counts[5].N += 1500
	v := power.Between(s, after)
	if !slices.Contains(v.Slowed, "nvidia1, held down by heat: 1.50 s") || v.Unseen != "" {
		t.Errorf("%+v", v)
	}
}

// TestSetClock: a clock that somebody has set (nvidia-smi -lgc) is no slowdown, but seen;
// one that was set or freed in between is.
func TestSetClock(t *testing.T) {
	state := func(reasons string) power.State {
		t.Helper()
		meter, _ := measure(t, nil, "GPUS=1", "REASONS="+reasons)
		s := meter.State()
		if len(s.Clocks) != 2 {
			t.Fatalf("%s: %+v", reasons, s)
		}
		return s
	}
	free, idle, locked, display, capped, new := state("0"), state("1"), state("2"), state("0x100"), state("6"), state("0x200")
	for _, c := range []struct {
		s    power.State
		max  uint64
		set  bool
		text string
	}{
		{free, 2100e6, false, "1500 of 2100 MHz"},
		{idle, 0, false, "1500 MHz (2100 at most)"},
		{locked, 1500e6, true, "1500 of 1500 MHz (set by somebody, 2100 at most)"},
		{display, 1500e6, true, "1500 of 1500 MHz (set by somebody, 2100 at most)"},
		{capped, 0, true, "1500 MHz (set by somebody, 2100 at most)"},
	} {
		if k := c.s.Clocks[0]; k.Max != c.max || k.Set != c.set || k.Top != 2100e6 || k.String() != c.text {
			t.Errorf("%+v, %s; want %s", k, k, c.text)
		}
	}
	if want := "nvidia0 NVIDIA Fake 100: held down by a reason that is not known here (0x200)"; !slices.Equal(new.Held, []string{want}) {
		t.Errorf("%q", new.Held)
	}
	const freed = "nvidia0 gpu might have 1.50 GHz before, 2.10 GHz after"
	const low = "nvidia0 gpu may have 1.50 GHz of 2.10 GHz"
	for _, c := range []struct {
		before, after power.State
		slowed, set   string
	}{
		{free, free, "", ""}, {free, idle, "", ""}, {idle, free, "", ""}, {idle, idle, "", ""},
		{locked, locked, "", low}, {locked, display, "", low}, {idle, locked, "", low}, {locked, idle, "", low},
		{locked, free, freed, ""}, {free, locked, "nvidia0 gpu might have 2.10 GHz before, 1.50 GHz after", ""},
		{capped, capped, "nvidia0 NVIDIA Fake 100: held down by its power limit, before and after", "nvidia0 gpu"},
		{capped, locked, "nvidia0 NVIDIA Fake 100: held down by its power limit, before", low},
	} {
		v := power.Between(c.before, c.after)
		if strings.Join(v.Slowed, "; ") != c.slowed || strings.Join(v.Set, "; ") != c.set || v.Throttled() != (c.slowed != "") ||
			strings.Contains(v.String(), "; set by somebody: "+c.set) != (c.set != "") {
			t.Errorf("%s, then %s: %+v; want %q, %q", c.before.Clocks[0], c.after.Clocks[0], v, c.slowed, c.set)
		}
	}
	near := locked
	near.Clocks = slices.Clone(locked.Clocks)
	near.Clocks[0].Max -= 15e6 // a step of the clock
	if v := power.Between(locked, near); v.Throttled() || !slices.Equal(v.Set, []string{low}) {
		t.Errorf("%+v", v)
	}
}
