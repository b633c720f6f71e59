package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The report is the part of docs/performance.md between these lines; the text
// around it is written by hand.
const (
	reportBegins = "<!-- written by: go run ./build/compare report -->\n"
	reportEnds   = "<!-- end of what the program writes -->\n"
)

func reportCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := newOptions("report", stderr)
	doc := o.String("doc", "docs/performance.md", "the `FILE` whose tables are replaced")
	remarks := o.String("notes", "build/compare/notes.md", "a `FILE` that is put below the tables as it is")
	picture := o.String("picture", "docs/roofline.svg", "the `FILE` of the roofline picture")
	if err := o.parse(args); err != nil {
		return err
	}
	j, err := openJournal(o.out)
	if err != nil {
		return err
	}
	if len(j.records) == 0 {
		return fmt.Errorf("%s has no rounds: compare run measures them", j.path)
	}
	old, err := os.ReadFile(*doc)
	if err != nil {
		return err
	}
	said, err := os.ReadFile(*remarks)
	if err != nil {
		return err
	}
	report := writeReport(j.records, cases())
	if s := strings.TrimSpace(string(said)); s != "" {
		report += "\n" + s + "\n"
	}
	text, err := replaceReport(string(old), report)
	if err != nil {
		return fmt.Errorf("%s: %w", *doc, err)
	}
	if err := replaceFile(*doc, []byte(text)); err != nil {
		return err
	}
	return replaceFile(*picture, drawRoofline(j.records, cases()))
}

func replaceReport(doc, report string) (string, error) {
	before, rest, ok := strings.Cut(doc, reportBegins)
	_, after, ok2 := strings.Cut(rest, reportEnds)
	if !ok || !ok2 {
		return "", errors.New("the lines between which the report stands are missing")
	}
	return before + reportBegins + report + reportEnds + after, nil
}

// replaceFile writes a file beside its place and renames it.
func replaceFile(path string, data []byte) error {
	part := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".part")
	defer os.Remove(part)
	if err := os.WriteFile(part, data, 0o644); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// latest are the rounds of a case with the newest build that it was measured
// with.
func latest(records []record, id string) []record {
	var all []record
	for _, r := range records {
		if r.Case != id {
			continue
		}
		if len(all) > 0 && all[0].Build != r.Build {
			all = slices.DeleteFunc(all, func(o record) bool { return o.Build != r.Build })
		}
		all = append(all, r)
	}
	return all
}

// result is a row of a case with its figures.
type result struct {
	c       *benchCase
	row     row
	records []record // those that count
	model   string
	marks   string // footnotes

	ledge, peer float64 // medians
	ratio       summary
	share       summary // of the read ceiling, or of the dot products' for prompts
}

// resultsOf lists the rows of a table that were measured.
func resultsOf(records []record, all []benchCase, t table) []result {
	newest := records[len(records)-1].Build
	var results []result
	for i := range all {
		c := &all[i]
		rounds := latest(records, c.id)
		if len(rounds) == 0 {
			continue
		}
		use, disturbed := usable(rounds)
		for _, w := range c.rows {
			if w.table != t {
				continue
			}
			res := evaluate(c, w, use)
			if disturbed > 0 && len(use) == len(rounds) {
				res.marks += " *"
			}
			if rounds[0].Build != newest {
				res.marks += " †"
			}
			results = append(results, res)
		}
	}
	return results
}

func evaluate(c *benchCase, w row, use []record) result {
	get := func(f figures) (float64, bool) { v, ok := f[w.figure]; return v, ok && v > 0 }
	res := result{c: c, row: w, records: use, model: modelNames[c.model]}
	res.ledge = paired(use, func(r record) (float64, bool) { return get(r.Ledge) }).median
	res.peer = paired(use, func(r record) (float64, bool) { return get(r.Rival) }).median
	res.ratio = paired(use, func(r record) (float64, bool) {
		a, ok1 := get(r.Ledge)
		b, ok2 := get(r.Rival)
		return a / b, ok1 && ok2
	})
	res.share = paired(use, func(r record) (float64, bool) {
		v, ok := get(r.Ledge)
		s := share(c, w, r, v)
		return s, ok && !math.IsNaN(s)
	})
	return res
}

// share is the part of the machine's ceiling that a speed reaches: of reading
// when tokens are generated, of int8 products when a prompt is read.
func share(c *benchCase, w row, r record, speed float64) float64 {
	switch w.table {
	case decoding, deep, together:
		if r.Read <= 0 {
			return math.NaN()
		}
		return speed * bytesOf(c, r.Facts) / (r.Read * 1e9)
	case reading:
		if r.Dots <= 0 {
			return math.NaN()
		}
		return speed * r.Facts.operations(true) / (r.Dots * 1e9)
	}
	return math.NaN()
}

// bytesOf are the bytes that a token of the case reads; of the positions that
// are generated the cache grows by, half count.
func bytesOf(c *benchCase, m facts) float64 {
	return m.bytesRead(max(1, c.sequences), c.depth+c.gen/2)
}

// writeReport is all tables as Markdown.
func writeReport(records []record, all []benchCase) string {
	var b bytes.Buffer
	last := records[len(records)-1]
	fmt.Fprintf(&b, "\nMeasured %s on %d cores of %s, level %s, Ledge %s. ", last.Time.Format("2006-01-02"), last.Machine.Cores, last.Machine.CPU,
		last.Machine.Level, buildName(last))
	fmt.Fprintf(&b, "The read ceiling was %s GB/s at one thread and %s at two, the int8 dot product's %s and %s GOPS.\n",
		ceilingRange(records, all, 1, func(r record) float64 { return r.Read }), ceilingRange(records, all, 2, func(r record) float64 { return r.Read }),
		ceilingRange(records, all, 1, func(r record) float64 { return r.Dots }), ceilingRange(records, all, 2, func(r record) float64 { return r.Dots }))
	for t := range numTables {
		results := resultsOf(records, all, t)
		if len(results) == 0 {
			continue
		}
		b.WriteString("\n")
		met, of := 0, len(results)
		switch t {
		case start:
			met = writeStart(&b, results)
		case memory:
			met = writeMemory(&b, results)
		case disturbedCore:
			met = writeLoaded(&b, results)
		default:
			met = writeSpeed(&b, t, results)
		}
		fmt.Fprintf(&b, "\n%d of %d rows meet their bar. %s\n", met, of, commandsOf(results))
	}
	b.WriteString("\n" + notes(records, all))
	return b.String()
}

// buildName is the commit of a record's build, or the hash of its program.
func buildName(r record) string {
	if r.Commit == "" {
		return "build " + r.Build
	}
	return r.Commit
}

// notes explain the marks that occur.
func notes(records []record, all []benchCase) string {
	marks := ""
	for t := range numTables {
		for _, r := range resultsOf(records, all, t) {
			marks += r.marks
		}
	}
	least, most := math.MaxInt, 0
	for t := range numTables {
		for _, r := range resultsOf(records, all, t) {
			least, most = min(least, len(r.records)), max(most, len(r.records))
		}
	}
	s := fmt.Sprintf("Figures are medians of %d to %d rounds; ratios are taken within a round, their range over the rounds in brackets.\n", least, most)
	if strings.Contains(marks, "*") {
		s += "\n\\* Others used the processors in most of these rounds.\n"
	}
	if strings.Contains(marks, "†") {
		s += "\n† Measured with an earlier build.\n"
	}
	return s
}

// ceilingRange is the range of a ceiling over all rounds at a number of threads.
func ceilingRange(records []record, all []benchCase, threads int, get func(r record) float64) string {
	var x []float64
	for i := range all {
		if all[i].threads == threads {
			for _, r := range latest(records, all[i].id) {
				x = append(x, get(r))
			}
		}
	}
	s := summarize(x)
	if s.n == 0 {
		return "(not measured)"
	}
	return figure(s.min) + "-" + figure(s.max)
}

var titles = [numTables]struct{ title, share string }{
	decoding: {"Decoding", "of the read ceiling"},
	deep:     {"Decoding with a filled cache (llama.cpp: the better of -fa 0 and 1)", "of the read ceiling"},
	reading:  {"Reading a prompt of 512 tokens", "of the dot-product ceiling"},
	openvino: {"Reading a prompt of 512 tokens, against OpenVINO GenAI", ""},
	together: {"Eight sequences decoding together, tokens a second of all", "of the read ceiling"},
	forced:   {"AVX2 only (LEDGE_CPU=avx2), against llama.cpp built for AVX2 only", ""},
}

// commandsOf are the command lines of a table's cases; M and T stand for the model
// and the number of threads.
func commandsOf(results []result) string {
	var seen []string
	add := func(words ...string) {
		if s := "`" + strings.Join(words, " ") + "`"; !slices.Contains(seen, s) {
			seen = append(seen, s)
		}
	}
	for _, r := range results {
		ours, theirs := r.c.commands()
		for _, words := range append(ours, theirs...) {
			add(words...)
		}
	}
	return "Commands: " + strings.Join(seen, ", ") + "."
}

// writeSpeed, like the others that write a table, says how many rows meet their
// bar.
func writeSpeed(b *bytes.Buffer, t table, results []result) (met int) {
	ti := titles[t]
	fmt.Fprintf(b, "### %s\n\n", ti.title)
	head := "| model | test | threads | Ledge, tok/s | peer, tok/s | ratio |"
	if ti.share != "" {
		head += " " + ti.share + " |"
	}
	head += " bar | met |"
	fmt.Fprintln(b, head)
	fmt.Fprintln(b, strings.Repeat("| --- ", strings.Count(head, "|")-1)+"|")
	for _, r := range results {
		fmt.Fprintf(b, "| %s%s | %s | %d | %s | %s | %s |", r.model, r.marks, testName(r.c, r.row), r.c.threads, figure(r.ledge), figure(r.peer), ratioText(r.ratio))
		if ti.share != "" {
			fmt.Fprintf(b, " %s |", percent(r.share.median))
		}
		fmt.Fprintf(b, " %s | %s |\n", r.row.bar, yes(r.row.bar.met(r.ratio.median, r.share.median), &met))
	}
	return met
}

func testName(c *benchCase, w row) string {
	switch {
	case c.sequences > 1:
		return fmt.Sprintf("%d × tg%d @ d%d", c.sequences, c.gen, c.depth)
	case c.depth > 0:
		return fmt.Sprintf("%s @ d%d", w.figure, c.depth)
	}
	return w.figure
}

func writeStart(b *bytes.Buffer, results []result) (met int) {
	b.WriteString("### From the start of the process to the first token, second start, 2 threads\n\n")
	b.WriteString("| model | | Ledge, s | llama.cpp, s | ratio | bar | met |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	what := map[string]string{"wall_s": "wall", "cpu_s": "CPU"}
	for _, r := range results {
		fmt.Fprintf(b, "| %s%s | %s | %.3f | %.3f | %s | %s | %s |\n", r.model, r.marks, what[r.row.figure], r.ledge, r.peer, ratioText(r.ratio), r.row.bar,
			yes(r.row.bar.met(r.ratio.median, 1), &met))
	}
	return met
}

// slack is what a process may use besides its model and cache.
const slack = 40e6

// memoryBounds are the most memory that Ledge may use for a case, with the cache
// of the context that is open and of the tokens that are in it.
func memoryBounds(c *benchCase, m facts) (context, used int, open, inUse float64) {
	used = max(c.prompt, c.gen) + c.depth
	context = max(used, c.open)
	if m.Context > 0 {
		context = min(context, int(m.Context))
	}
	base := float64(m.FileBytes) + slack
	return context, used, base + float64(m.CacheBytes)*float64(context), base + float64(m.CacheBytes)*float64(used)
}

func writeMemory(b *bytes.Buffer, results []result) (met int) {
	b.WriteString("### Most memory resident, 2 threads\n\nThe bar is the file, 40 MB and the cache: of the whole context that is open, and of the tokens in use.\n\n")
	b.WriteString("| model | context | in use | file, MB | Ledge, MB | llama.cpp, MB | bar, context | met | bar, in use | met |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range results {
		m := r.records[0].Facts
		context, used, open, inUse := memoryBounds(r.c, m)
		stricter := 0 // met counts rows by the first bar
		fmt.Fprintf(b, "| %s%s | %d | %d | %.1f | %.1f | %.1f | ≤ %.1f | %s | ≤ %.1f | %s |\n", r.model, r.marks, context, used, float64(m.FileBytes)/1e6,
			r.ledge, r.peer, open/1e6, yes(r.ledge*1e6 <= open, &met), inUse/1e6, yes(r.ledge*1e6 <= inUse, &stricter))
	}
	return met
}

// loss is the part of its speed that an engine loses when a core is taken.
func loss(f figures) float64 { return 1 - f["loaded"]/f["free"] }

func writeLoaded(b *bytes.Buffer, results []result) (met int) {
	b.WriteString("### Decoding at two threads while another process keeps one of the two cores busy\n\n")
	b.WriteString("| model | Ledge, tok/s | lost | llama.cpp, tok/s | lost | bar | met |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range results {
		ours := paired(r.records, func(r record) (float64, bool) { return loss(r.Ledge), r.Ledge["free"] > 0 }).median
		theirs := paired(r.records, func(r record) (float64, bool) { return loss(r.Rival), r.Rival["free"] > 0 }).median
		fmt.Fprintf(b, "| %s%s | %s | %s | %s | %s | loses no more | %s |\n", r.model, r.marks, figure(r.ledge), percent(ours), figure(r.peer), percent(theirs), yes(ours <= theirs, &met))
	}
	return met
}

func yes(ok bool, met *int) string {
	if ok {
		*met++
		return "yes"
	}
	return "**no**"
}

// figure writes three digits.
func figure(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func percent(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

func ratioText(s summary) string {
	if s.n < 2 {
		return figure(s.median)
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", s.median, s.min, s.max)
}
