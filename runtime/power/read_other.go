//go:build !linux

package power

import "runtime"

// Read looks at this machine; false if it is no board that this package knows.
func Read() (Board, bool) { return Board{}, false }

// Open finds what this machine measures of its power: nothing that is read here.
func Open() *Meter {
	m := &Meter{absent: []Absent{{"all sensors", "they are read on Linux only, not on " + runtime.GOOS}}}
	m.addCards(linked())
	return m
}
