package machine_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/machine"
	"github.com/ledge-run/ledge/runtime/bench/record"
)

// laptop is a machine's files, by the kernel's documentation of their formats.
func laptop() fstest.MapFS {
	files := fstest.MapFS{}
	for name, text := range map[string]string{
		"proc/cpuinfo":                                         "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\nflags\t\t: fpu hypervisor avx2\n\nprocessor\t: 1\nmodel name\t: Other\n",
		"proc/meminfo":                                         "MemTotal:       16384 kB\nMemFree:         100 kB\nMemAvailable:    8192 kB\n",
		"proc/stat":                                            "cpu  100 10 30 5000 70 4 6 20 50 0\ncpu0 1 2 3\n",
		"proc/loadavg":                                         "1.25 0.5 0.1 1/100 200\n",
		"proc/vmstat":                                          "nr_free_pages 5\npswpin 7\npswpout 3\n",
		"proc/sys/kernel/osrelease":                            "6.1.0\n",
		"sys/class/dmi/id/sys_vendor":                          "Maker\n",
		"sys/class/dmi/id/product_name":                        "Model\n",
		"sys/class/power_supply/AC/type":                       "Mains\n",
		"sys/class/power_supply/AC/online":                     "0\n",
		"sys/class/power_supply/BAT0/type":                     "Battery\n",
		"sys/class/power_supply/BAT0/capacity":                 "64\n",
		"sys/class/power_supply/BAT0/status":                   "Discharging\n",
		"sys/class/power_supply/mouse/type":                    "Battery\n",
		"sys/class/power_supply/mouse/scope":                   "Device\n",
		"sys/class/power_supply/mouse/capacity":                "5\n",
		"sys/class/thermal/thermal_zone0/temp":                 "45500\n",
		"sys/class/thermal/thermal_zone0/type":                 "x86_pkg_temp\n",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
	} {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for i := range 2 {
		dir := fmt.Sprintf("sys/devices/system/cpu/cpu%d/cpufreq/", i)
		files[dir+"scaling_cur_freq"] = &fstest.MapFile{Data: []byte(fmt.Sprintf("%d\n", 800000+i))}
		files[dir+"cpuinfo_max_freq"] = &fstest.MapFile{Data: []byte("3000000\n")}
	}
	return files
}

func TestRead(t *testing.T) {
	r := machine.At(laptop())
	m := r.Machine()
	if m.CPU != "Some CPU @ 2.00GHz" || m.Kernel != "6.1.0" || m.Memory != 16<<20 || m.Virtual != "Maker Model" || m.Mode != "powersave" || len(m.Absent) == 0 {
		t.Errorf("%+v", m)
	}
	c := r.Condition()
	if math.Abs(c.BusyCPU-1.5) > 1e-9 || c.StealCPU != 0.2 || c.Load != 1.25 || c.Free != 8<<20 || c.Swapped != 10 || c.Charge != 64 || c.Plugged || c.Mode != "powersave" ||
		c.Temperatures["x86_pkg_temp"] != 45.5 || c.Clocks["cpu0"] != 800 || c.Limits["cpu1"] != 3000 {
		t.Errorf("%+v", c)
	}
}

// TestUnreadable: files that say nothing, or nonsense, give nothing.
func TestUnreadable(t *testing.T) {
	files := laptop()
	for name := range files {
		for _, bad := range []string{"", "nonsense", "-5", "99999999999999999999999", "\x00\xff", "cpu a b c d e f g h i"} {
			files := laptop()
			files[name] = &fstest.MapFile{Data: []byte(bad)}
			r := machine.At(files)
			m, c := r.Machine(), r.Condition()
			if m.Memory < 0 || c.Free < 0 || c.Swapped < 0 || c.BusyCPU < 0 || c.StealCPU < 0 || c.Charge < 0 || c.Charge > 100 {
				t.Errorf("%s holds %q: %+v, %+v", name, bad, m, c)
			}
		}
	}
	r := machine.At(fstest.MapFS{})
	if c := r.Condition(); c.BusyCPU != 0 || c.Charge != 0 || len(c.Clocks) != 0 {
		t.Errorf("of nothing: %+v", c)
	}
	if m := r.Machine(); m.CPU != "unknown processor" || m.Virtual != "" || m.OS == "" {
		t.Errorf("of nothing: %+v", m)
	}
}

func TestDisturbed(t *testing.T) {
	quiet := record.Condition{BusyCPU: 100, StealCPU: 1, Swapped: 5, Throttles: 2, Mode: "15W", Clocks: map[string]float64{"cpu0": 2900}, Limits: map[string]float64{"cpu0": 3000}}
	for _, c := range []struct {
		name    string
		change  func(before, after *record.Condition)
		say     string
		passing bool
	}{
		{"nothing", func(b, a *record.Condition) {}, "", false},
		{"others", func(b, a *record.Condition) { a.BusyCPU += 6 }, "other processes used 0.20 processors", true},
		{"steal", func(b, a *record.Condition) { a.StealCPU += 1 }, "the hypervisor took 0.10 processors away", true},
		{"swap", func(b, a *record.Condition) { a.Swapped += 1000 }, "swapping: 1000 pages", true},
		{"heat", func(b, a *record.Condition) { a.Throttles += 3 }, "throttled: processors were slowed down for their heat 3 times", true},
		{"held", func(b, a *record.Condition) { a.Held = []string{"cpufreq 3 of 10"} }, "throttled: held back are cpufreq 3 of 10", true},
		{"slow", func(b, a *record.Condition) { a.Clocks = map[string]float64{"cpu0": 1200} }, "throttled: cpu0 ran at 1.2 of 3.0 GHz", true},
		{"mode", func(b, a *record.Condition) { a.Mode = "7W" }, "the power mode changed from 15W to 7W", true},
		{"unplugged", func(b, a *record.Condition) { b.Charge, b.Plugged, a.Charge = 50, true, 49 }, "the mains were plugged in or out", true},
		{"battery", func(b, a *record.Condition) { b.Charge, a.Charge = 50, 49 }, machine.OnBattery, false},
		{"less than nothing", func(b, a *record.Condition) { a.BusyCPU -= 50; a.StealCPU -= 1 }, "", false},
	} {
		before, after := quiet, quiet
		after.BusyCPU += 20 // the benchmark's own
		c.change(&before, &after)
		got := machine.Disturbed(before, after, 10, 24)
		if c.name != "others" && c.name != "less than nothing" {
			got = machine.Disturbed(before, after, 10, 20)
		}
		want := []string{}
		if c.say != "" {
			want = append(want, c.say)
		}
		if !slices.Equal(got, want) || machine.Passing(got) != c.passing {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
	if got := machine.Disturbed(record.Condition{}, record.Condition{}, 0, 0); len(got) != 0 {
		t.Errorf("of nothing: %q", got)
	}
}

// TestWatch: the highest clock of a round counts, not that of its quiet end.
func TestWatch(t *testing.T) {
	files := laptop()
	r := machine.At(files)
	w := r.Watch()
	time.Sleep(1500 * time.Millisecond) // looks five times
	var c record.Condition
	c.Clocks = map[string]float64{"cpu0": 400}
	w.End(&c)
	if mhz, ok := c.Clocks["cpu0"]; ok && mhz != 800 { // fewer looks on a very busy machine: none
		t.Errorf("%v", c.Clocks)
	}
	bare := machine.At(fstest.MapFS{}).Watch()
	bare.End(&c)
	short := r.Watch()
	c.Clocks = map[string]float64{"cpu0": 400, "cpu1": 400}
	short.End(&c)
	if strings.Contains(fmt.Sprint(machine.Disturbed(c, c, 1, 1)), "throttled") {
		t.Error("a round that was looked at too rarely is called throttled")
	}
}
