package power

import (
	"io/fs"
	"regexp"
	"strconv"
	"strings"
)

// read takes the files from root, so that tests can bring a board's own.
func read(root fs.FS) (Board, bool) {
	r := reader{root}
	model := line(strings.TrimRight(r.text("proc/device-tree/model"), "\x00"))
	release := releaseOf(r.text("etc/nv_tegra_release"))
	if !r.tegra() {
		return Board{}, false
	}
	b := Board{Model: model, Release: release}
	b.Modes = modesOf(r.text("etc/nvpmodel.conf"))
	if id, err := strconv.Atoi(strings.TrimPrefix(r.text("var/lib/nvpmodel/status"), "pmode:")); err == nil {
		b.Mode = &Mode{ID: id, Name: strconv.Itoa(id)}
		for _, m := range b.Modes {
			if m.ID == id {
				*b.Mode = m
			}
		}
	}
	b.GPU, b.CPU, b.Memory = r.gpu(), r.cpu(), r.memory()
	b.Rails = r.rails()
	return b, true
}

var (
	releaseLine = regexp.MustCompile(`# (R\d+) \(release\), REVISION: ([\d.]+)`)
	modeLine    = regexp.MustCompile(`<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>`)
)

func releaseOf(text string) string {
	if m := releaseLine.FindStringSubmatch(text); m != nil {
		return m[1] + "." + m[2]
	}
	return ""
}

func modesOf(conf string) (modes []Mode) {
	for l := range strings.Lines(conf) {
		if m := modeLine.FindStringSubmatch(l); m != nil && !strings.HasPrefix(strings.TrimSpace(l), "#") {
			if id, err := strconv.Atoi(m[1]); err == nil && line(m[2]) != "" {
				modes = append(modes, Mode{id, m[2], true})
			}
		}
	}
	return modes
}

// gpu is the integrated GPU's clock: 17000000.gpu on Orin with JetPack 6,
// 17000000.ga10b with JetPack 5, 17000000.gv11b on Xavier.
func (r reader) gpu() Clock {
	for _, pattern := range []string{"*.gpu", "*.ga10b", "*.gv11b", "gpu-gpc-0"} {
		for _, dir := range r.list("sys/class/devfreq", pattern) {
			c := Clock{r.hertz(dir+"/cur_freq", 1), r.hertz(dir+"/min_freq", 1), r.hertz(dir+"/max_freq", 1)}
			if c.Max > 0 {
				return c
			}
		}
	}
	return Clock{}
}

func (r reader) cpu() (best Clock) {
	for _, dir := range r.list("sys/devices/system/cpu/cpufreq", "policy*") {
		c := Clock{r.hertz(dir+"/scaling_cur_freq", 1e3), r.hertz(dir+"/scaling_min_freq", 1e3), r.hertz(dir+"/scaling_max_freq", 1e3)}
		if c.Max > best.Max {
			best = c
		}
	}
	return best
}

func (r reader) memory() Clock {
	const dir = "sys/kernel/debug/bpmp/debug/clk/emc"
	return Clock{r.hertz(dir+"/rate", 1), r.hertz(dir+"/min_rate", 1), r.hertz(dir+"/max_rate", 1)}
}

// rails reads the ina3221 monitors: each channel that is in use and says something.
func (r reader) rails() (all []Rail) {
	for _, c := range r.channels() {
		if microwatts, err := r.channel(c); err == nil {
			all = append(all, Rail{c.label, float64(microwatts) / 1e6})
		}
	}
	return all
}

// tegra reports whether this is a module of NVIDIA's, whose GPU is no card.
func (r reader) tegra() bool {
	return strings.Contains(r.text("proc/device-tree/compatible"), "nvidia,tegra") || strings.Contains(r.text("proc/device-tree/model"), "Jetson") ||
		r.text("etc/nv_tegra_release") != ""
}
