package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/bench"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

const (
	catData   = "DATA"
	catAsking = "ASKING"
	catKL     = "TEXTS AND REFERENCES"
)

func (a *app) evalCommand() *cli.Command {
	text := func(name, usage, category string, aliases ...string) cli.Flag {
		return &cli.StringFlag{Name: name, Aliases: aliases, Usage: usage, Category: category}
	}
	count := func(name, usage, category string) cli.Flag {
		return &cli.IntFlag{Name: name, Usage: usage, Category: category}
	}
	yes := func(name, usage, category string) cli.Flag {
		return &cli.BoolFlag{Name: name, Usage: usage, Category: category}
	}
	c := &cli.Command{
		Name:  "eval",
		Usage: "measure how good models are, on a data set or a text",
		Flags: join([]cli.Flag{
			text("file", "`DATA`.jsonl, or a text for perplexity; - is standard input, read as JSONL", catData, "f"),
			text("labels", "the labels (`A,B,...`) there are; default: those in the data", catData),
			count("limit", "run `N` items only: drawn by --seed if that is given, else the first", catData),
			&cli.Uint64Flag{Name: "seed", Aliases: []string{"s"}, Usage: "`SEED` for drawing items and examples", Category: catData},
			yes("skip-bad", "leave malformed lines out, and count them", catData),
			text("by", "`METHOD`: likelihood (of each option) or generation (greedy)", catAsking),
			yes("norm", "choose the option by its log-likelihood for each character (acc_norm)", catAsking),
			text("system", "system message `TEXT`", catAsking),
			text("template", "the prompt as a `TEXT` or @FILE with {text} and {options}", catAsking),
			yes("raw", "continue the text, without the model's chat template", catAsking),
			text("shots", "`FILE`.jsonl of examples to show first", catAsking),
			count("n-shots", "`N` of the examples, drawn by --seed (default: all)", catAsking),
			&cli.IntFlag{Name: "n", Aliases: []string{"predict"}, Usage: "generate at most `N` tokens", Category: catAsking},
			&cli.StringSliceFlag{Name: "stop", Usage: "end before this `TEXT` comes", Category: catAsking},
			text("json-schema", "generate JSON that satisfies the schema in `FILE`", catAsking),
			yes("json-spaces", "with --json-schema: a space may stand after colons and commas", catAsking),
			text("regex", "take the answer out of the output: `RE`'s first group", catAsking),
			yes("ignore-case", "compare answers without regard to case", catAsking),
			yes("ignore-punctuation", "compare answers without punctuation", catAsking),
			&cli.IntFlag{Name: "parallel", Usage: "`N` items at once", Value: 1, Category: catAsking},
			text("reference", "compare with a `MODEL` of the same tokenizer, or with a file of --save-logits or llama-perplexity --kl-divergence-base", catKL),
			text("save-logits", "write the model's log-probabilities of the text to `FILE`", catKL),
			count("chunks", "the first `N` chunks of the text (default: all)", catKL),
			text("predictions", "write what became of each item to `FILE`.jsonl", ""),
			text("confusion", "draw the confusion matrix: `FILE`.svg", ""),
			jsonFlag(),
			&cli.StringSliceFlag{Name: "model", Aliases: []string{"m"}, Usage: "`MODEL`: file, short name, hf:..., ms:... or address; several are compared", Category: catModel},
			offlineFlag(), quietFlag(),
		}, deviceFlags()),
		Action: a.eval,
	}
	return describe(c, "ledge eval [FLAGS] -m MODEL... -f DATA.jsonl\nledge eval [FLAGS] -m MODEL... -f TEXT [--reference MODEL]", `
Each line of DATA is a JSON object with "text" (or "prompt") and what is right:
  "label" and "options"   one of the options, by its text or its number
  "label"                 one of the labels of the whole file
  "answer"                a text, or a list of which one is right: exact match
  "command"               a JSON object, scored field by field
Options and labels go by likelihood, the others by generation, unless --by says else.
A text is scored as ledge perplexity does, in chunks of -c tokens.
Definitions: docs/eval.md. Ctrl-C ends it; the result is of the items until then.`,
		`ledge eval -m smollm2:135m -m qwen3:0.6b -f reviews.jsonl`,
		`ledge eval -m model.gguf -f commands.jsonl --json-schema schema.json --system "Answer in JSON."`,
		`ledge eval -m model.gguf -f quiz.jsonl --raw --template "Question: {text} Answer:" --shots shots.jsonl --n-shots 3 --seed 1`,
		`ledge eval -m q4.gguf -m q8.gguf -f wiki.test.raw --reference f16.gguf --json`,
		`ledge eval -m model.gguf -f reviews.jsonl --confusion matrix.svg --predictions out.jsonl`)
}

// evalReport is the output of ledge eval --json.
type evalReport struct {
	Data    string       `json:"data,omitempty"`
	Partial bool         `json:"partial"`
	Models  []evalResult `json:"models"`
}

// evalResult is one model's; one of the three is there.
type evalResult struct {
	Model      string           `json:"model"`
	Bytes      int64            `json:"file_bytes"`
	Device     string           `json:"device"`
	Task       *eval.Result     `json:"result,omitempty"`
	Text       *eval.Perplexity `json:"perplexity,omitempty"`
	Divergence *eval.Divergence `json:"divergence,omitempty"`
}

func (a *app) eval(c *cli.Context) error {
	if err := only(c, 0, ""); err != nil {
		return err
	}
	names, err := a.evalModels(c)
	if err != nil {
		return err
	}
	o, err := a.options(c)
	if err != nil {
		return err
	}
	var run func(names []string, o engine.Options) (evalReport, error)
	file := c.String("file")
	switch {
	case file == "" && c.String("reference") == "":
		return usagef("nothing to measure on: name a data set or a text with -f FILE")
	case file == "" || file != "-" && !isJSONL(file):
		run, err = a.textPlan(c)
	default:
		run, err = a.dataPlan(c)
	}
	if err != nil {
		return err
	}
	report, failed := run(names, o)
	report.Data = file
	report.Partial = failed != nil && c.Context.Err() != nil
	if len(report.Models) > 0 && (failed == nil || report.Partial) {
		if err := a.showEval(c, report); err != nil {
			return err
		}
	}
	if report.Partial {
		return context.Cause(c.Context)
	}
	return failed
}

func isJSONL(file string) bool {
	ext := strings.ToLower(filepath.Ext(file))
	return ext == ".jsonl" || ext == ".ndjson"
}

// evalModels are the models to measure.
func (a *app) evalModels(c *cli.Context) ([]string, error) {
	names := c.StringSlice("model")
	for _, n := range names {
		if n == "" {
			return nil, usagef("-m names no model")
		}
	}
	if len(names) > 0 {
		return names, nil
	}
	cfg, err := a.readConfig()
	if err != nil {
		return nil, err
	}
	for _, n := range []string{a.getenv("LEDGE_MODEL"), cfg.Model} {
		if n != "" {
			return []string{n}, nil
		}
	}
	return []string{defaultModel}, nil
}

// withModel opens a model by name for the time of f.
func (a *app) withModel(c *cli.Context, name string, o engine.Options, f func(*engine.Model) error) error {
	cfg, err := a.readConfig()
	if err != nil {
		return err
	}
	path, err := a.locate(c.Context, name, a.offline(c, cfg))
	if err != nil {
		return err
	}
	file, err := gguf.Open(path)
	if err != nil {
		return err
	}
	m, err := a.load(c.Context, file, o)
	if err != nil {
		return err
	}
	return errors.Join(f(m), a.close(m))
}

// dataPlan reads what a data set is to be run with.
func (a *app) dataPlan(c *cli.Context) (func([]string, engine.Options) (evalReport, error), error) {
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
	data, err := a.readData(c, c.String("file"), labels)
	if err != nil {
		return nil, err
	}
	if n := c.Int("limit"); n > 0 && c.IsSet("seed") {
		data.Sample(n, c.Uint64("seed"))
	} else if n > 0 {
		data.Items = data.Items[:min(n, len(data.Items))]
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
		return nil, usageError{"--n-shots: " + err.Error()}
	}
	return func(names []string, o engine.Options) (evalReport, error) {
		o.Sequences = p.Parallel
		var report evalReport
		for i, name := range names {
			err := a.withModel(c, name, o, func(m *engine.Model) error {
				p := p
				p.Beside = bench.Beside(m)
				bar := a.newProgress()
				start := time.Now()
				p.Progress = func(done, of int) {
					bar.show(filepath.Base(name), float64(done)/float64(of), fmt.Sprintf("%d of %d, %s", done, of, timeLeft(start, done, of)))
				}
				r, err := eval.Run(c.Context, m, data, p)
				bar.done()
				if err != nil && !r.Partial {
					return err
				}
				if r.Items == 0 {
					return err // interrupted before the first
				}
				report.Models = append(report.Models, evalResult{Model: name, Bytes: m.File.Size(), Device: m.Device().Name, Task: &r})
				return errors.Join(err, a.evalFiles(c, &r, name, i, len(names)))
			})
			if err != nil {
				return report, err
			}
		}
		return report, nil
	}, nil
}

// timeLeft is how long the rest will take if it takes as long as what is done.
func timeLeft(start time.Time, done, of int) string {
	if done == 0 {
		return "time left unknown"
	}
	left := time.Duration(float64(time.Since(start)) / float64(done) * float64(of-done))
	return left.Round(time.Second).String() + " left"
}

// readData reads a data set and says what was left out.
func (a *app) readData(c *cli.Context, file string, labels []string) (*eval.Data, error) {
	text, err := a.readFile(c.Context, file)
	if err != nil {
		return nil, err
	}
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
	case p.MaxTokens < 0 || c.Int("limit") < 0 || c.Int("n-shots") < 0:
		return p, usagef("-n, --limit and --n-shots must be 1 or more")
	case p.Parallel < 1 || p.Parallel > engine.MaxStreams:
		return p, usagef("--parallel %d: it must be 1 to %d", p.Parallel, engine.MaxStreams)
	case c.IsSet("n-shots") && c.String("shots") == "":
		return p, usagef("--n-shots goes with --shots FILE")
	}
	if file, ok := strings.CutPrefix(p.Template, "@"); ok {
		if p.Template, err = a.readFile(c.Context, file); err != nil {
			return p, err
		}
	}
	if err := p.Check(); err != nil {
		return p, usageError{err.Error()}
	}
	if re := c.String("regex"); re != "" {
		if p.Regexp, err = regexp.Compile(re); err != nil {
			return p, usagef("--regex: %v", err)
		}
	}
	p.Grammar, err = a.grammar(c)
	return p, err
}

// evalFiles writes the files that a result is asked to be written to. Of several
// models each has its own: out.jsonl, out-2.jsonl, ...
func (a *app) evalFiles(c *cli.Context, r *eval.Result, name string, i, of int) error {
	numbered := func(path string) string {
		if i == 0 || path == "-" {
			return path
		}
		ext := filepath.Ext(path)
		return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(path, ext), i+1, ext)
	}
	if path := c.String("predictions"); path != "" {
		err := a.writeResult(numbered(path), func(w *resultFile) error {
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
	if r.Classes == nil {
		return errors.New("--confusion: there is no confusion matrix without labels that all items have in common")
	}
	title := filepath.Base(name)
	if r.Partial {
		title += fmt.Sprintf(" (partial: %d of %d items)", r.Items, r.Of)
	}
	svg, err := eval.ConfusionSVG(r.Classes, title)
	if err != nil {
		return err
	}
	return a.writeResult(numbered(path), func(w *resultFile) error {
		_, err := w.Write(svg)
		return err
	})
}

// writeResult writes a file that is whole or not there.
func (a *app) writeResult(path string, f func(*resultFile) error) error {
	out, err := a.createFile(path)
	if err != nil {
		return err
	}
	defer out.discard()
	if err := f(out); err != nil {
		return err
	}
	return out.commit()
}

// textPlan reads what a text is to be measured with.
func (a *app) textPlan(c *cli.Context) (func([]string, engine.Options) (evalReport, error), error) {
	for _, f := range []string{"by", "norm", "labels", "shots", "n-shots", "template", "system", "raw", "regex", "predictions", "confusion", "json-schema", "json-spaces", "limit"} {
		if c.IsSet(f) {
			return nil, usagef("--%s goes with a data set (-f DATA.jsonl)", f)
		}
	}
	save, reference, file := c.String("save-logits"), c.String("reference"), c.String("file")
	if save != "" && reference != "" {
		return nil, usagef("--save-logits and --reference exclude each other")
	}
	if save != "" && len(c.StringSlice("model")) > 1 {
		return nil, usagef("--save-logits is of one model: name one with -m")
	}
	if c.Int("chunks") < 0 {
		return nil, usagef("--chunks %d: it must be 1 or more, or 0 for all", c.Int("chunks"))
	}
	text := ""
	if file != "" {
		var err error
		if text, err = a.readFile(c.Context, file); err != nil {
			return nil, err
		}
	}
	return func(names []string, o engine.Options) (evalReport, error) {
		if o.Context == 0 {
			o.Context = 512
		}
		var report evalReport
		for _, name := range names {
			if err := a.evalText(c, &report, name, text, o); err != nil {
				return report, err
			}
		}
		return report, nil
	}, nil
}

// evalText measures one model on a text.
func (a *app) evalText(c *cli.Context, report *evalReport, name, text string, o engine.Options) error {
	reference := c.String("reference")
	if reference == "" {
		return a.withModel(c, name, o, func(m *engine.Model) error {
			return a.evalPlain(c, report, name, m, text, o.Context)
		})
	}
	if st, err := os.Stat(reference); err == nil && st.Mode().IsRegular() && !isGGUF(reference) {
		f, err := os.Open(reference)
		if err != nil {
			return fmt.Errorf("cannot read: %w", err)
		}
		defer f.Close()
		l, err := eval.NewLogitsReader(f)
		if err != nil {
			return fmt.Errorf("%s: %w", reference, err)
		}
		o.Context = l.Size
		return a.withModel(c, name, o, func(m *engine.Model) error {
			t := eval.Text{Size: l.Size, Tokens: l.Tokens}
			if text != "" {
				if own := m.Encode(text, true, false); len(own) < len(t.Tokens) || !sameTokens(own[1:len(t.Tokens)], t.Tokens[1:]) {
					return fmt.Errorf("%s: its tokens are not those of this text by this model: leave -f out to score what it has", reference)
				}
			}
			if n := c.Int("chunks"); n > 0 && n < t.Chunks() {
				t.Tokens = t.Tokens[:n*t.Size]
			}
			return a.compare(c, report, name, m, t, l)
		})
	}
	if text == "" {
		return usagef("a reference model needs a text: -f TEXT")
	}
	return a.withModel(c, name, o, func(m *engine.Model) error {
		return a.withModel(c, reference, o, func(ref *engine.Model) error {
			t, err := eval.NewText(m, text, o.Context, c.Int("chunks"))
			if err != nil {
				return err
			}
			return a.compare(c, report, name, m, t, eval.ModelReference{M: ref})
		})
	})
}

func sameTokens(a, b []int32) bool {
	for i := range b {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func isGGUF(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	n, _ := f.Read(magic[:]) // a shorter file is none
	return n == 4 && string(magic[:]) == "GGUF"
}

// evalPlain measures perplexity, or saves log-probabilities.
func (a *app) evalPlain(c *cli.Context, report *evalReport, name string, m *engine.Model, text string, size int) error {
	bar := a.newProgress()
	defer bar.done()
	start := time.Now()
	if path := c.String("save-logits"); path != "" {
		t, err := eval.NewText(m, text, size, c.Int("chunks"))
		if err != nil {
			return err
		}
		return a.writeResult(path, func(w *resultFile) error {
			return eval.SaveLogits(c.Context, m, t, w, func(done, of int) {
				bar.show(filepath.Base(name), float64(done)/float64(of), fmt.Sprintf("chunk %d of %d, %s", done, of, timeLeft(start, done, of)))
			})
		})
	}
	var last eval.Perplexity
	so, err := eval.MeasurePerplexity(c.Context, m, text, size, c.Int("chunks"), func(done, of int, so eval.Perplexity) {
		last = so
		bar.show(filepath.Base(name), float64(done)/float64(of), fmt.Sprintf("chunk %d of %d, %.4f so far, %s", done, of, so.PPL, timeLeft(start, done, of)))
	})
	if err != nil {
		if so = last; c.Context.Err() == nil || so.Chunks == 0 {
			return err
		}
	}
	report.Models = append(report.Models, evalResult{Model: name, Bytes: m.File.Size(), Device: m.Device().Name, Text: &so})
	return err
}

// compare measures a model against a reference.
func (a *app) compare(c *cli.Context, report *evalReport, name string, m *engine.Model, t eval.Text, ref eval.Reference) error {
	bar := a.newProgress()
	defer bar.done()
	start := time.Now()
	so, err := eval.Compare(c.Context, m, t, ref, func(done, of int, so eval.Divergence) {
		bar.show(filepath.Base(name), float64(done)/float64(of), fmt.Sprintf("chunk %d of %d, KL %.5f so far, %s", done, of, so.KL, timeLeft(start, done, of)))
	})
	if err != nil && (!so.Partial || so.Positions == 0) {
		return err
	}
	report.Models = append(report.Models, evalResult{Model: name, Bytes: m.File.Size(), Device: m.Device().Name, Divergence: &so})
	return err
}
