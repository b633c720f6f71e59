package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/compress/delta"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/train/distill"
	"github.com/ledge-run/ledge/runtime/train/recipe"
	training "github.com/ledge-run/ledge/runtime/train/run"
)

func (a *app) distillCommand() *cli.Command {
	c := &cli.Command{
		Name:  "distill",
		Usage: "let a model learn from another",
		Flags: join([]cli.Flag{
			&cli.StringFlag{Name: "teacher", Usage: "`MODEL` that is learnt from; it needs the student's tokenizer"},
			&cli.StringFlag{Name: "student", Usage: "`MODEL` that learns, in place of a recipe: its file stays as it is"},
			&cli.StringSliceFlag{Name: "file", Aliases: []string{"f"}, Usage: "`TEXT` or FILE.jsonl that the student learns on; may be repeated"},
			&cli.StringFlag{Name: "eval-file", Usage: "another `TEXT` to measure the models on"},
			&cli.Float64Flag{Name: "temperature", Usage: "`T` at which both models' probabilities are taken (default: 2, or the recipe's)"},
			&cli.Float64Flag{Name: "mix", Value: -1, DefaultText: "the recipe's, or 0.2", Usage: "part `M` of the text itself in what is learnt: 0 is the teacher alone, 1 the text alone"},
			&cli.IntFlag{Name: "top-k", Usage: "`K` likeliest tokens that the teacher tells of each position (default: 32, or the recipe's)"},
			&cli.Float64Flag{Name: "rate", Usage: "peak learning `RATE` (default: 2e-4)"},
			&cli.Float64Flag{Name: "epochs", Usage: "how often the text is gone through, `E` times (default: 1)"},
		}, trainFlags(), deltaFlags(), []cli.Flag{offlineFlag(), jsonFlag(), quietFlag()}),
		Action: a.distill,
	}
	return describe(c, "ledge distill --teacher MODEL --student MODEL -f TEXT -o FOLDER [FLAGS]\nledge distill RECIPE.yaml [FLAGS]", `
The student learns to give every token the probability that the teacher gives it: of the teacher's
likeliest tokens each, of all others their sum. That is the Kullback-Leibler divergence at a
temperature, with the text's own next token mixed in. The student is a model's file, such as what
ledge prune left of the teacher, or what a recipe describes and begins from nothing; the recipe's
section distill names the teacher. docs/distill.md tells more.

What the teacher says is kept in the folder, so that it reads every text once. The folder gets model.gguf,
log.jsonl, curve.png and checkpoints; the same command goes on from the last one. At the end the models are
compared: the student before and after, and with the teacher.`,
		`ledge distill --teacher model.gguf --student pruned.gguf -f text.txt --eval-file other.txt -o healed`,
		`ledge distill --teacher big.gguf --student small.gguf -f data.jsonl --mix 0.5 --epochs 3 -o out`,
		`ledge distill recipe.yaml --teacher big.gguf`)
}

// distillArgs are the command's arguments, sorted out.
type distillArgs struct {
	recipe   *recipe.Recipe
	eval     string // text that the models are measured on, or ""
	evalName string
	task     *eval.Data
}

func (a *app) distill(c *cli.Context) error {
	q, err := a.distillArgs(c)
	if err != nil {
		return err
	}
	res, err := a.runRecipe(c, q.recipe)
	if err != nil {
		return err
	}
	return a.reportDistilled(c, q, res)
}

func (a *app) distillArgs(c *cli.Context) (q distillArgs, err error) {
	if err := only(c, 1, "one recipe"); err != nil {
		return q, err
	}
	if c.NArg() == 1 {
		q.recipe, err = a.distillRecipe(c, c.Args().First())
	} else {
		q.recipe, err = a.lesson(c)
	}
	if err != nil {
		return q, err
	}
	if err := learnt(c.String("eval-file"), dataFiles(q.recipe.Data.Train)); err != nil {
		return q, err
	}
	if q.task, err = a.deltaTask(c); err != nil {
		return q, err
	}
	if c.IsSet("chunks") && c.String("eval-file") == "" {
		return q, usagef("--chunks goes with a text to measure on: name one with --eval-file")
	}
	if q.evalName = c.String("eval-file"); q.evalName != "" {
		if q.eval, err = a.readText(c.Context, q.evalName); err != nil {
			return q, err
		}
	}
	return q, intact(c, q.recipe)
}

// learnt refuses to measure on a text that is learnt.
func learnt(text string, files []string) error {
	for _, f := range files {
		if text != "" && sameFile(text, f) {
			return usagef("--eval-file %s is a text that the student learns: name another", text)
		}
	}
	return nil
}

// distillRecipe reads a recipe that has a teacher, or gets one by a flag.
func (a *app) distillRecipe(c *cli.Context, path string) (*recipe.Recipe, error) {
	for _, n := range []string{"student", "file", "rate", "epochs"} {
		if c.IsSet(n) {
			return nil, usagef("--%s and a recipe: the recipe says that; --set replaces a part of it", n)
		}
	}
	var set []string
	if s := c.String("teacher"); s != "" {
		found, err := a.find(c, s)
		if err != nil {
			return nil, err
		}
		abs, err := filepath.Abs(found)
		if err != nil {
			return nil, err
		}
		set = append(set, fmt.Sprintf("distill.teacher=%q", abs))
	}
	for flag, value := range map[string]any{"temperature": c.Float64("temperature"), "mix": c.Float64("mix"), "top-k": c.Int("top-k")} {
		if c.IsSet(flag) {
			set = append(set, fmt.Sprintf("distill.%s=%v", strings.ReplaceAll(flag, "-", "_"), value))
		}
	}
	r, err := readRecipe(c, path, set...)
	if err != nil {
		return nil, err
	}
	if r.Distill == nil {
		return nil, usagef("%s has no teacher: name one with --teacher, or in a section distill", path)
	}
	return r, nil
}

// lesson makes the recipe that the flags describe.
func (a *app) lesson(c *cli.Context) (*recipe.Recipe, error) {
	for _, n := range []string{"teacher", "student", "out"} {
		if c.String(n) == "" {
			return nil, usagef("no recipe and no --%s: ledge distill --teacher MODEL --student MODEL -f TEXT -o FOLDER", n)
		}
	}
	files := c.StringSlice("file")
	if len(files) == 0 {
		return nil, usagef("nothing to learn on: name a text or a JSONL file with -f")
	}
	if err := cmp.Or(checkFolder(c.String("out")), learnt(c.String("eval-file"), files)); err != nil {
		return nil, err
	}
	// As recipes have them, which would name a line of one that nobody has written.
	for _, b := range []struct {
		flag        string
		least, most float64
	}{{"temperature", 0.01, 100}, {"mix", 0, 1}, {"rate", 1e-12, 100}, {"epochs", 1e-6, 1e6}} {
		if v := c.Float64(b.flag); c.IsSet(b.flag) && !(v >= b.least && v <= b.most) {
			return nil, usagef("--%s %g: it must be from %g to %g", b.flag, v, b.least, b.most)
		}
	}
	if n := c.Int("top-k"); c.IsSet("top-k") && (n < 1 || n > 4096) {
		return nil, usagef("--top-k %d: it must be from 1 to 4096", n)
	}
	l := recipe.Lesson{
		Out: c.String("out"), Rate: c.Float64("rate"), Epochs: c.Float64("epochs"),
		Temperature: c.Float64("temperature"), Mix: c.Float64("mix"), TopK: c.Int("top-k"),
	}
	var err error
	if l.Teacher, err = a.find(c, c.String("teacher")); err != nil {
		return nil, err
	}
	if l.Student, err = a.find(c, c.String("student")); err != nil {
		return nil, err
	}
	if l.Files, err = lines(l.Out, files); err != nil {
		return nil, err
	}
	r, err := l.Recipe(c.StringSlice("set"))
	var fault *recipe.Error
	if errors.As(err, &fault) {
		return nil, usagef("%v", err)
	}
	return r, err
}

// find gives the file of a model.
func (a *app) find(c *cli.Context, name string) (string, error) {
	cfg, err := a.readConfig()
	if err != nil {
		return "", err
	}
	return a.locate(c.Context, name, a.offline(c, cfg))
}

// lines gives files as JSONL: texts are written as such into the folder.
func lines(out string, files []string) ([]string, error) {
	var all []string
	for i, f := range files {
		name := strings.TrimSuffix(f, ".gz")
		if strings.HasSuffix(name, ".jsonl") {
			all = append(all, f)
			continue
		}
		switch st, err := os.Stat(f); {
		case errors.Is(err, fs.ErrNotExist):
			return nil, usagef("-f %s: there is no such file", f)
		case err == nil && st.IsDir():
			return nil, usagef("-f %s: it is a folder: name a text or a JSONL file", f)
		}
		path := filepath.Join(out, "cache", fmt.Sprintf("text-%d.jsonl", i+1))
		for _, in := range files {
			if sameFile(path, in) {
				return nil, usagef("%s is read, and would be written over: name another folder with --out", in)
			}
		}
		if err := distill.Lines(f, path); err != nil {
			return nil, err
		}
		all = append(all, path)
	}
	return all, nil
}

// intact refuses a folder in which one of the models or texts that are read would be
// written over.
func intact(c *cli.Context, r *recipe.Recipe) error {
	for _, name := range []string{training.ModelName, training.LogName, training.CurveName} {
		path := filepath.Join(r.Out, name)
		for _, in := range []string{r.From, r.Distill.Teacher, r.Tokenizer, c.String("eval-file"), c.String("task")} {
			if in != "" && in != "-" && sameFile(path, in) {
				return usagef("%s is read, and would be written over: name another folder with --out", in)
			}
		}
	}
	return nil
}

// distilledJSON is what --json writes.
type distilledJSON struct {
	*training.Result
	Student *delta.Report `json:"student,omitempty"` // before and after
	Teacher *delta.Report `json:"teacher"`           // and the student
}

// reportDistilled compares the student with what it was, and with its teacher.
func (a *app) reportDistilled(c *cli.Context, q distillArgs, res *training.Result) error {
	r := distilledJSON{Result: res}
	on := filepath.Base(q.evalName)
	var err error
	if q.recipe.From != "" {
		if r.Student, err = a.delta(c, q.recipe.From, res.Model, q.eval, on, q.task); err != nil {
			return a.cause(c, err)
		}
	}
	if r.Teacher, err = a.delta(c, q.recipe.Distill.Teacher, res.Model, q.eval, on, q.task); err != nil {
		return a.cause(c, err)
	}
	if c.Bool("json") {
		return a.out.JSON(r, true)
	}
	if err := a.showTrained(c, res); err != nil {
		return err
	}
	if r.Student != nil {
		fmt.Fprintf(a.out, "\nthe student, before (%s) and after\n", filepath.Base(q.recipe.From))
		if err := r.Student.WriteTable(a.out); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.out, "\nthe teacher (%s), and the student after\n", filepath.Base(q.recipe.Distill.Teacher))
	if err := r.Teacher.WriteTable(a.out); err != nil {
		return err
	}
	return a.out.Flush()
}
