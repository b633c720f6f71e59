package accel

import (
	"fmt"
	"maps"
	"strings"

	"github.com/ledge-run/ledge/backend/quirks"
)

// Faults is what is known to go wrong on a device with its driver.
type Faults struct {
	Lines  []string // Info.Quirks
	Refuse error    // the device must not be used, nor opened
}

// Avoid switches off what known faults of a device ask to be avoided. A feature
// that the user turned on by its name stays on: who asks for it wants to know
// whether the fault is still there, and the self-test, which is repeated for every
// set of switches, still has to pass. That a device must not be used at all is not
// for switches to change.
func (s Switches) Avoid(known []quirks.Quirk) (Switches, Faults) {
	out, f := Switches{min: s.min, off: maps.Clone(s.off), on: s.on}, Faults{}
	if out.off == nil {
		out.off = map[string]bool{}
	}
	for _, q := range known {
		var kept []string // features that the user asked for
		for _, word := range q.Avoid {
			feature, switched := strings.CutPrefix(word, "-")
			switch {
			case switched && s.on[feature]:
				kept = append(kept, feature)
			case switched:
				out.off[feature] = true
			case word == quirks.Refuse && f.Refuse == nil:
				f.Refuse = fmt.Errorf("a known fault of the device or its driver: %s (%s)", q.Why, q.Report)
			}
		}
		line := q.String()
		if len(kept) > 0 {
			line = fmt.Sprintf("%s, but %s asked for by name", line, strings.Join(kept, ", "))
		}
		f.Lines = append(f.Lines, line)
	}
	return out, f
}
