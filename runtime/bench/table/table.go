// Package table writes what a benchmark measured as tables, in Markdown or as plain
// text: the engines side by side, Ledge's ratio to each peer with its interval, the
// share of what the machine allows, and whether the bars of the suite are met.
package table

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/stats"
	"github.com/ledge-run/ledge/runtime/bench/suite"
	"github.com/ledge-run/ledge/runtime/bench/summary"
)

// Table is a table with what stands around it.
type Table struct {
	Title, Note string
	Head        []string
	Rows        [][]string
	Met, Bars   int      // rows that meet their bar, and that have one
	Commands    []string // of the peers
	Marks       []string // footnotes, in the order of their signs
}

// Options say what is shown.
type Options struct {
	Suite   *suite.Suite // nil: there is only the journal, and so no bars
	Figures []string     // of tables that the suite does not name; nil: those that users look at
}

// usual are the figures that tables have if nobody chooses.
var usual = []string{record.Decode, record.Prefill, record.Kept, record.FirstToken, record.TokenP95, record.Wall, record.CPUTime, record.PeakMemory,
	record.Joules, record.Perplexity, record.KL, record.TopOne}

// Usual are the figures that users look at.
func Usual() []string { return slices.Clone(usual) }

// wholeProcess are figures that say something of the start of a process alone.
var wholeProcess = []string{record.Wall, record.CPUTime}

var titles = map[string]string{
	record.Decode: "Generation, tokens a second", record.Prefill: "Reading a prompt, tokens a second",
	record.Kept:       "Share of the speed that is left while something keeps processors busy",
	record.FirstToken: "From the start of the process to the first token, s", record.Load: "From the start of the process until the model can run, s",
	record.TokenP50: "Between two tokens, the median, ms", record.TokenP95: "Between two tokens, the 95th percentile, ms", record.TokenP99: "Between two tokens, the 99th percentile, ms",
	record.Wall: "The whole process, s", record.CPUTime: "Processor time of the whole process, s", record.PeakMemory: "Most memory resident, MB",
	record.Joules: "Energy of a token, J", record.TokensPerJ: "Tokens of a joule", record.Watts: "Power, W",
	record.Perplexity: "Perplexity", record.KL: "Kullback-Leibler divergence from the reference, nats a token", record.TopOne: "Share of tokens whose most likely successor is the reference's",
}

// Of makes the tables of records.
func Of(records []record.Record, o Options) []Table {
	records = ordered(records, o.Suite)
	rows := summary.Rows(records)
	var all []Table
	if o.Suite != nil && len(o.Suite.Tables) > 0 && len(o.Figures) == 0 {
		for _, t := range o.Suite.Tables {
			some := slices.DeleteFunc(slices.Clone(rows), func(r summary.Row) bool {
				return !slices.Contains(t.Figures, r.Figure) || len(t.Groups) > 0 && !slices.Contains(t.Groups, groupOf(records, r.Case))
			})
			if len(some) > 0 {
				all = append(all, build(records, some, o, t.Title, t.Note))
			}
		}
		return all
	}
	figures := o.Figures
	if len(figures) == 0 {
		figures = usual
	}
	for _, f := range figures {
		some := slices.DeleteFunc(slices.Clone(rows), func(r summary.Row) bool {
			return r.Figure != f || len(o.Figures) == 0 && slices.Contains(wholeProcess, f) && r.Settings.Start == ""
		})
		if len(some) > 0 {
			all = append(all, build(records, some, o, titles[f], ""))
		}
	}
	return all
}

// ordered puts records into the order of the suite's cases, and leaves those of other
// cases out.
func ordered(records []record.Record, s *suite.Suite) []record.Record {
	if s == nil {
		return records
	}
	var all []record.Record
	for _, c := range s.Cases {
		for _, r := range records {
			if r.Case == c.ID {
				all = append(all, r)
			}
		}
	}
	return all
}

func groupOf(records []record.Record, name string) string {
	for i := range records {
		if records[i].Case == name {
			return records[i].Group
		}
	}
	return ""
}

// barOf is the suite's bar for a row.
func barOf(s *suite.Suite, r *summary.Row) suite.Bar {
	if s == nil {
		return suite.Bar{}
	}
	c, ok := s.Case(r.Case)
	if !ok {
		return suite.Bar{}
	}
	return c.Bars[r.Figure]
}

// build makes a table of rows. Columns that would say the same everywhere are left
// out.
func build(records []record.Record, rows []summary.Row, o Options, title, note string) Table {
	t := Table{Title: title, Note: note}
	var peers []string
	var shares, bars, figures, devices, threads bool
	for _, r := range rows {
		for _, e := range r.Engines {
			if e.Name != record.Ledge && !slices.Contains(peers, e.Name) {
				peers = append(peers, e.Name)
			}
			shares = shares || e.Name == record.Ledge && !math.IsNaN(share(&r))
		}
		bars = bars || barOf(o.Suite, &r) != suite.Bar{}
		figures = figures || r.Figure != rows[0].Figure
		devices, threads = devices || r.Settings.Device != "", threads || r.Settings.Threads > 0
	}
	t.Head = []string{"model", "test"}
	add := func(yes bool, names ...string) {
		if yes {
			t.Head = append(t.Head, names...)
		}
	}
	add(devices, "device")
	add(threads, "threads")
	add(figures, "figure")
	add(true, "Ledge")
	for _, p := range peers {
		add(true, p, "ratio")
	}
	add(shares, "of the ceiling")
	add(bars, "bar", "met")
	m := &marks{newest: newest(records)}
	for _, r := range rows {
		cells := []string{r.Model.Name + m.of(records, &r), test(r.Settings, r.Figure)}
		cell := func(yes bool, s string) {
			if yes {
				cells = append(cells, s)
			}
		}
		cell(devices, r.Settings.Device)
		cell(threads, number(float64(r.Settings.Threads)))
		cell(figures, strings.ReplaceAll(r.Figure, "_", " "))
		ours, _ := r.Of(record.Ledge)
		cell(true, value(ours))
		for _, p := range peers {
			e, ok := r.Of(p)
			cell(true, map[bool]string{true: value(e), false: "-"}[ok])
			cell(true, interval(e.Ratio))
		}
		cell(shares, percent(share(&r)))
		if bars {
			bar := barOf(o.Suite, &r)
			text, met := "", ""
			if (bar != suite.Bar{}) {
				t.Bars++
				text = barText(bar, &r)
				if met = "**no**"; bar.Met(judged(&r)) {
					t.Met++
					met = "yes"
				}
			}
			cells = append(cells, text, met)
		}
		t.Rows = append(t.Rows, cells)
	}
	t.Marks, t.Commands = m.notes, commands(records, rows)
	return t
}

// share is Ledge's part of the ceiling; of one that was measured under the same
// circumstances: variables for Ledge, such as LEDGE_CPU, do not hold for it.
func share(r *summary.Row) float64 {
	ours, ok := r.Of(record.Ledge)
	if !ok || len(r.Settings.Env) > 0 {
		return math.NaN()
	}
	return ours.Share
}

// judged are a row's figures as bars ask for them. Of several peers the one that Ledge
// does worst beside counts.
func judged(r *summary.Row) suite.Judged {
	nan := math.NaN()
	j := suite.Judged{Ratio: nan, Share: nan, Value: nan, Beyond: nan, Open: nan, Lower: r.Lower}
	ours, ok := r.Of(record.Ledge)
	if !ok {
		return j
	}
	j.Value, j.Share = ours.Value.Median, share(r)
	for _, e := range r.Engines {
		if v := e.Ratio.Median; e.Ratio.N > 0 && (math.IsNaN(j.Ratio) || !r.Lower && v < j.Ratio || r.Lower && v > j.Ratio) {
			j.Ratio = v
		}
	}
	used, open := cached(r)
	j.Beyond, j.Open = j.Value-used, j.Value-open
	return j
}

// cached is what a process must hold, in MB: the file, and the cache of the tokens in
// use or of all that the model is open for.
func cached(r *summary.Row) (used, open float64) {
	set, m := r.Settings, r.Model
	tokens := max(1, set.Parallel) * (set.Depth + max(set.Prompt, set.Gen))
	context := max(tokens, set.Context)
	if m.TrainedLength > 0 {
		context = min(context, max(tokens, int(m.TrainedLength)))
	}
	return float64(m.Bytes+m.CacheBytes*int64(tokens)) / 1e6, float64(m.Bytes+m.CacheBytes*int64(context)) / 1e6
}

// barText is the bar with what it comes to for the model.
func barText(b suite.Bar, r *summary.Row) string {
	used, open := cached(r)
	limits := []string{}
	if b.Open > 0 {
		limits = append(limits, fmt.Sprintf("≤ %.1f (open)", open+b.Open))
	}
	if b.Beyond > 0 {
		limits = append(limits, fmt.Sprintf("≤ %.1f", used+b.Beyond))
	}
	b.Open, b.Beyond = 0, 0
	return strings.Join(slices.DeleteFunc(append(limits, b.Text(r.Figure)), func(s string) bool { return s == "" }), ", ")
}

// test says what a row's figure is of, besides model, device and threads.
func test(set record.Settings, figure string) string {
	switch figure { // prompts and generation are measured apart
	case record.Decode, record.Kept, record.TokenP50, record.TokenP95, record.TokenP99:
		set.Prompt = 0
	case record.Prefill:
		set.Gen, set.Busy = 0, 0
	}
	streams := max(1, set.Parallel)
	set.Parallel = 1
	s := strings.Replace(suite.TestName(set), "@", " @ ", 1)
	if streams > 1 {
		s = fmt.Sprintf("%d × %s", streams, s)
	}
	more := []string{}
	if set.Context > 0 {
		more = append(more, fmt.Sprintf("c%d", set.Context))
	}
	if set.Cache != "" {
		more = append(more, set.Cache+" cache")
	}
	if set.Batch > 0 {
		more = append(more, fmt.Sprintf("b%d", set.Batch))
	}
	for _, k := range slices.Sorted(maps.Keys(set.Env)) {
		more = append(more, k+"="+set.Env[k])
	}
	return strings.Join(append([]string{s}, more...), " ")
}

// value is an engine's figure, or why there is none.
func value(e summary.Engine) string {
	if e.Value.N == 0 {
		if len(e.Failures) > 0 {
			return "failed"
		}
		return "-"
	}
	return number(e.Value.Median)
}

// number writes three digits.
func number(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v):
		return "-"
	case v == math.Trunc(v) && a < 1000, a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func percent(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

// interval is a ratio with its interval, if there are several rounds.
func interval(e stats.Estimate) string {
	switch e.N {
	case 0:
		return "-"
	case 1:
		return fmt.Sprintf("%.2f", e.Median)
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", e.Median, e.Low, e.High)
}
