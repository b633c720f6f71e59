package run

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/ledge-run/ledge/runtime/train/step"
)

// loop takes steps until the target has been reached.
func (x *running) loop(ctx context.Context, target int) error {
	if x.due(x.trainer.Taken()) {
		if err := x.validateLast(ctx); err != nil {
			if ctx.Err() != nil {
				return x.stop(context.Cause(ctx))
			}
			return err
		}
	}
	for x.trainer.Taken() < target {
		if err := ctx.Err(); err != nil {
			return x.stop(context.Cause(ctx))
		}
		if err := x.change(ctx); err != nil {
			return err
		}
		parts, err := x.feed.Next()
		if err != nil {
			return err
		}
		start := time.Now()
		if err := x.ask(ctx, parts); err != nil {
			x.feed.Seek(x.trainer.Taken())
			if ctx.Err() != nil {
				return x.stop(context.Cause(ctx))
			}
			return err
		}
		r, err := x.trainer.Step(ctx, parts...)
		var diverged *step.ErrNotFinite
		switch {
		case errors.As(err, &diverged):
			return x.diverged(diverged)
		case err != nil && ctx.Err() != nil:
			x.feed.Seek(x.trainer.Taken())
			return x.stop(context.Cause(ctx))
		case err != nil:
			return err
		}
		rec := Record{Step: r.Step, Loss: r.Loss, Norm: r.Norm, Rate: x.plan.schedule().Rate(r.Step), Labels: r.Labels, Epoch: x.feed.Epoch()}
		for _, p := range parts {
			rec.Tokens += len(p.Tokens)
		}
		x.tokens += int64(rec.Tokens)
		rec.TokensPerSecond = float64(rec.Tokens) / max(time.Since(start).Seconds(), 1e-9) // a coarse clock may say 0
		if x.due(r.Step) || r.Step == target {
			if err := x.validate(ctx, &rec); err != nil {
				if ctx.Err() == nil {
					return err
				}
				// The step has been taken; it is measured when the run goes on.
				return errors.Join(x.log.add(rec), x.stop(context.Cause(ctx)))
			}
		}
		if err := x.log.add(rec); err != nil {
			return fmt.Errorf("%s: %w%s", filepath.Join(x.plan.r.Out, LogName), reason(err), x.goOn())
		}
		x.show(rec)
		if err := x.consider(rec); err != nil {
			return err
		}
		if x.o.after != nil {
			x.o.after(r.Step)
		}
		c := x.plan.r.Checkpoint
		if c.Steps > 0 && r.Step%c.Steps == 0 || c.Every > 0 && time.Since(x.keptAt) >= c.Every {
			if err := x.keep(); err != nil {
				return err
			}
		}
	}
	return nil
}

// due reports whether a run in one piece validates after a step.
func (x *running) due(step int) bool {
	return x.plan.every > 0 && step%x.plan.every == 0 || step == x.plan.steps
}

// validateLast validates after the last step if that has been left out: it was
// interrupted, or more steps were wanted then.
func (x *running) validateLast(ctx context.Context) error {
	n := len(x.log.all)
	if n == 0 || x.log.all[n-1].Step != x.trainer.Taken() || x.valid == nil || x.log.all[n-1].Valid != nil {
		return nil
	}
	rec := x.log.all[n-1]
	if err := x.validate(ctx, &rec); err != nil {
		return err
	}
	if err := x.log.amend(rec); err != nil {
		return fmt.Errorf("%s: %w%s", filepath.Join(x.plan.r.Out, LogName), reason(err), x.goOn())
	}
	return x.consider(rec)
}

// validate measures the loss on the validation data.
func (x *running) validate(ctx context.Context, rec *Record) error {
	if x.valid == nil {
		return nil
	}
	x.o.Progress(Progress{Stage: "validating", Text: fmt.Sprintf("after step %d", rec.Step)})
	loss, err := x.trainer.Loss(ctx, x.valid...)
	if err != nil {
		return err
	}
	if !math.IsNaN(loss) && !math.IsInf(loss, 0) {
		rec.Valid, rec.ValidOf = &loss, x.validOf
	}
	return nil
}

// keep makes a checkpoint of the steps taken.
func (x *running) keep() error {
	if err := x.log.flush(); err != nil {
		return fmt.Errorf("%s: %w%s", filepath.Join(x.plan.r.Out, LogName), reason(err), x.goOn())
	}
	if x.trainer.Taken() > x.kept {
		if _, err := x.store.Save(x.trainer.State(), func(t step.Tensor, dst []byte) error { return x.trainer.ReadTensor(t.Name, dst) }); err != nil {
			return fmt.Errorf("training stopped at step %d: %w%s", x.trainer.Taken(), err, x.goOn())
		}
		x.kept = x.trainer.Taken()
	}
	x.keptAt = time.Now()
	return x.draw()
}

// goOn says what is left after a failure, and how to go on.
func (x *running) goOn() string {
	if x.kept == 0 {
		return "; there is no checkpoint yet"
	}
	return fmt.Sprintf("; the checkpoint of step %d is whole: the same command goes on from it", x.kept)
}

// stop keeps what has been done when the run is to end early.
func (x *running) stop(cause error) error {
	if err := x.keep(); err != nil {
		return errors.Join(cause, err)
	}
	if x.kept > 0 {
		x.o.Note(fmt.Sprintf("stopped after step %d of %d, which is kept: the same command goes on", x.kept, x.plan.steps))
	}
	return errors.Join(ErrStopped, cause)
}

// diverged says what became of a step that gave no numbers.
func (x *running) diverged(e *step.ErrNotFinite) error {
	what := fmt.Sprintf("step %d gave a loss of %g and a gradient norm of %g: training stopped", e.Step, e.Loss, e.Norm)
	const hint = "a lower train.rate, a longer train.warmup or train.clip may help"
	if err := x.log.flush(); err != nil {
		return errors.Join(errors.New(what), err)
	}
	if x.kept == 0 {
		return fmt.Errorf("%s before the first checkpoint; %s", what, hint)
	}
	return fmt.Errorf("%s; the last good checkpoint is of step %d; %s: --resume goes on from it with other settings", what, x.kept, hint)
}

// end makes the last checkpoint, and sees to it that the last step has been validated.
func (x *running) end(ctx context.Context) error {
	if err := x.validateLast(ctx); err != nil {
		return err
	}
	return x.keep()
}

// meter smooths what is shown.
type meter struct{ loss, speed, weight float64 }

const smooth = 0.95

func (m *meter) add(r Record) {
	m.loss = smooth*m.loss + (1-smooth)*r.Loss
	m.speed = smooth*m.speed + (1-smooth)/math.Max(r.TokensPerSecond, 1e-9)
	m.weight = smooth*m.weight + (1 - smooth)
}

// show tells how a step went.
func (x *running) show(r Record) {
	x.meter.add(r)
	text := fmt.Sprintf("step %d of %d, loss %.4f", r.Step, x.plan.steps, x.meter.loss/x.meter.weight)
	for i := len(x.log.all) - 1; i >= 0; i-- {
		if v := x.log.all[i].Valid; v != nil {
			text += fmt.Sprintf(", validation %.4f", *v)
			break
		}
	}
	text += fmt.Sprintf(", %.0f tok/s, norm %.2f, rate %.2g, epoch %.2f", x.meter.weight/x.meter.speed, r.Norm, r.Rate, r.Epoch)
	x.o.Progress(Progress{"training", float64(r.Step) / float64(x.plan.steps), text})
}
