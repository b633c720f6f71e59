// Package delta measures what became of a model: the table before and after that
// ledge quantize, prune and distill end with. Every figure is taken as the command
// takes it that measures nothing else: perplexity, divergence and scores as ledge
// eval, speed and energy as ledge bench, the models by turns.
package delta

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/eval"
	"github.com/ledge-run/ledge/runtime/power"
	"github.com/ledge-run/ledge/runtime/weights/gguf"
)

// Options say what is measured. What they leave out is absent from the report,
// which says why.
type Options struct {
	Engine engine.Options // Context, Sequences, PackCache and Share are chosen here

	Text   string // that both models read; "" for none
	Name   string // what the report calls it
	Chunks int    // the first of the text; 0 for all

	Task     *eval.Data // that both models are asked for; nil for none
	TaskName string     // what the report calls it

	Speed Speeds       // whether the models take turns at reading and generating
	Meter *power.Meter // what measures energy meanwhile; nil for nothing

	Progress func(stage string, done, of int) // may be nil
}

// Speeds says whether speed is measured.
type Speeds int

const (
	NoSpeed     Speeds = iota
	SpeedIfFits        // if there is a text or a task, or both models are small beside the free memory
	AlwaysSpeed
)

// Report is the table.
type Report struct {
	Before  Model    `json:"before"`
	After   Model    `json:"after"`
	Quality *Quality `json:"quality,omitempty"`
	Task    string   `json:"task,omitempty"`   // the data set that scores are of
	Absent  []Absent `json:"absent,omitempty"` // what was not measured
}

// Model is a side of it. Figures that were not measured are nil.
type Model struct {
	Facts
	Memory     *engine.Memory `json:"memory,omitempty"`
	Context    int            `json:"memory_context,omitempty"` // tokens that the memory is for
	Perplexity *float64       `json:"perplexity,omitempty"`     // as ledge perplexity gives it
	Score      *eval.Result   `json:"score,omitempty"`          // as ledge eval gives it
	Prefill    *Speed         `json:"prefill,omitempty"`
	Decode     *Speed         `json:"decode,omitempty"`
}

// Quality is how far the model has moved from the one before on a text.
type Quality struct {
	On        string  `json:"measured_on"`
	Tokens    int     `json:"tokens"` // positions that were compared
	Chunks    int     `json:"chunks"`
	ChunkSize int     `json:"chunk_size"`        // tokens; the second half of each is compared
	KL        float64 `json:"kl"`                // mean Kullback-Leibler divergence of the next token, in nats, from the model before
	KLError   float64 `json:"kl_stderr"`         // standard error of the mean
	SameTop   float64 `json:"same_first_choice"` // share of positions whose likeliest token is the same
}

// Absent is what was not measured, and why.
type Absent struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Sizes is the report of files alone: nothing is run.
func Sizes(before, after *gguf.File) *Report {
	r := &Report{Before: Model{Facts: FactsOf(before)}, After: Model{Facts: FactsOf(after)}}
	r.absent("memory, perplexity, divergence, score, speed, energy", "the models were not run")
	return r
}

func (r *Report) absent(what, why string) { r.Absent = append(r.Absent, Absent{what, why}) }

// Measure compares the model in the file after with the one before. Both have to have
// the same tokenizer.
func Measure(ctx context.Context, before, after string, o Options) (_ *Report, err error) {
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	var files [2]*gguf.File
	for i, path := range []string{before, after} {
		if files[i], err = gguf.Open(path); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, files[i].Close()) }()
	}
	r := &Report{Before: Model{Facts: FactsOf(files[0])}, After: Model{Facts: FactsOf(files[1])}}
	speed, why := o.speed(ctx, r)
	if o.Text == "" {
		r.absent("perplexity, divergence", "no text was given")
	}
	if o.Task == nil {
		r.absent("score", "no data set was given")
	}
	if !speed {
		r.absent("speed, energy", why)
		if o.Text == "" && o.Task == nil {
			r.absent("memory", why)
			return r, nil
		}
	}
	err = o.run(ctx, r, [2]string{before, after}, files, speed)
	if err != nil && ctx.Err() == nil && o.Text == "" && o.Task == nil && o.Speed != AlwaysSpeed {
		// Nobody asked: the files are what matters, and this says what is wrong with them.
		r.absent("memory, speed, energy", err.Error())
		return r, nil
	}
	return r, err
}

// run opens both models and measures.
func (o *Options) run(ctx context.Context, r *Report, paths [2]string, files [2]*gguf.File, speed bool) (err error) {
	size, err := ChunkSize(files[0], Chunk)
	if err != nil {
		return err
	}
	eo := o.Engine
	eo.Context, eo.Sequences, eo.PackCache, eo.Share = size, 1, nil, false
	var models [2]*engine.Model
	for i, path := range paths {
		if o.Task != nil { // its items may be longer than a chunk
			net, err := engine.Network(files[i])
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			eo.Context = max(size, min(engine.DefaultContext, net.Info().Context))
		}
		if models[i], err = engine.Open(ctx, path, eo); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		defer func() { err = errors.Join(err, models[i].Close()) }()
	}
	sides := [2]*Model{&r.Before, &r.After}
	for i, m := range models {
		memory := m.Memory()
		sides[i].Memory, sides[i].Context = &memory, m.Options.Context
	}
	if o.Text != "" {
		if err := o.compare(ctx, r, models, size); err != nil {
			return err
		}
	}
	if o.Task != nil {
		r.Task = o.TaskName
		for i, m := range models {
			stage := [2]string{"score before", "score after"}[i]
			so, err := eval.Run(ctx, m, o.Task, eval.Plan{Progress: func(done, of int) { o.Progress(stage, done, of) }})
			if err != nil {
				return fmt.Errorf("%s: %w", o.TaskName, err)
			}
			sides[i].Score = &so
		}
	}
	if speed {
		return o.turns(ctx, r, sides, models)
	}
	return nil
}
