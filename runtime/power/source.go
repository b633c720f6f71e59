package power

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// What a source's energy is the energy of.
const (
	Module  = "module"  // a computer on a module: processor, GPU and memory
	Package = "package" // the processors' packages, with the GPU in them; no cards, and often no memory
	Machine = "machine" // all of it, the screen too
	Card    = "card"    // a graphics card: its processor and its memory, nothing else
	Part    = "part"    // one supply among others
)

// How often sources are read. A counter is read to notice that it wraps around; a
// monitor's parts and batteries are read rarely because each reading costs
// milliseconds of a slow bus, and a battery says something new every few seconds.
const (
	often  = 50 * time.Millisecond
	rarely = time.Second
)

// maxMicro is more than any machine of this kind draws: 10 kW, in µW.
const maxMicro = 10e9

// source is one thing that is measured.
type source struct {
	name, covers string
	every        time.Duration
	// ranges are those of the counters that read gives, in µJ: one that reaches its
	// range begins at 0 again. Nil for a source that gives power.
	ranges []int64
	// read gives the µJ of each counter, or the power now, in µW.
	read func() ([]int64, error)
}

func (s *source) method() string {
	if s.ranges != nil {
		return "counter"
	}
	if s.every >= time.Second {
		return fmt.Sprintf("sampled every %.0f s", s.every.Seconds())
	}
	return fmt.Sprintf("sampled every %d ms", s.every.Milliseconds())
}

// find lists what may be measured, and what is not there.
func (r reader) find() (sources []*source, absent []Absent) {
	add := func(s []*source, none string, reason string) {
		if sources = append(sources, s...); reason != "" {
			absent = append(absent, Absent{none, reason})
		}
	}
	rails, reason := r.railSources()
	add(rails, "VDD_IN", reason)
	rapl, reason := r.rapl()
	add(rapl, "RAPL", reason)
	battery, reason := r.battery()
	add(battery, "battery", reason)
	return sources, absent
}

// nameApart makes every source's name its own: results are compared by name.
func (m *Meter) nameApart() {
	seen := map[string]int{}
	for _, s := range m.sources {
		if seen[s.name]++; seen[s.name] > 1 {
			s.name = fmt.Sprintf("%s (%d)", s.name, seen[s.name])
		}
	}
}

// rapl sums the energy counters of the processors' packages: Intel's running
// average power limit, which AMD's processors have too. Domains within a package
// (core, uncore, dram) have a second colon in their names and are left out.
func (r reader) rapl() ([]*source, string) {
	var files, names []string
	s := &source{covers: Package, every: rarely, ranges: []int64{}}
	for _, d := range r.packages() {
		most, err := r.value(d.dir + "/max_energy_range_uj")
		if err != nil || most < 0 {
			most = 0 // the counter is good until it wraps
		}
		files, names, s.ranges = append(files, d.dir+"/energy_uj"), append(names, d.name), append(s.ranges, most)
	}
	if len(files) == 0 {
		if err := r.denied(powercap); err != nil {
			return nil, reason(err)
		}
		return nil, "no package domain in /" + powercap + " (no such processor, a virtual machine, or the module intel_rapl_msr is not loaded)"
	}
	s.name = "RAPL " + strings.Join(names, " + ")
	s.read = func() ([]int64, error) { return r.values(files) }
	return []*source{s}, ""
}

const powercap = "sys/class/powercap"

// domain is a processor's package in powercap.
type domain struct{ dir, name string }

func (r reader) packages() (all []domain) {
	for _, d := range r.list(powercap, "intel-rapl:*") {
		if name := line(r.text(d + "/name")); strings.Count(path.Base(d), ":") == 1 && strings.HasPrefix(name, "package") {
			all = append(all, domain{d, name})
		}
	}
	return all
}

func (r reader) values(files []string) ([]int64, error) {
	all := make([]int64, len(files))
	for i, f := range files {
		v, err := r.value(f)
		if err == nil && v < 0 {
			err = fmt.Errorf("/%s is %d, which is no energy", f, v)
		}
		if err != nil {
			return nil, err
		}
		all[i] = v
	}
	return all, nil
}

// watts makes a power, in µW, of what a sensor said.
func watts(file string, micro int64, err error) ([]int64, error) {
	switch {
	case err != nil:
		return nil, err
	case micro < 0 || micro > maxMicro:
		return nil, fmt.Errorf("/%s: %g W is not to be believed", file, float64(micro)/1e6)
	}
	return []int64{micro}, nil
}
