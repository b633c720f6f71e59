package power

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// State is what a machine says of its speed at a moment: in which mode it is, which
// clocks it has and may have, how warm it is, what slows it down and how often that
// has happened. What it does not say is left out; what is there and cannot be read is
// named in Absent. Two of them, before and after a measurement, tell whether the
// machine was slowed down in between: see Between.
type State struct {
	Time time.Time `json:"time"`

	// Mode is the power mode: nvpmodel's on a Jetson ("25W, nvpmodel 1"), else how the
	// processor's clock is governed ("powersave, balance_performance, turbo").
	Mode string `json:"mode,omitempty"`
	Heat
	Clocks []NamedClock `json:"clocks,omitempty"`
	Counts []Count      `json:"counts,omitempty"`
	Limits []Limit      `json:"limits,omitempty"`
	Charge *Charge      `json:"charge,omitempty"` // nil without a battery
	Absent []Absent     `json:"absent,omitempty"`
}

// NamedClock is the clock of a part. Max is the most it may have now; Top what the
// hardware can, 0 if unknown.
type NamedClock struct {
	Name string `json:"name"` // cpu0, cpu4 (of a group that begins there), gpu, memory, ...
	Clock
	Top uint64 `json:"top,omitempty"`
}

// Count says how often, or how long, something was slowed down since the machine's
// start.
type Count struct {
	Name string `json:"name"` // "processor cores, for heat"
	N    uint64 `json:"n"`
	Unit string `json:"unit"` // Times or Milliseconds
}

// Units of counts.
const (
	Times        = "times"
	Milliseconds = "ms"
)

// Limit is a power that a part may draw at most, by its own regulation.
type Limit struct {
	Name  string  `json:"name"` // "package-0 long_term"
	Watts float64 `json:"watts"`
}

// Charge is the state of the batteries.
type Charge struct {
	Percent float64 `json:"percent"`
	Plugged bool    `json:"plugged"` // the mains feed the machine, or charge it
	Status  string  `json:"status"`  // as the first battery says: Discharging, Charging, Full, ...
}

// State reads all there is.
func (m *Meter) State() State {
	s := State{Time: m.time().UTC()}
	if m.files.root != nil {
		l := look{m.files, &s}
		s.Mode = l.mode()
		l.heat()
		l.clocks()
		l.counts()
		l.limits()
		l.charge()
	}
	for _, c := range m.cards {
		addCardState(&s, c)
	}
	return s
}

// addCardState adds what a card says.
func addCardState(s *State, c CardReader) {
	k := c.State()
	if k.Celsius > 0 {
		s.Temperatures = append(s.Temperatures, Temperature{c.Name(), k.Celsius})
	}
	for _, h := range k.Held {
		s.Held = append(s.Held, c.Name()+": "+h)
	}
	s.Clocks, s.Counts, s.Limits, s.Absent = append(s.Clocks, k.Clocks...), append(s.Counts, k.Counts...), append(s.Limits, k.Limits...), append(s.Absent, k.Absent...)
}

// look reads a machine's files into a state.
type look struct {
	reader
	s *State
}

// absent notes what cannot be read. What is not there is no loss.
func (l look) absent(name string, err error) {
	if err != nil {
		l.s.Absent = append(l.s.Absent, Absent{name, reason(oneLine{err})})
	}
}

// folder lists a folder's entries, and notes one that may not be listed.
func (l look) folder(dir, pattern string) []string {
	l.absent("/"+dir, l.denied(dir))
	return l.list(dir, pattern)
}

// optional is a number of a file that not every machine has; ok is false without one,
// which is noted if the file is there.
func (l look) optional(name, file string, least, most int64) (v int64, ok bool) {
	v, err := l.within(file, least, most)
	if err != nil {
		if !notThere(err) {
			l.absent(name, err)
		}
		return 0, false
	}
	return v, true
}

// mode says how the machine's speed is governed.
func (l look) mode() string {
	if b, ok := read(l.root); ok {
		if b.Mode == nil {
			return "" // its clocks depend on what is not known
		}
		id := fmt.Sprintf("nvpmodel %d", b.Mode.ID)
		if b.Mode.named {
			return b.Mode.Name + modeParts + id
		}
		return id
	}
	var parts []string
	add := func(s string) {
		if s = line(s); s != "" && !slices.Contains(parts, s) {
			parts = append(parts, s)
		}
	}
	for _, p := range l.list("sys/devices/system/cpu/cpufreq", "policy*") {
		add(l.text(p + "/scaling_governor"))
		add(l.text(p + "/energy_performance_preference"))
	}
	add(l.text("sys/firmware/acpi/platform_profile"))
	switch l.text("sys/devices/system/cpu/intel_pstate/no_turbo") + " " + l.text("sys/devices/system/cpu/cpufreq/boost") {
	case "1 ", " 0":
		add("no turbo")
	case "0 ", " 1":
		add("turbo")
	}
	return strings.Join(parts, modeParts)
}

const modeParts = ", "

// line is a short text of a file on one line; "" if that is no such text.
func line(s string) string {
	if len(s) > 128 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return s
}

// counts reads how often parts were slowed down.
func (l look) counts() {
	cpus := l.list("sys/devices/system/cpu", "cpu[0-9]*")
	add := func(name, unit string, files ...string) {
		var sum uint64
		found := false
		for _, f := range files {
			if v, ok := l.optional(name, f, 0, 1<<62); ok {
				sum, found = sum+uint64(v), true
			}
		}
		if found {
			l.s.Counts = append(l.s.Counts, Count{name, sum, unit})
		}
	}
	var cores, times []string
	packages := map[int64]string{} // the counter of a package is at each of its processors
	for _, c := range cpus {
		cores = append(cores, c+"/thermal_throttle/core_throttle_count")
		times = append(times, c+"/thermal_throttle/core_throttle_total_time_ms")
		file := c + "/thermal_throttle/package_throttle_count"
		id, err := l.within(c+"/topology/physical_package_id", 0, 1<<20)
		if _, no := l.within(file, 0, 1<<62); err == nil && no == nil && packages[id] == "" {
			packages[id] = file
		}
	}
	var whole []string
	for _, f := range packages {
		whole = append(whole, f)
	}
	slices.Sort(whole)
	add("processor cores, for heat", Times, cores...)
	add("processor cores, for heat, in all", Milliseconds, times...)
	add("processor package, for heat", Times, whole...)
	for _, dir := range l.list("sys/class/hwmon", "hwmon*") {
		for _, f := range l.list(dir, "oc[0-9]_event_cnt") { // soctherm_oc on a Jetson
			number, _, _ := strings.Cut(path.Base(f), "_")
			add("over-current alarm "+number, Times, f)
		}
	}
	for _, dir := range l.list("sys/class/thermal", "cooling_device*") {
		if name := line(l.text(dir + "/type")); slows(name) {
			add(name+" "+path.Base(dir)+", changes", Times, dir+"/stats/total_trans")
		}
	}
}

// limits reads the power that packages regulate themselves to.
func (l look) limits() {
	for _, d := range l.packages() {
		for _, f := range l.list(d.dir, "constraint_[0-9]_power_limit_uw") {
			name := d.name + " " + line(l.text(strings.TrimSuffix(f, "power_limit_uw")+"name"))
			if v, ok := l.optional(name, f, 0, maxMicro); ok && v > 0 { // 0: not set
				l.s.Limits = append(l.s.Limits, Limit{name, float64(v) / 1e6})
			}
		}
	}
}

// Charge is the state of the batteries; the error says that there is none, or why it
// is not known.
func (m *Meter) Charge() (Charge, error) {
	var s State
	if m.files.root != nil {
		look{m.files, &s}.charge()
	}
	switch {
	case s.Charge != nil:
		return *s.Charge, nil
	case len(s.Absent) > 0:
		return Charge{}, errors.New(s.Absent[0].String())
	}
	return Charge{}, errors.New("no battery")
}

// charge reads the batteries: the mean of several.
func (l look) charge() {
	dirs, chargers, err := l.supplies()
	if err != nil {
		l.absent("/sys/class/power_supply", err)
	}
	var c Charge
	n := 0
	for _, dir := range dirs {
		if l.text(dir+"/present") == "0" {
			continue
		}
		v, err := l.within(dir+"/capacity", 0, 100)
		if err != nil {
			l.absent("battery "+path.Base(dir), err)
			continue
		}
		status := line(l.text(dir + "/status"))
		if c.Percent, n = c.Percent+float64(v), n+1; n == 1 {
			c.Status = status
		}
		c.Plugged = c.Plugged || status == "Charging" || status == "Full"
	}
	if n == 0 {
		return
	}
	c.Percent /= float64(n)
	for _, dir := range chargers {
		c.Plugged = c.Plugged || l.online(dir)
	}
	l.s.Charge = &c
}

// online reports whether a charger is plugged in (2: by a programmable supply).
func (r reader) online(dir string) bool {
	v, err := r.within(dir+"/online", 0, 2)
	return err == nil && v > 0
}

// within is a sensor's number that must lie between two bounds.
func (r reader) within(file string, least, most int64) (int64, error) {
	v, err := r.value(file)
	if err == nil && (v < least || v > most) {
		err = fmt.Errorf("/%s is %d, which is not to be believed", file, v)
	}
	return v, err
}
