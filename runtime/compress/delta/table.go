package delta

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/hub"
)

// WriteTable writes the report as text.
func (r *Report) WriteTable(out io.Writer) error { return r.write(out, nil) }

// WriteHealing writes the report of a model that was pruned and then healed, with a column
// between: the report of what was pruned, beside the same source.
func (r *Report) WriteHealing(out io.Writer, pruned *Report) error { return r.write(out, pruned) }

func (r *Report) write(out io.Writer, pruned *Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	between := "" // of the next row
	row := func(name, before, after, change string) {
		cells := []string{name, before, after, change}
		if pruned != nil {
			cells = []string{name, before, between, after, change}
		}
		between = ""
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	b, a := &r.Before, &r.After
	if pruned == nil {
		row("", "before", "after", "change")
	} else {
		between = "pruned"
		row("", "before", "healed", "change")
	}
	bytes := func(name string, before, after int64) {
		if before > 0 && after > 0 {
			row(name, hub.FormatBytes(before), hub.FormatBytes(after), change(float64(before), float64(after)))
		}
	}
	if pruned != nil {
		between = hub.FormatBytes(pruned.After.FileBytes)
	}
	bytes("size of the file", b.FileBytes, a.FileBytes)
	bytes("size of the weights", b.Bytes, a.Bytes)
	row("bits per weight", fmt.Sprintf("%.3f", b.BitsPerWeight), fmt.Sprintf("%.3f", a.BitsPerWeight), "")
	count := func(name string, before, after int64) {
		if before > 0 && after > 0 {
			row(name, millions(before), millions(after), change(float64(before), float64(after)))
		}
	}
	count("weights", b.Weights, a.Weights)
	if b.Zeros != nil && a.Zeros != nil {
		row("zeros among them", percent(*b.Zeros), percent(*a.Zeros), "")
	}
	count("multiply-adds a token", b.MultiplyAdds, a.MultiplyAdds)
	count("and a token of context", b.AttentionMultiplyAdds, a.AttentionMultiplyAdds)
	if b.Memory != nil && a.Memory != nil {
		bytes(fmt.Sprintf("memory, context of %d", a.Context), b.Memory.Total(), a.Memory.Total())
	}
	if b.Perplexity != nil && a.Perplexity != nil {
		if pruned != nil && pruned.After.Perplexity != nil {
			between = fmt.Sprintf("%.4f", *pruned.After.Perplexity)
		}
		row("perplexity", fmt.Sprintf("%.4f", *b.Perplexity), fmt.Sprintf("%.4f", *a.Perplexity), change(*b.Perplexity, *a.Perplexity))
	}
	if q := r.Quality; q != nil {
		divergence := func(q *Quality) string { return fmt.Sprintf("%.5f ± %.5f", q.KL, q.KLError) }
		if pruned != nil && pruned.Quality != nil {
			between = divergence(pruned.Quality)
		}
		row("KL to the source", "", divergence(q), "")
		if pruned != nil && pruned.Quality != nil {
			between = percent(pruned.Quality.SameTop)
		}
		row("same first choice", "", percent(q.SameTop), "")
	}
	if b.Score != nil && a.Score != nil {
		score := func(s *eval.Result) string { return fmt.Sprintf("%s ± %.2f", percent(s.Score), 100*s.ScoreErr) }
		if pruned != nil && pruned.After.Score != nil {
			between = score(pruned.After.Score)
		}
		row("score", score(b.Score), score(a.Score),
			fmt.Sprintf("%+.2f", 100*(a.Score.Score-b.Score.Score)))
	}
	speed(row, "reading", b.Prefill, a.Prefill)
	speed(row, "generating", b.Decode, a.Decode)
	if err := w.Flush(); err != nil {
		return err
	}
	return r.remarks(out)
}

func speed(row func(name, before, after, change string), what string, b, a *Speed) {
	if b == nil || a == nil {
		return
	}
	row("tokens/s, "+what, rate(b.TokensPerSecond), rate(a.TokensPerSecond), change(1, Ratio(b, a)))
	if b.JoulesPerToken != nil && a.JoulesPerToken != nil {
		row("J/token, "+what, fmt.Sprintf("%.3g", *b.JoulesPerToken), fmt.Sprintf("%.3g", *a.JoulesPerToken), change(*b.JoulesPerToken, *a.JoulesPerToken))
	}
}

// remarks say what the figures are of, and what there is none of.
func (r *Report) remarks(out io.Writer) error {
	var lines []string
	if q := r.Quality; q != nil {
		lines = append(lines, fmt.Sprintf("measured on %s: %d tokens in %d chunks of %d, the second half of each", q.On, q.Tokens, q.Chunks, q.ChunkSize))
	}
	if s := r.After.Score; s != nil {
		lines = append(lines, fmt.Sprintf("score on %s: %d items, %s by %s", r.Task, s.Items, s.Task, s.By))
	}
	if p, d := r.After.Prefill, r.After.Decode; p != nil && d != nil {
		lines = append(lines, fmt.Sprintf("speed: %s and %s, the median of %d turns", p.Test, d.Test, len(p.Turns)))
		if p.EnergySource != "" {
			lines = append(lines, "energy: "+p.EnergySource)
		}
	}
	for _, a := range r.Absent {
		lines = append(lines, fmt.Sprintf("%s: not measured: %s", a.What, a.Why))
	}
	if len(lines) == 0 {
		return nil
	}
	_, err := io.WriteString(out, "\n"+strings.Join(lines, "\n")+"\n")
	return err
}

func change(before, after float64) string {
	if before == after {
		return "="
	}
	d := 100 * (after/before - 1)
	if math.Abs(d) >= 1000 {
		return fmt.Sprintf("x %.3g", after/before)
	}
	return fmt.Sprintf("%+.1f %%", d)
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }

func rate(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func millions(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f B", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2f M", float64(n)/1e6)
	}
	return fmt.Sprint(n)
}
