package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/ledge-run/ledge/runtime/bench/chart"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/stats"
	"github.com/ledge-run/ledge/runtime/bench/summary"
)

// table shows one figure of all cases.
type table struct {
	Title, Note string
	Peers       []string
	Shares      bool // a column of the machine's ceiling
	Rows        []tableRow
}

type tableRow struct {
	Test   string
	Marked bool
	Title  string // for who points at the row
	Ledge  cell
	Share  string
	Peers  []cell
	Rounds string
}

// cell is an engine's figure.
type cell struct {
	Value  string
	Spread string // the interval
	Bar    int    // percent of the row's largest, for the bar behind the figure
	Ratio  string // Ledge to this peer,
	Range  string // and its interval
	Better bool   // Ledge is, and the whole interval says so
	Worse  bool
	Failed string
}

// titles of figures; of others the name serves.
var titles = map[string][2]string{
	record.Decode:     {"Generation, tokens/s", "More is better. All sequences of a test together."},
	record.Prefill:    {"Reading a prompt, tokens/s", "More is better."},
	record.Load:       {"Loading, s", "From the process's start until the model could run. Less is better."},
	record.FirstToken: {"Time to the first token, s", "From the process's start: a user's wait. Less is better."},
	record.TokenP50:   {"Between two tokens, median, ms", "Less is better."},
	record.TokenP95:   {"Between two tokens, 95th percentile, ms", "Less is better."},
	record.TokenP99:   {"Between two tokens, 99th percentile, ms", "Less is better."},
	record.PeakMemory: {"Most memory resident, MB", "Of the whole process; 1 MB is 1e6 bytes. Less is better."},
	record.Wall:       {"The whole process, s", "Less is better."},
	record.CPUTime:    {"Time of all processors, s", "Less is better."},
	record.Perplexity: {"Perplexity", "Less is better; to be compared within one text and context only."},
	record.KL:         {"KL divergence from the reference, nats a token", "Less is better."},
	record.TopOne:     {"Most likely token as in the reference, share", "More is better."},
	record.Joules:     {"Energy of a token, J", "Of the source named below. Less is better."},
	record.TokensPerJ: {"Tokens for a joule", "More is better."},
	record.Watts:      {"Power, W", "On average while the test ran."},
}

func tables(rows []summary.Row) []table {
	var all []table
	for _, r := range rows {
		if !slices.ContainsFunc(all, func(t table) bool { return t.Title == titleOf(&r)[0] }) {
			all = append(all, oneTable(rows, r.Figure, titleOf(&r)))
		}
	}
	return all
}

func titleOf(r *summary.Row) [2]string {
	if t, ok := titles[r.Figure]; ok {
		return t
	}
	t := [2]string{r.Figure, "More is better."}
	if r.Unit != "" {
		t[0] += ", " + r.Unit
	}
	if r.Lower {
		t[1] = "Less is better."
	}
	return t
}

func oneTable(rows []summary.Row, figure string, title [2]string) table {
	t := table{Title: title[0], Note: title[1]}
	for _, r := range rows {
		for _, e := range r.Engines {
			if r.Figure == figure && e.Name != record.Ledge && !slices.Contains(t.Peers, e.Name) {
				t.Peers = append(t.Peers, e.Name)
			}
		}
	}
	slices.Sort(t.Peers)
	for _, r := range rows {
		if r.Figure != figure {
			continue
		}
		most := 0.0
		for _, e := range r.Engines {
			if finite(e.Value.Median) {
				most = max(most, e.Value.Median)
			}
		}
		row := tableRow{Test: chart.Label(&r), Title: r.Case, Marked: len(r.Disturbed) > 0, Rounds: fmt.Sprint(r.Rounds)}
		if r.Left > 0 {
			row.Rounds = fmt.Sprintf("%d of %d", r.Rounds, r.Rounds+r.Left)
		}
		ours, _ := r.Of(record.Ledge)
		row.Ledge = newCell(ours, most, r.Lower)
		row.Share = "-"
		if finite(ours.Share) && ours.Value.N > 0 && ours.Share > 0 {
			row.Share, t.Shares = fmt.Sprintf("%.0f %%", 100*ours.Share), true
		}
		for _, name := range t.Peers {
			e, _ := r.Of(name)
			row.Peers = append(row.Peers, newCell(e, most, r.Lower))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func newCell(e summary.Engine, most float64, lower bool) cell {
	c := cell{Value: "-"}
	if len(e.Failures) > 0 {
		c.Failed = e.Failures[0]
	}
	if e.Value.N == 0 {
		return c
	}
	c.Value = Short(e.Value.Median)
	c.Spread = interval(e.Value)
	if most > 0 && e.Value.Median > 0 {
		c.Bar = int(math.Round(100 * e.Value.Median / most))
	}
	if e.Ratio.N > 0 {
		c.Ratio, c.Range = Short(e.Ratio.Median)+"×", interval(e.Ratio)
		c.Better, c.Worse = e.Ratio.Low > 1, e.Ratio.High < 1
		if lower {
			c.Better, c.Worse = c.Worse, c.Better
		}
	}
	return c
}

// interval is "low–high", nothing for one value.
func interval(e stats.Estimate) string {
	if e.N < 2 {
		return ""
	}
	return Short(e.Low) + "–" + Short(e.High)
}
