package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/bench"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func (a *app) benchCommand() *cli.Command {
	list := func(name, alias, value, usage string) cli.Flag {
		return &cli.StringFlag{Name: name, Aliases: []string{alias}, Value: value, Usage: usage}
	}
	c := &cli.Command{
		Name:  "bench",
		Usage: "measure speed with llama-bench's tests",
		Flags: join([]cli.Flag{
			list("n-prompt", "p", "512", "read prompts of `N,...` tokens; 0 for none"),
			list("n-gen", "n", "128", "generate `N,...` tokens; 0 for none"),
			list("n-depth", "d", "0", "with `N,...` tokens in the cache already"),
			&cli.StringFlag{Name: "parallel", Value: "1", Usage: "by `N,...` sequences at once"},
			list("threads", "t", "0", "with `N,...` CPU threads; 0: as many as help"),
			&cli.IntFlag{Name: "repetitions", Aliases: []string{"r"}, Value: 5, Usage: "measure `N` times after a warm-up"},
			list("output", "o", "table", "`FORMAT`: table, json or csv"),
			&cli.BoolFlag{Name: "json", Usage: "the same as -o json"},
			&cli.BoolFlag{Name: "counters", Usage: "print what a generated token costs on the device: dispatches, read-backs, bytes moved; counters in JSON"},
			&cli.BoolFlag{Name: "ceiling", Usage: "measure how fast memory is read, too: read_gbs, in JSON and CSV"},
		}, limitFlags(), nameFlags(), []cli.Flag{
			&cli.StringFlag{Name: "device", Usage: "`NAME` of a device or backend (see ledge devices)", Category: catModel},
			&cli.IntFlag{Name: "batch", Aliases: []string{"b"}, Usage: "read prompts in chunks of `N` tokens (default: 512)", Category: catModel},
			gpuLayersFlag(), cacheFlag(), noCacheFlag(), shareFlag(),
		}),
		Action: a.bench,
	}
	return describe(c, "ledge bench [FLAGS] [MODEL]", `
Tests are ppN (reading N tokens) and tgN (generating N, one after the other), at each
depth and number of threads, with random tokens. With --parallel each is run by so many
sequences at once, and tokens per second are of all together. Of the usual sizes no more is
read or generated than the model was trained for. JSON and CSV have llama-bench's field
names.

Energy is what the machine measures, for each token of the repetitions (J/token, and
its inverse tok/J); n/a where nothing does: see ledge power. JSON and CSV name it
joules_per_token, tokens_per_joule, avg_watts, energy_source, energy_covers (module,
package, card or machine), energy_method and energy_note (why there is none; figures are
null then); "energy" in JSON has every source. With limits of the machine, figures are
those of a machine that is held back; paused_ns is the time of it.`,
		`ledge bench -m model.gguf`,
		`ledge bench -m model.gguf -p 512 -n 64 -d 0,4096 -t 1,2 -r 5 -o json`,
		`ledge bench -m model.gguf -p 0 -n 64 -d 128 --parallel 1,2,4,8`,
		`ledge bench -m model.gguf -p 0 -n 256 --max-watts 10`,
		`ledge bench -m model.gguf --device vulkan -p 0 -n 32 --counters`)
}

func (a *app) bench(c *cli.Context) error {
	if err := only(c, 1, "one MODEL"); err != nil {
		return err
	}
	format := strings.ToLower(c.String("output"))
	if c.Bool("json") {
		format = "json"
	}
	// Rows are written as they come; JSON at the end, so that it is whole or not there.
	var row func(first bool, r bench.Result) error
	switch format {
	case "table":
		row = a.benchTable
	case "csv":
		row = a.benchCSV
	case "json":
		row = func(bool, bench.Result) error { return nil }
	default:
		return usagef("-o %s: it must be table, json or csv", format)
	}
	counters := c.Bool("counters")
	if counters && format == "csv" {
		return usagef("--counters goes with -o table and -o json")
	}
	if c.Bool("ceiling") && format == "table" {
		return usagef("--ceiling goes with -o json and -o csv")
	}
	tests, threads, o, err := a.benchPlan(c)
	if err != nil {
		return err
	}
	if c.Int("repetitions") < 1 {
		return usagef("-r %d: it must be 1 or more", c.Int("repetitions"))
	}
	results := []bench.Result{}
	for _, t := range threads {
		o.Threads = t
		err := a.benchThreads(c, o, tests, func(r bench.Result) error {
			if !counters {
				r.Counters = nil
			}
			results = append(results, r)
			return row(len(results) == 1, r)
		})
		if err != nil {
			return err
		}
	}
	if format == "json" {
		return a.out.JSON(results, true)
	}
	if format == "table" {
		a.benchEnergy(results)
		if a.governor != nil {
			fmt.Fprintf(a.out, "\nlimits %s\n", oneLine(a.governor.Report().String()))
		}
	}
	for _, r := range results {
		if r.Counters != nil {
			fmt.Fprintf(a.out, "\n%s, each token on %s\n", r.Test(), r.Counters)
		}
	}
	return a.out.Flush()
}

// benchPlan reads what is to be measured.
func (a *app) benchPlan(c *cli.Context) (tests []bench.Test, threads []int, o engine.Options, err error) {
	var sizes [5][]int
	for i, name := range []string{"n-prompt", "n-gen", "n-depth", "threads", "parallel"} {
		if sizes[i], err = numbers(name, c.String(name)); err != nil {
			return nil, nil, o, err
		}
	}
	if tests = bench.Tests(sizes[0], sizes[1], sizes[2], sizes[4]); len(tests) == 0 {
		return nil, nil, o, usagef("nothing to measure: -p and -n are both 0")
	}
	if o, err = a.options(c); err != nil {
		return nil, nil, o, err
	}
	o.Context = 0
	for _, t := range tests {
		if t.Parallel < 1 || t.Parallel > engine.MaxStreams {
			return nil, nil, o, usagef("--parallel %d: it must be 1 to %d", t.Parallel, engine.MaxStreams)
		}
		o.Sequences = max(o.Sequences, t.Parallel)
	}
	return tests, sizes[3], o, nil
}

// numbers reads "1,2,4".
func numbers(name, text string) ([]int, error) {
	var out []int
	for _, w := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(w))
		if err != nil || n < 0 || n > 1<<24 {
			return nil, usagef("--%s %s: %q is no size: give whole numbers divided by commas", name, text, w)
		}
		out = append(out, n)
	}
	return out, nil
}

// benchThreads runs all tests with one number of threads.
func (a *app) benchThreads(c *cli.Context, o engine.Options, tests []bench.Test, each func(bench.Result) error) (err error) {
	f, name, err := a.openFile(c, c.Args().First())
	if err != nil {
		return err
	}
	if tests, err = fit(c, f, tests); err != nil {
		return errors.Join(err, f.Close())
	}
	for _, t := range tests {
		o.Context = max(o.Context, t.Context())
	}
	m, err := a.load(c.Context, f, onProcessor(c, name, o))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close(m)) }()
	bar := a.newProgress()
	defer bar.Done()
	a.tell = func(note string) { bar.Log("note: " + note) }
	var ceiling bench.Ceiling
	if c.Bool("ceiling") {
		const size, passes = 256 << 20, 5
		if ceiling, err = bench.ReadCeiling(c.Context, size, max(1, usedThreads(m, o.Threads)), passes); err != nil {
			return err
		}
	}
	repeat, meter := c.Int("repetitions"), openMeter()
	for _, t := range tests {
		r, err := bench.RunMetered(c.Context, m, t, repeat, meter, func(done int) {
			bar.Show(t.String(), float64(done)/float64(repeat), fmt.Sprintf("%d of %d", done, repeat))
		})
		bar.Done()
		if err != nil {
			return err
		}
		r.Commit, r.ReadGBs = buildInfo().Revision, ceiling.ReadGBs
		r.Threads = usedThreads(m, o.Threads)
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// fit makes tests of the usual sizes as small as the model's context, and refuses sizes
// that were asked for.
func fit(c *cli.Context, f *gguf.File, tests []bench.Test) ([]bench.Test, error) {
	var fitting []bench.Test
	for _, t := range tests {
		n := t.Context()
		most := atMost(f, n)
		if over := n - most; over > 0 {
			switch {
			case t.Prompt > over && !c.IsSet("n-prompt"):
				t.Prompt -= over
			case t.Gen > over && !c.IsSet("n-gen"):
				t.Gen -= over
			default:
				return nil, fmt.Errorf("%s needs a context of %d tokens; this model was trained for %d: give less with -p, -n or -d", t, n, most)
			}
		}
		fitting = append(fitting, t)
	}
	return fitting, nil
}

// usedThreads is the number of threads that a model computes with, as its
// device describes it where the number was left to it.
func usedThreads(m *engine.Model, asked int) int {
	if d := m.Device(); d.Processor() {
		for _, part := range strings.Split(d.Description, ", ") {
			if n, err := strconv.Atoi(strings.TrimSuffix(part, " threads")); err == nil && strings.HasSuffix(part, " threads") {
				return n
			}
		}
	}
	return asked
}

func (a *app) benchTable(first bool, r bench.Result) error {
	if first {
		fmt.Fprintf(a.out, "| %-30s | %10s | %10s | %-10s | %7s | %15s | %20s | %9s | %9s |\n", "model", "size", "params", "backend", "threads", "test", "t/s", "J/token", "tok/J")
		dashes := func(n int) string { return strings.Repeat("-", n) }
		fmt.Fprintf(a.out, "| %s | %s: | %s: | %s | %s: | %s: | %s: | %s: | %s: |\n", dashes(30), dashes(9), dashes(9), dashes(10), dashes(6), dashes(14), dashes(19), dashes(8), dashes(8))
	}
	fmt.Fprintf(a.out, "| %-30s | %10s | %10s | %-10s | %7d | %15s | %20s | %9s | %9s |\n", oneLine(r.Type), fmt.Sprintf("%.2f MiB", float64(r.Size)/(1<<20)),
		bench.Millions(r.Params), r.Backends, r.Threads, r.Test(), fmt.Sprintf("%.2f ± %.2f", r.AvgTs, r.StddevTs),
		figure(r.JoulesPerToken), figure(r.TokensPerJoule))
	return a.out.Flush()
}

// benchCSV writes a result without the samples.
func (a *app) benchCSV(first bool, r bench.Result) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	names, values, err := columns(data)
	if err != nil {
		return err
	}
	w := csv.NewWriter(a.out)
	if first {
		err = w.Write(names)
	}
	if err == nil {
		err = w.Write(values)
	}
	w.Flush()
	if err = errors.Join(err, w.Error()); err != nil {
		return err
	}
	return a.out.Flush()
}

// columns gives the names and values of a JSON object's plain fields in order; null
// is empty.
func columns(object []byte) (names, values []string, err error) {
	d := json.NewDecoder(strings.NewReader(string(object)))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return nil, nil, err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, nil, err
		}
		switch v.(type) {
		case []any, map[string]any:
			continue
		case nil:
			v = ""
		}
		names, values = append(names, fmt.Sprint(key)), append(values, fmt.Sprint(v))
	}
	return names, values, nil
}
