// Package nvidia has package power read NVIDIA's cards. A program imports it for its
// side effect:
//
//	import _ "github.com/ledge-run/ledge/runtime/power/nvidia"
//
// It is apart from package power because it links what loads a driver's library, which
// a program that is to be static, or to load no driver, does without. The library
// (backend/nvml) is loaded when something is measured for the first time, and says by
// itself when this build cannot load one.
package nvidia

import (
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend/nvml"
	"github.com/ledge-run/ledge/runtime/power"
)

func init() {
	power.RegisterCards("NVML", func() ([]power.CardReader, error) { return cards(nvml.Default()) })
}

// Cards reads the cards of a library by its path, instead of the machine's own.
func Cards(path string) power.Cards {
	return func() ([]power.CardReader, error) { return cards(nvml.Open(path)) }
}

func cards(l *nvml.Library, err error) ([]power.CardReader, error) {
	if err != nil {
		return nil, err
	}
	found, errs := l.Cards()
	var all []power.CardReader
	for _, c := range found {
		all = append(all, card{c})
	}
	return all, errors.Join(errs...)
}

// card is a card with package power's units.
type card struct{ c *nvml.Card }

func (k card) short() string { return fmt.Sprintf("nvidia%d", k.c.Index) }

// Name is the card's, apart from others of its kind.
func (k card) Name() string { return k.short() + " " + k.c.Name }

func (k card) Power() (int64, error) { return times1000(k.c.Power()) }

func (k card) Energy() (int64, error) { return times1000(k.c.Energy()) }

func times1000(milli uint64, err error) (int64, error) { return int64(milli) * 1000, err }

// State reads what slows the card down. What it does not have is named once, since a
// card without counters is one by design.
func (k card) State() (s power.CardState) {
	name := k.short()
	absent := func(what string, err error) {
		if err != nil {
			s.Absent = append(s.Absent, power.Absent{Name: name + " " + what, Reason: err.Error()})
		}
	}
	celsius, err := k.c.Temperature()
	absent("temperature", err)
	s.Celsius = float64(celsius)
	for _, d := range []struct {
		name   string
		domain nvml.Domain
	}{{"gpu", nvml.Graphics}, {"memory", nvml.Memory}} {
		now, err := k.c.Clock(d.domain)
		absent(d.name+" clock", err)
		top, err := k.c.MaxClock(d.domain)
		absent("highest "+d.name+" clock", err)
		if now > 0 || top > 0 {
			s.Clocks = append(s.Clocks, power.NamedClock{Name: name + " " + d.name, Clock: power.Clock{Now: now * 1e6, Max: top * 1e6}, Top: top * 1e6})
		}
	}
	r, err := k.c.Reasons()
	absent("reasons of its clocks", err)
	if text := r.String(); text != "" && err == nil {
		s.Held = append(s.Held, "held down by "+text)
	}
	for _, p := range []nvml.Policy{nvml.ByPower, nvml.ByHeat, nvml.ByBoard} {
		if ns, err := k.c.Held(p); err == nil {
			s.Counts = append(s.Counts, power.Count{Name: name + ", held down by " + p.String(), N: ns / 1e6, Unit: power.Milliseconds})
		} else {
			absent("time held down by "+p.String(), err)
		}
	}
	if mw, err := k.c.PowerLimit(); err == nil {
		s.Limits = append(s.Limits, power.Limit{Name: name, Watts: float64(mw) / 1e3})
	} else {
		absent("power limit", err)
	}
	return s
}
