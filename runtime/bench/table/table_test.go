package table_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/suite"
	"github.com/ledge-run/ledge/runtime/bench/table"
)

const text = `
models: a.gguf
threads: [1, 2]
peers: {llama.cpp: {llama-bench: x}, tool: {command: [t, "{model}"], figures: {decode: d}}}
cases:
  - name: speed
    prompt: 512
    gen: 64
    bars: {decode: {ratio: 1.7, share: 0.88, either: true}, prefill: {ratio: 2}, peak_memory: {beyond: 40}}
  - {name: eight, gen: 32, depth: 128, parallel: 8, threads: 1, peers: none}
  - {name: start, start: true, threads: 2, context: 100, bars: {wall: {ratio: 0.7}, peak_memory: {beyond_open: 30}}}
`

func parse(t *testing.T, tables string) *suite.Suite {
	t.Helper()
	s, err := suite.Parse([]byte(text+tables), "s.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rounds makes records of a case of the suite.
func rounds(s *suite.Suite, id string, n int, figures map[string][3]float64, change func(*record.Record)) []record.Record {
	c, ok := s.Case(id)
	if !ok {
		panic(id)
	}
	var all []record.Record
	for i := range n {
		r := record.Record{Version: 1, Group: c.Group, Case: id, Round: i + 1, Time: time.Date(2026, 1, 2, 3, 4, i, 0, time.UTC), Settings: c.Settings,
			Model:    record.Model{Name: "a", Bytes: 100e6, TokenBytes: 90e6, CacheBytes: 1e3, TokenOps: 2e8, PromptOps: 1e8, TrainedLength: 50},
			Machine:  record.Machine{CPU: "Some CPU", Cores: 2, Level: "avx2"},
			Ceilings: &record.Ceilings{ReadGBs: 30, DotGOPS: 1000}}
		for k, engine := range []record.Engine{{Name: record.Ledge, SHA256: "aa", Version: "v1"}, {Name: "llama.cpp", Version: "b7", Args: []string{"llama-bench", "-m", "MODEL", "-t", "2", "-p", "a b"}}, {Name: "tool"}} {
			run := record.Run{Engine: engine, Figures: map[string]record.Figure{}}
			for name, v := range figures {
				if v[k] > 0 {
					run.Figures[name] = record.NewFigure(name, v[k]*(1+float64(i)/100))
				}
			}
			if len(run.Figures) > 0 {
				r.Runs = append(r.Runs, run)
			}
		}
		if change != nil {
			change(&r)
		}
		all = append(all, r)
	}
	return all
}

func records(s *suite.Suite) []record.Record {
	all := rounds(s, "eight/a/t1/tg32@d128x8", 1, map[string][3]float64{record.Decode: {1000, 0, 0}}, nil) // before the others: the suite's order counts
	all = append(all, rounds(s, "speed/a/t2/pp512+tg64", 3, map[string][3]float64{record.Decode: {300, 150, 100}, record.Prefill: {1000, 600, 0}, record.PeakMemory: {144, 120, 0}}, func(r *record.Record) {
		if r.Round == 2 {
			r.Disturbed = []string{"swapping: 1000 pages"}
		}
	})...)
	all = append(all, rounds(s, "speed/a/t1/pp512+tg64", 1, map[string][3]float64{record.Decode: {150, 100, 0}, record.Prefill: {1000, 400, 0}}, func(r *record.Record) {
		r.Runs[0].Engine.SHA256, r.Runs[0].Engine.Version = "bb", "v0"
		r.Runs = append(r.Runs, record.Run{Engine: record.Engine{Name: "tool"}, Failure: "exit status 3 | odd"})
		r.Disturbed = []string{"other processes used 0.31 processors"}
	})...)
	all = append(all, rounds(s, "start/a/t2/start/c100", 2, map[string][3]float64{record.Wall: {0.05, 0.1, 0}, record.PeakMemory: {130, 200, 0}}, nil)...)
	return append(all, record.Record{Version: 1, Case: "of another suite", Runs: []record.Run{{Engine: record.Engine{Name: record.Ledge}, Figures: map[string]record.Figure{record.Decode: record.NewFigure(record.Decode, 1)}}}})
}

const wantText = `Measured 2026-01-02 on 2 cores of Some CPU, level avx2, Ledge v1; llama.cpp b7. At most, with one thread memory was read at 30 GB/s, the int8 dot product made 1000 GOPS; with 2 threads memory was read at 30 GB/s, the int8 dot product made 1000 GOPS.
Figures are medians of 1 to 3 rounds. Ratios are taken within a round; in brackets is the 95 % interval of their median.

Generation
  model   test            threads  Ledge  llama.cpp  ratio             tool    ratio             of the ceiling  bar               met
  a * † ‡  tg64            1        150    100        1.50              failed  -                 45 %            ≥ 1.7× or ≥ 88 %  no
  a       tg64            2        303    152        2.00 (2.00-2.00)  101     3.00 (3.00-3.00)  91 %            ≥ 1.7× or ≥ 88 %  yes
  a       8 × tg32 @ d128  1        1000   -          -                 -       -                 38 %
  * Most rounds were disturbed: other processes used processors.
  † tool failed: exit status 3 | odd.
  ‡ Measured with another build of Ledge: v0.
  1 of 2 rows meet their bar.
  A note.

Memory and starts
  model  test          threads  figure       Ledge  llama.cpp  ratio             bar             met
  a      pp512+tg64    2        peak memory  145    121        1.20 (1.20-1.20)  ≤ 140.5         no
  a      start c100    2        wall         0.050  0.101      0.50 (0.50-0.50)  ≤ 0.7×          yes
  a      start c100    2        peak memory  131    201        0.65 (0.65-0.65)  ≤ 130.1 (open)  no
  1 of 3 rows meet their bar.
`

func squeeze(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

// TestText: the suite's tables, bars and order; footnotes; columns only where they say
// something.
func TestText(t *testing.T) {
	s := parse(t, `
tables:
  - {title: Generation, figures: decode, note: A note.}
  - {title: Memory and starts, cases: [speed, start], figures: [peak_memory, wall]}
  - {title: Nothing, figures: kl}
`)
	all := records(s)
	got := table.Text(all[:len(all)-1], table.Of(all, table.Options{Suite: s}))
	if squeeze(got) != squeeze(wantText) {
		t.Errorf("%s\nwant\n%s", got, wantText)
	}
}

// TestRounds: what was measured once has no medians.
func TestRounds(t *testing.T) {
	s := parse(t, "")
	for n, want := range map[int]string{1: "Figures are those of one round.\n", 2: "Figures are medians of 2 rounds. Ratios are taken"} {
		all := rounds(s, "start/a/t2/start/c100", n, map[string][3]float64{record.Wall: {0.05, 0.1, 0}}, nil)
		if text := table.Text(all, table.Of(all, table.Options{Suite: s})); !strings.Contains(text, want) {
			t.Errorf("%d rounds: %s", n, text)
		}
	}
}

func TestMarkdown(t *testing.T) {
	s := parse(t, "")
	all := records(s)
	got := table.Markdown(all, table.Of(all, table.Options{Suite: s, Figures: []string{record.Prefill}}))
	for _, want := range []string{
		"### Reading a prompt, tokens a second\n\n| model | test | threads | Ledge | llama.cpp | ratio | tool | ratio | of the ceiling | bar | met |\n| --- |",
		"| a * † ‡ | pp512 | 1 | 1000 | 400 | 2.50 | failed | - | 10 % | ≥ 2× | yes |\n",
		"| a | pp512 | 2 | 1010 | 606 | 1.67 (1.67-1.67) | - | - | 10 % | ≥ 2× | **no** |\n",
		"\\* Most rounds were disturbed", "1 of 2 rows meet their bar. Commands of the peers: `llama-bench -m MODEL -t T -p \"a b\"`.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
	// A journal alone has default tables, and no bars.
	got = table.Text(all, table.Of(all, table.Options{}))
	if !strings.Contains(got, "Most memory resident, MB") || !strings.Contains(got, "The whole process, s") || strings.Contains(got, "bar") {
		t.Errorf("%s", got)
	}
	if got := table.Text(nil, table.Of(nil, table.Options{})); got != "Nothing is measured yet.\n" {
		t.Errorf("%q", got)
	}
}

func TestReplace(t *testing.T) {
	document := "above\n" + table.Begin + "old\n" + table.End + "below\n"
	got, err := table.Replace(document, "new\n")
	if err != nil || got != "above\n"+table.Begin+"\nnew\n\n"+table.End+"below\n" {
		t.Errorf("%q, %v", got, err)
	}
	if again, err := table.Replace(got, "new\n"); err != nil || again != got {
		t.Errorf("again: %q, %v", again, err)
	}
	for _, bad := range []string{"", table.Begin, table.End + table.Begin} {
		if _, err := table.Replace(bad, "x"); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestCompare: a change counts if the interval says so; what the machine did to both
// engines does not.
func TestCompare(t *testing.T) {
	s := parse(t, "")
	const id = "speed/a/t1/pp512+tg64"
	before := rounds(s, id, 5, map[string][3]float64{record.Decode: {100, 50, 0}, record.Wall: {1, 2, 0}, record.Load: {1, 0, 0}}, nil)
	after := rounds(s, id, 5, map[string][3]float64{record.Decode: {50, 25, 0}, record.Wall: {1.5, 2, 0}, record.Load: {0.5, 0, 0}, record.Kept: {1, 1, 0}}, nil)
	got := map[string]table.Change{}
	for _, c := range table.Compare(before, after, record.Names(), 0.02) {
		got[c.Figure] = c
	}
	if len(got) != 3 || got[record.Decode].Verdict != table.Same || got[record.Wall].Verdict != table.Worse || got[record.Load].Verdict != table.Better {
		t.Errorf("%+v", got)
	}
	if c := got[record.Decode]; c.Ratio.Median != 0.5 || c.Peer != "llama.cpp" || c.Beside.Median != 1 {
		t.Errorf("%+v", c)
	}
	text := table.Changes(table.Compare(before, after, []string{record.Wall}, 0.02)).Text()
	if !strings.Contains(text, "1.50") || !strings.Contains(text, "worse") {
		t.Errorf("%s", text)
	}
	if c := table.Compare(before, nil, record.Names(), 0); len(c) != 0 {
		t.Errorf("%+v", c)
	}
}

// TestCompareUnlike: a change may be another machine's, or another file's.
func TestCompareUnlike(t *testing.T) {
	s := parse(t, "")
	of := func(change func(*record.Record)) []record.Record {
		return rounds(s, "speed/a/t1/pp512+tg64", 3, map[string][3]float64{record.Decode: {100, 0, 0}}, change)
	}
	for want, change := range map[string]func(*record.Record){
		"": func(r *record.Record) { r.Machine.Kernel = "6.2" },
		"the machine is another one (2 cores of Other; before 2 cores of Some CPU)":                        func(r *record.Record) { r.Machine.CPU = "Other" },
		"the machine is another one (2 cores of Some CPU, , 8.0 GB; before 2 cores of Some CPU, , 0.0 GB)": func(r *record.Record) { r.Machine.Memory = 8e9 },
		"the file of model a is another one":                                                               func(r *record.Record) { r.Model.SHA256 = "other" },
		"the variables around the benchmark are others":                                                    func(r *record.Record) { r.Env = map[string]string{"OMP_NUM_THREADS": "1"} },
	} {
		all := table.Compare(of(nil), of(change), []string{record.Decode}, 0.02)
		if len(all) != 1 || all[0].Why != want {
			t.Errorf("%+v, want %q", all, want)
		}
		if text := table.Changes(all).Text(); want != "" && !strings.Contains(text, "Not Ledge alone: "+want+".") || want == "" && strings.Contains(text, "Not Ledge") {
			t.Errorf("%s\nwant %q", text, want)
		}
	}
}

// TestDevice: a device that Ledge chose by itself is shown, and another machine is.
func TestDevice(t *testing.T) {
	s := parse(t, "")
	all := append(rounds(s, "speed/a/t1/pp512+tg64", 1, map[string][3]float64{record.Decode: {100, 0, 0}}, func(r *record.Record) {
		r.Runs[0].Devices, r.Machine.CPU = []record.Device{{Name: "vulkan0"}}, "Other"
	}), rounds(s, "speed/a/t2/pp512+tg64", 2, map[string][3]float64{record.Decode: {100, 0, 0}}, nil)...)
	got := table.Text(all, table.Of(all, table.Options{}))
	for _, want := range []string{"device", "vulkan0", "Measured on another machine: 2 cores of Other.", "on 2 cores of Some CPU"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %q", got, want)
		}
	}
}
