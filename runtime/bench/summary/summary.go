// Package summary makes of a benchmark's records what tables and pictures show:
// for each figure of each case the engines side by side, with Ledge's ratio to
// every peer and its share of what the machine allows.
package summary

import (
	"cmp"
	"math"
	"slices"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/stats"
)

// Row is one figure of one case over its rounds.
type Row struct {
	Case     string          `json:"case"`
	Figure   string          `json:"figure"` // record.Decode, ...
	Unit     string          `json:"unit"`
	Lower    bool            `json:"lower,omitempty"` // less is better
	Model    record.Model    `json:"model"`
	Settings record.Settings `json:"settings"`
	Device   string          `json:"device,omitempty"` // that Ledge computed on most; "" if not known

	// Processor: Ledge computed on the processor alone, as far as that is known.
	Processor bool `json:"-"`

	Engines []Engine `json:"engines"` // those that ran: Ledge first, then peers by name

	Rounds    int      `json:"rounds"`              // that count
	Left      int      `json:"left,omitempty"`      // rounds left out, because they were disturbed and others were not
	Disturbed []string `json:"disturbed,omitempty"` // what makes the rounds that count doubtful
}

// Engine is what one engine reached.
type Engine struct {
	Name    string         `json:"name"`
	Version string         `json:"version,omitempty"`
	Value   stats.Estimate `json:"value"` // over the medians of rounds
	// Ratio is Ledge's figure divided by this engine's, taken within each round; of
	// Ledge itself there is none (N is 0).
	Ratio stats.Estimate `json:"ratio"`
	// Share is the part of the machine's ceiling that was reached: of reading memory
	// where tokens are generated, of int8 products where a prompt is read; NaN where
	// neither was measured or the figure has no ceiling.
	Share    float64  `json:"-"`
	Failures []string `json:"failures,omitempty"` // in rounds that have no figure, each once
}

// Of gives the engine of a name.
func (r *Row) Of(name string) (Engine, bool) {
	i := slices.IndexFunc(r.Engines, func(e Engine) bool { return e.Name == name })
	if i < 0 {
		return Engine{}, false
	}
	return r.Engines[i], true
}

// Rows are the rows of all cases in the order in which the cases first come up,
// the figures of a case in the order of record's names and then by alphabet. Of
// rounds with different programs, models or machines only those that are like the
// newest count.
func Rows(records []record.Record) []Row {
	var rows []Row
	for _, name := range record.Cases(records) {
		all := latest(records, name)
		use, left, disturbed := usable(all)
		for _, figure := range figures(all) {
			r := Row{Case: name, Figure: figure, Model: use[0].Model, Settings: use[0].Settings, Device: use[0].Device(), Processor: !slices.ContainsFunc(use, elsewhere), Rounds: len(use), Left: left, Disturbed: disturbed}
			for _, round := range use[1:] { // Ledge may have failed in the first
				r.Device = cmp.Or(r.Device, round.Device())
			}
			for _, e := range engines(all) {
				if row, ok := engine(use, e, figure, &r); ok {
					r.Engines = append(r.Engines, row)
				}
			}
			if len(r.Engines) > 0 {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// engine summarises a figure of one engine; false if the engine neither has it
// nor failed.
func engine(use []*record.Record, name, figure string, row *Row) (Engine, bool) {
	e := Engine{Name: name}
	var values, ratios, shares []float64
	ran := false
	for _, r := range use {
		run, ok := r.Of(name)
		if !ok {
			continue
		}
		if run.Engine.Version != "" {
			e.Version = run.Engine.Version
		}
		v, has := run.Value(figure)
		if !has {
			if run.Failure != "" && !slices.Contains(e.Failures, run.Failure) {
				e.Failures, ran = append(e.Failures, run.Failure), true
			}
			continue
		}
		ran = true
		row.Unit, row.Lower = run.Figures[figure].Unit, run.Figures[figure].Lower
		values, shares = append(values, v), append(shares, Share(r, figure, v))
		if name == record.Ledge {
			continue
		}
		if ours, ok := r.Of(record.Ledge); ok {
			if l, has := ours.Value(figure); has && v != 0 {
				ratios = append(ratios, l/v)
			}
		}
	}
	e.Value, e.Ratio, e.Share = stats.Summarise(values), stats.Summarise(ratios), stats.Summarise(shares).Median
	return e, ran
}

// latest are the rounds of a case that are like its newest one: of the same settings,
// model, machine and program of Ledge. A round in which Ledge did not run counts with
// those around it; one with another program of a peer, or with a peer that was asked in
// another way, does not count.
func latest(records []record.Record, name string) []*record.Record {
	all := record.Rounds(records, name)
	var newest *record.Record
	for _, r := range all {
		if newest == nil || !r.Time.Before(newest.Time) {
			newest = r
		}
	}
	all = slices.DeleteFunc(all, func(r *record.Record) bool { return !r.Alike(newest) })
	engines := map[string]*record.Run{} // the newest of each
	times := map[string]*record.Record{}
	for _, r := range all {
		for i := range r.Runs {
			if last := times[r.Runs[i].Engine.Name]; last == nil || !r.Time.Before(last.Time) {
				engines[r.Runs[i].Engine.Name], times[r.Runs[i].Engine.Name] = &r.Runs[i], r
			}
		}
	}
	return slices.DeleteFunc(all, func(r *record.Record) bool {
		return slices.ContainsFunc(r.Runs, func(run record.Run) bool { return !run.Engine.Same(&engines[run.Engine.Name].Engine) })
	})
}

// Latest are the rounds of all cases that are like the newest one of their case,
// disturbed or not, in their order.
func Latest(records []record.Record) []record.Record {
	use := map[*record.Record]bool{}
	for _, name := range record.Cases(records) {
		for _, r := range latest(records, name) {
			use[r] = true
		}
	}
	var all []record.Record
	for i := range records {
		if use[&records[i]] {
			all = append(all, records[i])
		}
	}
	return all
}

// usable are the rounds that count: those that nobody disturbed, unless that
// would leave less than half.
func usable(all []*record.Record) (use []*record.Record, left int, disturbed []string) {
	if use = record.Quiet(all); 2*len(use) >= len(all) {
		return use, len(all) - len(use), nil
	}
	return all, 0, record.Disturbances(all)
}

// order is in which figures are shown.
var order = record.Names()

// figures are the names of all figures that any engine has, in order.
func figures(all []*record.Record) []string {
	var names []string
	for _, r := range all {
		for i := range r.Runs {
			for name := range r.Runs[i].Figures {
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	place := func(name string) int {
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := place(a) - place(b); d != 0 {
			return d
		}
		if a < b {
			return -1
		}
		return 1
	})
	return names
}

// engines are the names of those that ran, Ledge first.
func engines(all []*record.Record) []string {
	var names []string
	for _, r := range all {
		for i := range r.Runs {
			if n := r.Runs[i].Engine.Name; n != record.Ledge && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	slices.Sort(names)
	return append([]string{record.Ledge}, names...)
}

// known makes sure that a share can be told from none.
func known(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) && v > 0 }

// Rounds are the rounds of a case that count: those like the newest, without the
// disturbed ones if enough were not.
func Rounds(records []record.Record, name string) []*record.Record {
	use, _, _ := usable(latest(records, name))
	return use
}

func elsewhere(r *record.Record) bool { return !r.OnProcessor() }
