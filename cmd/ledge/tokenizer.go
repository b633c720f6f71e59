package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/tokenizer/bpetrain"
	"github.com/ledge-run/ledge/runtime/train/data/source"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

func (a *app) tokenizerCommand() *cli.Command {
	c := &cli.Command{Name: "tokenizer", Usage: "train a vocabulary", Subcommands: []*cli.Command{a.tokenizerTrainCommand()}}
	return describe(c, "ledge tokenizer train -o FOLDER [FLAGS] PATH...", "", `ledge tokenizer train -o tokens --size 8000 corpus/`)
}

func (a *app) tokenizerTrainCommand() *cli.Command {
	var presets []string
	for _, p := range bpetrain.Presets() {
		presets = append(presets, fmt.Sprintf("   %-8s %s", p, bpetrain.DescribePreset(p)))
	}
	const catTokens = "TOKENS"
	c := &cli.Command{Name: "train", Usage: "make a byte-level BPE vocabulary of texts", Action: a.tokenizerTrain}
	c.Flags = join([]cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FOLDER` to make"},
		&cli.IntFlag{Name: "size", Value: 8000, Usage: "`N` tokens in all", Category: catTokens},
		&cli.StringFlag{Name: "pre", Value: "gpt2", Usage: "pre-tokenizer `NAME`: " + strings.Join(bpetrain.Presets(), ", "), Category: catTokens},
		&cli.Int64Flag{Name: "min-frequency", Value: 2, Usage: "make a token only of pairs seen `N` times", Category: catTokens},
		&cli.StringSliceFlag{Name: "special", Usage: "`TOKEN` that is no text, such as <|im_start|>; as often as wanted", Category: catTokens},
		&cli.StringSliceFlag{Name: "whole", Usage: "`TEXT` that is always one token, such as a key of a format; as often as wanted", Category: catTokens},
		&cli.StringFlag{Name: "eos", Value: "<|endoftext|>", Usage: "`TOKEN` that ends a text", Category: catTokens},
		&cli.StringFlag{Name: "bos", Usage: "`TOKEN` that begins a text", Category: catTokens},
		&cli.StringFlag{Name: "pad", Usage: "`TOKEN` for padding", Category: catTokens},
		&cli.BoolFlag{Name: "add-bos", Usage: "texts get the begin token when they are tokenized", Category: catTokens},
		threadsFlag(), jsonFlag(), quietFlag(),
	}, sourceFlags())
	for _, f := range c.Flags {
		if s, ok := f.(*cli.StringFlag); ok && s.Name == "unit" {
			s.Value = "line"
		}
	}
	return describe(c, "ledge tokenizer train -o FOLDER [FLAGS] PATH...", `
Writes tokenizer.gguf (a GGUF file with a vocabulary only, for ledge tokenize -m, training, llama.cpp), tokenizer.json and
tokenizer_config.json (for Hugging Face's tokenizers and transformers). Tokens, merges and ids are the same as those of
Hugging Face's BpeTrainer on the same texts and settings, at any number of threads. Special tokens get the first
ids in the order given; those of --eos, --bos and --pad follow if they are not among them, then those of --whole. PATH is what ledge data
build reads, or a folder that it made; JSON lines may have a prompt and a completion in place of a text. Pre-tokenizers:

`+strings.Join(presets, "\n"),
		`ledge tokenizer train -o tokens --size 8000 corpus/`,
		`ledge tokenizer train -o tokens --size 32000 --pre qwen2 --special "<|im_start|>" --special "<|im_end|>" texts/ notes.jsonl`,
		`ledge tokenize -m tokens/tokenizer.gguf "Hello, world"`)
}

func (a *app) tokenizerTrain(c *cli.Context) error {
	out := c.String("output")
	switch {
	case out == "":
		return usagef("no folder to make: name one with -o FOLDER")
	case c.NArg() == 0:
		return usagef("no texts: name files or folders to read; see ledge tokenizer train --help")
	}
	if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already: name another folder, or remove it first", out)
	}
	o := sourceOptions(c)
	o.Pairs = !c.IsSet("field") // what ledge train learns from
	o.Blank = true              // runs of spaces are words, too
	if err := o.Check(); err != nil {
		return usagef("%v", err)
	}
	found, err := source.Find(corpusOf(c.Args().Slice()))
	if err != nil {
		return err
	}
	bar := a.newStages()
	var total, bad int64
	for _, f := range found.Files {
		total += f.Size
	}
	texts := a.corpus(c.Context, found.Files, o, c.Bool("skip-bad"), &bad, func(done int64) {
		f := fraction(done, max(total, 1))
		bar.show("reading", f, "%.0f %%", 100*f)
	})
	v, err := bpetrain.Train(c.Context, texts, bpetrain.Config{
		Size: c.Int("size"), Preset: c.String("pre"), MinFrequency: c.Int64("min-frequency"), Special: c.StringSlice("special"), Whole: c.StringSlice("whole"),
		EOS: c.String("eos"), BOS: c.String("bos"), PAD: c.String("pad"), AddBOS: c.Bool("add-bos"), Threads: c.Int("threads"),
		Progress: func(stage string, done, of int64) {
			if of > 0 {
				bar.show(stage, fraction(done, of), "%d of %d tokens", done, of)
			}
		}})
	bar.done()
	if err != nil {
		var record *source.BadRecord
		if errors.As(err, &record) {
			return fmt.Errorf("%w (--skip-bad leaves such records out)", err)
		}
		return err
	}
	if err := saveVocabulary(c.Context, out, v); err != nil {
		return err
	}
	if v.Stats.Starved {
		a.note("the vocabulary has %d tokens: no other pair occurs %d times", len(v.Tokens), c.Int64("min-frequency"))
	}
	if v.Stats.Cut > 0 {
		a.note("%d words were longer than %d bytes and were cut", v.Stats.Cut, bpetrain.DefaultMaxWord)
	}
	if bad > 0 {
		a.note("%d bad records were left out", bad)
	}
	if c.Bool("json") {
		return a.out.JSON(struct {
			Folder string `json:"folder"`
			Tokens int    `json:"tokens"`
			bpetrain.Stats
		}{out, len(v.Tokens), v.Stats}, false)
	}
	s := v.Stats
	return a.out.Show(fmt.Sprintf("%s: %d tokens, %d merges, of %d bytes in %d texts (%d words, %d different)\n", out, len(v.Tokens), s.Merges, s.Bytes, s.Texts, s.Words, s.Unique))
}

// corpusOf takes only the training shards of folders that ledge data build made.
func corpusOf(paths []string) []string {
	var all []string
	for _, p := range paths {
		shards, err := filepath.Glob(filepath.Join(p, "train-?????.jsonl*"))
		if _, serr := os.Stat(filepath.Join(p, "manifest.json")); err == nil && serr == nil && len(shards) > 0 {
			all = append(all, shards...)
			continue
		}
		all = append(all, p)
	}
	return all
}

// corpus reads the texts of files. Bad records end it unless they are skipped and counted.
func (a *app) corpus(ctx context.Context, files []source.File, o source.Options, skip bool, bad *int64, progress func(int64)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var before int64
		for _, f := range files {
			for doc, err := range source.Read(f, o, func(n int64) { progress(before + n) }) {
				var record *source.BadRecord
				switch {
				case ctx.Err() != nil:
					yield("", context.Cause(ctx))
					return
				case errors.As(err, &record) && skip:
					*bad++
					continue
				}
				if !yield(doc.Text, err) || err != nil {
					return
				}
			}
			before += f.Size
		}
	}
}

// saveVocabulary makes the folder, which gets its name when all is in it.
func saveVocabulary(ctx context.Context, out string, v *bpetrain.Vocabulary) (err error) {
	temp, err := os.MkdirTemp(filepath.Dir(out), "."+filepath.Base(out)+".*.part")
	if err != nil {
		return fmt.Errorf("cannot write: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temp))
		}
	}()
	if err := os.Chmod(temp, 0o755); err != nil { // MkdirTemp's are for their owner alone
		return fmt.Errorf("cannot write: %w", err)
	}
	var w gguf.Writer
	// Readers want to know an architecture, of a vocabulary too.
	err = errors.Join(w.Set("general.architecture", "llama"), w.Set("general.type", "model"), w.Set("general.name", filepath.Base(out)))
	for key, value := range v.Metadata() {
		err = errors.Join(err, w.Set(key, value))
	}
	if err != nil {
		return err
	}
	if err := w.Save(ctx, filepath.Join(temp, "tokenizer.gguf"), false); err != nil {
		return err
	}
	js, err := v.TokenizerJSON()
	if err != nil {
		return err
	}
	cfg, err := v.TokenizerConfigJSON()
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{"tokenizer.json": js, "tokenizer_config.json": cfg} {
		if err := os.WriteFile(filepath.Join(temp, name), b, 0o666); err != nil {
			return fmt.Errorf("cannot write: %w", err)
		}
	}
	if err := os.Rename(temp, out); err != nil {
		return fmt.Errorf("cannot write %s: %w", out, err)
	}
	return nil
}
