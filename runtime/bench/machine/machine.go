// Package machine says what a benchmark ran on, in which condition the machine was,
// and what in a round makes its figures doubtful. It reads what Linux shows under
// /proc and /sys; other systems show nothing of it, and nothing is guessed.
package machine

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/power"
)

// Reader reads a machine.
type Reader struct {
	root  fs.FS
	meter *power.Meter
	board func() (power.Board, bool)
}

// New reads this machine.
func New() *Reader {
	root := os.DirFS("/")
	if runtime.GOOS != "linux" && runtime.GOOS != "android" {
		root = nil
	}
	return &Reader{root, power.Open(), power.Read}
}

// At reads a tree as the kernel shows it at /: tests bring the files of a machine.
func At(root fs.FS) *Reader {
	return &Reader{root, power.OpenAt(root), func() (power.Board, bool) { return power.Board{}, false }}
}

// text is a file without the white space around it, "" if there is none.
func (r *Reader) text(name string) string {
	if r.root == nil {
		return ""
	}
	data, err := fs.ReadFile(r.root, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.ReplaceAll(string(data), "\x00", ""))
}

// number is a file's whole number; false if there is none.
func (r *Reader) number(name string) (float64, bool) {
	v, err := strconv.ParseFloat(r.text(name), 64)
	return v, err == nil
}

func (r *Reader) list(pattern string) []string {
	if r.root == nil {
		return nil
	}
	names, err := fs.Glob(r.root, pattern)
	if err != nil {
		return nil
	}
	return names
}

// keyed reads a file of lines "key: value" or "key value"; the first of a key counts.
func (r *Reader) keyed(name string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(r.text(name)) {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			key, value, _ = strings.Cut(line, " ")
		}
		key = strings.TrimSpace(key)
		if _, twice := m[key]; !twice {
			m[key] = strings.TrimSpace(value)
		}
	}
	return m
}

// kilobytes reads "16384 kB".
func kilobytes(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(s, "kB")), 10, 64)
	if err != nil || n < 0 || n > 1<<43 {
		return 0
	}
	return n << 10
}

// Machine is what does not change while a suite runs. What Ledge itself says of the
// processor and the devices is filled in by who asks it.
func (r *Reader) Machine() record.Machine {
	info := r.keyed("proc/cpuinfo")
	m := record.Machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Kernel: r.text("proc/sys/kernel/osrelease"), CPU: cmp.Or(info["model name"], "unknown processor"), Cores: runtime.NumCPU(),
		Memory: kilobytes(r.keyed("proc/meminfo")["MemTotal"]), Board: r.text("sys/firmware/devicetree/base/model"), Virtual: r.virtual(info["flags"]),
	}
	if b, ok := r.board(); ok {
		m.Board, m.Release = cmp.Or(b.Model, m.Board), b.Release
		if b.Mode != nil {
			m.Mode = b.Mode.Name
		}
	}
	m.Mode = cmp.Or(m.Mode, r.text("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))
	energy := r.meter.Start().Stop()
	for _, s := range energy.Sources {
		m.Sensors = append(m.Sensors, fmt.Sprintf("%s (%s)", s.Name, s.Covers))
	}
	for _, a := range energy.Absent {
		m.Absent = append(m.Absent, a.String())
	}
	return m
}

// virtual names the machine that this one is a part of, "" if it is none.
func (r *Reader) virtual(flags string) string {
	if !strings.Contains(" "+flags+" ", " hypervisor ") && r.text("sys/hypervisor/type") == "" {
		return ""
	}
	maker := strings.TrimSpace(r.text("sys/class/dmi/id/sys_vendor") + " " + r.text("sys/class/dmi/id/product_name"))
	return cmp.Or(r.text("sys/hypervisor/type"), maker, "a hypervisor")
}

// Condition is the machine's at this moment.
func (r *Reader) Condition() record.Condition {
	heat := r.meter.Heat()
	c := record.Condition{Held: heat.Held, Throttles: heat.Throttles, Free: kilobytes(r.keyed("proc/meminfo")["MemAvailable"])}
	if len(heat.Temperatures) > 0 {
		c.Temperatures = map[string]float64{}
		for _, t := range heat.Temperatures {
			c.Temperatures[t.Name] = max(c.Temperatures[t.Name], t.Celsius)
		}
	}
	c.Clocks, c.Limits = r.clocks()
	if b, ok := r.board(); ok {
		if b.Mode != nil {
			c.Mode = b.Mode.Name
		}
		if b.GPU.Now > 0 {
			set(&c.Clocks, "gpu", float64(b.GPU.Now)/1e6)
			set(&c.Limits, "gpu", float64(b.GPU.Max)/1e6)
		}
	}
	c.Mode = cmp.Or(c.Mode, r.text("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))
	first, _, _ := strings.Cut(r.text("proc/loadavg"), " ")
	c.Load, _ = strconv.ParseFloat(first, 64)
	c.BusyCPU, c.StealCPU = processors(r.text("proc/stat"))
	vm := r.keyed("proc/vmstat")
	for _, key := range []string{"pswpin", "pswpout"} {
		if n, err := strconv.ParseInt(vm[key], 10, 64); err == nil && n > 0 {
			c.Swapped += n
		}
	}
	c.Charge, c.Plugged = r.battery()
	return c
}

func set(m *map[string]float64, key string, v float64) {
	if *m == nil {
		*m = map[string]float64{}
	}
	(*m)[key] = v
}

// clocks are the processors' in MHz, and the most that each may have.
func (r *Reader) clocks() (now, most map[string]float64) {
	for _, dir := range r.list("sys/devices/system/cpu/cpu[0-9]*/cpufreq") {
		name := path.Base(path.Dir(dir))
		if khz, ok := r.number(dir + "/scaling_cur_freq"); ok && khz > 0 {
			set(&now, name, khz/1e3)
		}
		if khz, ok := r.number(dir + "/cpuinfo_max_freq"); ok && khz > 0 {
			set(&most, name, khz/1e3)
		}
	}
	return now, most
}

// userHZ is the unit of /proc/stat, which Linux fixes for programs.
const userHZ = 100

// processors reads the first line of /proc/stat: user, nice, system, idle, iowait,
// irq, softirq and steal. It gives seconds of one processor; 0 if unknown.
func processors(stat string) (busy, steal float64) {
	line, _, _ := bytes.Cut([]byte(stat), []byte("\n"))
	f := strings.Fields(string(line))
	if len(f) < 9 || f[0] != "cpu" {
		return 0, 0
	}
	for i, word := range f[1:9] {
		n, err := strconv.ParseFloat(word, 64)
		if err != nil || !(n >= 0 && n < 1e18) {
			return 0, 0
		}
		switch i {
		case 3, 4: // idle
		case 7:
			steal = n / userHZ
		default:
			busy += n / userHZ
		}
	}
	return busy, steal
}

// battery is the charge of the first battery of the machine itself, in percent, and
// whether it runs from the mains; 0 without a battery.
func (r *Reader) battery() (charge float64, plugged bool) {
	for _, dir := range r.list("sys/class/power_supply/*") {
		switch kind := r.text(dir + "/type"); {
		case kind == "Battery" && r.text(dir+"/scope") != "Device" && charge == 0: // a mouse's is a device's
			if v, ok := r.number(dir + "/capacity"); ok && v > 0 && v <= 100 {
				charge = v
			}
			if s := r.text(dir + "/status"); s == "Charging" || s == "Full" || s == "Not charging" {
				plugged = true
			}
		case kind == "Mains" || strings.HasPrefix(kind, "USB"):
			if r.text(dir+"/online") == "1" {
				plugged = true
			}
		}
	}
	return charge, plugged && charge > 0
}
