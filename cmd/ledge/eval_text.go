package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// textPlan reads what a text is to be measured with.
func (a *app) textPlan(c *cli.Context, text string) (func([]string, engine.Options) (evalReport, error), error) {
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
	if err := checkUTF8(file, text); err != nil {
		return nil, err
	}
	return func(names []string, o engine.Options) (evalReport, error) {
		if o.Context == 0 {
			o.Context = a.chunkOf(append(slices.Clone(names), reference))
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

// chunkOf is the size of chunks that all models take, so that their figures compare.
func (a *app) chunkOf(names []string) int {
	n := defaultChunk
	for _, name := range names {
		if f := a.here(name); f != nil {
			n = atMost(f, n)
			_ = f.Close() // it was only looked at
		}
	}
	return n
}

// evalText measures one model on a text.
func (a *app) evalText(c *cli.Context, report *evalReport, name, text string, o engine.Options) error {
	reference := c.String("reference")
	if reference == "" {
		return a.withModel(c, name, o, func(m *engine.Model) error {
			return a.evalPlain(c, report, name, m, text, o.Context)
		})
	}
	if isLogits(reference) {
		l, f, err := openLogits(reference)
		if err != nil {
			return err
		}
		defer f.Close()
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
		return a.withPlain(c, reference, o, func(ref *engine.Model) error {
			t, err := eval.NewText(m, text, o.Context, c.Int("chunks"))
			if err != nil {
				return err
			}
			return a.compare(c, report, name, m, t, eval.ModelReference{M: ref})
		})
	})
}

// isLogits reports whether a reference is a file of log-probabilities, or at least no model.
func isLogits(reference string) bool {
	st, err := os.Stat(reference)
	return err == nil && st.Mode().IsRegular() && !isGGUF(reference)
}

func openLogits(path string) (*eval.LogitsReader, *os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read: %w", err)
	}
	l, err := eval.NewLogitsReader(f)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return l, f, nil
}

// checkReference finds before the first model runs that one of them cannot be compared with
// the reference. Models that are not here, or broken, are told of in their turn.
func (a *app) checkReference(c *cli.Context, names []string) error {
	reference := c.String("reference")
	if reference == "" {
		return nil
	}
	var fits func(name string, f *gguf.File) error
	if isLogits(reference) {
		l, f, err := openLogits(reference)
		if err != nil {
			return err
		}
		defer f.Close()
		if c.IsSet("ctx") && c.Int("ctx") != l.Size {
			return usagef("-c %d: %s has chunks of %d tokens, on which models are compared: leave -c away", c.Int("ctx"), reference, l.Size)
		}
		fits = func(name string, f *gguf.File) error { return fitsLogits(name, f, reference, l) }
	} else if ref := a.here(reference); ref != nil {
		defer ref.Close()
		of, err := engine.Tokenizer(ref)
		if err != nil {
			return nil
		}
		fits = func(name string, f *gguf.File) error {
			t, err := engine.Tokenizer(f)
			if err != nil {
				return nil
			}
			if err := eval.SameTokenizer(t, of); err != nil {
				return fmt.Errorf("%s cannot be compared with %s: %w", name, reference, err)
			}
			return nil
		}
	} else {
		return nil
	}
	for _, name := range names {
		if f := a.here(name); f != nil {
			if err := errors.Join(fits(name, f), f.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// fitsLogits refuses a model of another vocabulary than that of log-probabilities, or of a
// context that is shorter than their chunks.
func fitsLogits(name string, f *gguf.File, reference string, l *eval.LogitsReader) error {
	net, err := engine.Network(f)
	if err != nil {
		return nil
	}
	switch so := net.Info(); {
	case so.Context < l.Size:
		return fmt.Errorf("%s has chunks of %d tokens; %s was trained for %d: make it anew with -c %d", reference, l.Size, name, so.Context, so.Context)
	case so.Vocab != l.Vocab:
		return fmt.Errorf("%s has %d log-probabilities for a position, %s %d logits: they must have the same tokenizer", reference, l.Vocab, name, so.Vocab)
	}
	return nil
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
	bar := a.newStages()
	defer bar.done()
	if path := c.String("save-logits"); path != "" {
		t, err := eval.NewText(m, text, size, c.Int("chunks"))
		if err != nil {
			return err
		}
		return console.WriteFile(path, a.out, func(w *console.File) error {
			return eval.SaveLogits(c.Context, m, t, w, func(done, of int) {
				bar.show(filepath.Base(name), fraction(done, of), "chunk %d of %d", done, of)
			})
		})
	}
	var last eval.Perplexity
	so, err := eval.MeasurePerplexity(c.Context, m, text, size, c.Int("chunks"), func(done, of int, so eval.Perplexity) {
		last = so
		bar.show(filepath.Base(name), fraction(done, of), "chunk %d of %d, %.4f so far", done, of, so.PPL)
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
	bar := a.newStages()
	defer bar.done()
	so, err := eval.Compare(c.Context, m, t, ref, func(done, of int, so eval.Divergence) {
		bar.show(filepath.Base(name), fraction(done, of), "chunk %d of %d, KL %.5f so far", done, of, so.KL)
	})
	if err != nil && (!so.Partial || so.Positions == 0) {
		return err
	}
	report.Models = append(report.Models, evalResult{Model: name, Bytes: m.File.Size(), Device: m.Device().Name, Divergence: &so})
	return err
}
