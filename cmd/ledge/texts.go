package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/compress/delta"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// corpora are what something is chosen by and what the models are measured on: never the
// same.
type corpora struct {
	say      choosing
	chosen   string // what is chosen by, "" for nothing
	eval     string // what the models are measured on, or ""
	evalName string // its file
	held     bool   // it is the last third of a text whose rest is chosen by
}

// choosing is how a command speaks of what it chooses by a text.
type choosing struct {
	without string // when there is no use for two texts
	by      string // "the text that ... by"
	none    string // what was not chosen by the text that is measured on
}

// readTexts reads -f and --eval-file; chooses is whether something is chosen by a text.
func (a *app) readTexts(c *cli.Context, chooses bool, say choosing) (t corpora, err error) {
	t.say = say
	file, other := c.String("file"), c.String("eval-file")
	if file == "" && other == "" && c.IsSet("chunks") {
		return t, usagef("--chunks goes with a text to measure on: name one with -f or --eval-file")
	}
	if file != "" && other != "" {
		if !chooses {
			return t, usagef("-f and --eval-file: %s give one of them", say.without)
		}
		if sameFile(file, other) {
			return t, usagef("--eval-file %s is the text that %s by: name another, or leave it out to measure on the last third", other, say.by)
		}
	}
	var text string
	if file != "" {
		if text, err = a.readText(c.Context, file); err != nil {
			return t, err
		}
	}
	switch {
	case other != "":
		t.chosen, t.evalName = text, other
		t.eval, err = a.readText(c.Context, other)
	case chooses:
		t.evalName, t.held = file, true
		t.chosen, t.eval = delta.HoldOut(text)
	default:
		t.evalName, t.eval = file, text
	}
	return t, err
}

// measuredOn says what text figures are of.
func (t *corpora) measuredOn() string {
	name := filepath.Base(t.evalName)
	if t.evalName == "-" {
		name = "standard input"
	}
	if t.held {
		name += ", its last third, which " + t.say.none + " was chosen by"
	}
	return name
}

// enough finds before the long part that the text is too short to measure on, which
// nobody asked for if it is a last third.
func (a *app) enough(f *gguf.File, t *corpora) error {
	if t.eval == "" {
		return nil
	}
	err := delta.Enough(f, t.eval, delta.Chunk)
	if in := inModel(f, err); in != err {
		return in // it is not the text
	}
	switch {
	case err != nil && t.held:
		a.note("note: the last third of %s is too short to measure on (%v): no quality will be shown; name a text with --eval-file", t.evalName, err)
		t.eval = ""
	case err != nil:
		return fmt.Errorf("%s: %w", t.evalName, err)
	}
	return nil
}

// openSource opens the model that another is made of, and refuses what would end in
// nothing: a file that must not be written to path, a text that is too short.
func (a *app) openSource(c *cli.Context, model, path string, t *corpora) (f *gguf.File, source string, err error) {
	if source, err = a.find(c, model); err != nil {
		return nil, "", err
	}
	if f, err = gguf.Open(source); err != nil {
		return nil, "", err
	}
	if c.Bool("dry-run") {
		return f, source, nil
	}
	if err = apart(f, path); err == nil {
		err = spare(c, path, "file", "eval-file", "imatrix", "task", "heal")
	}
	if err == nil {
		err = free(c, path)
	}
	if err == nil {
		err = a.enough(f, t)
	}
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return f, source, nil
}
