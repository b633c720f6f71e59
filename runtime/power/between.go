package power

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Verdict is whether a machine was slowed down between two states.
type Verdict struct {
	// Slowed says by what, in words, a reason each; none: nothing is known of.
	Slowed []string `json:"slowed,omitempty"`

	// Unseen says what may have happened without being seen; "" where the machine
	// counts what slows it down.
	Unseen string `json:"unseen,omitempty"`
}

// Throttled reports whether there is a reason.
func (v Verdict) Throttled() bool { return len(v.Slowed) > 0 }

func (v Verdict) String() string {
	switch {
	case v.Throttled():
		return "slowed down: " + strings.Join(v.Slowed, "; ")
	case v.Unseen != "":
		return "not known to be slowed down: " + v.Unseen
	}
	return "not slowed down"
}

// Between says whether a machine was slowed down between two of its states, and why.
func Between(before, after State) (v Verdict) {
	say := func(format string, args ...any) { v.Slowed = append(v.Slowed, fmt.Sprintf(format, args...)) }
	for _, h := range after.Held {
		if slices.Contains(before.Held, h) {
			say("%s, before and after", h)
		} else {
			say("%s, after", h)
		}
	}
	for _, h := range before.Held {
		if !slices.Contains(after.Held, h) {
			say("%s, before", h)
		}
	}
	counted := false
	for _, a := range after.Counts {
		b, ok := find(before.Counts, func(c Count) bool { return c.Name == a.Name })
		switch {
		case !ok:
		case a.N < b.N:
			v.Unseen = a.Name + ": its counter was set back"
		case a.Unit == Milliseconds:
			counted = true
			if a.N > b.N {
				say("%s: %.2f s", a.Name, float64(a.N-b.N)/1e3)
			}
		default:
			counted = true
			if a.N > b.N {
				say("%s: %d %s", a.Name, a.N-b.N, a.Unit)
			}
		}
	}
	for _, a := range after.Clocks {
		b, ok := find(before.Clocks, func(c NamedClock) bool { return c.Name == a.Name })
		if ok && a.Max > 0 && b.Max > 0 && a.Max != b.Max {
			say("%s might have %s before, %s after", a.Name, hertz(b.Max), hertz(a.Max))
		}
	}
	for _, a := range after.Limits {
		b, ok := find(before.Limits, func(l Limit) bool { return l.Name == a.Name })
		if ok && a.Watts != b.Watts {
			say("the power limit %s was %.4g W before, %.4g W after", a.Name, b.Watts, a.Watts)
		}
	}
	// A part that is only missing may be one that could not be read.
	if b, a := strings.Split(before.Mode, modeParts), strings.Split(after.Mode, modeParts); other(a, b) && other(b, a) {
		say("the power mode was %s before, %s after", before.Mode, after.Mode)
	}
	if a, b := after.Charge, before.Charge; a != nil && b != nil && a.Plugged != b.Plugged {
		say("the charger was %s", map[bool]string{true: "plugged in", false: "taken off"}[a.Plugged])
	}
	if !counted && v.Unseen == "" {
		v.Unseen = "the machine does not count it, and was looked at before and after only"
	}
	return v
}

// other reports whether a has something that b has not.
func other(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return s != "" && !slices.Contains(b, s) })
}

// find is the first that fits.
func find[T any](all []T, fits func(T) bool) (T, bool) {
	if i := slices.IndexFunc(all, fits); i >= 0 {
		return all[i], true
	}
	var none T
	return none, false
}

// hertz is a frequency as people say it.
func hertz(f uint64) string {
	if f >= 1e9 {
		return fmt.Sprintf("%.2f GHz", float64(f)/1e9)
	}
	return fmt.Sprintf("%.0f MHz", math.Round(float64(f)/1e6))
}
