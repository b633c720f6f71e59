package table

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/stats"
	"github.com/ledge-run/ledge/runtime/bench/summary"
)

// newest is the record that was measured last; nil of none.
func newest(records []record.Record) *record.Record {
	var last *record.Record
	for i := range records {
		if last == nil || records[i].Time.After(last.Time) {
			last = &records[i]
		}
	}
	return last
}

func program(r *record.Record) record.Engine {
	if r == nil {
		return record.Engine{}
	}
	run, ok := r.Of(record.Ledge)
	if !ok {
		return record.Engine{}
	}
	return run.Engine
}

// marks are the footnotes of a table.
type marks struct {
	newest  *record.Record // of all
	program string         // of Ledge in it
	notes   []string
}

var signs = []string{"*", "†", "‡", "§", "¶"}

// of are a row's signs.
func (m *marks) of(records []record.Record, r *summary.Row) string {
	var said []string
	if len(r.Disturbed) > 0 {
		said = append(said, "Most rounds were disturbed: "+strings.Join(kinds(r.Disturbed), "; ")+".")
	}
	for _, e := range r.Engines {
		for _, f := range e.Failures {
			said = append(said, fmt.Sprintf("%s failed: %s.", e.Name, strings.TrimSuffix(f, ".")))
		}
	}
	if rounds := summary.Rounds(records, r.Case); len(rounds) > 0 {
		last := rounds[len(rounds)-1]
		if p := program(last); p.SHA256 != m.program {
			said = append(said, fmt.Sprintf("Measured with another build of Ledge: %s.", name(p)))
		}
		if !last.Machine.Same(&m.newest.Machine) {
			said = append(said, fmt.Sprintf("Measured on another machine: %s.", machine(&last.Machine)))
		}
	}
	s := ""
	for _, text := range said {
		i := slices.Index(m.notes, text)
		if i < 0 {
			i = len(m.notes)
			m.notes = append(m.notes, text)
		}
		s += " " + sign(i)
	}
	return s
}

// sign is that of the i-th footnote.
func sign(i int) string {
	if i < len(signs) {
		return signs[i]
	}
	return fmt.Sprintf("(%d)", i+1)
}

// kinds are disturbances without their numbers, each once.
func kinds(disturbed []string) []string {
	var all []string
	for _, d := range disturbed {
		words := strings.FieldsFunc(d, func(r rune) bool { return r >= '0' && r <= '9' })
		if d = strings.TrimSpace(strings.TrimRight(words[0], " :")); len(words) > 1 && strings.Contains(words[len(words)-1], "processors") {
			d += " processors" + strings.TrimPrefix(words[len(words)-1], " processors")
		}
		if !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	return all
}

// name is a build of Ledge.
func name(e record.Engine) string {
	if e.Version != "" {
		return e.Version
	}
	return "program " + e.SHA256[:min(len(e.SHA256), 12)]
}

// machine names one shortly.
func machine(m *record.Machine) string {
	s := fmt.Sprintf("%d cores of %s", m.Cores, m.CPU)
	if m.Board != "" {
		s += ", " + m.Board
	}
	return s
}

// commands are the peers' command lines in the rows' cases, each once, the number of
// threads being T.
func commands(records []record.Record, rows []summary.Row) []string {
	var all []string
	records = summary.Latest(records)
	for i := range records {
		if !slices.ContainsFunc(rows, func(r summary.Row) bool { return r.Case == records[i].Case }) {
			continue
		}
		for _, run := range records[i].Runs {
			words := slices.Clone(run.Engine.Args)
			for j := 1; j < len(words); j++ {
				if words[j-1] == "-t" {
					words[j] = "T"
				}
				if strings.ContainsAny(words[j], " \t") {
					words[j] = `"` + words[j] + `"`
				}
			}
			if s := strings.Join(words, " "); len(words) > 0 && !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// intro says when, on what and with what all was measured.
func intro(records []record.Record) string {
	records = summary.Latest(records)
	last := newest(records)
	versions := map[string][]string{}
	rounds := map[string]int{}
	for i := range records {
		r := &records[i]
		rounds[r.Case]++
		for _, run := range r.Runs {
			if v := run.Engine.Version; run.Engine.Name != record.Ledge && v != "" && !slices.Contains(versions[run.Engine.Name], v) {
				versions[run.Engine.Name] = append(versions[run.Engine.Name], v)
			}
		}
	}
	if last == nil {
		return "Nothing is measured yet.\n"
	}
	m := last.Machine
	s := fmt.Sprintf("Measured %s on %d cores of %s", last.Time.Format("2006-01-02"), m.Cores, m.CPU)
	if m.Level != "" {
		s += ", level " + m.Level
	}
	if m.Virtual != "" {
		s += ", a virtual machine"
	}
	if m.Board != "" {
		s += ", " + m.Board
	}
	if last.After.Mode != "" {
		s += ", power mode " + last.After.Mode
	}
	s += fmt.Sprintf(", Ledge %s", name(program(last)))
	var peers []string
	for p, v := range versions {
		peers = append(peers, p+" "+strings.Join(v, ", "))
	}
	slices.Sort(peers)
	if len(peers) > 0 {
		s += "; " + strings.Join(peers, "; ")
	}
	s += "."
	if c := ceilings(records); c != "" {
		s += " " + c
	}
	least, most := len(records), 0
	for _, n := range rounds {
		least, most = min(least, n), max(most, n)
	}
	span := fmt.Sprint(most)
	if least < most {
		span = fmt.Sprintf("%d to %d", least, most)
	}
	if most == 1 {
		return s + "\n\nFigures are those of one round.\n"
	}
	return s + fmt.Sprintf("\n\nFigures are medians of %s rounds. Ratios are taken within a round; in brackets is the 95 %% interval of their median.\n", span)
}

// ceilings are the ranges of the ceilings for each number of threads.
func ceilings(records []record.Record) string {
	read, dots := map[int][]float64{}, map[int][]float64{}
	var threads []int
	last := newest(records)
	for _, r := range records {
		if c := r.Ceilings; c != nil && r.Machine.Same(&last.Machine) {
			t := r.Settings.Threads
			if !slices.Contains(threads, t) {
				threads = append(threads, t)
			}
			read[t], dots[t] = append(read[t], c.ReadGBs), append(dots[t], c.DotGOPS)
		}
	}
	slices.Sort(threads)
	var parts []string
	for _, t := range threads {
		who := fmt.Sprintf("%d threads", t)
		switch t {
		case 0:
			who = "all threads"
		case 1:
			who = "one thread"
		}
		span := func(x []float64) string {
			e := stats.Summarise(x)
			if number(e.Smallest) == number(e.Largest) {
				return number(e.Median)
			}
			return number(e.Smallest) + "-" + number(e.Largest)
		}
		part := fmt.Sprintf("with %s memory was read at %s GB/s", who, span(read[t]))
		if stats.Median(dots[t]) > 0 {
			part += fmt.Sprintf(", the int8 dot product made %s GOPS", span(dots[t]))
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return ""
	}
	s := strings.Join(parts, "; ")
	return "At most, " + s + "."
}
