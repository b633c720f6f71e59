package governor

import (
	"fmt"
	"strings"

	"github.com/ledge-run/ledge/runtime/power"
)

// gauge reads a quantity: W or °C.
type gauge struct {
	begin func() // before readings, and after a time without
	read  func() (x float64, name string, err error)
	end   func() // until the next begin
}

// watts is the mean power since the last reading, of the source that energy is charged
// to: one that a card has, if that computes.
func watts(m *power.Meter, card bool) (gauge, error) {
	run := m.Start()
	first, err := run.Stop().Which(card)
	if err != nil {
		return gauge{}, err
	}
	var last power.Energy
	run = nil
	begin := func() {
		if run == nil {
			run = m.Start()
			last = run.SoFar()
		}
	}
	end := func() {
		if run != nil {
			run.Stop()
			run = nil
		}
	}
	read := func() (float64, string, error) {
		begin()
		e := run.SoFar()
		d := e.Since(last)
		last = e
		got, err := d.Main(card)
		if err == nil && got.Name != first.Name {
			err = missing(d, first.Name)
		}
		if err != nil {
			end() // a source that failed may be back: the next reading begins anew
			return 0, first.Name, err
		}
		return got.Watts, got.Name, nil
	}
	return gauge{begin, read, end}, nil
}

// missing says why a source gives nothing any more.
func missing(e power.Energy, name string) error {
	for _, a := range e.Absent {
		if strings.Contains(name, a.Name) {
			return fmt.Errorf("%s", a.Reason)
		}
	}
	return fmt.Errorf("it did not move")
}

// celsius is the highest temperature. One that was the highest and cannot be read any
// more is an error: the others may be cool.
func celsius(m *power.Meter) (gauge, error) {
	hottest := func() (power.Temperature, map[string]bool) {
		var top power.Temperature
		names := map[string]bool{}
		for _, t := range m.Heat().Temperatures {
			if names[t.Name] = true; t.Celsius > top.Celsius {
				top = t
			}
		}
		return top, names
	}
	top, _ := hottest()
	if top.Name == "" {
		return gauge{}, fmt.Errorf("no temperature can be read")
	}
	before := top.Name
	read := func() (float64, string, error) {
		top, names := hottest()
		if !names[before] {
			return 0, before, fmt.Errorf("it gives no temperature any more")
		}
		before = top.Name
		return top.Celsius, top.Name, nil
	}
	return gauge{begin: func() {}, read: read, end: func() {}}, nil
}
