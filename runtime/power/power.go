// Package power reads what a board says of its power: the mode it is in, its clocks
// and what its sensors measure; and the energy of a piece of work (Meter), by the
// sensors that a machine has. It changes nothing, and asks no other program.
//
// Sources: NVIDIA's Jetson Linux developer guide, "Platform Power and Performance"
// (nvpmodel, clocks under sysfs), and the kernel's documentation of the ina3221
// sensor, of hwmon, devfreq, powercap and power_supply, and of thermal zones.
package power

import (
	"fmt"
	"strings"
)

// Board is what a board says of itself. What it does not say is empty or zero.
type Board struct {
	Model   string `json:"model"`             // as the device tree has it
	Release string `json:"release,omitempty"` // of the board's Linux: R36.4.3 (JetPack 6), R35.6.0 (JetPack 5)

	Mode  *Mode  `json:"mode,omitempty"` // the power mode in force
	Modes []Mode `json:"modes,omitempty"`

	GPU    Clock `json:"gpu"`
	CPU    Clock `json:"cpu"`    // the fastest cluster
	Memory Clock `json:"memory"` // the external memory controller; usually only root may read it

	Rails []Rail `json:"rails,omitempty"` // what the power monitors measured just now
}

// Mode is a power mode of nvpmodel.
type Mode struct {
	ID   int    `json:"id"`
	Name string `json:"name"` // the number, if no name is known

	named bool
}

// Clock is a frequency and its limits, in Hz.
type Clock struct {
	Now uint64 `json:"now,omitempty"`
	Min uint64 `json:"min,omitempty"`
	Max uint64 `json:"max,omitempty"`
}

// Fixed reports whether the clock cannot go down, as after jetson_clocks.
func (c Clock) Fixed() bool { return c.Max > 0 && c.Min == c.Max }

func (c Clock) String() string {
	if c.Max == 0 && c.Now == 0 {
		return "unknown"
	}
	s := fmt.Sprintf("%d", c.Now/1e6)
	if c.Max > 0 {
		s += fmt.Sprintf(" of %d", c.Max/1e6)
	}
	s += " MHz"
	if c.Fixed() {
		s += ", fixed"
	}
	return s
}

// Rail is a supply that is measured.
type Rail struct {
	Name  string  `json:"name"` // VDD_IN is the whole module's on most boards
	Watts float64 `json:"watts"`
}

// Notes say what makes the board slower than it could be, and how its owner can
// change that: Ledge does not.
func (b Board) Notes() []string {
	var notes []string
	if b.Mode != nil && len(b.Modes) > 0 && !strings.Contains(b.Mode.Name, "MAXN") {
		for _, m := range b.Modes {
			if strings.Contains(m.Name, "MAXN") {
				notes = append(notes, fmt.Sprintf("power mode %s; %s is faster: sudo nvpmodel -m %d", b.Mode.Name, m.Name, m.ID))
				break
			}
		}
	}
	if b.GPU.Max > 0 && !b.GPU.Fixed() {
		notes = append(notes, "clocks follow the load; sudo jetson_clocks holds them at their highest")
	}
	return notes
}
