package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/ledge-run/ledge/build/internal/report"
	"github.com/ledge-run/ledge/runtime/bench/stats"
)

const (
	begin = "<!-- go run ./build/trainspeed table writes what follows -->\n"
	end   = "<!-- and ends here -->\n"
)

// ratio is how many times as fast Ledge is, turn by turn.
func (r *result) ratio() stats.Estimate {
	var x []float64
	for i, s := range r.Sides[1].Turns {
		x = append(x, s/r.Sides[0].Turns[i])
	}
	return stats.Summarise(x)
}

// row is a line of the table.
func (r *result) row() string {
	s := &r.Settings
	tokens := float64(s.Batch * s.Length)
	cell := func(x *side) (ms, rate, peak string) {
		m := stats.Median(x.Turns)
		return fmt.Sprintf("%.1f", 1e3*m), fmt.Sprintf("%.0f", tokens/m), fmt.Sprintf("%.0f (%.0f)", float64(x.Peak)/1e6, float64(x.Peak-x.Before)/1e6)
	}
	m0, t0, p0 := cell(&r.Sides[0])
	m1, t1, p1 := cell(&r.Sides[1])
	e := r.ratio()
	return fmt.Sprintf("| %d x %d | %s | %s | %s | %s | %s | **%.2f** (%.2f to %.2f) | %s | %s | %.1e |",
		s.Batch, s.Length, s.Precision, m0, m1, t0, t1, e.Median, e.Low, e.High, p0, p1, r.Apart)
}

// table writes the newest measurement of each case into the page.
func (o *options) table(out io.Writer) error {
	f, err := os.Open(o.journal)
	if err != nil {
		return fmt.Errorf("%w: measure first", err)
	}
	defer f.Close()
	newest := map[string]*result{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		r := &result{}
		if err := json.Unmarshal(lines.Bytes(), r); err != nil {
			return fmt.Errorf("%s, line %d: %w", o.journal, n, err)
		}
		newest[r.Case] = r
	}
	if err := lines.Err(); err != nil {
		return err
	}
	var b strings.Builder
	var last *result
	turns, disturbed, least, most := 0, 0, math.MaxInt, 0
	b.WriteString("\n| Step | products | Ledge, ms | PyTorch, ms | Ledge, tok/s | PyTorch, tok/s | times as fast | Ledge, MB | PyTorch, MB | losses apart |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, name := range strings.Split(o.cases, ",") {
		if r := newest[name]; r != nil {
			fmt.Fprintln(&b, r.row())
			last = r
			n := len(r.Sides[0].Turns)
			turns, least, most = turns+n, min(least, n), max(most, n)
			disturbed += r.Disturbed
		}
	}
	if last == nil {
		return errors.New("none of the cases has been measured")
	}
	s := &last.Settings
	each := fmt.Sprint(least)
	if least < most {
		each = fmt.Sprintf("%d to %d", least, most)
	}
	fmt.Fprintf(&b, "\n%s, %d threads, %s. PyTorch %s. A Llama of %.1f million parameters (vocabulary %d, %d layers of %d, %d heads, %d of them for keys, feed-forward %d).\n",
		last.Machine.CPU, s.Threads, last.Sides[0].Version, last.Sides[1].Version, float64(last.Sides[0].Parameters)/1e6, s.Vocab, s.Layers, s.Hidden, s.Heads, s.KVHeads, s.FFN)
	fmt.Fprintf(&b, "%s turns of each side, medians of turns; the interval is the bootstrap's of their ratios (95 %%). Memory is the process's peak, beside it what it is more than before there was a model. Losses of the first %d steps. Of all %d turns, %d count although another process was at work beside them.\n\n",
		each, last.Checked, turns, disturbed)
	if _, err := io.WriteString(out, b.String()); err != nil {
		return err
	}
	return report.Insert(o.docs, begin, b.String(), end)
}
