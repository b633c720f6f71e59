package receipt

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
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
	Incomparable Verdict = "not to compare" // another class of numerics, another file or machine, a disturbed one, no sensor
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
// the cases were run again; of either the newest program's rounds count. A figure may
// be worse by tolerance (0.1: a tenth). Outputs, and figures of quality, are compared
// exactly where both runs are of one class of numerics, which is what Ledge promises
// equal outputs for. On another machine worse speeds, memory and energy say nothing.
func Compare(was, now []record.Record, tolerance float64) []Finding {
	var all []Finding
	was, now = Newest(was), Newest(now)
	for _, name := range record.Cases(was) {
		a, b := record.Rounds(was, name), record.Rounds(now, name)
		all = append(all, compareOutput(name, a, b)...)
		all = append(all, compareFigures(name, a, b, tolerance)...)
	}
	return all
}

// Newest are the records of each case that have the settings, the model and the
// program of its last one in which Ledge ran: journals grow over several of them. Peers,
// machines and variables around them, by which summary tells rounds apart, do not
// matter: they are not what is measured again.
func Newest(all []record.Record) []record.Record {
	last := map[string]string{}
	for i := range all {
		if k := subject(&all[i]); k != "" {
			last[all[i].Case] = k
		}
	}
	var some []record.Record
	for i := range all {
		if k := subject(&all[i]); k != "" && k == last[all[i].Case] {
			some = append(some, all[i])
		}
	}
	return some
}

// subject is what a record measured; "" if it is not Ledge.
func subject(r *record.Record) string {
	run, ok := r.Of(record.Ledge)
	if !ok {
		return ""
	}
	set, err := json.Marshal(r.Settings)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s %s %s", run.Engine.SHA256, r.Model.SHA256, set)
}

func compareOutput(name string, was, now []*record.Record) []Finding {
	a, ra := output(was)
	if a == nil {
		return nil
	}
	f := Finding{Case: name, What: "output"}
	b, rb := output(now)
	if b == nil {
		f.Verdict, f.Why = Missing, failure(now)
	} else if why := apart(ra, rb); why != "" {
		f.Verdict, f.Why = Incomparable, why
	} else if a.SHA256 != b.SHA256 {
		f.Verdict, f.Why = Differs, fmt.Sprintf("%d tokens then, %d now", a.Tokens, b.Tokens)
	} else {
		f.Verdict = Same
	}
	return []Finding{f}
}

// apart says why two rounds need not compute the same; "" if they must.
func apart(was, now *record.Record) string {
	a, b := numerics(was), numerics(now)
	switch {
	case was.Model.SHA256 != now.Model.SHA256:
		return "another model file"
	case a == "":
		return "the receipt does not say of which class of numerics its device was"
	case b == "":
		return "this machine's class of numerics is not known"
	case a != b:
		return fmt.Sprintf("%s then, %s now: equal outputs are promised within one class of numerics", a, b)
	}
	return ""
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

// numerics is the class of the devices that Ledge computed on in a round; "" if it is
// not known. The run says it best. Of others than the first one it has the names
// alone: as what they are the machine's processor stands.
func numerics(r *record.Record) string {
	if run, ok := r.Of(record.Ledge); ok && len(run.Devices) > 0 {
		class := run.Devices[0].Numerics
		if strings.Trim(class, ":") == "" {
			return ""
		}
		for _, d := range run.Devices[1:] {
			class += " + " + cmp.Or(d.Numerics, d.Name+" of "+r.Machine.CPU)
		}
		return class
	}
	name := r.Settings.Device
	for _, d := range r.Machine.Devices { // "cuda" is the first of "cuda0", "cuda1"
		if name == "" || d.Name == name || strings.HasPrefix(d.Name, name) && strings.Trim(d.Name[len(name):], "0123456789") == "" {
			return d.Numerics
		}
	}
	return ""
}

// exactFigures are those that follow from what is computed, not from how fast.
var exactFigures = []string{record.Perplexity, record.KL, record.TopOne}

// precision is the relative difference that printing and adding up may make.
const precision = 1e-6

// optional are figures that not every machine can measure, with what it lacks.
var optional = map[string]string{
	record.Joules: "no sensor of energy", record.TokensPerJ: "no sensor of energy", record.Watts: "no sensor of energy",
	record.PeakMemory: "no count of memory", record.CPUTime: "no count of processor time",
}

func compareFigures(name string, was, now []*record.Record, tolerance float64) []Finding {
	var all []Finding
	for _, figure := range figures(was) {
		a, unit, lower := values(was, figure)
		if len(a) == 0 {
			continue // no sample: it says nothing
		}
		f := Finding{Case: name, What: figure, Unit: unit, Was: stats.Median(a)}
		b, unit, lowerNow := values(now, figure)
		if len(b) == 0 {
			f.Verdict, f.Why = Missing, failure(now)
			if lack := optional[figure]; lack != "" && ran(now) {
				f.Verdict, f.Why = Incomparable, "this machine gives no such figure: "+lack
			}
			all = append(all, f)
			continue
		}
		f.Now = stats.Median(b)
		switch {
		case unit != f.Unit || lower != lowerNow:
			f.Verdict, f.Why = Incomparable, "the receipt has it in another unit or direction"
		case slices.Contains(exactFigures, figure):
			f.Verdict, f.Why = Same, apart(having(was, figure), having(now, figure))
			if f.Why != "" {
				f.Verdict = Incomparable
			} else if math.Abs(f.Was-f.Now) > precision*max(math.Abs(f.Was), math.Abs(f.Now)) {
				f.Verdict = Differs
			}
		default:
			f.Verdict = judge(f.Was, f.Now, lower, tolerance)
			if f.Verdict != Worse {
				break
			}
			if why := disturbances(now); why != "" {
				f.Verdict, f.Why = Incomparable, "disturbed: "+why
			} else if why := elsewhere(was, now); why != "" {
				f.Verdict, f.Why = Incomparable, "another machine: "+why
			}
		}
		all = append(all, f)
	}
	return all
}

// elsewhere says how the machines of two sets of rounds differ; "" if they do not, as
// far as speed goes.
func elsewhere(was, now []*record.Record) string {
	for _, a := range was {
		for _, b := range now {
			m, n := a.Machine, b.Machine
			for _, d := range [][3]string{
				{"board", m.Board, n.Board}, {"processor", m.CPU, n.CPU}, {"device", device(a), device(b)}, {"power mode", m.Mode, n.Mode},
				{"cores", strconv.Itoa(m.Cores), strconv.Itoa(n.Cores)},
			} {
				if d[1] != d[2] {
					return fmt.Sprintf("%s %s then, %s now", d[0], cmp.Or(d[1], "unknown"), cmp.Or(d[2], "unknown"))
				}
			}
			// A kernel keeps more or less of it for itself.
			if less, more := min(m.Memory, n.Memory), max(m.Memory, n.Memory); less < more-more/16 {
				return fmt.Sprintf("memory of %.1f GB then, %.1f GB now", float64(m.Memory)/1e9, float64(n.Memory)/1e9)
			}
		}
	}
	return ""
}

// device describes what Ledge computed on in a round.
func device(r *record.Record) string {
	if run, ok := r.Of(record.Ledge); ok && len(run.Devices) > 0 {
		return run.Devices[0].Description
	}
	return ""
}

// having is the first of the rounds that has a figure.
func having(all []*record.Record, figure string) *record.Record {
	for _, r := range all {
		if run, ok := r.Of(record.Ledge); ok {
			if _, has := run.Value(figure); has {
				return r
			}
		}
	}
	return nil
}

// ran reports whether Ledge measured something in one of the rounds.
func ran(all []*record.Record) bool {
	return slices.ContainsFunc(all, func(r *record.Record) bool {
		run, ok := r.Of(record.Ledge)
		return ok && run.Failure == "" && len(run.Figures) > 0
	})
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
	for _, some := range [][]*record.Record{record.Quiet(all), all} {
		for _, r := range some {
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
	if len(record.Quiet(all)) > 0 {
		return ""
	}
	return strings.Join(record.Disturbances(all), "; ")
}
