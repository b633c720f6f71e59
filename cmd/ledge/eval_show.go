package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/eval"
)

// Tables of more classes than these are left to JSON.
const (
	shownClasses   = 60
	shownConfusion = 20
)

// table is a Markdown table, aligned for the eye.
type table [][]string

func (t table) String() string {
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, s := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(s))
		}
	}
	var b strings.Builder
	for n, row := range t {
		for i, s := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(s))
			if i == 0 {
				b.WriteString("| " + s + pad + " |")
			} else {
				b.WriteString(" " + pad + s + " |")
			}
		}
		b.WriteByte('\n')
		if n > 0 {
			continue
		}
		for i, w := range widths {
			if i == 0 {
				b.WriteString("| " + strings.Repeat("-", w) + " |")
			} else {
				b.WriteString(" " + strings.Repeat("-", max(w-1, 1)) + ": |")
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func share(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) }

// showEval writes a report.
func (a *app) showEval(c *cli.Context, r evalReport) error {
	if c.Bool("json") {
		return a.out.JSON(r, true)
	}
	a.showEvalTable(r)
	return a.out.Flush()
}

// showEvalTable writes a report as tables.
func (a *app) showEvalTable(r evalReport) {
	if r.Partial {
		why := "interrupted"
		if r.failed {
			why = "something failed"
		}
		fmt.Fprintf(a.out, "PARTIAL: %s; the figures are of what was finished.\n\n", why)
	}
	switch first := r.Models[0]; {
	case first.Task != nil:
		a.showTask(r)
	case first.Divergence != nil:
		a.showDivergence(r)
	default:
		t := table{{"model", "perplexity", "±", "tokens"}}
		for _, m := range r.Models {
			t = append(t, []string{modelLabel(m.Model), fmt.Sprintf("%.4f", m.Text.PPL), fmt.Sprintf("%.4f", m.Text.Stderr), fmt.Sprint(m.Text.Tokens)})
		}
		fmt.Fprint(a.out, t)
	}
}

// modelLabel is a model's name as a table shows it.
func modelLabel(name string) string {
	if strings.HasSuffix(strings.ToLower(name), ".gguf") {
		name = filepath.Base(name)
	}
	return strings.ReplaceAll(oneLine(name), "|", "/")
}

func (a *app) showDivergence(r evalReport) {
	t := table{{"model", "PPL", "PPL of the reference", "ln ratio", "KL", "±", "KL 99 %", "KL max", "same top", "RMS Δp", "positions"}}
	for _, m := range r.Models {
		d := m.Divergence
		t = append(t, []string{modelLabel(m.Model), fmt.Sprintf("%.4f ± %.4f", d.Model.PPL, d.Model.Stderr), fmt.Sprintf("%.4f", d.Reference.PPL),
			fmt.Sprintf("%.5f ± %.5f", d.LogRatio, d.LogRatioErr), fmt.Sprintf("%.6f", d.KL), fmt.Sprintf("%.6f", d.KLErr), fmt.Sprintf("%.5f", d.Quantiles["0.99"]), fmt.Sprintf("%.4f", d.KLMax),
			fmt.Sprintf("%.2f ± %.2f %%", 100*d.SameTop, 100*d.SameTopErr), share(d.ProbabilityRMS), fmt.Sprint(d.Positions)})
	}
	fmt.Fprint(a.out, t)
}

// showTask writes one table of all models, then what there is to each.
func (a *app) showTask(r evalReport) {
	first := r.Models[0].Task
	head := []string{"model"}
	var row func(*eval.Result) []string
	score := func(t *eval.Result) string { return fmt.Sprintf("%.2f ± %.2f %%", 100*t.Score, 100*t.ScoreErr) }
	switch first.Task {
	case eval.Command:
		head = append(head, "exact match", "slot F1", "precision", "recall", "JSON valid", "JSON found")
		row = func(t *eval.Result) []string {
			s := t.Slots
			return []string{score(t), share(s.Micro.F1), share(s.Micro.Precision), share(s.Micro.Recall), share(s.Valid), share(s.Found)}
		}
	case eval.Answer:
		head = append(head, "exact match")
		row = func(t *eval.Result) []string { return []string{score(t)} }
	default:
		head = append(head, "accuracy")
		if first.ScoreNorm != nil {
			head = append(head, "acc_norm")
		} else {
			head = append(head, "no answer")
		}
		if first.Classes != nil {
			head = append(head, "F1 macro", "F1 micro", "F1 weighted")
		}
		row = func(t *eval.Result) []string {
			out := []string{score(t)}
			if t.ScoreNorm != nil {
				out = append(out, share(*t.ScoreNorm))
			} else {
				out = append(out, fmt.Sprint(*t.Unanswered))
			}
			if c := t.Classes; c != nil {
				out = append(out, share(c.Macro.F1), share(c.Micro.F1), share(c.Weighted.F1))
			}
			for len(out) < len(head)-1 {
				out = append(out, "n/a") // a model of which no item was finished
			}
			return out
		}
	}
	t := table{append(append([]string{}, head...), "items", "tok/s", "J/token")}
	for _, m := range r.Models {
		items := fmt.Sprint(m.Task.Items)
		if m.Task.Items < m.Task.Of {
			items += fmt.Sprintf(" of %d", m.Task.Of)
		}
		t = append(t, append(append([]string{modelLabel(m.Model)}, row(m.Task)...), items, fmt.Sprintf("%.1f", m.Task.TokensPerSecond), figure(m.Task.JoulesPerToken)))
	}
	fmt.Fprint(a.out, t)
	if first.Skipped > 0 {
		fmt.Fprintf(a.out, "\n%d bad lines of the data set were left out.\n", first.Skipped)
	}
	a.evalEnergy(r)
	for _, m := range r.Models {
		a.showParts(m)
	}
}

// evalEnergy says where the energy comes from, or why there is none.
func (a *app) evalEnergy(r evalReport) {
	seen := map[string]bool{}
	for _, m := range r.Models {
		line := cmp.Or(m.Task.EnergySource, "n/a: "+m.Task.EnergyNote)
		if !seen[line] {
			fmt.Fprintf(a.out, "\nenergy %s\n", oneLine(line))
		}
		seen[line] = true
	}
}

// showParts writes the classes or fields of a model's result.
func (a *app) showParts(m evalResult) {
	name := modelLabel(m.Model)
	if s := m.Task.Slots; s != nil {
		t := table{{"field", "accuracy", "precision", "recall", "F1", "not empty"}}
		for _, f := range s.Fields {
			t = append(t, []string{cell(f.Name), share(f.Accuracy), share(f.Precision), share(f.Recall), share(f.F1), fmt.Sprint(f.Support)})
		}
		fmt.Fprintf(a.out, "\n%s\n\n%s", name, t)
	}
	c := m.Task.Classes
	if c == nil || len(c.Classes) > shownClasses {
		return
	}
	t := table{{"label", "precision", "recall", "F1", "items"}}
	for _, k := range c.Classes {
		t = append(t, []string{cell(k.Label), share(k.Precision), share(k.Recall), share(k.F1), fmt.Sprint(k.Support)})
	}
	for _, k := range []struct {
		name string
		eval.Average
	}{{"(micro)", c.Micro}, {"(macro)", c.Macro}, {"(weighted)", c.Weighted}} {
		t = append(t, []string{k.name, share(k.Precision), share(k.Recall), share(k.F1), fmt.Sprint(c.Items)})
	}
	fmt.Fprintf(a.out, "\n%s\n\n%s", name, t)
	if len(c.Labels) > shownConfusion {
		return
	}
	head := []string{"is \\ predicted"}
	for _, l := range c.Labels {
		head = append(head, cell(l))
	}
	t = table{head}
	for i, row := range c.Confusion {
		line := []string{cell(c.Labels[i])}
		for _, n := range row {
			line = append(line, fmt.Sprint(n))
		}
		t = append(t, line)
	}
	fmt.Fprintf(a.out, "\n%s", t)
}

// cell is a text that fits a table.
func cell(s string) string {
	s = strings.ReplaceAll(oneLine(s), "|", "/")
	if r := []rune(s); len(r) > 32 {
		s = string(r[:31]) + "…"
	}
	return s
}
