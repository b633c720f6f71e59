package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/bench"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
)

// dataPlan reads what a data set, whose lines are text, is to be run with.
func (a *app) dataPlan(c *cli.Context, text string) (func([]string, engine.Options) (evalReport, error), error) {
	for _, f := range []string{"reference", "save-logits", "chunks"} {
		if c.IsSet(f) {
			return nil, usagef("--%s goes with a text, and -f names a data set", f)
		}
	}
	p, err := a.evalPlan(c)
	if err != nil {
		return nil, err
	}
	var labels []string
	if c.IsSet("labels") {
		for _, l := range strings.Split(c.String("labels"), ",") {
			labels = append(labels, strings.TrimSpace(l))
		}
	}
	if err := eval.CheckLabels(labels); err != nil {
		return nil, usagef("--labels: %v", err)
	}
	data, err := a.parseData(c, c.String("file"), text, labels)
	if err != nil {
		return nil, err
	}
	if n := c.Int("limit"); n > 0 && c.IsSet("seed") {
		data.Sample(n, c.Uint64("seed"))
	} else if n > 0 {
		data.Items = data.Items[:min(n, len(data.Items))]
	}
	if c.String("confusion") != "" && data.Classes() == nil {
		return nil, errors.New("--confusion: there is no confusion matrix without labels that all items have in common")
	}
	if shots := c.String("shots"); shots != "" {
		examples, err := a.readData(c, shots, data.Options)
		if err != nil {
			return nil, err
		}
		if examples.Task != data.Task {
			return nil, fmt.Errorf("%s is of the task %s, %s of %s", shots, examples.Task, c.String("file"), data.Task)
		}
		p.Examples = examples.Items
	}
	if err := p.Draw(c.Int("n-shots"), c.Uint64("seed")); err != nil {
		return nil, usagef("--n-shots: %v", err)
	}
	return func(names []string, o engine.Options) (evalReport, error) {
		o.Sequences = p.Parallel
		var report evalReport
		for i, name := range names {
			err := a.withModel(c, name, o, func(m *engine.Model) error {
				p, data := p, data
				if name == builtinModel {
					p, data = a.asSentences(p, data)
				}
				p.Beside = bench.Beside(m)
				bar := a.newStages()
				p.Progress = func(done, of int) {
					bar.show(filepath.Base(name), fraction(done, of), "%d of %d", done, of)
				}
				r, err := eval.Run(c.Context, m, data, p)
				bar.done()
				if r.Items == 0 {
					return err // nothing was run, or the first failed
				}
				report.Models = append(report.Models, evalResult{Model: name, Bytes: m.File.Size(), Device: m.Device().Name, Task: &r})
				if werr := a.evalFiles(c, &r, name, i); werr != nil {
					report.unwritten = append(report.unwritten, werr)
				}
				return err
			})
			if err != nil {
				return report, err
			}
		}
		return report, nil
	}, nil
}

// readData reads a data set and says what was left out.
func (a *app) readData(c *cli.Context, file string, labels []string) (*eval.Data, error) {
	text, err := a.readFile(c.Context, file)
	if err != nil {
		return nil, err
	}
	return a.parseData(c, file, text, labels)
}

func (a *app) parseData(c *cli.Context, file, text string, labels []string) (*eval.Data, error) {
	d, err := eval.ReadData(strings.NewReader(text), labels, c.Bool("skip-bad"))
	if err != nil {
		hint := ""
		if !c.Bool("skip-bad") && strings.HasPrefix(err.Error(), "line ") {
			hint = " (--skip-bad leaves such lines out)"
		}
		return nil, fmt.Errorf("%s: %w%s", file, err, hint)
	}
	if n := len(d.Skipped); n > 0 {
		a.note("note: %s: %d bad lines are left out; the first: %v", file, n, d.Skipped[0])
	}
	return d, nil
}

// evalPlan reads the flags that say how items are asked.
func (a *app) evalPlan(c *cli.Context) (p eval.Plan, err error) {
	p = eval.Plan{
		By: eval.Method(c.String("by")), Normalise: c.Bool("norm"), MaxTokens: c.Int("n"), Stop: c.StringSlice("stop"),
		Parallel: c.Int("parallel"), Meter: openMeter(),
	}
	p.System, p.Template, p.Raw = c.String("system"), c.String("template"), c.Bool("raw")
	p.IgnoreCase, p.IgnorePunctuation = c.Bool("ignore-case"), c.Bool("ignore-punctuation")
	switch {
	case p.By != "" && p.By != eval.Likelihood && p.By != eval.Generation:
		return p, usagef("--by %s: it must be likelihood or generation", p.By)
	case below(c, "n", 1) || below(c, "limit", 1) || below(c, "n-shots", 1):
		return p, usagef("-n, --limit and --n-shots must be 1 or more")
	case c.String("confusion") != "" && !strings.EqualFold(filepath.Ext(c.String("confusion")), ".svg") && c.String("confusion") != "-":
		return p, usagef("--confusion %s: it is drawn as SVG: name a file that ends in .svg", c.String("confusion"))
	case p.Parallel < 1 || p.Parallel > engine.MaxStreams:
		return p, usagef("--parallel %d: it must be 1 to %d", p.Parallel, engine.MaxStreams)
	case c.IsSet("n-shots") && c.String("shots") == "":
		return p, usagef("--n-shots goes with --shots FILE")
	}
	if file, ok := strings.CutPrefix(p.Template, "@"); ok {
		if p.Template, err = a.readText(c.Context, file); err != nil {
			return p, err
		}
	}
	if err := p.Check(); err != nil {
		return p, usagef("%v", err)
	}
	if re := c.String("regex"); re != "" {
		if p.Regexp, err = regexp.Compile(re); err != nil {
			return p, usagef("--regex: %v", err)
		}
	}
	p.Grammar, err = a.grammar(c)
	return p, err
}

// below reports whether a flag is given, and less than it may be.
func below(c *cli.Context, flag string, least int) bool { return c.IsSet(flag) && c.Int(flag) < least }

// numbered is the file of one of several models, each of which has its own: out.jsonl,
// out-2.jsonl, ...
func numbered(path string, i int) string {
	if i == 0 || path == "-" {
		return path
	}
	ext := filepath.Ext(path)
	return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(path, ext), i+1, ext)
}

// evalWrites are the kinds of files that the flags name.
var evalWrites = []struct {
	flag string
	kind kind
}{{"predictions", predictionsFile}, {"confusion", confusionFile}, {"save-logits", logitsFile}}

// evalSpares refuses to write over what is read and over files of other kinds, or two
// things to one file.
func (a *app) evalSpares(c *cli.Context, names []string) error {
	var paths []string
	var over []error // told last: that a file is read is the better reason
	for _, w := range evalWrites {
		flag, path := w.flag, c.String(w.flag)
		if path == "" || path == "-" {
			continue
		}
		for i := range names {
			path := numbered(path, i)
			if err := spare(c, path, "file", "shots", "template", "json-schema", "reference", "lora"); err != nil {
				return err
			}
			if slices.ContainsFunc(paths, func(p string) bool { return sameFile(path, p) }) {
				return usagef("--%s %s: something else is written to that file: name another", flag, path)
			}
			paths, over = append(paths, path), append(over, w.kind.renew(c, path))
		}
	}
	if len(paths) == 0 {
		return nil
	}
	if ref := c.String("reference"); ref != "" {
		names = append(slices.Clone(names), ref)
	}
	return cmp.Or(a.spareModels(names, paths...), cmp.Or(over...))
}

// evalFiles writes the files that a result is asked to be written to.
func (a *app) evalFiles(c *cli.Context, r *eval.Result, name string, i int) error {
	if path := c.String("predictions"); path != "" {
		err := console.WriteFile(numbered(path, i), a.out, func(w *console.File) error {
			e := json.NewEncoder(w)
			e.SetEscapeHTML(false)
			for _, o := range r.Outcomes {
				if err := e.Encode(o); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	path := c.String("confusion")
	if path == "" {
		return nil
	}
	title := filepath.Base(name)
	if r.Partial {
		title += fmt.Sprintf(" (partial: %d of %d items)", r.Items, r.Of)
	}
	svg, err := eval.ConfusionSVG(r.Classes, title)
	if err != nil {
		return err
	}
	return console.WriteFile(numbered(path, i), a.out, func(w *console.File) error {
		_, err := w.Write(svg)
		return err
	})
}
