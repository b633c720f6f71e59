package table

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/stats"
	"github.com/ledge-run/ledge/runtime/bench/summary"
)

// Change is what became of a figure of Ledge between two journals.
type Change struct {
	Case, Figure  string
	Before, After float64        // medians
	Ratio         stats.Estimate // of after to before
	// Beside is the same of Ledge's ratio to a peer that was measured both times: what the
	// machine itself changed is not in it. N is 0 without one.
	Beside  stats.Estimate
	Peer    string
	Verdict Verdict
	Why     string // what else than Ledge may have changed the figure: another machine, another model; "" for nothing known
}

// Verdict says which way a figure went.
type Verdict string

const (
	Better Verdict = "better"
	Worse  Verdict = "worse"
	Same   Verdict = "same" // the interval holds no change, or less than the tolerance
)

// Compare compares the figures that two journals have in common. A change counts if
// the interval of its ratio lies outside of 1 by more than the tolerance: of the ratio
// beside a peer, where there is one.
func Compare(before, after []record.Record, figures []string, tolerance float64) []Change {
	var all []Change
	old := summary.Rows(before)
	for _, now := range summary.Rows(after) {
		i := slices.IndexFunc(old, func(r summary.Row) bool { return r.Case == now.Case && r.Figure == now.Figure })
		if i < 0 || !slices.Contains(figures, now.Figure) {
			continue
		}
		first, second := summary.Rounds(before, now.Case), summary.Rounds(after, now.Case)
		c := Change{Case: now.Case, Figure: now.Figure, Verdict: Same, Why: unlike(first, second)}
		a, b := values(second, now.Figure, ""), values(first, now.Figure, "")
		if c.Ratio = stats.Ratio(a, b); c.Ratio.N == 0 {
			continue
		}
		c.Before, c.After = stats.Median(b), stats.Median(a)
		for _, e := range now.Engines {
			if e.Name == record.Ledge || c.Peer != "" {
				continue
			}
			if r := stats.Ratio(values(second, now.Figure, e.Name), values(first, now.Figure, e.Name)); r.N > 0 {
				c.Peer, c.Beside = e.Name, r
			}
		}
		judge := c.Ratio
		if c.Peer != "" {
			judge = c.Beside
		}
		up := judge.Low > 1+tolerance
		if down := judge.High < 1/(1+tolerance); up || down {
			c.Verdict = Worse
			if up != now.Lower {
				c.Verdict = Better
			}
		}
		all = append(all, c)
	}
	return all
}

// unlike says what besides Ledge is another one than before.
func unlike(before, after []*record.Record) string {
	if len(before) == 0 || len(after) == 0 {
		return ""
	}
	old, now := before[len(before)-1], after[len(after)-1]
	var all []string
	if !old.Machine.Same(&now.Machine) {
		a, b := machine(&old.Machine), machine(&now.Machine)
		if a == b {
			a, b = fmt.Sprintf("%s, %s, %.1f GB", a, old.Machine.Arch, float64(old.Machine.Memory)/1e9), fmt.Sprintf("%s, %s, %.1f GB", b, now.Machine.Arch, float64(now.Machine.Memory)/1e9)
		}
		all = append(all, fmt.Sprintf("the machine is another one (%s; before %s)", b, a))
	}
	if old.Model.SHA256 != now.Model.SHA256 {
		all = append(all, fmt.Sprintf("the file of model %s is another one", now.Model.Name))
	}
	if a, b := old.Device(), now.Device(); a != b && a != "" && b != "" {
		all = append(all, fmt.Sprintf("Ledge computed on %s, before on %s", b, a))
	}
	// Settings and variables of Ledge are part of the case; those around it are not.
	if !maps.Equal(old.Env, now.Env) {
		all = append(all, "the variables around the benchmark are others")
	}
	return strings.Join(all, "; ")
}

// values are a figure of Ledge in rounds, or with a peer its ratio to it.
func values(rounds []*record.Record, figure, peer string) []float64 {
	var x []float64
	for _, r := range rounds {
		ours, ok := r.Of(record.Ledge)
		if !ok {
			continue
		}
		v, has := ours.Value(figure)
		if peer != "" && has {
			theirs, ok := r.Of(peer)
			if !ok {
				continue
			}
			var w float64
			if w, has = theirs.Value(figure); w == 0 {
				continue
			}
			v /= w
		}
		if has {
			x = append(x, v)
		}
	}
	return x
}

// Changes writes changes as a table's rows.
func Changes(all []Change) Table {
	t := Table{Title: "What changed", Head: []string{"case", "figure", "before", "after", "ratio", "beside a peer", ""}}
	var notes []string
	for _, c := range all {
		beside := "-"
		if c.Peer != "" {
			beside = fmt.Sprintf("%s, %s", interval(c.Beside), c.Peer)
		}
		t.Rows = append(t.Rows, []string{c.Case, c.Figure, number(c.Before), number(c.After), interval(c.Ratio), beside, string(c.Verdict)})
		if note := "Not Ledge alone: " + c.Why + "."; c.Why != "" && !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	t.Note = strings.Join(notes, "\n  ")
	return t
}
