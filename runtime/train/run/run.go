package run

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/graph"
	"github.com/ledge-run/ledge/runtime/files"
	"github.com/ledge-run/ledge/runtime/train/checkpoint"
	"github.com/ledge-run/ledge/runtime/train/distill"
	"github.com/ledge-run/ledge/runtime/train/feed"
	"github.com/ledge-run/ledge/runtime/train/recipe"
	"github.com/ledge-run/ledge/runtime/train/step"
)

// Options say how a recipe is run; none of them changes a bit of what comes of it.
type Options struct {
	Device  backend.Device
	Threads int // that tokenize; 0 for all processors

	Restart bool // begin anew, whatever there is
	Changed bool // go on although the settings are others than those of the checkpoint
	Steps   int  // take at most so many now, then stop with a checkpoint; 0 for all

	Note     func(text string) // told what the user should know; may be nil
	Progress func(p Progress)  // told now and then how far it is; may be nil
	after    func(step int)    // told after every step, in tests
}

// Progress is how far a run is.
type Progress struct {
	Stage    string  // opening, reading, preparing, training, validating, writing
	Fraction float64 // of the stage; below 0 while unknown
	Text     string
}

// Result is what came of a run.
type Result struct {
	Model      string   `json:"model"` // the file
	Parameters int      `json:"parameters"`
	Trained    int      `json:"trained_parameters"`
	Steps      int      `json:"steps"` // taken in all
	Total      int      `json:"total_steps"`
	Epochs     float64  `json:"epochs"`
	Loss       float64  `json:"loss,omitempty"`  // of the last steps; 0 where the log has none
	Valid      *float64 `json:"valid,omitempty"` // after the last step
	Best       *Best    `json:"best,omitempty"`  // the step that the model is of, with export.best
	Tokens     int64    `json:"tokens"`          // read in all
	Seconds    float64  `json:"seconds"`         // of this call
}

// Best is the step after which the validation loss was lowest.
type Best struct {
	Step  int     `json:"step"`
	Valid float64 `json:"valid"`
}

// Names of what is in a run's folder.
const (
	LogName         = "log.jsonl"
	CurveName       = "curve.png"
	checkpointsName = "checkpoints"
	cacheName       = "cache"
	lockName        = "lock"
)

// Names of the data.
const (
	trainName = "train"
	validName = "valid"
)

// tokensOf is where the tokenized data of a name are kept, in a run's folder.
func tokensOf(name string) string { return filepath.Join(cacheName, name+".tokens") }

// ErrStopped is wrapped when a run ended early with a checkpoint that it goes on from.
var ErrStopped = errors.New("training stopped")

var errLocked = errors.New("another run writes to it: wait for its end, or choose another folder")

// running is a run.
type running struct {
	o       Options
	net     *Network
	plan    *plan
	built   *graph.Graph
	trainer *step.Trainer
	rounded bool // the trainer rounds weights
	feed    *feed.Feed
	teacher *distill.Teacher // nil without one
	valid   []step.Part
	validOf string // which data these are
	store   checkpoint.Store
	log     *logFile
	tokens  int64     // in all steps
	best    *Record   // of the step whose validation loss was lowest, where that matters; nil before the first
	kept    int       // step of the last checkpoint
	keptAt  time.Time // when it was made
	drawn   time.Time // when the curve was drawn last
	meter   meter
}

// Run trains as the recipe says, and goes on from the last checkpoint in its folder if
// there is one.
func Run(ctx context.Context, r *recipe.Recipe, o Options) (res *Result, err error) {
	if o.Note == nil {
		o.Note = func(string) {}
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	start := time.Now()
	x := &running{o: o}
	defer func() { err = errors.Join(err, x.close()) }()
	x.stage("opening", filepath.Base(cmp.Or(r.From, r.Tokenizer)))
	if x.net, err = OpenNetwork(r); err != nil {
		return nil, err
	}
	if err := x.checkInputs(r); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.Out, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lockFolder(r.Out)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := x.prepare(ctx, r); err != nil {
		return nil, err
	}
	if err := x.resume(ctx); err != nil {
		return nil, err
	}
	target := x.plan.steps
	if o.Steps > 0 {
		target = min(target, x.trainer.Taken()+o.Steps)
	}
	if n := x.trainer.Taken(); n < target { // the first takes longest: its weights are packed
		o.Progress(Progress{"training", float64(n) / float64(x.plan.steps), fmt.Sprintf("step %d of %d", n+1, x.plan.steps)})
	}
	if err := x.loop(ctx, target); err != nil {
		return nil, err
	}
	if err := x.end(ctx); err != nil {
		return nil, err
	}
	x.stage("writing", "what was learnt")
	path, err := x.export(ctx)
	if err != nil {
		return nil, err
	}
	res = x.result()
	res.Model, res.Seconds = path, time.Since(start).Seconds()
	return res, nil
}

// Begun reports whether a folder has a checkpoint of a run, or what one came to.
func Begun(dir string) bool {
	for _, name := range []string{ModelName, AdapterName} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	steps, err := checkpoint.Store{Dir: filepath.Join(dir, checkpointsName)}.Steps()
	return err != nil || len(steps) > 0
}

// lockFolder keeps other runs out of a folder.
func lockFolder(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	free, err := files.TryLock(f)
	if err == nil && !free {
		err = errLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), f.Close())
	}
	return f.Close, nil
}

// stage tells what is being done of which no part can be told.
func (x *running) stage(name, of string) { x.o.Progress(Progress{name, -1, of}) }

// prepare opens the data.
func (x *running) prepare(ctx context.Context, r *recipe.Recipe) (err error) {
	d, err := x.data(ctx, r, trainName, r.Data.Train)
	if err != nil {
		return err
	}
	if x.plan, err = newPlan(ctx, r, x.net, d); err != nil {
		return errors.Join(err, d.Close())
	}
	if err := x.plan.check(); err != nil {
		return err
	}
	if n := d.Counts.Tokens; n < int64(r.Train.TokensPerStep) {
		x.o.Note(fmt.Sprintf("all of the data are %d tokens, and each of the %d steps has %d: with fewer train.tokens_per_step there are more steps to an epoch", n, x.plan.steps, r.Train.TokensPerStep))
	}
	if r.Adapters != nil {
		x.stage("reading", filepath.Base(r.From))
		if x.plan.baseKey, err = x.baseKey(ctx); err != nil {
			return err
		}
	}
	if len(r.Data.Valid) > 0 {
		v, err := x.data(ctx, r, validName, r.Data.Valid)
		if err != nil {
			return err
		}
		key := sha256.Sum256(fmt.Appendf(v.Key[:], "%d %d", r.Validate.Tokens, x.plan.packing.TokensAtOnce))
		x.validOf = hex.EncodeToString(key[:4])
		x.valid, err = v.Parts(x.plan.packing, r.Validate.Tokens)
		if err = errors.Join(err, v.Close()); err != nil {
			return err
		}
	}
	if err := x.teach(ctx); err != nil {
		return err
	}
	x.feed = feed.New(d, x.plan.packing)
	x.store = checkpoint.Store{Dir: filepath.Join(r.Out, checkpointsName), Keep: max(r.Checkpoint.Keep, r.Export.Average), Grid: r.Checkpoint.Steps}
	return nil
}

// data opens the examples of some files.
func (x *running) data(ctx context.Context, r *recipe.Recipe, name string, patterns []string) (*feed.Data, error) {
	files, err := feed.Find(patterns)
	if err != nil {
		return nil, err
	}
	d, err := feed.Open(ctx, feed.Source{
		Files: files, Tokenizer: x.net.Tokenizer, Vocab: x.net.vocabKey(), Threads: x.o.Threads,
		Settings: feed.Settings{Template: r.Data.Template, Context: contextOf(r, x.net), Long: r.Data.Long, SkipBad: r.Data.Bad == recipe.BadSkip},
		Cache:    filepath.Join(r.Out, tokensOf(name)),
		Progress: func(done, total int64) {
			f := float64(done) / float64(max(total, 1))
			x.o.Progress(Progress{"reading " + name, f, fmt.Sprintf("%.0f %%", 100*f)})
		},
	})
	if err != nil {
		var bad *feed.BadLine
		if errors.As(err, &bad) {
			return nil, fmt.Errorf("%w (--set data.bad=skip leaves such lines out, and so does bad: skip in the data of a recipe)", err)
		}
		return nil, err
	}
	c := d.Counts
	if c.Bad > 0 {
		x.o.Note(fmt.Sprintf("%s: %d malformed lines are left out; the first: %s", name, c.Bad, c.FirstBad))
	}
	if c.Long > 0 || c.Cut > 0 {
		x.o.Note(fmt.Sprintf("%s: of %d lines %d are longer than the context and left out, %d are cut", name, c.Lines, c.Long, c.Cut))
	}
	return d, nil
}

// begin makes the trainer of the steps that follow a number of steps.
func (x *running) begin(ctx context.Context, taken int) (err error) {
	o := x.plan.model(taken)
	if x.built, err = x.net.Model.Decoder(o); err != nil {
		return err
	}
	if err := x.checkTargets(); err != nil {
		return err
	}
	x.rounded = o.Train.Round != nil
	x.trainer, err = step.New(ctx, x.o.Device, x.built, x.net.Open, x.plan.step())
	return err
}

// change makes the trainer of the next steps where it has another graph, and goes on
// with what the one before has.
func (x *running) change(ctx context.Context) error {
	if x.plan.rounds(x.trainer.Taken()) == x.rounded {
		return nil
	}
	state, data := x.trainer.State(), map[string][]byte{}
	for _, t := range state.Tensors {
		n, err := t.Bytes()
		if err != nil {
			return err
		}
		data[t.Name] = make([]byte, n)
		if err := x.trainer.ReadTensor(t.Name, data[t.Name]); err != nil {
			return err
		}
	}
	if err := x.trainer.Close(); err != nil {
		return err
	}
	x.trainer = nil
	if err := x.begin(context.WithoutCancel(ctx), state.Step); err != nil {
		return err
	}
	return x.trainer.SetState(state, true, func(t step.Tensor, dst []byte) error { copy(dst, data[t.Name]); return nil })
}

// resume makes the trainer, and goes on from the last checkpoint.
func (x *running) resume(ctx context.Context) error {
	logName := filepath.Join(x.plan.r.Out, LogName)
	var c *checkpoint.Checkpoint
	if !x.o.Restart {
		var skipped []error
		var err error
		if c, skipped, err = x.store.Latest(); err != nil {
			return fmt.Errorf("%w; --restart begins anew, --out takes another folder", err)
		}
		for _, s := range skipped {
			x.o.Note(fmt.Sprintf("passed over: %v", s))
		}
	}
	x.keptAt = time.Now()
	taken := 0
	if c != nil {
		defer c.Close()
		taken = max(0, c.State.Step-1) // it is of the trainer that took its last step
	}
	x.stage("preparing", "the weights")
	if err := x.begin(ctx, taken); err != nil {
		return err
	}
	switch {
	case x.o.Restart: // now that there is nothing left to fail at
		if err := x.store.Clear(); err != nil {
			return err
		}
	case c == nil:
		if err := x.checkFresh(); err != nil {
			return err
		}
	}
	if c != nil {
		err := x.trainer.SetState(c.State, x.o.Changed, c.Read)
		var other *step.ErrOtherSettings
		switch {
		case errors.As(err, &other):
			return fmt.Errorf("%s is there, and %w; --resume goes on all the same, --restart begins anew, --out takes another folder", c.Path, err)
		case err != nil:
			return fmt.Errorf("%s: %w; --restart begins anew, --out takes another folder", c.Path, err)
		}
		if now := x.trainer.State().Settings; !now.Same(c.State.Settings) {
			x.o.Note("going on with other settings: " + strings.Join(c.State.Settings.Differences(now), "; "))
		}
		x.kept = c.State.Step
		x.o.Note(fmt.Sprintf("going on after step %d of %d", c.State.Step, x.plan.steps))
	}
	x.feed.Seek(x.trainer.Taken())
	var err error
	if x.log, err = openLog(logName, x.trainer.Taken(), x.o.Restart); err != nil {
		return err
	}
	for _, r := range x.log.all {
		x.tokens += int64(r.Tokens)
	}
	return x.findBest()
}

func (x *running) close() error {
	var errs []error
	if x.log != nil {
		errs = append(errs, x.log.close())
	}
	if x.trainer != nil {
		errs = append(errs, x.trainer.Close())
	}
	if x.teacher != nil {
		errs = append(errs, x.teacher.Close())
	}
	if x.plan != nil {
		errs = append(errs, x.plan.data.Close())
	}
	if x.net != nil {
		errs = append(errs, x.net.Close())
	}
	return errors.Join(errs...)
}

// result is what can be told at the end.
func (x *running) result() *Result {
	r := &Result{Steps: x.trainer.Taken(), Total: x.plan.steps, Epochs: x.feed.Epoch(), Tokens: x.tokens}
	trained := map[string]bool{}
	for _, p := range x.trainer.Params() {
		r.Trained += p.Elems()
		trained[p.Name] = true
	}
	r.Parameters = r.Trained
	for _, w := range x.built.Weights() {
		if !trained[w.Name] {
			n := 1
			for _, d := range w.Type.Shape {
				n *= d.N
			}
			r.Parameters += n
		}
	}
	if all := x.log.all; len(all) > 0 {
		last := all[max(0, len(all)-20):]
		for _, rec := range last {
			r.Loss += rec.Loss / float64(len(last))
		}
		r.Valid = all[len(all)-1].Valid
	}
	if x.best != nil {
		r.Best = &Best{x.best.Step, *x.best.Valid}
	}
	return r
}
