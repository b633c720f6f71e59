package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/ledge-run/ledge/runtime/engine"
	"github.com/ledge-run/ledge/runtime/grammar"
	"github.com/ledge-run/ledge/runtime/power"
	"github.com/ledge-run/ledge/runtime/sampler"
)

// Method is how a model is asked.
type Method string

// The methods.
const (
	Likelihood Method = "likelihood" // which option it thinks likeliest
	Generation Method = "generation" // what it writes, greedily
)

// Plan is how a data set is run.
type Plan struct {
	Prompting
	MatchOptions
	By        Method // "" is likelihood where there are options, else generation
	Normalise bool   // Likelihood: choose by the log-likelihood for each character
	MaxTokens int    // Generation; 0 is by the task
	Stop      []string
	Grammar   *grammar.Grammar
	Parallel  int // items at once; 0 is 1

	Meter  *power.Meter // nil measures no energy
	Beside bool         // the device is outside of the processor's package

	// Progress is told, by one goroutine at a time, how many items are done.
	Progress func(done, of int)
}

// Outcome is what became of an item.
type Outcome struct {
	Line      int     `json:"line"`
	Is        any     `json:"is"`
	Predicted any     `json:"predicted"` // the option, the text, the object; null if there is none
	Right     bool    `json:"right"`
	Output    *string `json:"output,omitempty"` // Generation: what the model wrote
	Reason    string  `json:"reason,omitempty"` // and why it ended
	Scores    []Score `json:"scores,omitempty"` // Likelihood

	norm             string // the option by log-likelihood for each character
	prompt, answered int    // tokens that were run and generated
	done             bool
}

// Result is what a model was worth on a data set.
type Result struct {
	Task    Task   `json:"task"`
	By      Method `json:"by"`
	Items   int    `json:"items"`             // that were run
	Of      int    `json:"of"`                // that were to be
	Skipped int    `json:"skipped_lines"`     // of the data set, which were bad
	Partial bool   `json:"partial,omitempty"` // it was interrupted

	// Score is the share that is right, with its standard error: accuracy, or exact
	// match.
	Score    float64 `json:"score"`
	ScoreErr float64 `json:"score_stderr"`

	// ScoreNorm is the accuracy by log-likelihood for each character.
	ScoreNorm  *float64        `json:"score_norm,omitempty"`
	Unanswered *int            `json:"unanswered,omitempty"` // Generation: outputs without any of the options
	Classes    *Classification `json:"classes,omitempty"`    // Label and Choice with the same options for all
	Slots      *Slots          `json:"slots,omitempty"`      // Command

	Seconds         float64  `json:"seconds"`
	PromptTokens    int      `json:"prompt_tokens"` // that were run, not those in the cache
	Generated       int      `json:"generated_tokens"`
	TokensPerSecond float64  `json:"tokens_per_second"` // both
	JoulesPerToken  *float64 `json:"joules_per_token"`
	EnergySource    string   `json:"energy_source,omitempty"`
	EnergyNote      string   `json:"energy_note,omitempty"`

	Outcomes []Outcome `json:"-"`
}

// Run asks a model for all items of a data set. If ctx ends, the result is of the
// items that were finished, marked as partial, and the error is the context's.
func Run(ctx context.Context, m *engine.Model, d *Data, p Plan) (Result, error) {
	if p.By == "" {
		if p.By = Generation; d.Task == Choice || d.Task == Label {
			p.By = Likelihood
		}
	}
	if p.By == Likelihood && (d.Task == Answer || d.Task == Command) {
		return Result{}, fmt.Errorf("the task %s has no options: it goes by %s only", d.Task, Generation)
	}
	if p.By == Likelihood && p.Grammar != nil {
		return Result{}, errors.New("a JSON schema goes with generation only")
	}
	if err := p.Prompting.Check(); err != nil {
		return Result{}, err
	}
	var run *power.Run
	if p.Meter != nil {
		run = p.Meter.Start()
		defer run.Stop()
	}
	start := time.Now()
	out, err := p.each(ctx, m, d)
	r := p.sum(d, out)
	r.Seconds = time.Since(start).Seconds()
	tokens := r.PromptTokens + r.Generated
	r.TokensPerSecond = ratio(float64(tokens), r.Seconds)
	if run != nil {
		spent, why := run.Stop().Main(p.Beside)
		if joules, _ := spent.PerToken(tokens); why == nil && joules > 0 {
			r.JoulesPerToken, r.EnergySource = &joules, spent.String()
		} else if why != nil {
			r.EnergyNote = why.Error()
		}
	}
	r.Partial = err != nil && ctx.Err() != nil
	return r, err
}

// each runs the items, several at once. What an item gives does not depend on the
// others.
func (p *Plan) each(ctx context.Context, m *engine.Model, d *Data) ([]Outcome, error) {
	out := make([]Outcome, len(d.Items))
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan int)
	go func() {
		defer close(next)
		for i := range d.Items {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	var all sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range min(max(p.Parallel, 1), len(d.Items)) {
		all.Go(func() {
			w := &worker{m: m, p: p, d: d, score: scorer{m: m, p: &p.Prompting, task: d.Task}, session: m.NewSession()}
			defer w.session.Close()
			defer w.score.close()
			for i := range next {
				o, err := w.item(ctx, &d.Items[i])
				if err != nil {
					stop(err)
					return
				}
				o.done = true
				mu.Lock()
				out[i] = o
				if done++; p.Progress != nil {
					p.Progress(done, len(d.Items))
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	return out, nil
}

// worker runs items one after the other.
type worker struct {
	m       *engine.Model
	p       *Plan
	d       *Data
	score   scorer
	session *engine.Session
}

func (w *worker) item(ctx context.Context, i *Item) (Outcome, error) {
	o := Outcome{Line: i.Line, Is: i.Is}
	if w.p.By == Likelihood {
		before := w.score.read
		scores, err := w.score.options(ctx, i)
		if err != nil {
			return o, err
		}
		o.Scores, o.prompt = scores, w.score.read-before
		plain := best(scores, func(s Score) float64 { return s.LogP })
		o.norm = best(scores, func(s Score) float64 { return s.Norm })
		o.Predicted = plain
		if w.p.Normalise {
			o.Predicted = o.norm
		}
		o.Right = o.Predicted == i.Is
		return o, nil
	}
	if err := w.generate(ctx, i, &o); err != nil {
		return o, err
	}
	switch w.d.Task {
	case Answer:
		text, ok := w.p.extract(*o.Output)
		if o.Is = any(i.Answers); len(i.Answers) == 1 {
			o.Is = i.Answers[0]
		}
		if ok {
			o.Predicted = text
		}
		o.Right = w.p.matches(*o.Output, i.Answers)
	case Command:
		o.Is = i.Command
		text, ok := w.p.extract(*o.Output)
		if object, _ := FindObject(text); ok && object != nil {
			o.Predicted = object
		}
	default:
		o.Predicted = w.p.option(*o.Output, i.Options)
		o.Right = o.Predicted == i.Is
	}
	return o, nil
}

// maxTokens is how long an answer may be if nobody says.
func (p *Plan) maxTokens(t Task) int {
	switch {
	case p.MaxTokens > 0:
		return p.MaxTokens
	case t == Command:
		return 160
	case t == Answer:
		return 64
	}
	return 24
}

func (w *worker) generate(ctx context.Context, i *Item, o *Outcome) error {
	ids, err := w.p.tokens(w.m, i, w.d.Task)
	if err == nil {
		err = w.m.CheckPrompt(ids)
	}
	if err != nil {
		return fmt.Errorf("line %d: %w", i.Line, err)
	}
	set := engine.Settings{Sampler: sampler.DefaultParams(), MaxTokens: w.p.maxTokens(w.d.Task), Stop: w.p.Stop, Grammar: w.p.Grammar}
	set.Sampler.Temperature = 0
	if set.Stop == nil && w.p.Raw {
		set.Stop = []string{"\n"}
	}
	var text strings.Builder
	for piece, err := range w.session.Generate(ctx, ids, set) {
		if err != nil {
			return fmt.Errorf("line %d: %w", i.Line, err)
		}
		text.WriteString(piece.Text)
	}
	u := w.session.Usage()
	output := text.String()
	o.Output, o.Reason = &output, string(u.Reason)
	o.prompt, o.answered = u.PromptTokens-u.CachedTokens, u.GeneratedTokens
	return nil
}

// sum makes the result of what was finished.
func (p *Plan) sum(d *Data, out []Outcome) Result {
	r := Result{Task: d.Task, By: p.By, Of: len(d.Items), Skipped: len(d.Skipped)}
	var is, predicted []string
	var slots slotCounter
	var rows []Outcome
	right, norm, unanswered := 0, 0, 0
	for i, o := range out {
		if !o.done {
			continue
		}
		item := &d.Items[i]
		r.PromptTokens, r.Generated = r.PromptTokens+o.prompt, r.Generated+o.answered
		switch d.Task {
		case Command:
			text, _ := p.extract(*o.Output)
			object, whole := FindObject(text)
			slots.add(item.Command, object, whole)
		case Choice, Label:
			got, _ := o.Predicted.(string)
			is, predicted = append(is, item.Is), append(predicted, got)
			if got == NoAnswer {
				unanswered++
			}
			if o.norm == item.Is {
				norm++
			}
		}
		rows = append(rows, o)
	}
	r.Items = len(rows)
	if d.Task == Command {
		s, exact := slots.slots()
		r.Slots = &s
		for i := range rows {
			rows[i].Right = exact[i]
		}
	}
	for _, o := range rows {
		if o.Right {
			right++
		}
	}
	r.Outcomes = rows
	r.Score = ratio(right, r.Items)
	if r.Items > 1 {
		r.ScoreErr = math.Sqrt(r.Score * (1 - r.Score) / float64(r.Items-1))
	}
	if p.By == Likelihood {
		n := ratio(norm, r.Items)
		r.ScoreNorm = &n
	} else if d.Task == Choice || d.Task == Label {
		r.Unanswered = &unanswered
	}
	if options := sameOptions(d); options != nil && r.Items > 0 {
		c, _ := Classify(is, predicted, options) // the lists are equally long
		r.Classes = &c
	}
	return r
}

// sameOptions are the options that all items have in common, so that they can be
// classes; nil if they differ.
func sameOptions(d *Data) []string {
	if d.Task == Label {
		return d.Options
	}
	if d.Task != Choice {
		return nil
	}
	first := d.Items[0].Options
	for _, i := range d.Items {
		if strings.Join(i.Options, "\x00") != strings.Join(first, "\x00") {
			return nil
		}
	}
	return first
}
