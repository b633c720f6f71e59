package power

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// channel is a supply that a power monitor measures.
type channel struct {
	dir    string // of the monitor
	number string
	label  string
}

// channels are those of the ina3221 monitors that are in use, by name.
func (r reader) channels() (all []channel) {
	for _, dir := range r.list("sys/class/hwmon", "hwmon*") {
		if !strings.HasPrefix(r.text(dir+"/name"), "ina3221") {
			continue
		}
		for _, n := range []string{"1", "2", "3"} {
			label := line(r.text(dir + "/in" + n + "_label"))
			if label != "" && label != "NC" && r.text(dir+"/in"+n+"_enable") != "0" {
				all = append(all, channel{dir, n, label})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b channel) int { return cmp.Compare(a.label, b.label) })
	return all
}

// channel is a channel's power now in µW: as the monitor gives it, else volts times
// amperes.
func (r reader) channel(c channel) (int64, error) {
	file := c.dir + "/power" + c.number + "_input"
	micro, err := r.value(file)
	if errors.Is(err, fs.ErrNotExist) {
		file = c.dir + "/curr" + c.number + "_input"
		micro, err = r.product(c.dir+"/in"+c.number+"_input", file, 1) // mV, mA
	}
	v, err := watts(file, micro, err)
	if err != nil {
		return 0, err
	}
	return v[0], nil
}

// product multiplies two readings, and divides.
func (r reader) product(volts, amperes string, by int64) (int64, error) {
	v, err := r.value(volts)
	if err != nil {
		return 0, err
	}
	a, err := r.value(amperes)
	if err != nil {
		return 0, err
	}
	const most = 1e9 // 1000 V or A in millionths: their product still fits
	if v < 0 || v > most || a < -most || a > most {
		return 0, fmt.Errorf("/%s is %d and /%s is %d, which is not to be believed", volts, v, amperes, a)
	}
	return v * a / by, nil
}

// railSources are the supplies that hardware monitors measure. VDD_IN feeds all of
// a Jetson's module; others are parts, and not added up: which there are differs.
func (r reader) railSources() (all []*source, reason string) {
	reason = "no ina3221 power monitor, as Jetson boards have"
	if err := r.denied("sys/class/hwmon"); err != nil {
		reason = err.Error()
	}
	for _, c := range r.channels() {
		s := &source{name: c.label, covers: Part, every: rarely}
		s.read = func() ([]int64, error) {
			v, err := r.channel(c)
			return []int64{v}, err
		}
		all = append(all, s)
		if c.label == "VDD_IN" {
			s.covers, s.every = Module, often
		}
		reason = "no rail has this name, and parts are not added up"
	}
	if slices.ContainsFunc(all, func(s *source) bool { return s.covers == Module }) {
		reason = ""
	}
	for _, dir := range r.list("sys/class/hwmon", "hwmon*") {
		name := line(r.text(dir + "/name"))
		battery := r.text(dir+"/device/type") != "" || len(r.list("sys/class/power_supply", name)) > 0
		if name == "" || strings.HasPrefix(name, "ina3221") || battery { // done elsewhere
			continue
		}
		for _, file := range append(r.list(dir, "power[0-9]*_input"), r.list(dir, "power[0-9]*_average")...) {
			number, kind, _ := strings.Cut(path.Base(file), "_")
			if kind == "average" && r.text(dir+"/"+number+"_input") != "" {
				continue
			}
			label := cmp.Or(line(r.text(dir+"/"+number+"_label")), number)
			s := &source{name: name + " " + label, covers: Part, every: rarely}
			s.read = func() ([]int64, error) {
				micro, err := r.value(file)
				return watts(file, micro, err)
			}
			all = append(all, s)
		}
	}
	return all, reason
}

// battery is what batteries give, all together, while they alone feed the machine.
func (r reader) battery() ([]*source, string) {
	batteries, chargers, err := r.supplies()
	if err != nil {
		return nil, reason(err)
	}
	if len(batteries) == 0 {
		return nil, "no battery"
	}
	names := make([]string, len(batteries))
	for i, b := range batteries {
		names[i] = path.Base(b)
	}
	s := &source{name: "battery " + strings.Join(names, " + "), covers: Machine, every: rarely}
	s.read = func() ([]int64, error) { return r.discharge(batteries, chargers) }
	if len(names) == 1 && names[0] == "battery" { // a phone's
		s.name = "battery"
	}
	return []*source{s}, ""
}

// supplies are the machine's own batteries and what charges them.
func (r reader) supplies() (batteries, chargers []string, err error) {
	const dir = "sys/class/power_supply"
	for _, d := range r.list(dir, "*") {
		scope, err := r.load(d+"/scope", 64)
		if err != nil && notThere(err) {
			scope = "System"
		}
		switch kind := r.text(d + "/type"); {
		case scope != "System" && scope != "Unknown", strings.HasPrefix(path.Base(d), "hid"): // a mouse's, or it may be
		case kind == "Battery":
			batteries = append(batteries, d)
		case kind != "":
			chargers = append(chargers, d)
		}
	}
	return batteries, chargers, r.denied(dir)
}

// discharge is the power that batteries give now, in µW.
func (r reader) discharge(batteries, chargers []string) ([]int64, error) {
	var sum int64
	state := "not present"
	for _, dir := range batteries {
		if r.text(dir+"/present") == "0" {
			continue
		}
		status, err := r.load(dir+"/status", 64)
		if err != nil {
			return nil, err
		}
		if status == "" || line(status) == "" {
			return nil, fmt.Errorf("/%s/status holds %.32q, which is no status", dir, status)
		}
		if status != "Discharging" {
			if state = strings.ToLower(status); state == "charging" {
				break
			}
			continue
		}
		file := dir + "/power_now"
		micro, err := r.value(file)
		if errors.Is(err, fs.ErrNotExist) {
			file = dir + "/current_now"
			micro, err = r.product(dir+"/voltage_now", file, 1e6) // µV, µA
		}
		if micro < 0 { // some count what leaves the battery as negative
			micro = -micro
		}
		v, err := watts(file, micro, err)
		if err != nil {
			return nil, err
		}
		sum += v[0]
		state = "it gives no figure"
	}
	if sum == 0 || state == "charging" {
		return nil, fmt.Errorf("energy is known while it discharges only: %s", state)
	}
	for _, dir := range chargers {
		if r.online(dir) {
			return nil, fmt.Errorf("a charger (%s) feeds the machine too", path.Base(dir))
		}
	}
	return []int64{sum}, nil
}
