package power

import (
	"fmt"
	"path"
	"strings"
)

// topClock is more than any part has, in Hz.
const topClock = 20e9

// clocks reads those of processors, GPUs and memory. Layouts: cpufreq and devfreq of
// the kernel's documentation; kgsl (Qualcomm), mali's devfreq, i915 and amdgpu as
// their drivers show them; the memory's of a Jetson, for root alone.
func (l look) clocks() {
	for _, p := range l.folder("sys/devices/system/cpu/cpufreq", "policy*") {
		name := "cpu" + strings.TrimPrefix(path.Base(p), "policy")
		l.clock(name, 1e3, p+"/scaling_cur_freq", p+"/scaling_min_freq", p+"/scaling_max_freq", p+"/cpuinfo_max_freq")
	}
	gpus, memories := 0, 0
	number := func(name string, n *int) string {
		if *n++; *n > 1 {
			return fmt.Sprintf("%s%d", name, *n)
		}
		return name
	}
	for _, d := range l.folder("sys/class/devfreq", "*") {
		switch kind(path.Base(d)) {
		case "gpu":
			if l.clock(number("gpu", &gpus), 1, d+"/cur_freq", d+"/min_freq", d+"/max_freq", "") {
				continue
			}
			gpus--
		case "memory":
			if !l.clock(number("memory", &memories), 1, d+"/cur_freq", d+"/min_freq", d+"/max_freq", "") {
				memories--
			}
		}
	}
	if gpus == 0 {
		const kgsl = "sys/class/kgsl/kgsl-3d0"
		if l.clock("gpu", 1, kgsl+"/gpuclk", "", kgsl+"/max_gpuclk", "") {
			gpus++
		}
	}
	for _, card := range l.list("sys/class/drm", "card[0-9]") { // i915
		if l.clock(number("gpu", &gpus), 1e6, card+"/gt_act_freq_mhz", card+"/gt_min_freq_mhz", card+"/gt_max_freq_mhz", card+"/gt_RP0_freq_mhz") {
			continue
		}
		gpus--
	}
	for _, dir := range l.list("sys/class/hwmon", "hwmon*") { // amdgpu: sclk, mclk
		if l.text(dir+"/name") != "amdgpu" {
			continue
		}
		if !l.clock(number("gpu", &gpus), 1, dir+"/freq1_input", "", "", "") {
			gpus--
		}
		if !l.clock(number("memory", &memories), 1, dir+"/freq2_input", "", "", "") {
			memories--
		}
	}
	const emc = "sys/kernel/debug/bpmp/debug/clk/emc"
	if l.tegra() && memories == 0 {
		if !l.clock("memory", 1, emc+"/rate", emc+"/min_rate", emc+"/max_rate", "") {
			if _, err := l.value(emc + "/rate"); err != nil {
				l.absent("memory clock", err)
			}
		}
	}
}

// kind tells GPUs and memory among the devices of devfreq by their names:
// 17000000.gpu and gpu-gpc-0 on a Jetson, 3d00000.qcom,kgsl-3d0, 13000000.mali,
// 17000010.devfreq_mif.
func kind(name string) string {
	for _, k := range []struct{ part, kind string }{
		{"gpu", "gpu"}, {"ga10b", "gpu"}, {"gv11b", "gpu"}, {"kgsl", "gpu"}, {"mali", "gpu"}, {"g3d", "gpu"},
		{"emc", "memory"}, {"dmc", "memory"}, {"mif", "memory"}, {"ddr", "memory"},
	} {
		if strings.Contains(name, k.part) && !strings.Contains(name, "busmon") && !strings.Contains(name, "bw") {
			return k.kind
		}
	}
	return ""
}

// clock adds a clock by its files, whose unit is so many Hz. It is there if it has a
// present or a highest frequency.
func (l look) clock(name string, unit int64, now, least, most, top string) bool {
	c := NamedClock{Name: name}
	for _, f := range []struct {
		file string
		to   *uint64
	}{{now, &c.Now}, {least, &c.Min}, {most, &c.Max}, {top, &c.Top}} {
		if f.file == "" {
			continue
		}
		if v, ok := l.optional(name+" clock", f.file, 0, topClock/unit); ok {
			*f.to = uint64(v * unit)
		}
	}
	if c.Now == 0 && c.Max == 0 {
		return false
	}
	l.s.Clocks = append(l.s.Clocks, c)
	return true
}
