package power

import (
	"errors"
	"fmt"
	"strings"
)

// Energy is what a piece of work took, by each source, and what was not measured.
type Energy struct {
	Seconds float64    `json:"seconds"`
	Sources []Measured `json:"sources,omitempty"`
	Absent  []Absent   `json:"absent,omitempty"`
}

// Measured is the energy that a source measured.
type Measured struct {
	Name    string  `json:"name"`   // VDD_IN, RAPL package-0, battery BAT0
	Covers  string  `json:"covers"` // Module, Package, Machine, Card or Part
	Method  string  `json:"method"` // "counter", "sampled every 50 ms"
	Joules  float64 `json:"joules"`
	Watts   float64 `json:"watts"`   // on average
	Samples int     `json:"samples"` // readings, the first and the last included

	every float64 // seconds between samples; 0 for a counter
}

// over fills in the power.
func (m Measured) over(seconds float64) Measured {
	m.Watts = 0
	if seconds > 0 {
		m.Watts = m.Joules / seconds
	}
	return m
}

// String is the source and how it was read.
func (m Measured) String() string {
	what := map[string]string{Module: "the whole module", Package: "the processor's package", Machine: "the whole machine", Card: "the graphics card alone", Part: "a part"}[m.Covers]
	return fmt.Sprintf("%s: %s, %s", m.Name, what, m.Method)
}

// Absent is a source that gave no figure.
type Absent struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

func (a Absent) String() string { return a.Name + ": " + a.Reason }

// Since is the energy after an earlier SoFar of the same run.
func (e Energy) Since(before Energy) Energy {
	d := Energy{Seconds: e.Seconds - before.Seconds, Absent: e.Absent}
	for _, m := range e.Sources {
		found := false
		for _, b := range before.Sources {
			if found = b.Name == m.Name; found {
				m.Joules, m.Samples = m.Joules-b.Joules, m.Samples-b.Samples+1
				break
			}
		}
		if found {
			d.Sources = append(d.Sources, m.over(d.Seconds))
		} else {
			d.Absent = append([]Absent{{m.Name, "it could not be read in between"}}, d.Absent...)
		}
	}
	return d
}

// Main is the energy to charge the work with: the module's, else the processor's
// package's, else the whole machine's. Beside says that a device outside the
// processor did the work, a card, which the package does not cover: then it is the
// card's, without the rest of the machine; of several cards that of all, for which of
// them computed is not known. The error says why there is no figure.
func (e Energy) Main(beside bool) (Measured, error) {
	var why []string
	for _, m := range e.inOrder(beside) {
		switch {
		case e.Seconds < m.every:
			why = append(why, fmt.Sprintf("%s: %s, which is too rare for work of %.3f s", m.Name, m.Method, e.Seconds))
		case m.Joules <= 0:
			why = append(why, m.Name+": it did not move")
		default:
			return m, nil
		}
	}
	return Measured{}, e.none(beside, why)
}

// Which is the source that Main gives, without a look at what it has measured.
func (e Energy) Which(beside bool) (Measured, error) {
	if all := e.inOrder(beside); len(all) > 0 {
		return all[0], nil
	}
	return Measured{}, e.none(beside, nil)
}

// inOrder lists the sources that can be charged with work, the best first.
func (e Energy) inOrder(beside bool) (all []Measured) {
	order := []string{Module, Package, Machine}
	if beside {
		order = []string{Module, Card, Machine}
	}
	for _, covers := range order {
		if covers == Card {
			if m, err := e.together(); err == nil { // else Absent says why
				all = append(all, m)
			}
			continue
		}
		for _, m := range e.Sources {
			if m.Covers == covers {
				all = append(all, m)
			}
		}
	}
	return all
}

// none says why there is no figure; why has what is known already.
func (e Energy) none(beside bool, why []string) error {
	for _, m := range e.Sources {
		if beside && m.Covers == Package {
			why = append([]string{m.Name + ": it does not cover the device that computed"}, why...)
		}
	}
	for _, a := range e.Absent {
		why = append(why, a.String())
	}
	return errors.New(strings.Join(why, "; "))
}

// PerToken is a source's energy for each of some tokens, and the tokens for a
// joule; 0 where there are none.
func (m Measured) PerToken(tokens int) (joules, each float64) {
	if tokens <= 0 || m.Joules <= 0 {
		return 0, 0
	}
	return m.Joules / float64(tokens), float64(tokens) / m.Joules
}
