package main

import (
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/runtime/compress/delta"
	"github.com/ledge-run/ledge/runtime/eval"
)

const catDelta = "BEFORE AND AFTER"

// deltaFlags are those of commands that end with a table of the model before and
// after.
func deltaFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "chunks", Usage: "measure on the first `N` chunks of 512 tokens of the text (default: all)", Category: catDelta},
		&cli.StringFlag{Name: "task", Usage: "ask both models for the items of `DATA`.jsonl, as ledge eval does, and show their scores", Category: catDelta},
		&cli.BoolFlag{Name: "skip-bad", Usage: "leave bad lines of --task out", Category: catDelta},
		&cli.BoolFlag{Name: "no-speed", Usage: "measure no speed, memory and energy", Category: catDelta},
	}
}

// deltaTask checks these flags and reads the data set, if there is one.
func (a *app) deltaTask(c *cli.Context) (*eval.Data, error) {
	if n := c.Int("chunks"); n < 0 {
		return nil, usagef("--chunks %d: it must be 1 or more, or 0 for all", n)
	}
	if c.String("task") == "" {
		return nil, nil
	}
	return a.readData(c, c.String("task"), nil)
}

// delta makes the table of the models in two files; text and task may be empty.
func (a *app) delta(c *cli.Context, before, after, text, on string, task *eval.Data) (*delta.Report, error) {
	speed := delta.SpeedIfFits
	if c.Bool("no-speed") {
		speed = delta.NoSpeed
	}
	return a.deltaAt(c, before, after, text, on, task, speed)
}

func (a *app) deltaAt(c *cli.Context, before, after, text, on string, task *eval.Data, speed delta.Speeds) (*delta.Report, error) {
	eo, err := a.options(c)
	if err != nil {
		return nil, err
	}
	bar := a.newStages()
	defer bar.done()
	o := delta.Options{
		Engine: eo, Text: text, Name: on, Chunks: c.Int("chunks"), Task: task, TaskName: filepath.Base(c.String("task")),
		Speed: speed, Meter: openMeter(),
		Progress: func(stage string, done, of int) { bar.show(stage, fraction(done, of), "%d of %d", done, of) },
	}
	return delta.Measure(c.Context, before, after, o)
}
