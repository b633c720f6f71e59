package power

import (
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/power/powertest"
)

// seen is all that this package says of a machine, by what it is of.
type seen struct {
	figures map[string]string // texts and numbers; what is unknown is not in it
	absent  []Absent
}

// see looks at a machine, and lets it compute for a second.
func see(files *powertest.FS) seen {
	s := seen{figures: map[string]string{}}
	put := func(key string, value any) {
		if text := fmt.Sprint(value); text != "" && text != "0" && text != "false" {
			s.figures[key] = text
		}
	}
	at := time.Unix(1e9, 0)
	m := OpenAt(files)
	m.now = func() time.Time { return at }
	state := m.State()
	s.absent = append(s.absent, state.Absent...)
	for _, part := range strings.Split(state.Mode, modeParts) {
		put("mode "+part, part)
	}
	for _, t := range state.Temperatures {
		put("temperature "+t.Name, t.Celsius)
	}
	for _, h := range state.Held {
		name, _, _ := strings.Cut(h, " of ") // the most may be unknown
		put("held "+name, true)
	}
	put("throttles", state.Throttles)
	clock := func(name string, c Clock) {
		put(name+" now", c.Now)
		put(name+" min", c.Min)
		put(name+" max", c.Max)
	}
	for _, c := range state.Clocks {
		clock("clock "+c.Name, c.Clock)
		put("clock "+c.Name+" top", c.Top)
	}
	for _, c := range state.Counts {
		put("count "+c.Name+" "+c.Unit, c.N)
	}
	for _, l := range state.Limits {
		put("limit "+l.Name, l.Watts)
	}
	if c := state.Charge; c != nil {
		put("charge", c.Percent)
		put("plugged", c.Plugged)
		put("status", c.Status)
	}
	if b, ok := read(files); ok {
		put("board", b.Model)
		put("release", b.Release)
		if b.Mode != nil {
			put("mode", b.Mode.Name)
		}
		for _, k := range b.Modes {
			put(fmt.Sprint("mode ", k.ID), k.Name)
		}
		clock("board gpu", b.GPU)
		clock("board cpu", b.CPU)
		clock("board memory", b.Memory)
		for _, r := range b.Rails {
			put("rail "+r.Name, r.Watts)
		}
		for _, n := range b.Notes() {
			put("note "+n, true)
		}
	}
	run := m.start(0)
	if v, err := m.files.value(raplPC); err == nil && v == 181500000000 {
		files.Set(raplPC, "181515000000")
		defer files.Set(raplPC, "181500000000")
	}
	at = at.Add(time.Second)
	e := run.Stop()
	s.absent = append(s.absent, e.Absent...)
	for _, x := range e.Sources {
		put("energy "+x.String(), x.Joules)
		if x.Joules < 0 || math.IsNaN(x.Watts) {
			panic(x.Name)
		}
	}
	if x, err := e.Main(false); err == nil {
		put("charged", x.Name)
	} else if strings.ContainsAny(err.Error(), "\n\x00") {
		panic(err)
	}
	return s
}

const raplPC = "sys/class/powercap/intel-rapl:0/energy_uj"

func TestRecorded(t *testing.T) {
	for machine, want := range map[string]map[string]string{
		"orin-nano": {
			"board": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", "release": "R36.4.3", "mode": "15W", "mode 15W": "15W",
			"clock gpu now": "306000000", "clock gpu max": "612000000", "clock cpu4 max": "1497600000", "clock cpu4 top": "1728000000",
			"clock memory now": "2133000000", "board gpu max": "612000000", "rail VDD_IN": "7", "charged": "VDD_IN",
			"energy VDD_IN: the whole module, sampled every 50 ms": "7", "energy VDD_CPU_GPU_CV: a part, sampled every 1 s": "2.2",
			"temperature tj-thermal": "49.343", "count over-current alarm oc3 times": "12",
			"note power mode 15W; MAXN_SUPER is faster: sudo nvpmodel -m 2": "true",
		},
		"pc": {
			"mode powersave": "powersave", "mode balanced": "balanced", "mode turbo": "turbo", "clock cpu1 now": "3300000000", "clock gpu now": "350000000",
			"throttles": "81", "count processor cores, for heat times": "81", "count processor cores, for heat, in all ms": "600",
			"count processor package, for heat times": "90", "limit package-0 long_term": "28", "held gpu: pl1": "true",
			"temperature coretemp Package id 0": "71", "temperature x86_pkg_temp": "71", "charge": "64", "status": "Discharging",
			"charged": "RAPL package-0", "energy RAPL package-0: the processor's package, counter": "15", "energy battery BAT0: the whole machine, sampled every 1 s": "18",
		},
		"phone": {
			"mode walt": "walt", "clock cpu7 max": "2054400000", "clock cpu7 top": "2995200000", "clock gpu max": "818000000", "held thermal-cpufreq-4 5": "true",
			"count thermal-cpufreq-4 cooling_device1, changes times": "1204", "temperature cpu-1-3-usr": "81.9", "temperature kgsl-3d0": "58.7",
			"temperature soc": "0.076", "charge": "76", "charged": "battery", "energy battery: the whole machine, sampled every 1 s": "4.62",
		},
	} {
		got := see(powertest.Machine(machine))
		for key, value := range want {
			if got.figures[key] != value {
				t.Errorf("%s: %s is %q, want %q", machine, key, got.figures[key], value)
			}
		}
		for key := range got.figures {
			for _, not := range []string{"nvme", "hidpp", "Core 0", "pwm-fan", "mmw0", "psys"} {
				if strings.Contains(key, not) {
					t.Errorf("%s: %s = %s", machine, key, got.figures[key])
				}
			}
		}
		if t.Failed() {
			t.Logf("%s: %v\n%v", machine, got.figures, got.absent)
		}
	}
	if a := see(powertest.Machine("phone")).absent; !slices.Contains(a, Absent{"mmw0", "/sys/class/thermal/thermal_zone50/temp is -273000, which is not to be believed"}) {
		t.Error(a)
	}
}

// TestBroken breaks every file of every machine in every way: nothing panics, no figure
// is made up, and what is said is one line.
func TestBroken(t *testing.T) {
	broken := map[string]func(*powertest.FS, string){
		"unreadable": func(f *powertest.FS, name string) { f.Lock(name, fs.ErrPermission) },
		"vanished":   func(f *powertest.FS, name string) { f.Remove(name) },
		"empty":      func(f *powertest.FS, name string) { f.Set(name, "") },
		"garbage":    func(f *powertest.FS, name string) { f.Set(name, "\x01\xffapples\n\x00"+strings.Repeat("x", 100)) },
		"negative":   func(f *powertest.FS, name string) { f.Set(name, "-99999999\n") },
		"absurd":     func(f *powertest.FS, name string) { f.Set(name, "9223372036854775807\n") },
		"too large":  func(f *powertest.FS, name string) { f.Set(name, "99999999999999999999999\n") },
	}
	for _, machine := range powertest.Machines() {
		files := powertest.Machine(machine)
		whole, before := see(files), OpenAt(files).State()
		for _, name := range files.Names() {
			for how, act := range broken {
				files := powertest.Machine(machine)
				act(files, name)
				got := see(files)
				text := how != "unreadable" && how != "vanished" && how != "empty" && how != "garbage" // of a name, a number is as good
				for key, value := range got.figures {
					was, there := whole.figures[key]
					switch {
					case was == value:
					case text && strings.Contains(key+value, "99999") || text && strings.Contains(key+value, "92233720368"): // a name of numbers
						if strings.HasPrefix(key, "clock") || strings.HasPrefix(key, "temperature") && !strings.Contains(key, "99999") && !strings.Contains(key, "92233") {
							t.Errorf("%s: %s %s: %s is %s", machine, name, how, key, value)
						}
					case strings.HasPrefix(key, "count ") || key == "throttles":
						if !there || less(was, value) { // the sum of those that can be read
							t.Errorf("%s: %s %s: %s is %s, was %s", machine, name, how, key, value, was)
						}
					case key == "charged" && whole.figures["energy "+sourceOf(got, value)] != "": // another source's turn
					case strings.HasPrefix(key, "mode") && value == "0": // the number of a mode without a name
					case strings.HasPrefix(name, "etc/nv") || strings.HasPrefix(name, "var/lib/nv") || strings.HasPrefix(name, "proc/"):
						// No mode of the board: then the processor's, and notes of other modes.
						if !strings.HasPrefix(key, "mode schedutil") && !strings.HasPrefix(key, "note clocks") {
							t.Errorf("%s: %s %s: %s is %s, was %s", machine, name, how, key, value, was)
						}
					case strings.HasPrefix(key, "temperature coretemp temp"), strings.HasPrefix(key, "limit package-0"): // lost their labels
					default:
						t.Errorf("%s: %s %s: %s is %s, was %q", machine, name, how, key, value, was)
					}
				}
				for _, a := range got.absent {
					if strings.ContainsAny(a.String(), "\n\x00\x01") {
						t.Errorf("%s: %s %s: %q", machine, name, how, a)
					}
				}
				// What slowed a machine down is not that a file broke.
				for _, why := range Between(before, OpenAt(files).State()).Slowed {
					if !strings.HasSuffix(why, ", before") && !strings.HasSuffix(why, ", before and after") && !numbered(why) &&
						!strings.HasPrefix(why, "thermal-cpufreq-4 5, after") { // of how many is not known any more
						t.Errorf("%s: %s %s: slowed down by %s", machine, name, how, why)
					}
				}
				if t.Failed() {
					return
				}
			}
		}
	}
}

// numbered reports whether a text has the numbers of TestBroken.
func numbered(s string) bool {
	return strings.Contains(s, "99999999") || strings.Contains(s, "92233720368")
}

func less(a, b string) bool { return len(a) < len(b) || len(a) == len(b) && a < b }

// sourceOf is how a source's energy is called.
func sourceOf(s seen, name string) string {
	for key := range s.figures {
		if rest, ok := strings.CutPrefix(key, "energy "); ok && strings.HasPrefix(rest, name+":") {
			return rest
		}
	}
	return ""
}

// TestNamed: what may not be read is named, not taken for missing.
func TestNamed(t *testing.T) {
	for locked, say := range map[string]string{
		"sys/class/thermal": "/sys/class/thermal: /sys/class/thermal: permission denied (root may read it)", "sys/class/power_supply": "battery: /sys/class/power_supply: permission denied",
		"sys/class/hwmon": "VDD_IN: /sys/class/hwmon: permission denied", "sys/class/powercap": "RAPL: /sys/class/powercap: permission denied", "sys/class/devfreq": "/sys/class/devfreq: permission denied",
	} {
		files := powertest.Machine("phone")
		files.Lock(locked, fs.ErrPermission)
		if a := fmt.Sprint(see(files).absent); !strings.Contains(a, say) {
			t.Errorf("%s: %s", locked, a)
		}
	}
	files := powertest.Machine("orin-nano")
	files.Lock("sys/kernel/debug/bpmp/debug/clk/emc/rate", fs.ErrPermission)
	files.Remove("sys/kernel/debug/bpmp/debug/clk/emc/max_rate")
	if a := fmt.Sprint(see(files).absent); !strings.Contains(a, "memory clock: /sys/kernel/debug/bpmp/debug/clk/emc/rate: permission denied (root may read it)") {
		t.Error(a)
	}
}

func TestBetween(t *testing.T) {
	for name, c := range map[string]struct {
		machine string
		change  map[string]string
		slowed  []string
		unseen  string
	}{
		"nothing":          {"orin-nano", nil, nil, ""},
		"heat of a Jetson": {"orin-nano", map[string]string{"sys/class/thermal/cooling_device1/cur_state": "3"}, []string{"cpufreq-cpu0 3 of 11, after"}, ""},
		"over-current":     {"orin-nano", map[string]string{"sys/class/hwmon/hwmon2/oc3_event_cnt": "15"}, []string{"over-current alarm oc3: 3 times"}, ""},
		"mode": {"orin-nano", map[string]string{"var/lib/nvpmodel/status": "pmode:0002", "sys/class/devfreq/17000000.gpu/max_freq": "1020000000"},
			[]string{"gpu might have 612 MHz before, 1.02 GHz after", "the power mode was 15W, nvpmodel 0 before, MAXN_SUPER, nvpmodel 2 after"}, ""},
		"PC": {"pc", map[string]string{"sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "46", "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_total_time_ms": "1310",
			"sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw": "15000000", "sys/class/power_supply/AC/online": "1",
			"sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq": "2100000", "sys/class/drm/card0/gt/gt0/throttle_reason_pl1": "0"},
			[]string{"gpu: pl1, before", "processor cores, for heat: 5 times", "processor cores, for heat, in all: 1.00 s", "cpu0 might have 4.70 GHz before, 2.10 GHz after",
				"the power limit package-0 long_term was 28 W before, 15 W after", "the charger was plugged in"}, ""},
		"PC's governor": {"pc", map[string]string{"sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "performance", "sys/devices/system/cpu/cpufreq/policy1/scaling_governor": "performance"},
			[]string{"gpu: pl1, before and after", "the power mode was powersave, balance_performance, balanced, turbo before, performance, balance_performance, balanced, turbo after"}, ""},
		"set back": {"orin-nano", map[string]string{"sys/class/hwmon/hwmon2/oc3_event_cnt": "1"}, nil, "over-current alarm oc3: its counter was set back"},
		"phone":    {"phone", map[string]string{"sys/class/thermal/cooling_device1/stats/total_trans": "1206"}, []string{"thermal-cpufreq-4 5 of 16, before and after", "thermal-cpufreq-4 cooling_device1, changes: 2 times"}, ""},
	} {
		files := powertest.Machine(c.machine)
		before := OpenAt(files).State()
		for name, text := range c.change {
			files.Set(name, text+"\n")
		}
		v := Between(before, OpenAt(files).State())
		if !slices.Equal(v.Slowed, c.slowed) || v.Unseen != c.unseen || v.Throttled() != (len(c.slowed) > 0) {
			t.Errorf("%s: %q, %q\nwant %q, %q", name, v.Slowed, v.Unseen, c.slowed, c.unseen)
		}
	}
	none := powertest.Parse("")
	v := Between(OpenAt(none).State(), OpenAt(none).State())
	if v.String() != "not known to be slowed down: the machine does not count it, and was looked at before and after only" {
		t.Error(v)
	}
}

// FuzzFile puts anything into a file of a machine.
func FuzzFile(f *testing.F) {
	for m := range powertest.Machines() {
		for file := range 40 {
			f.Add(uint8(m), uint8(3*file), []byte("-1"))
		}
	}
	f.Fuzz(func(t *testing.T, m, file uint8, data []byte) {
		machines := powertest.Machines()
		files := powertest.Machine(machines[int(m)%len(machines)])
		names := files.Names()
		before := OpenAt(files).State()
		files.Set(names[int(file)%len(names)], string(data))
		for _, a := range see(files).absent {
			if strings.ContainsAny(a.String(), "\n\x00") {
				t.Errorf("%q", a)
			}
		}
		for _, why := range Between(before, OpenAt(files).State()).Slowed {
			if strings.ContainsAny(why, "\n\x00") {
				t.Errorf("%q", why)
			}
		}
	})
}

// TestStateLive: this machine, whatever it has.
func TestStateLive(t *testing.T) {
	s := Open().State()
	for _, c := range s.Clocks {
		if c.Now > topClock || c.Max > topClock {
			t.Errorf("%+v", c)
		}
	}
	if len(s.Clocks)+len(s.Temperatures) == 0 {
		t.Skipf("neither clocks nor temperatures here; absent: %v", s.Absent)
	}
	t.Logf("%+v", s)
}
