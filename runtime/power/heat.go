package power

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Heat is how warm a machine is, and what slows it down for that.
type Heat struct {
	Temperatures []Temperature `json:"temperatures,omitempty"`
	// Held names what is held back now: processors and GPUs below their full clock.
	Held []string `json:"held,omitempty"`
	// Throttles counts how often processors were slowed down since the start, where
	// the machine counts it.
	Throttles uint64 `json:"throttles"`
}

// Temperature is that of a thermal zone or of a sensor.
type Temperature struct {
	Name    string  `json:"name"`
	Celsius float64 `json:"celsius"`
}

// Heat reads the temperatures. Those that cannot be read, or that say what no
// running machine has, are left out.
func (m *Meter) Heat() Heat {
	var s State
	if m.files.root != nil {
		look{m.files, &s}.heat()
	}
	for _, c := range m.cards {
		addCardState(&s, c)
	}
	return s.Heat
}

// heat reads thermal zones, the processor's and GPU's own sensors and what cooling
// does.
func (l look) heat() {
	const dir = "sys/class/thermal"
	h := &l.s.Heat
	for _, zone := range l.folder(dir, "thermal_zone*") {
		if name := line(l.text(zone + "/type")); name != "" {
			l.temperature(name, zone+"/temp")
		}
	}
	for _, dir := range l.folder("sys/class/hwmon", "hwmon*") {
		driver := l.text(dir + "/name")
		if !slices.Contains([]string{"coretemp", "k10temp", "zenpower", "amdgpu", "i915", "xe", "nouveau"}, driver) {
			continue // disks, radios and what the thermal zones have
		}
		for _, f := range l.list(dir, "temp[0-9]*_input") {
			label := line(l.text(strings.TrimSuffix(f, "input") + "label"))
			if !strings.HasPrefix(label, "Core ") { // the package has the highest of them
				number, _, _ := strings.Cut(path.Base(f), "_")
				l.temperature(driver+" "+cmp.Or(label, number), f)
			}
		}
	}
	const kgsl = "sys/class/kgsl/kgsl-3d0"
	l.temperature("kgsl-3d0", kgsl+"/temp")
	slices.SortStableFunc(h.Temperatures, func(a, b Temperature) int { return cmp.Compare(a.Name, b.Name) })
	for i, n := 1, 1; i < len(h.Temperatures); i++ { // zones may have the same name
		if t := &h.Temperatures[i]; t.Name == h.Temperatures[i-n].Name {
			n++
			t.Name = fmt.Sprintf("%s (%d)", t.Name, n)
		} else {
			n = 1
		}
	}

	for _, device := range l.list(dir, "cooling_device*") {
		name := line(l.text(device + "/type"))
		if !slows(name) {
			continue
		}
		most, _ := l.within(device+"/max_state", 0, 1<<20)
		if state, ok := l.optional(name, device+"/cur_state", 0, 1<<20); ok && state > 0 {
			text := fmt.Sprintf("%s %d", name, state)
			if most >= state {
				text += fmt.Sprintf(" of %d", most)
			}
			h.Held = append(h.Held, text)
		}
	}
	if v, ok := l.optional("kgsl-3d0", kgsl+"/thermal_pwrlevel", 0, 1<<20); ok && v > 0 {
		h.Held = append(h.Held, fmt.Sprintf("kgsl-3d0 at power level %d for heat", v))
	}
	for _, gt := range l.gts() {
		var why []string
		for _, f := range l.list(gt, "throttle_reason_*") {
			if name := strings.TrimPrefix(path.Base(f), "throttle_reason_"); name != "status" && l.text(f) == "1" {
				why = append(why, name)
			}
		}
		if len(why) > 0 {
			h.Held = append(h.Held, "gpu: "+strings.Join(why, ", "))
		}
	}
	for _, cpu := range l.list("sys/devices/system/cpu", "cpu[0-9]*") {
		if n, err := l.within(cpu+"/thermal_throttle/core_throttle_count", 0, 1<<62); err == nil {
			h.Throttles += uint64(n)
		}
	}
}

// slows reports whether a cooling device is a clock that goes down, not a fan.
func slows(name string) bool {
	return slices.ContainsFunc([]string{"cpufreq", "devfreq", "Processor", "cpu-cluster", "gpu"}, func(s string) bool { return strings.Contains(name, s) })
}

// gts are the graphics engines of Intel's drivers.
func (l look) gts() (all []string) {
	for _, card := range l.list("sys/class/drm", "card[0-9]") {
		all = append(all, l.list(card+"/gt", "gt[0-9]*")...)
	}
	return all
}

// temperature adds one of a file in thousandths of a degree.
func (l look) temperature(name, file string) {
	milli, err := l.within(file, -50e3, 200e3)
	if err == nil && milli == 0 {
		err = fmt.Errorf("/%s is 0, which is no temperature", file)
	}
	if err != nil {
		if !notThere(err) {
			l.absent(name, err)
		}
		return
	}
	l.s.Temperatures = append(l.s.Temperatures, Temperature{name, float64(milli) / 1e3})
}
