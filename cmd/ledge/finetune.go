package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/chat"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/train/recipe"
	training "github.com/ledge-run/ledge/runtime/train/run"
	frame "github.com/ledge-run/ledge/runtime/train/template"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// recipeName is the recipe that ledge finetune writes, in its folder.
const recipeName = "recipe.yaml"

// recipeHead is its first line, by which it is told from those that people write.
const recipeHead = "# Written by ledge finetune; ledge train takes it, too."

func (a *app) finetuneCommand() *cli.Command {
	c := &cli.Command{
		Name:  "finetune",
		Usage: "teach a model more: by a LoRA adapter, or all of its weights",
		Flags: join([]cli.Flag{
			&cli.StringSliceFlag{Name: "file", Aliases: []string{"f"}, Usage: `DATA.jsonl to learn: lines with "prompt" and "completion", or "text"; may be repeated`},
			&cli.StringSliceFlag{Name: "valid", Usage: "`DATA`.jsonl to measure the loss on, which is not learnt: the result is of the step where that was lowest; may be repeated"},
			&cli.IntFlag{Name: "rank", Usage: "rank `N` of the adapter's matrices", Value: 16},
			&cli.Float64Flag{Name: "alpha", Usage: "the adapter counts `N`/rank times (default: twice the rank)"},
			&cli.StringFlag{Name: "targets", Usage: "matrices that get an adapter, as `attn_q,attn_v` (default: all of the layers)"},
			&cli.BoolFlag{Name: "full", Usage: "train all weights instead, in float32, and write a whole model"},
			&cli.Float64Flag{Name: "epochs", Usage: "go `N` times through the data", Value: 3},
			&cli.Float64Flag{Name: "rate", Usage: "peak `RATE` of learning (default: 5e-4, with --full 5e-5)"},
			&cli.BoolFlag{Name: "raw", Usage: "prompts and completions as they stand, without the model's chat template"},
		}, trainFlags(), []cli.Flag{jsonFlag()}, nameFlags()),
		Action: a.finetune,
	}
	return describe(c, "ledge finetune [FLAGS] -m MODEL -f DATA.jsonl -o FOLDER", `
The model may be quantised: it stays as it is, and the folder gets adapter.gguf for ledge run
--lora, ledge merge and llama.cpp; with --full it gets model.gguf. A prompt is put into the
model's chat template as ledge run does it, and only completions are learnt.

The folder's recipe.yaml is what ledge train would be given, with the same --set, which changes
any key of it. The same command goes on where it stopped; docs/training.md says more, docs/finetune.md has an example.`,
		`ledge finetune -m smollm2:135m -f commands.jsonl --valid held-out.jsonl -o tuned`,
		`ledge run -m smollm2:135m --lora tuned/adapter.gguf "turn on the light"`,
		`ledge finetune -m model-q4_0.gguf -f data.jsonl -o tuned --rank 8 --targets attn_q,attn_v --epochs 1`,
		`ledge finetune -m model-f16.gguf -f data.jsonl -o tuned --full --set train.recompute=true --set export.type=f16`)
}

func (a *app) finetune(c *cli.Context) error {
	if err := only(c, 0, ""); err != nil {
		return err
	}
	out := c.String("out")
	switch {
	case len(c.StringSlice("file")) == 0:
		return usagef("no data: name a file with -f DATA.jsonl")
	case out == "":
		return usagef("no folder to write to: name it with -o FOLDER")
	case c.Int("rank") < 1 || c.Int("rank") > 4096:
		return usagef("--rank %d: it must be 1 to 4096", c.Int("rank"))
	}
	for _, name := range []string{"alpha", "epochs", "rate"} {
		if c.IsSet(name) && !(c.Float64(name) > 0) {
			return usagef("--%s %g: it must be above 0", name, c.Float64(name))
		}
	}
	for _, name := range []string{"rank", "alpha", "targets"} {
		if c.Bool("full") && c.IsSet(name) {
			return usagef("--full trains no adapter: leave --%s away", name)
		}
	}
	text, err := a.finetuneRecipe(c)
	if err != nil {
		return err
	}
	path := filepath.Join(out, recipeName)
	r, err := recipe.Parse([]byte(text), path, c.StringSlice("set"))
	var fault *recipe.Error
	if errors.As(err, &fault) {
		if fault.File == path { // which nobody has written
			return usagef("the flags make no recipe: %s", fault.Text)
		}
		return usagef("%v", err)
	}
	if err != nil {
		return err
	}
	r.Out = out
	if err := cmp.Or(checkRecipe(r), training.Check(r)); err != nil { // or the recipe would be left of it
		return err
	}
	if err := a.keepRecipe(c, path, text); err != nil {
		return err
	}
	res, err := a.runRecipe(c, r)
	if err != nil {
		return err
	}
	return a.showTrained(c, res)
}

// keepRecipe writes the recipe, unless there is another of a run that has got to a
// checkpoint: one of a command that failed before is nothing to go on from.
func (a *app) keepRecipe(c *cli.Context, path, text string) error {
	was, err := os.ReadFile(path)
	switch {
	case err == nil && string(was) == text:
		return nil
	case err == nil && !strings.HasPrefix(string(was), recipeHead):
		return fmt.Errorf("%s is there, and ledge finetune has not written it: -o takes another folder, ledge train %s runs it", path, path)
	case err == nil && training.Begun(filepath.Dir(path)) && !c.Bool("resume") && !c.Bool("restart"):
		return fmt.Errorf("%s is there, of another fine-tuning: --resume goes on all the same, --restart begins anew, -o takes another folder", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// finetuneRecipe is the recipe of what the flags say.
func (a *app) finetuneRecipe(c *cli.Context) (text string, err error) {
	f, name, err := a.openFile(c, "")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if len(f.Paths()) == 0 {
		return "", usagef("%s has no file that training could go on from: name a file or a short name with -m", name)
	}
	base, err := filepath.Abs(f.Paths()[0])
	if err != nil {
		return "", err
	}
	quote := func(s string) string { // YAML takes JSON's texts
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false) // templates are full of <|
		_ = e.Encode(s)        // a string always has one
		return strings.TrimSuffix(b.String(), "\n")
	}
	files := func(list []string) (string, error) {
		var all []string
		for _, p := range list {
			p, err := filepath.Abs(p)
			if err != nil {
				return "", err
			}
			all = append(all, quote(p))
		}
		return "[" + strings.Join(all, ", ") + "]", nil
	}
	learn, err := files(c.StringSlice("file"))
	if err != nil {
		return "", err
	}
	valid, err := files(c.StringSlice("valid"))
	if err != nil {
		return "", err
	}
	template := frame.Prompt + frame.Completion
	if !c.Bool("raw") {
		if template, err = a.chatFrame(f); err != nil {
			return "", fmt.Errorf("%s: %w", base, err)
		}
	}
	rate, decay := 5e-4, 0.0
	if c.Bool("full") {
		rate, decay = 5e-5, 0.01
	}
	if c.IsSet("rate") {
		rate = c.Float64("rate")
	}
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", recipeHead)
	for _, s := range c.StringSlice("set") {
		line("# --set %s", quote(s))
	}
	line("from: %s", quote(base))
	line("data:\n  train: %s", learn)
	if len(c.StringSlice("valid")) > 0 {
		line("  valid: %s", valid)
	}
	line("  template: %s", quote(template))
	line("train: {epochs: %s, rate: %s, decay: %s, tokens_per_step: 1024, tokens_at_once: 1024}", number(c.Float64("epochs")), number(rate), number(decay))
	if !c.Bool("full") {
		alpha := c.Float64("alpha")
		if !c.IsSet("alpha") {
			alpha = 2 * float64(c.Int("rank"))
		}
		line("adapters:\n  rank: %d\n  alpha: %s", c.Int("rank"), number(alpha))
		if t := c.String("targets"); t != "" {
			var names []string
			for n := range strings.SplitSeq(t, ",") {
				names = append(names, quote(strings.TrimSpace(n)))
			}
			line("  targets: [%s]", strings.Join(names, ", "))
		}
	}
	if len(c.StringSlice("valid")) > 0 { // a few examples are soon learnt by heart
		line("validate: {every: 10%%, tokens: 20000}\nexport: {best: true}")
	}
	line("out: .")
	return b.String(), nil
}

// chatFrame is the template of a prompt and its answer: a user's message as ledge run
// renders it.
func (a *app) chatFrame(f *gguf.File) (string, error) {
	tok, err := engine.Tokenizer(f)
	if err != nil {
		return "", err
	}
	t, err := engine.ChatTemplate(f, tok)
	if err != nil {
		return "", err
	}
	a.noteFallback(t)
	render := func(prompt string) (string, error) {
		text, err := t.Render([]chat.Message{{Role: "user", Content: prompt}}, renderFor(nil))
		if tok.AddsBOS() && tok.BOS() >= 0 {
			text = strings.TrimPrefix(text, tok.TokenText(tok.BOS())) // it comes by itself
		}
		return text, err
	}
	const padded = " \n" + frame.Prompt + "\n "
	text, err := render(frame.Prompt)
	if err != nil {
		return "", err
	}
	around, err := render(padded)
	if err != nil {
		return "", err
	}
	switch {
	case strings.Count(text, frame.Prompt) != 1, strings.Contains(text, frame.Completion):
		return "", fmt.Errorf("the model's chat template does not take a message as it is: give --raw, or a template of your own with --set data.template=TEXT")
	case around == text:
		text = strings.Replace(text, frame.Prompt, frame.Trimmed, 1)
	case around != strings.Replace(text, frame.Prompt, padded, 1):
		a.note("note: the model's chat template changes white space around a message, and training does not: take it off the prompts of the data")
	}
	return text + frame.Completion, nil
}
