package power

import (
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Cards finds a machine's graphics cards by a library of their vendor. Those that were
// found count also with an error, which says what there is besides.
type Cards func() ([]CardReader, error)

// CardReader is a graphics card as its vendor's library shows it. Its methods may be
// called from several goroutines.
type CardReader interface {
	Name() string           // unique: "nvidia0 NVIDIA GeForce RTX 4070"
	Power() (int64, error)  // now, in µW
	Energy() (int64, error) // since some moment, in µJ
	State() CardState
}

// CardState is what a card says of its speed.
type CardState struct {
	Celsius float64 // 0 if unknown
	Clocks  []NamedClock
	Held    []string // what slows it down now
	Counts  []Count
	Limits  []Limit
	Absent  []Absent
}

var vendor struct {
	sync.Mutex
	name string
	open Cards
}

// RegisterCards has Open look for cards by open, in programs that link what calls this
// (runtime/power/nvidia). It is not called by Open before somebody measures.
func RegisterCards(name string, open Cards) {
	vendor.Lock()
	defer vendor.Unlock()
	vendor.name, vendor.open = name, open
}

// linked gives what was registered; nil if nothing was.
func linked() Cards {
	vendor.Lock()
	defer vendor.Unlock()
	return vendor.open
}

// nvml is the name of what reads NVIDIA's cards, whether it is there or not.
const nvml = "NVML"

// addCards makes sources of cards.
func (m *Meter) addCards(open Cards) {
	if open == nil {
		reason := "no NVIDIA driver"
		if m.files.root != nil && m.files.text("proc/driver/nvidia/version") != "" {
			reason = "this program does not read NVIDIA's cards (package runtime/power/nvidia is not linked)"
		}
		m.absent = append(m.absent, Absent{nvml, reason})
		return
	}
	cards, err := open()
	if err != nil {
		m.absent = append(m.absent, Absent{nvml, reason(oneLine{err})})
	}
	m.cards = cards
	covers := Card
	if m.files.root != nil && m.files.tegra() { // the GPU of a module, no card
		covers = Part
	}
	for _, c := range cards {
		m.addCard(c, covers)
	}
}

// addCard measures a card by its counter of energy if it has one, else by its power.
func (m *Meter) addCard(c CardReader, covers string) {
	s := &source{name: c.Name(), covers: covers, every: rarely, ranges: []int64{0}}
	one := func(read func() (int64, error)) func() ([]int64, error) {
		return func() ([]int64, error) {
			v, err := read()
			return []int64{v}, err
		}
	}
	s.read = one(c.Energy)
	if _, noCounter := c.Energy(); noCounter != nil {
		s.ranges, s.every, s.read = nil, often, one(c.Power)
		if _, err := c.Power(); err != nil {
			m.absent = append(m.absent, Absent{c.Name(), reason(oneLine{fmt.Errorf("%w; %w", err, noCounter)})})
			return
		}
	}
	m.sources = append(m.sources, s)
}

// oneLine is an error whose text is one line.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.ReplaceAll(e.error.Error(), "\n", "; ") }
func (e oneLine) Unwrap() error { return e.error }

// together adds the cards up, if there are several: which of them computed is not
// known.
func (e Energy) together() (m Measured, err error) {
	var names []string
	for _, s := range e.Sources {
		if s.Covers != Card {
			continue
		}
		if names = append(names, s.Name); len(names) == 1 {
			m = s
			continue
		}
		m.Joules, m.Watts = m.Joules+s.Joules, m.Watts+s.Watts
		m.every, m.Samples = max(m.every, s.every), min(m.Samples, s.Samples)
		if m.Method != s.Method {
			m.Method += ", " + s.Method
		}
	}
	if len(names) == 0 {
		return m, errors.New("no card is measured")
	}
	m.Name = strings.Join(names, " + ")
	return m, nil
}
