package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/tokenizer"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func (a *app) logitsCommand() *cli.Command {
	c := &cli.Command{
		Name:  "logits",
		Usage: "write the logits of every token of a text, for comparison with other engines",
		Flags: join([]cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FILE.npy` to write; - is standard output"},
			&cli.StringFlag{Name: "tokens-file", Usage: "`FILE.json`: a JSON array of token ids instead of a text"},
			&cli.BoolFlag{Name: "special", Usage: "control tokens written in the text become those tokens"},
			&cli.BoolFlag{Name: "force", Usage: "replace a file of another kind that is there"},
			loraFlag(),
		}, nameFlags(), deviceFlags()),
		Action: a.logits,
	}
	return describe(c, "ledge logits [FLAGS] -o FILE.npy TEXT\nledge logits [FLAGS] -o FILE.npy --tokens-file FILE.json", `
The file is a float32 array [tokens, vocabulary] in NumPy's format. The tokens run as
one sequence; row i holds the logits for the token after token i. A text gets the
tokens around it that the model wants (BOS); the ids of a file are taken as they are.
The context is made large enough unless -c sets it.`,
		`ledge logits -m model.gguf -o logits.npy "The capital of France is"`,
		`ledge logits -m model.gguf --tokens-file ids.json --cache-type f32 -o logits.npy`,
		`python3 -c "import numpy; print(numpy.load('logits.npy').argmax(axis=1))"`)
}

func (a *app) logits(c *cli.Context) error {
	path := c.String("output")
	if path == "" {
		return usagef("no output: name it with -o FILE.npy")
	}
	o, err := a.options(c)
	if err != nil {
		return err
	}
	encode, err := a.logitsInput(c)
	if err != nil {
		return err
	}
	f, _, err := a.openFile(c, "")
	if err != nil {
		return err
	}
	if path != "-" {
		if err := cmp.Or(apart(f, path), spare(c, path, "tokens-file", "lora"), arrayFile.renew(c, path)); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	ids, o, err := prepare(f, o, encode)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	out, err := console.Create(path, a.out)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	defer out.Discard()
	if o.Adapters, err = a.adapters(c); err != nil {
		return errors.Join(err, f.Close())
	}
	m, err := a.load(c.Context, f, o)
	if err != nil {
		return err
	}
	return errors.Join(a.writeLogits(c.Context, m, ids, out), a.close(m))
}

// logitsInput reads what the command line names and returns how it becomes
// tokens once the model is known.
func (a *app) logitsInput(c *cli.Context) (func(*tokenizer.Tokenizer) []int32, error) {
	if file := c.String("tokens-file"); file != "" {
		if err := only(c, 0, ""); err != nil {
			return nil, usagef("give a text or --tokens-file, not both")
		}
		text, err := a.readFile(c.Context, file)
		if err != nil {
			return nil, err
		}
		ids, err := parseIDs(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return func(*tokenizer.Tokenizer) []int32 { return ids }, nil
	}
	if c.NArg() == 0 && !a.piped() {
		return nil, usagef("no text: give one, - to read it from standard input, or --tokens-file")
	}
	text, err := a.text(c.Context, c.Args().Slice(), false)
	return func(t *tokenizer.Tokenizer) []int32 {
		return t.Encode(text, tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: c.Bool("special")})
	}, err
}

// prepare encodes the text and makes the context large enough for it.
func prepare(f *gguf.File, o engine.Options, encode func(*tokenizer.Tokenizer) []int32) ([]int32, engine.Options, error) {
	net, err := engine.Network(f)
	if err != nil {
		return nil, o, inFile(f, err)
	}
	t, err := engine.Tokenizer(f)
	if err != nil {
		return nil, o, inFile(f, err)
	}
	ids, info := encode(t), net.Info()
	if len(ids) == 0 {
		return nil, o, usagef("there is no token to run: give a text")
	}
	if err := checkIDs(ids, info.Vocab); err != nil {
		return nil, o, err
	}
	most := o.Context
	if most == 0 {
		most = info.Context
	}
	if len(ids) > most {
		return nil, o, fmt.Errorf("%d tokens do not fit the context of %d (the model was trained for %d): give less", len(ids), most, info.Context)
	}
	if o.Context == 0 && len(ids) > engine.DefaultContext {
		o.Context = len(ids)
	}
	return ids, o, nil
}

func (a *app) writeLogits(ctx context.Context, m *engine.Model, ids []int32, out *console.File) error {
	w, err := newNPY(out, len(ids), m.Vocab())
	if err != nil {
		return err
	}
	bar := a.newProgress()
	done := 0
	err = m.Logits(ctx, ids, func(first int, logits []float32) error {
		done += len(logits) / m.Vocab()
		bar.Show("logits", float64(done)/float64(len(ids)), fmt.Sprintf("%d of %d tokens", done, len(ids)))
		return w.rows(logits)
	})
	bar.Done()
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	if err := w.finish(); err != nil {
		return err
	}
	return out.Commit()
}
