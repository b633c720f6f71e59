package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
)

func (a *app) perplexityCommand() *cli.Command {
	flags := join([]cli.Flag{
		&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "`TEXT` file to score; - is standard input"},
		&cli.IntFlag{Name: "chunks", Usage: "score the first `N` chunks (default: all)"},
		loraFlag(), jsonFlag(),
	}, nameFlags(), deviceFlags())
	for _, f := range flags {
		if i, ok := f.(*cli.IntFlag); ok && i.Name == "ctx" {
			i.Value, i.DefaultText, i.Usage = defaultChunk, chunkUsual, "chunks of `N` tokens"
		}
	}
	c := &cli.Command{Name: "perplexity", Usage: "measure how well a model predicts a text", Flags: flags, Action: a.perplexity}
	return describe(c, "ledge perplexity [FLAGS] -f TEXT", `
llama.cpp's protocol, so that figures compare: the text is cut into chunks of -c
tokens, each begins with BOS if the model wants it, and its second half is scored.
--json writes {"ppl": ..., "stderr": ..., "tokens": ..., "chunks": ...}.`,
		`ledge perplexity -m model.gguf -f wiki.test.raw`,
		`ledge perplexity -m model.gguf -f text.txt -c 1024 --chunks 8 --json`)
}

func (a *app) perplexity(c *cli.Context) error {
	file := c.String("file")
	if file == "" && c.NArg() == 1 {
		file = c.Args().First()
	} else if err := only(c, 0, ""); err != nil {
		return err
	}
	if file == "" {
		return usagef("no text to score: name a file with -f TEXT")
	}
	o, err := a.options(c)
	if err != nil {
		return err
	}
	if o.Context < 8 {
		return usagef("-c %d: chunks must have at least 8 tokens", o.Context)
	}
	if c.Int("chunks") < 0 {
		return usagef("--chunks %d: it must be 1 or more, or 0 for all", c.Int("chunks"))
	}
	text, err := a.readText(c.Context, file)
	if err != nil {
		return err
	}
	f, _, err := a.openFile(c, "")
	if err != nil {
		return err
	}
	if !c.IsSet("ctx") {
		o.Context = atMost(f, o.Context)
	}
	if o.Adapters, err = a.adapters(c); err != nil {
		return errors.Join(err, f.Close())
	}
	m, err := a.load(c.Context, f, o)
	if err != nil {
		return err
	}
	return errors.Join(a.measure(c, m, text, o.Context), a.close(m))
}

func (a *app) measure(c *cli.Context, m *engine.Model, text string, size int) error {
	bar := a.newProgress()
	so, err := eval.MeasurePerplexity(c.Context, m, text, size, c.Int("chunks"), func(done, of int, so eval.Perplexity) {
		bar.Show("perplexity", float64(done)/float64(of), fmt.Sprintf("chunk %d of %d, %.4f so far", done, of, so.PPL))
	})
	bar.Done()
	if err != nil {
		return a.cause(c, err)
	}
	if c.Bool("json") {
		return a.out.JSON(so, false)
	}
	return a.out.Show(fmt.Sprintf("%.4f ± %.4f (%d tokens scored in %d chunks of %d)\n", so.PPL, so.Stderr, so.Tokens, so.Chunks, size))
}
