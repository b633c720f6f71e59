package power

import (
	"cmp"
	"fmt"
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

// Temperature is that of a thermal zone.
type Temperature struct {
	Name    string  `json:"name"`
	Celsius float64 `json:"celsius"`
}

// Heat reads the thermal zones. Those that cannot be read, or that say what no
// running machine has, are left out.
func (m *Meter) Heat() (h Heat) {
	if m.files.root == nil {
		return h
	}
	r := m.files
	const dir = "sys/class/thermal"
	for _, zone := range r.list(dir, "thermal_zone*") {
		milli, err := r.value(zone + "/temp")
		if name := r.text(zone + "/type"); err == nil && name != "" && milli > -50e3 && milli < 200e3 && milli != 0 {
			h.Temperatures = append(h.Temperatures, Temperature{name, float64(milli) / 1e3})
		}
	}
	slices.SortStableFunc(h.Temperatures, func(a, b Temperature) int { return cmp.Compare(a.Name, b.Name) })
	for _, device := range r.list(dir, "cooling_device*") {
		name := r.text(device + "/type")
		slows := slices.ContainsFunc([]string{"cpufreq", "devfreq", "Processor"}, func(s string) bool { return strings.Contains(name, s) })
		state, err := r.value(device + "/cur_state")
		if most, _ := r.value(device + "/max_state"); slows && err == nil && state > 0 {
			h.Held = append(h.Held, fmt.Sprintf("%s %d of %d", name, state, most))
		}
	}
	for _, cpu := range r.list("sys/devices/system/cpu", "cpu[0-9]*") {
		h.Throttles += r.number(cpu + "/thermal_throttle/core_throttle_count")
	}
	return h
}
