package nvml

import (
	"cmp"
	"fmt"
	"math"
	"strings"
)

// Card is one GPU.
type Card struct {
	Index int
	Name  string // "NVIDIA GeForce RTX 4070"
	UUID  string // "" if the driver does not tell

	l      *Library
	handle uintptr
}

// Cards lists the GPUs. One that cannot be opened is left out with its error; there
// may be some of both.
func (l *Library) Cards() ([]*Card, []error) {
	n, err := l.read("nvmlDeviceGetCount_v2")
	if n &= math.MaxUint32; err == nil && n > maxCards {
		err = fmt.Errorf("nvmlDeviceGetCount_v2 gives %d GPUs, which is not to be believed", n)
	}
	if err != nil {
		return nil, []error{err}
	}
	var cards []*Card
	var errs []error
	for i := range int(n) {
		c := &Card{Index: i, l: l}
		h, err := l.read("nvmlDeviceGetHandleByIndex_v2", uintptr(i))
		if err == nil && h == 0 {
			err = fmt.Errorf("nvmlDeviceGetHandleByIndex_v2 gives no handle")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("GPU %d: %w", i, err))
			continue
		}
		c.handle = uintptr(h)
		name, _ := l.text("nvmlDeviceGetName", c.handle)
		c.Name = cmp.Or(name, fmt.Sprintf("NVIDIA GPU %d", i))
		c.UUID, _ = l.text("nvmlDeviceGetUUID", c.handle) // "" is the answer
		cards = append(cards, c)
	}
	return cards, errs
}

// number reads a 32-bit number of the card that lies between two bounds.
func (c *Card) number(least, most uint64, unit, name string, args ...uintptr) (uint64, error) {
	v, err := c.l.read(name, append([]uintptr{c.handle}, args...)...)
	if v &= math.MaxUint32; err == nil && (v < least || v > most) {
		err = fmt.Errorf("%s gives %d %s, which is not to be believed", name, v, unit)
	}
	if err != nil {
		return 0, err
	}
	return v, nil
}

// Power is what the card draws, in mW.
func (c *Card) Power() (uint64, error) {
	return c.number(1, 5_000_000, "mW", "nvmlDeviceGetPowerUsage")
}

// PowerLimit is the most that the driver lets it draw, in mW.
func (c *Card) PowerLimit() (uint64, error) {
	return c.number(1, 5_000_000, "mW", "nvmlDeviceGetEnforcedPowerLimit")
}

// Energy is what it has drawn since the driver was loaded, in mJ.
func (c *Card) Energy() (uint64, error) {
	v, err := c.l.read("nvmlDeviceGetTotalEnergyConsumption", c.handle)
	if err == nil && v > math.MaxInt64/1000 {
		return 0, fmt.Errorf("nvmlDeviceGetTotalEnergyConsumption gives %d mJ, which is not to be believed", v)
	}
	return v, err
}

// Temperature is the GPU's, in °C.
func (c *Card) Temperature() (uint64, error) {
	return c.number(1, 150, "°C", "nvmlDeviceGetTemperature", 0)
}

// Domain is what a clock drives.
type Domain uintptr

// The domains.
const (
	Graphics Domain = 0
	Memory   Domain = 2
)

// Clock is the present frequency, in MHz.
func (c *Card) Clock(d Domain) (uint64, error) {
	return c.number(0, 20_000, "MHz", "nvmlDeviceGetClockInfo", uintptr(d))
}

// MaxClock is the highest frequency, in MHz.
func (c *Card) MaxClock(d Domain) (uint64, error) {
	return c.number(1, 20_000, "MHz", "nvmlDeviceGetMaxClockInfo", uintptr(d))
}

// Reasons say why clocks are not at their highest: nvmlClocksEventReasons.
type Reasons uint64

// reasons that slow work down, by bit. Left out are those of a GPU with nothing to do
// (bit 0) and of clocks that somebody has set (bits 1 and 8).
var reasons = []struct {
	bit  Reasons
	text string
}{
	{1 << 2, "its power limit"}, {1 << 3, "a hardware slowdown"}, {1 << 4, "the other GPUs of its group"}, {1 << 5, "heat (software)"},
	{1 << 6, "heat (hardware)"}, {1 << 7, "the power supply's brake"},
}

// Set reports whether somebody has set the clocks.
func (r Reasons) Set() bool { return r&(1<<1) != 0 }

// String lists what slows the card down, "" for nothing.
func (r Reasons) String() string {
	var all []string
	for _, k := range reasons {
		if r&k.bit != 0 {
			all = append(all, k.text)
		}
	}
	return strings.Join(all, ", ")
}

// Reasons reads them; the function was renamed with driver 535.
func (c *Card) Reasons() (Reasons, error) {
	v, err := c.l.read("nvmlDeviceGetCurrentClocksEventReasons", c.handle)
	if err != nil {
		if old, e := c.l.read("nvmlDeviceGetCurrentClocksThrottleReasons", c.handle); e == nil {
			return Reasons(old), nil
		}
	}
	return Reasons(v), err
}

// Policy is what can hold clocks down: nvmlPerfPolicyType_t.
type Policy uintptr

// The policies.
const (
	ByPower Policy = 0
	ByHeat  Policy = 1
	ByBoard Policy = 3
)

func (p Policy) String() string {
	switch p {
	case ByPower:
		return "its power limit"
	case ByHeat:
		return "heat"
	case ByBoard:
		return "the board's limit"
	}
	return fmt.Sprintf("policy %d", uintptr(p))
}

// Held is how long the policy has held the clocks down since the driver was loaded,
// in ns.
func (c *Card) Held(p Policy) (uint64, error) {
	const name = "nvmlDeviceGetViolationStatus"
	var code int32
	var at, held uint64
	err := c.l.do(func() {
		w := c.l.words
		w.number = [8]uint64{}
		code = c.l.call(name, c.handle, uintptr(p), w.at(0)) // the time now in µs, the time held
		at, held = w.number[0], w.number[1]
	})
	switch {
	case err != nil:
		return 0, err
	case code != 0:
		return 0, fmt.Errorf("%s: %w", name, status(code))
	case at == 0 || held > math.MaxInt64:
		return 0, fmt.Errorf("%s gives %d ns until %d µs, which is not to be believed", name, held, at)
	}
	return held, nil
}
