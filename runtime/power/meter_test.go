package power

import (
	"io/fs"
	"maps"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// tree is a machine's files, whose contents a test changes, and its clock.
type tree struct {
	fstest.MapFS
	at time.Time
}

func newTree(all ...map[string]string) *tree {
	t := &tree{fstest.MapFS{}, time.Unix(1e9, 0)}
	for _, files := range all {
		for name, text := range files {
			t.set(name, text)
		}
	}
	return t
}

func (t *tree) set(name, text string) {
	t.MapFS[name] = &fstest.MapFile{Data: []byte(text + "\n")}
}

func (t *tree) meter() *Meter {
	m := OpenAt(t)
	m.now = func() time.Time { return t.at }
	return m
}

// after lets time go by and takes the samples that are due.
func (t *tree) after(r *Run, d time.Duration) {
	t.at = t.at.Add(d)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read(false)
}

// The files that the kernel shows, by its documentation of powercap, hwmon
// (ina3221) and power_supply. An Orin Nano is one with what is added here.
var (
	nano = map[string]string{
		"sys/class/hwmon/hwmon1/name": "ina3221",
		// In the order of the board's device tree.
		"sys/class/hwmon/hwmon1/in1_label": "VDD_IN", "sys/class/hwmon/hwmon1/in1_input": "5000", "sys/class/hwmon/hwmon1/curr1_input": "1200",
		"sys/class/hwmon/hwmon1/in2_label": "VDD_CPU_GPU_CV", "sys/class/hwmon/hwmon1/in2_input": "5000", "sys/class/hwmon/hwmon1/curr2_input": "240",
		"sys/class/hwmon/hwmon1/in3_label": "VDD_SOC", "sys/class/hwmon/hwmon1/in3_input": "5000", "sys/class/hwmon/hwmon1/curr3_input": "200",
		"sys/class/hwmon/hwmon1/in7_label": "sum of shunt voltages",
		"sys/class/hwmon/hwmon2/name":      "pwmfan",
	}
	pc = map[string]string{
		"sys/class/powercap/intel-rapl/enabled": "1",
		"sys/class/powercap/intel-rapl:0/name":  "package-0", "sys/class/powercap/intel-rapl:0/energy_uj": "1000000", "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850",
		"sys/class/powercap/intel-rapl:0:0/name": "core", "sys/class/powercap/intel-rapl:0:0/energy_uj": "7",
		"sys/class/powercap/intel-rapl:1/name": "psys", "sys/class/powercap/intel-rapl:1/energy_uj": "7", "sys/class/powercap/intel-rapl:1/max_energy_range_uj": "262143328850",
		"sys/class/powercap/intel-rapl-mmio:0/name": "package-0", "sys/class/powercap/intel-rapl-mmio:0/energy_uj": "7",
		"sys/class/hwmon/hwmon0/name": "amdgpu", "sys/class/hwmon/hwmon0/power1_average": "30000000", "sys/class/hwmon/hwmon0/power1_label": "PPT",
	}
	laptop = map[string]string{
		"sys/class/power_supply/AC/type": "Mains", "sys/class/power_supply/AC/online": "0",
		"sys/class/power_supply/BAT0/type": "Battery", "sys/class/power_supply/BAT0/present": "1", "sys/class/power_supply/BAT0/status": "Discharging",
		"sys/class/power_supply/BAT0/power_now":        "8000000",
		"sys/class/power_supply/hidpp_battery_0/type":  "Battery",
		"sys/class/power_supply/hidpp_battery_0/scope": "Device", "sys/class/power_supply/hidpp_battery_0/status": "Discharging",
		"sys/class/hwmon/hwmon3/name": "BAT0", "sys/class/hwmon/hwmon3/device/type": "Battery", "sys/class/hwmon/hwmon3/power1_input": "8000000",
	}
	phone = map[string]string{
		"sys/class/power_supply/battery/type": "Battery", "sys/class/power_supply/battery/status": "Discharging",
		"sys/class/power_supply/battery/current_now": "-500000", "sys/class/power_supply/battery/voltage_now": "4000000",
		"sys/class/power_supply/usb/type": "USB", "sys/class/power_supply/usb/online": "0",
	}
)

const (
	rapl0   = "sys/class/powercap/intel-rapl:0/energy_uj"
	amperes = "sys/class/hwmon/hwmon1/curr1_input"
	status  = "sys/class/power_supply/BAT0/status"
)

// source is what was measured under a name.
func (e Energy) source(name string) Measured {
	for _, m := range e.Sources {
		if m.Name == name {
			return m
		}
	}
	return Measured{}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*math.Abs(b) }

// TestMachines: two seconds on each machine.
func TestMachines(t *testing.T) {
	for name, c := range map[string]struct {
		files   []map[string]string
		then    map[string]string // after the first second
		main    string
		joules  float64 // of main
		others  map[string]float64
		absent  string
		samples int
	}{
		// The current rises from 1.2 A to 2 A within the second's first sample of 50 ms.
		"Orin Nano": {[]map[string]string{nano}, map[string]string{amperes: "2000"}, "VDD_IN: the whole module, sampled every 50 ms", 6 + 8*.05 + 10*.95,
			map[string]float64{"VDD_CPU_GPU_CV": 2.4, "VDD_SOC": 2}, "RAPL: no package domain|battery: no battery|NVML: no NVIDIA driver", 42},
		"power in µW": {[]map[string]string{nano, {"sys/class/hwmon/hwmon1/power1_input": "3000000"}}, nil, "VDD_IN: the whole module, sampled every 50 ms", 6, nil, "", 42},
		"AGX Orin":    {[]map[string]string{nano, {"sys/class/hwmon/hwmon1/in1_label": "VIN_SYS_5V0"}}, nil, "", 0, map[string]float64{"VIN_SYS_5V0": 12}, "VDD_IN: no rail has this name", 0},
		"PC": {[]map[string]string{pc}, map[string]string{rapl0: "31000000"}, "RAPL package-0: the processor's package, counter", 30,
			map[string]float64{"amdgpu PPT": 60}, "VDD_IN: no ina3221|battery: no battery", 4},
		"two packages": {[]map[string]string{pc, {"sys/class/powercap/intel-rapl:2/name": "package-1", "sys/class/powercap/intel-rapl:2/energy_uj": "5", "sys/class/powercap/intel-rapl:2/max_energy_range_uj": "100"}},
			map[string]string{rapl0: "31000000", "sys/class/powercap/intel-rapl:2/energy_uj": "15"}, "RAPL package-0 + package-1: the processor's package, counter", 30.00001, nil, "", 4},
		"wrap-around": {[]map[string]string{pc, {rapl0: "262143328000"}}, map[string]string{rapl0: "9999150"}, "RAPL package-0: the processor's package, counter", 10, nil, "", 4},
		"laptop":      {[]map[string]string{laptop}, nil, "battery BAT0: the whole machine, sampled every 1 s", 16, nil, "RAPL: |VDD_IN: ", 4},
		"laptop with RAPL": {[]map[string]string{laptop, pc}, map[string]string{rapl0: "5000000"}, "RAPL package-0: the processor's package, counter", 4,
			map[string]float64{"battery BAT0": 16}, "", 4},
		"phone":          {[]map[string]string{phone}, nil, "battery: the whole machine, sampled every 1 s", 4, nil, "", 4},
		"one of two":     {[]map[string]string{laptop, {"sys/class/power_supply/BAT1/type": "Battery", "sys/class/power_supply/BAT1/status": "Not charging"}}, nil, "battery BAT0 + BAT1: the whole machine, sampled every 1 s", 16, nil, "", 4},
		"NVIDIA card":    {[]map[string]string{{"proc/driver/nvidia/version": "NVRM version: 580"}}, nil, "", 0, nil, "NVML: this program does not read", 0},
		"virtual":        {nil, nil, "", 0, nil, "VDD_IN: no ina3221|RAPL: no package domain|battery: no battery|NVML: no NVIDIA driver", 0},
		"same names":     {[]map[string]string{nano, {"sys/class/hwmon/hwmon5/name": "ina3221", "sys/class/hwmon/hwmon5/in1_label": "VDD_SOC", "sys/class/hwmon/hwmon5/in1_input": "1000", "sys/class/hwmon/hwmon5/curr1_input": "1000"}}, nil, "VDD_IN: the whole module, sampled every 50 ms", 12, map[string]float64{"VDD_SOC": 2, "VDD_SOC (2)": 2}, "", 42},
		"it stood still": {[]map[string]string{pc}, nil, "", 0, nil, "RAPL package-0: it did not move", 0},
	} {
		w := newTree(c.files...)
		r := w.meter().start(0)
		for i := range 40 {
			if i == 20 {
				for name, text := range c.then {
					w.set(name, text)
				}
			}
			w.after(r, 50*time.Millisecond)
		}
		e := r.Stop()
		m, err := e.Main(false)
		if (err == nil) != (c.main != "") || err == nil && (m.String() != c.main || !near(m.Joules, c.joules) || !near(m.Watts, c.joules/2) || m.Samples != c.samples) || e.Seconds != 2 {
			t.Errorf("%s: %+v, %v; want %s, %g J, %d samples\n%+v", name, m, err, c.main, c.joules, c.samples, e)
		}
		for other, j := range c.others {
			if got := e.source(other); !near(got.Joules, j) {
				t.Errorf("%s: %+v; want %g J", name, got, j)
			}
		}
		said := ""
		if err != nil {
			said = err.Error()
		}
		for _, a := range e.Absent {
			said += "; " + a.String()
		}
		for want := range strings.SplitSeq(c.absent, "|") {
			if !strings.Contains(said, want) || strings.Contains(said, "\n") {
				t.Errorf("%s does not say %q: %s", name, want, said)
			}
		}
	}
}

// TestFaults: a source that fails in the middle gives no figure, and says why.
func TestFaults(t *testing.T) {
	set := func(name, text string) func(*tree) { return func(t *tree) { t.set(name, text) } }
	gone := func(name string) func(*tree) { return func(t *tree) { delete(t.MapFS, name) } }
	for name, c := range map[string]struct {
		files map[string]string
		do    func(*tree)
		say   string // empty: bridged
	}{
		"rail vanishes":          {nano, gone(amperes), "VDD_IN: /" + amperes + ": file does not exist"},
		"rail negative":          {nano, set(amperes, "-40"), "-0.2 W is not to be believed"},
		"rail absurd":            {nano, set(amperes, "4000000"), "20000 W is not to be believed"},
		"rail overflows":         {nano, set(amperes, "9223372036854775807"), "which is not to be believed"},
		"rail nonsense":          {nano, set(amperes, "apples"), `holds "apples", which is no number`},
		"rail empty":             {nano, set(amperes, ""), `holds "", which is no number`},
		"RAPL vanishes":          {pc, gone(rapl0), "RAPL package-0: /" + rapl0 + ": file does not exist"},
		"RAPL negative":          {pc, set(rapl0, "-1"), "is no energy"},
		"RAPL set back":          {pc, set(rapl0, "0"), "the counter jumped from 1000000 to 0 µJ"},
		"RAPL jumps":             {pc, set(rapl0, "200000000000"), "the counter jumped from"},
		"RAPL without range":     {without(pc, "sys/class/powercap/intel-rapl:0/max_energy_range_uj"), set(rapl0, "500000"), "the counter went back from 1000000 to 500000 µJ"},
		"charger comes":          {laptop, set("sys/class/power_supply/AC/online", "1"), "battery BAT0: a charger (AC) feeds the machine too"},
		"charging":               {laptop, set(status, "Charging"), "it discharges only: charging"},
		"full":                   {laptop, set(status, "Full"), "it discharges only: full"},
		"battery vanishes":       {laptop, gone(status), "file does not exist"},
		"battery taken out":      {laptop, set("sys/class/power_supply/BAT0/present", "0"), "it discharges only: not present"},
		"battery says nothing":   {laptop, set("sys/class/power_supply/BAT0/power_now", "0"), "it gives no figure"},
		"battery absurd":         {laptop, set("sys/class/power_supply/BAT0/power_now", "-9223372036854775808"), "is not to be believed"},
		"battery without figure": {laptop, gone("sys/class/power_supply/BAT0/power_now"), "voltage_now: file does not exist"},
		"phone absurd":           {phone, set("sys/class/power_supply/battery/current_now", "-999999999999"), "is not to be believed"},
	} {
		counts := strings.Contains(c.say, "counter") // wrong as a step only, and for good
		for _, when := range []string{"at once", "later", "for a moment"} {
			if counts && when != "later" {
				continue
			}
			w := newTree(c.files)
			m := w.meter()
			if when == "at once" {
				c.do(w)
			}
			r := m.start(0)
			before := maps.Clone(w.MapFS)
			w.after(r, time.Second)
			c.do(w)
			w.after(r, time.Second)
			if when == "for a moment" {
				w.MapFS = before
				if strings.HasPrefix(name, "RAPL") {
					w.set(rapl0, "2000000")
				}
				w.after(r, time.Second)
				if got, err := r.Stop().Main(false); err != nil || got.Joules <= 0 {
					t.Errorf("%s for a moment: %+v, %v", name, got, err)
				}
				continue
			}
			w.after(r, time.Second)
			w.after(r, time.Second)
			if got, err := r.Stop().Main(false); err == nil || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s %s: %+v, %v\nwant %s", name, when, got, err, c.say)
			}
		}
	}
}

func without(files map[string]string, name string) map[string]string {
	files = maps.Clone(files)
	delete(files, name)
	return files
}

// locked is a tree some of whose files only root may read.
type locked struct {
	fs.FS
	file string
}

func (l locked) Open(name string) (fs.File, error) {
	if name == l.file {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return l.FS.Open(name)
}

func TestPermission(t *testing.T) {
	_, err := OpenAt(locked{newTree(pc), rapl0}).Start().Stop().Main(false)
	if err == nil || !strings.Contains(err.Error(), "RAPL package-0: /"+rapl0+": permission denied (root may read it)") {
		t.Error(err)
	}
}

// slow takes a while to open each file.
type slow struct{ *tree }

func (s slow) Open(name string) (fs.File, error) {
	s.at = s.at.Add(7 * time.Millisecond)
	return s.tree.Open(name)
}

// TestSlowFiles: that reading takes a while makes no power less.
func TestSlowFiles(t *testing.T) {
	w := newTree(nano, phone)
	m := OpenAt(slow{w})
	m.now = func() time.Time { return w.at }
	r := m.start(0)
	for range 20 {
		w.after(r, 50*time.Millisecond)
	}
	e := r.Stop()
	for name, watts := range map[string]float64{"VDD_IN": 6, "battery": 2} {
		if got := e.source(name); math.Abs(got.Watts-watts) > 1e-4 { // whole microjoules
			t.Errorf("%s: %g W, not %g", name, got.Watts, watts)
		}
	}
}

// TestMain: what a figure may stand for, and for how short a piece of work.
func TestMainSource(t *testing.T) {
	w := newTree(pc, laptop)
	r := w.meter().start(0)
	w.set(rapl0, "3000000")
	w.after(r, 20*time.Millisecond)
	if m, err := r.SoFar().Main(false); err != nil || m.Joules != 2 || m.Watts != 100 {
		t.Error(m, err)
	}
	if m, err := r.SoFar().Main(true); err == nil || !strings.Contains(err.Error(), "RAPL package-0: it does not cover the device that computed; battery BAT0: sampled every 1 s, which is too rare for work of 0.020 s") {
		t.Error(m, err)
	}
	half := r.SoFar()
	w.set(rapl0, "4000000")
	w.after(r, 2*time.Second)
	e := r.Stop().Since(half)
	if m, err := e.Main(false); err != nil || m.Joules != 1 || m.Watts != .5 || e.Seconds != 2 {
		t.Error(e, err)
	}
	m, err := e.Main(true)
	if err != nil || m.Covers != Machine || m.Joules != 16 {
		t.Error(m, err)
	}
	if j, n := m.PerToken(32); j != .5 || n != 2 {
		t.Error(j, n)
	}
	if j, n := m.PerToken(0); j != 0 || n != 0 {
		t.Error(j, n)
	}
	half.Sources = nil
	if m, err := r.Stop().Since(half).Main(false); err == nil || !strings.Contains(err.Error(), "in between") {
		t.Error(m, err)
	}
}

// TestStopped: a program that was stopped does not know what happened meanwhile.
func TestStopped(t *testing.T) {
	w := newTree(nano)
	r := w.meter().start(0)
	w.after(r, time.Minute)
	if m, err := r.Stop().Main(false); err == nil || !strings.Contains(err.Error(), "VDD_IN: it was not read for 60 s") {
		t.Error(m, err)
	}
}

// TestLastMoment: without the last reading the end of the work is not known.
func TestLastMoment(t *testing.T) {
	w := newTree(nano)
	r := w.meter().start(0)
	w.after(r, time.Second)
	delete(w.MapFS, amperes)
	if m, err := r.SoFar().Main(false); err == nil || !strings.Contains(err.Error(), "VDD_IN: /"+amperes) {
		t.Error(m, err)
	}
	w.set(amperes, "1200")
	if m, err := r.Stop().Main(false); err != nil || m.Joules != 6 {
		t.Error(m, err)
	}
}

// TestOnce: what the kernel shows twice is measured once.
func TestOnce(t *testing.T) {
	for name, files := range map[string]map[string]string{"VDD_IN VDD_CPU_GPU_CV VDD_SOC": nano, "RAPL package-0 amdgpu PPT": pc, "battery BAT0": laptop, "battery": phone} {
		for _, m := range newTree(files).meter().start(0).Stop().Sources {
			if !strings.Contains(name, m.Name) {
				t.Errorf("%s has a source %s", name, m)
			}
		}
	}
}

// TestSlow: work that takes hours is looked at once a second.
func TestSlow(t *testing.T) {
	w := newTree(nano)
	r := w.meter().start(rarely)
	for range 40 {
		w.after(r, 50*time.Millisecond)
	}
	if m, err := r.Stop().Main(false); err != nil || m.Samples != 4 || m.Joules != 12 || m.Method != "sampled every 1 s" {
		t.Error(m, err)
	}
	if m, err := OpenAt(w).StartSlow().Stop().Main(false); err == nil || !strings.Contains(err.Error(), "too rare") {
		t.Error(m, err)
	}
	if m, err := (*Meter)(nil).Start().Stop().Main(false); err == nil || err.Error() != "energy: it was not asked for" {
		t.Error(m, err)
	}
}

// TestGoroutine: Start reads by itself, Stop leaves nothing behind.
func TestGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	m := OpenAt(newTree(nano))
	runs := []*Run{m.Start(), m.Start()}
	if n := runtime.NumGoroutine(); n != before+2 {
		t.Errorf("%d goroutines, not 2", n-before)
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if e := runs[0].SoFar(); e.Seconds > .2 {
			break
		}
	}
	for _, r := range runs {
		e := r.Stop()
		got, err := e.Main(false)
		if err != nil || math.Abs(got.Watts-6) > .1 || got.Samples < 3 {
			t.Errorf("%+v, %v", got, err)
		}
		if again := r.Stop(); again.Seconds != e.Seconds {
			t.Error("a second Stop measures again")
		}
	}
	none := OpenAt(fstest.MapFS{}).Start()
	if n := runtime.NumGoroutine(); n != before {
		t.Errorf("%d goroutines are left", n-before)
	}
	none.Stop()
}

// TestLive: this machine's own sensors, if it has any.
func TestLive(t *testing.T) {
	m := Open()
	r := m.Start()
	time.Sleep(120 * time.Millisecond)
	e := r.Stop()
	if len(e.Sources)+len(e.Absent) < len(m.sources) {
		t.Errorf("%d sources, but %+v", len(m.sources), e)
	}
	got, err := e.Main(false)
	if err != nil {
		t.Skip("not measured here: ", err)
	}
	if got.Watts <= 0 || got.Watts > 2000 {
		t.Errorf("%+v", got)
	}
}
