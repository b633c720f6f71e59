package receipt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/stats"
)

// Verdict is what a second run says of a figure or an output.
type Verdict string

const (
	Same         Verdict = "same"           // the output is equal, the figure within the tolerance
	Better       Verdict = "better"         // beyond the tolerance, to the better
	Worse        Verdict = "worse"          // beyond the tolerance, to the worse
	Differs      Verdict = "differs"        // an output that should be equal is another
	Incomparable Verdict = "not to compare" // another class of numerics, another file, a disturbed machine
	Missing      Verdict = "not run"        // the second run has none
)

// Refutes reports whether the verdict contradicts the receipt.
func (v Verdict) Refutes() bool { return v == Worse || v == Differs || v == Missing }

// Finding compares one quantity of a case.
type Finding struct {
	Case    string  `json:"case"`
	What    string  `json:"what"` // a figure's name, or "output"
	Unit    string  `json:"unit,omitempty"`
	Was     float64 `json:"was,omitempty"` // medians over rounds
	Now     float64 `json:"now,omitempty"`
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"`
}

// Compare compares what Ledge did in the receipt's records with what it did when
// the cases were run again. A figure may be worse by tolerance (0.1: a tenth).
// Outputs are compared exactly where both runs are of one class of numerics, which
// is what Ledge promises equal outputs for.
func Compare(was, now []record.Record, tolerance float64) []Finding {
	var all []Finding
	for _, name := range Cases(was) {
		a, b := of(was, name), of(now, name)
		all = append(all, compareOutput(name, a, b)...)
		all = append(all, compareFigures(name, a, b, tolerance)...)
	}
	return all
}

// Cases are the names of cases in the order in which they first come up.
func Cases(all []record.Record) []string {
	var names []string
	for i := range all {
		if !slices.Contains(names, all[i].Case) {
			names = append(names, all[i].Case)
		}
	}
	return names
}

func of(all []record.Record, name string) []*record.Record {
	var some []*record.Record
	for i := range all {
		if all[i].Case == name {
			some = append(some, &all[i])
		}
	}
	return some
}

func compareOutput(name string, was, now []*record.Record) []Finding {
	a, ra := output(was)
	if a == nil {
		return nil
	}
	f := Finding{Case: name, What: "output"}
	b, rb := output(now)
	switch {
	case b == nil:
		f.Verdict, f.Why = Missing, failure(now)
	case ra.Model.SHA256 != rb.Model.SHA256:
		f.Verdict, f.Why = Incomparable, "another model file"
	case numerics(ra) != numerics(rb):
		f.Verdict, f.Why = Incomparable, fmt.Sprintf("%s then, %s now: equal outputs are promised within one class of numerics", numerics(ra), numerics(rb))
	case a.SHA256 != b.SHA256:
		f.Verdict, f.Why = Differs, fmt.Sprintf("%d tokens then, %d now", a.Tokens, b.Tokens)
	default:
		f.Verdict = Same
	}
	return []Finding{f}
}

// output is the first output of Ledge's in the rounds, and its record.
func output(all []*record.Record) (*record.Output, *record.Record) {
	for _, r := range all {
		if run, ok := r.Of(record.Ledge); ok && run.Output != nil {
			return run.Output, r
		}
	}
	return nil, nil
}

// numerics is the class of the device that a record's case ran on.
func numerics(r *record.Record) string {
	name := r.Settings.Device
	for _, d := range r.Machine.Devices {
		if d.Name == name || name == "" {
			return d.Numerics
		}
	}
	return ""
}

func compareFigures(name string, was, now []*record.Record, tolerance float64) []Finding {
	var all []Finding
	for _, figure := range figures(was) {
		a, unit, lower := values(was, figure)
		f := Finding{Case: name, What: figure, Unit: unit, Was: stats.Median(a)}
		b, _, _ := values(now, figure)
		if len(b) == 0 {
			f.Verdict, f.Why = Missing, failure(now)
			all = append(all, f)
			continue
		}
		f.Now = stats.Median(b)
		f.Verdict = judge(f.Was, f.Now, lower, tolerance)
		if f.Verdict == Worse {
			if why := disturbances(now); why != "" {
				f.Verdict, f.Why = Incomparable, "disturbed: "+why
			}
		}
		all = append(all, f)
	}
	return all
}

// judge compares two figures. One that was nothing has no ratio: it is the same
// only as nothing.
func judge(was, now float64, lower bool, tolerance float64) Verdict {
	if was == now {
		return Same
	}
	worse, better := now < was*(1-tolerance), now > was*(1+tolerance)
	if lower {
		worse, better = now > was*(1+tolerance), now < was*(1-tolerance)
	}
	switch {
	case worse:
		return Worse
	case better:
		return Better
	}
	return Same
}

// figures are the names of all that Ledge's runs have, in order.
func figures(all []*record.Record) []string {
	var names []string
	for _, r := range all {
		run, ok := r.Of(record.Ledge)
		if !ok {
			continue
		}
		for name := range run.Figures {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// values are a figure's medians in the rounds. Rounds that were disturbed count
// only if all were.
func values(all []*record.Record, figure string) (x []float64, unit string, lower bool) {
	for _, quiet := range []bool{true, false} {
		for _, r := range all {
			if quiet == (len(r.Disturbed) > 0) {
				continue
			}
			if run, ok := r.Of(record.Ledge); ok {
				if v, has := run.Value(figure); has {
					x = append(x, v)
					unit, lower = run.Figures[figure].Unit, run.Figures[figure].Lower
				}
			}
		}
		if len(x) > 0 {
			break
		}
	}
	return x, unit, lower
}

// failure says why Ledge has no figure in any of the rounds.
func failure(all []*record.Record) string {
	for _, r := range all {
		if run, ok := r.Of(record.Ledge); ok && run.Failure != "" {
			return run.Failure
		}
	}
	return ""
}

// disturbances are those of rounds that were all disturbed; else "".
func disturbances(all []*record.Record) string {
	var why []string
	for _, r := range all {
		if len(r.Disturbed) == 0 {
			return ""
		}
		for _, d := range r.Disturbed {
			if !slices.Contains(why, d) {
				why = append(why, d)
			}
		}
	}
	return strings.Join(why, "; ")
}
