package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/runtime/train/feed"
	"github.com/ledge-run/ledge/runtime/train/recipe"
	training "github.com/ledge-run/ledge/runtime/train/run"
)

func (a *app) trainCommand() *cli.Command {
	c := &cli.Command{
		Name:   "train",
		Usage:  "train a model as a recipe says",
		Flags:  join(trainFlags(), []cli.Flag{jsonFlag(), quietFlag()}),
		Action: a.train,
	}
	return describe(c, "ledge train RECIPE.yaml [FLAGS]", `
A recipe is a YAML file: the data (JSONL files with "text", or "prompt" and "completion"), the
tokenizer (made by ledge tokenizer train), the model's shape or a file to begin with, and how long
to train. docs/training.md explains every key. Paths in it start at its folder.

The folder of --out, or of the recipe's out, gets model.gguf, curve.png, log.jsonl with a line for each step,
and checkpoints. The same command goes on from the last checkpoint: after Ctrl-C (which makes one), a crash or
a cut in power the result has the same bits as if nothing had happened, at any number of threads.

A step that gives no number (NaN) ends the run with code 1, and names the step and the last good checkpoint;
so does a full disk, and the checkpoint before stays. Ctrl-C ends it with 130. See ledge help exit-codes.`,
		`ledge train recipe.yaml`,
		`ledge train recipe.yaml --out runs/2 --set train.rate=3e-3 --set seed=2`,
		`ledge train recipe.yaml --steps 100                  # the next 100 steps, and model.gguf of them`,
		`ledge train recipe.yaml --resume --set train.rate=5e-4  # go on with another rate`)
}

// trainFlags are those of commands that run recipes.
func trainFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "`FOLDER` of all that comes of it (default: out of the recipe, or its name and -out)"},
		&cli.StringSliceFlag{Name: "set", Usage: "`KEY=VALUE` in place of what the recipe says, such as train.rate=3e-3; as often as wanted"},
		&cli.BoolFlag{Name: "resume", Usage: "go on from the last checkpoint although the settings are others than its own"},
		&cli.BoolFlag{Name: "restart", Usage: "begin anew and remove the checkpoints that are there"},
		&cli.IntFlag{Name: "steps", Usage: "take at most `N` steps now and stop with a checkpoint (default or 0: all)"},
		threadsFlag(),
	}
}

func (a *app) train(c *cli.Context) error {
	if err := only(c, 1, "one recipe"); err != nil {
		return err
	}
	if c.NArg() == 0 {
		return usagef("no recipe: name a YAML file; see ledge train --help")
	}
	r, err := readRecipe(c, c.Args().First())
	if err != nil {
		return err
	}
	res, err := a.runRecipe(c, r)
	if err != nil {
		return err
	}
	return a.showTrained(c, res)
}

// readRecipe reads a recipe with what flags say: settings, and then those of --set.
func readRecipe(c *cli.Context, path string, set ...string) (*recipe.Recipe, error) {
	r, err := recipe.Load(path, append(set, c.StringSlice("set")...))
	var fault *recipe.Error
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usagef("no recipe %s: there is no such file", path)
	case errors.As(err, &fault):
		return nil, usagef("%v", err)
	case err != nil:
		return nil, err
	}
	r.Out = cmp.Or(c.String("out"), r.Out)
	return r, nil
}

// runRecipe trains, and shows how far it is.
func (a *app) runRecipe(c *cli.Context, r *recipe.Recipe) (res *training.Result, err error) {
	switch n := c.Int("steps"); {
	case n < 0:
		return nil, usagef("--steps %d: it must be 1 or more, or 0 for all", n)
	case c.Bool("resume") && c.Bool("restart"):
		return nil, usagef("--resume and --restart: give one of them")
	}
	if err := cmp.Or(checkThreads(c), checkRecipe(r)); err != nil {
		return nil, err
	}
	threads := c.Int("threads")
	dev, err := backend.Open(c.Context, string(backend.CPU), string(backend.CPU), backend.Options{Threads: threads})
	if err != nil {
		return nil, deviceError{err}
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	bar := a.newStages()
	defer bar.done()
	return training.Run(c.Context, r, training.Options{
		Device: dev, Threads: threads, Restart: c.Bool("restart"), Changed: c.Bool("resume"), Steps: c.Int("steps"),
		Note:     bar.bar.Log,
		Progress: func(p training.Progress) { bar.show(p.Stage, p.Fraction, "%s", p.Text) },
	})
}

// checkRecipe finds what would end a run, or make its figures worthless, before anything
// is written.
func checkRecipe(r *recipe.Recipe) error {
	if err := checkFolder(r.Out); err != nil {
		return err
	}
	files := []struct{ key, path string }{{"from", r.From}, {"tokenizer", r.Tokenizer}}
	if r.Distill != nil {
		files = append(files, struct{ key, path string }{"distill.teacher", r.Distill.Teacher})
	}
	for _, f := range files {
		if _, err := os.Stat(f.path); f.path != "" && errors.Is(err, fs.ErrNotExist) {
			return modelError{fmt.Errorf("%s: %s: no file %s", r.File, f.key, f.path)}
		}
	}
	for _, v := range dataFiles(r.Data.Valid) {
		for _, f := range dataFiles(r.Data.Train) {
			if sameFile(v, f) {
				return usagef("%s is learnt and validated on, too: what a model has learnt by heart says nothing; name other data to validate on, or none", v)
			}
		}
	}
	return nil
}

// dataFiles are the files of patterns. What is wrong with these is told when they are read.
func dataFiles(patterns []string) []string {
	files, _ := feed.Find(patterns)
	return files
}

// checkFolder refuses the name of a file as that of a folder to write to.
func checkFolder(path string) error {
	if st, err := os.Stat(path); err == nil && !st.IsDir() {
		return usagef("%s is a file: name a folder to write to", path)
	}
	return nil
}

// showTrained tells what came of it.
func (a *app) showTrained(c *cli.Context, r *training.Result) error {
	if c.Bool("json") {
		return a.out.JSON(r, false)
	}
	parts := []string{fmt.Sprintf("%.2f M parameters", float64(r.Parameters)/1e6)}
	if r.Trained != r.Parameters {
		parts = append(parts, fmt.Sprintf("%.2f M trained", float64(r.Trained)/1e6))
	}
	parts = append(parts, fmt.Sprintf("step %d of %d", r.Steps, r.Total), fmt.Sprintf("%.2f epochs", r.Epochs), fmt.Sprintf("%.1f M tokens", float64(r.Tokens)/1e6))
	if r.Loss != 0 { // the log has one
		parts = append(parts, fmt.Sprintf("loss %.4f", r.Loss))
	}
	if r.Valid != nil {
		parts = append(parts, fmt.Sprintf("validation %.4f", *r.Valid))
	}
	if r.Best != nil {
		parts = append(parts, fmt.Sprintf("of step %d, with validation %.4f", r.Best.Step, r.Best.Valid))
	}
	parts = append(parts, time.Duration(r.Seconds*float64(time.Second)).Round(time.Second).String())
	return a.out.Show(r.Model + ": " + strings.Join(parts, ", ") + "\n")
}
