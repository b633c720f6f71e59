package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/weights/lora"
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
	device := deviceFlags()
	for _, f := range device {
		if i, ok := f.(*cli.IntFlag); ok && i.Name == "ctx" {
			i.Usage = "context of `N` tokens, of a text the size of chunks (default: 4096, of a text 512, or what the model was trained for)"
		}
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
			&cli.BoolFlag{Name: "force", Usage: "replace files of another kind, too, that are there"},
			jsonFlag(),
			&cli.StringSliceFlag{Name: "model", Aliases: []string{"m"}, Usage: "`MODEL`: file, short name, hf:..., ms:..., address or builtin; several are compared", Category: catModel},
			loraFlag(), offlineFlag(), quietFlag(),
		}, device),
		Action: a.eval,
	}
	return describe(c, "ledge eval [FLAGS] -m MODEL... -f DATA.jsonl\nledge eval [FLAGS] -m MODEL... -f TEXT [--reference MODEL]", `
Each line of DATA is a JSON object with "text" (or "prompt") and what is right:
  "label" and "options"   one of the options, by its text or its number
  "label"                 one of the labels of the whole file
  "answer"                a text, or a list of which one is right: exact match
  "command"               a JSON object, scored field by field
Options and labels go by likelihood, the others by generation, unless --by says else.
A file is a data set if it ends in .jsonl or .ndjson, or if its first line is such an
object, and else a text: that is scored as ledge perplexity does, in chunks of -c tokens.
Definitions: docs/eval.md. Ctrl-C ends it; the result is of the items until then, and so it is
if something fails.`,
		`ledge eval -m smollm2:135m -m qwen3:0.6b -f reviews.jsonl`,
		`ledge eval -m model.gguf -f commands.jsonl --json-schema schema.json --system "Answer in JSON."`,
		`ledge eval -m model.gguf -f quiz.jsonl --raw --template "Question: {text} Answer:" --shots shots.jsonl --n-shots 3 --seed 1`,
		`ledge eval -m q4.gguf -m q8.gguf -f wiki.test.raw --reference f16.gguf --json`,
		`ledge eval -m base.gguf --lora adapter.gguf -f wiki.test.raw --reference base.gguf`,
		`ledge eval -m model.gguf -f reviews.jsonl --confusion matrix.svg --predictions out.jsonl`)
}

// evalReport is the output of ledge eval --json.
type evalReport struct {
	Data     string       `json:"data,omitempty"`
	Adapters []string     `json:"adapters,omitempty"` // of each model
	Partial  bool         `json:"partial"`
	Models   []evalResult `json:"models"`
	failed   bool         // Partial because something failed, not because it was interrupted

	unwritten []error // what became of files that are not there; the results are whole
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
	text, isData, err := a.evalInput(c)
	if err != nil {
		return err
	}
	plan := a.textPlan
	if isData {
		plan = a.dataPlan
	}
	run, err := plan(c, text)
	if err != nil {
		return err
	}
	if err := cmp.Or(a.evalSpares(c, names), a.checkReference(c, names)); err != nil {
		return err
	}
	report, failed := run(names, o)
	report.Data, report.Adapters = c.String("file"), c.StringSlice("lora")
	report.Partial = failed != nil
	report.failed = report.Partial && c.Context.Err() == nil
	// What was finished is shown whatever ended the rest: it may have taken hours.
	if len(report.Models) > 0 {
		if err := a.showEval(c, report); err != nil && failed == nil {
			return err
		}
	}
	if report.Partial && !report.failed {
		return context.Cause(c.Context)
	}
	return errors.Join(append(report.unwritten, failed)...)
}

// evalInput reads what -f names, and tells data sets from texts: by the name if it says
// so, else by whether lines of JSON begin it. With flags that texts alone have it is one.
func (a *app) evalInput(c *cli.Context) (text string, isData bool, err error) {
	file := c.String("file")
	if file == "" {
		if c.String("reference") == "" {
			return "", false, usagef("nothing to measure on: name a data set or a text with -f FILE")
		}
		return "", false, nil
	}
	if text, err = a.readFile(c.Context, file); err != nil {
		return "", false, err
	}
	ext := strings.ToLower(filepath.Ext(strings.TrimSuffix(file, ".gz")))
	switch {
	case file == "-" || ext == ".jsonl" || ext == ".ndjson":
		return text, true, nil
	case c.String("reference") != "" || c.String("save-logits") != "" || c.IsSet("chunks"):
		return text, false, nil
	case beginsWithObject(text):
		return text, true, nil
	case ext == ".json":
		return "", false, fmt.Errorf("%s is no data set: it needs one JSON object on each line (jq -c '.[]' makes them of a list); a text to be scored as it stands has another ending, such as .txt", file)
	}
	return text, false, nil
}

// beginsWithObject reports whether the first line that is not empty is a JSON object.
func beginsWithObject(text string) bool {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.HasPrefix(line, "{") && json.Valid([]byte(line))
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
	return []string{a.usualModel(c, cfg)}, nil
}

// withModel opens a model by name, with the adapters that were given, for the time of f.
func (a *app) withModel(c *cli.Context, name string, o engine.Options, f func(*engine.Model) error) (err error) {
	if o.Adapters, err = a.adapters(c); err != nil {
		return err
	}
	return a.withPlain(c, name, o, f)
}

// withPlain opens a model as the options say.
func (a *app) withPlain(c *cli.Context, name string, o engine.Options, f func(*engine.Model) error) error {
	cfg, err := a.readConfig()
	if err != nil {
		return errors.Join(err, lora.CloseAll(o.Adapters))
	}
	file, err := a.openNamed(c.Context, name, a.offline(c, cfg))
	if err != nil {
		return errors.Join(err, lora.CloseAll(o.Adapters))
	}
	m, err := a.load(c.Context, file, onProcessor(c, name, o))
	if err != nil {
		return err
	}
	return errors.Join(f(m), a.close(m))
}
