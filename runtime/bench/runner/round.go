package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/machine"
	"github.com/ledge-run/ledge/runtime/bench/process"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/worker"
)

// patience is how often an engine may fail in a case before it is no longer asked.
const patience = 2

// wanted is how many rounds a case still needs: disturbed ones are measured again,
// but not for ever.
func (r *run) wanted(t *todo) int {
	n := cmp.Or(r.Rounds, t.Rounds)
	if len(t.have) >= 2*n {
		return 0
	}
	quiet := 0
	for i := range t.have {
		if !machine.Passing(t.have[i].Disturbed) {
			quiet++
		}
	}
	return max(0, n-quiet)
}

// next is the case whose turn it is: the first of those with the fewest rounds, so
// that a case's rounds are spread over time.
func (r *run) next() *todo {
	var next *todo
	for _, t := range r.cases {
		if r.wanted(t) > 0 && (next == nil || len(t.have) < len(next.have)) {
			next = t
		}
	}
	return next
}

// expected is how long a round of a case takes: as long as its last one, or as others
// did on average.
func (r *run) expected(t *todo) time.Duration {
	seconds := 30.0
	all, n := 0.0, 0
	for i := len(r.Journal.Records) - 1; i >= 0; i-- {
		rec := &r.Journal.Records[i]
		if rec.Case == t.ID {
			return time.Duration(rec.Seconds * float64(time.Second))
		}
		all, n = all+rec.Seconds, n+1
	}
	if n > 0 {
		seconds = all / float64(n)
	}
	return time.Duration(seconds * float64(time.Second))
}

// blank is the case's next round before anything is measured.
func (r *run) blank(t *todo) record.Record {
	return record.Record{Version: record.Version, Suite: record.Suite{Name: r.Suite.Name, SHA256: r.Suite.SHA256}, Group: t.Group, Case: t.ID, Round: len(t.have) + 1,
		Settings: t.Settings, Model: sized(t), Machine: r.base, Env: r.env}
}

// round measures a case once: the ceilings, the engines, the ceilings again. Who is
// first changes from round to round.
func (r *run) round(ctx context.Context, t *todo) (*record.Record, error) {
	rec := new(record.Record)
	*rec = r.blank(t)
	in := input{model: t.model.path, trained: t.model.sizes.TrainedLength, timeout: r.Suite.Timeout, energy: r.Energy}
	if t.Settings.Start != "" {
		reply, _, err := r.self.Ask(ctx, worker.Job{Kind: worker.Tokens, Model: in.model, Text: t.Settings.Start}, nil, in.timeout)
		if err != nil {
			return nil, err
		}
		in.tokens = reply.Tokens
	}
	for _, e := range t.engines { // packing for the first time belongs to no round
		if l, ok := e.(*ledge); ok {
			r.tell(t, "packing")
			if err := l.pack(ctx, t.Case, in); ctx.Err() != nil {
				return nil, err
			} // else measuring fails in the same way, and says so
		}
	}
	used, watch := process.Used(), r.machine.Watch()
	rec.Before = r.machine.Condition()
	began := time.Now()
	rec.Time = began.UTC().Truncate(time.Second)
	err := r.engines(ctx, t, in, rec)
	rec.Seconds = time.Since(began).Seconds()
	rec.After = r.machine.Condition()
	watch.End(&rec.After)
	if err != nil {
		return nil, err
	}
	rec.Disturbed = machine.Disturbed(rec.Before, rec.After, rec.Seconds, (process.Used() - used).Seconds())
	return rec, nil
}

// engines measures the ceilings and everyone's part.
func (r *run) engines(ctx context.Context, t *todo, in input, rec *record.Record) error {
	first, err := r.ceilings(ctx, t)
	if err != nil {
		return err
	}
	for _, i := range order(len(t.engines), len(t.have)) {
		run := record.Run{Engine: t.ids[i], Figures: map[string]record.Figure{}}
		began := time.Now()
		var err error
		if t.failures(run.Engine.Name) < patience {
			r.tell(t, run.Engine.Name)
			err = r.one(ctx, t, t.engines[i], in, &run)
		} else {
			err = errors.New(t.failure(run.Engine.Name)) // it is not asked again
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			run.Figures, run.Energy, run.Output, run.Failure = nil, nil, nil, oneLine(err.Error())
		}
		r.scrub.run(&run)
		run.Seconds = time.Since(began).Seconds()
		if run.Engine.Name == record.Ledge {
			rec.Machine.Devices = run.Devices
		}
		rec.Runs = append(rec.Runs, run)
	}
	second := worker.Reply{}
	if rec.OnProcessor() { // else Ledge chose another device by itself
		if second, err = r.ceilings(ctx, t); err != nil {
			return err
		}
	}
	if first.Ceilings != nil && second.Ceilings != nil {
		rec.Ceilings = &record.Ceilings{ReadGBs: (first.Ceilings.ReadGBs + second.Ceilings.ReadGBs) / 2, DotGOPS: max(first.Ceilings.DotGOPS, second.Ceilings.DotGOPS)}
	}
	rec.Machine.Level = first.Level
	if d := rec.Machine.Devices; len(d) > 0 {
		if parts := strings.Split(d[0].Numerics, ":"); len(parts) == 3 && rec.Machine.Level == "" {
			rec.Machine.Level = parts[1]
		}
		if rec.Machine.CPU == record.UnknownCPU && d[0].Name == "cpu" {
			rec.Machine.CPU = d[0].Description
		}
	}
	return nil
}

// one measures an engine; where the case wants processors kept busy, first without
// and then with that.
func (r *run) one(ctx context.Context, t *todo, e engine, in input, run *record.Run) error {
	if err := e.measure(ctx, t.Case, in, run); err != nil || t.Settings.Busy == 0 {
		return err
	}
	free, ok := run.Value(record.Decode)
	if !ok {
		return fmt.Errorf("there is no figure for %s", record.Decode)
	}
	run.Figures = map[string]record.Figure{}
	err := r.beside(ctx, t, in, func(ctx context.Context) error { return e.measure(ctx, t.Case, in, run) })
	if err != nil {
		return err
	}
	busy, ok := run.Value(record.Decode)
	if !ok {
		return fmt.Errorf("there is no figure for %s", record.Decode)
	}
	run.Figures[record.Kept] = record.NewFigure(record.Kept, busy/free)
	return nil
}

// spinStart is how long a process may take to say that it keeps processors busy.
const spinStart = 30 * time.Second

// beside measures while something else keeps processors busy, from before the
// measurement begins until after it has ended; else the measurement is worth nothing.
func (r *run) beside(ctx context.Context, t *todo, in input, measure func(context.Context) error) error {
	longest := in.timeout
	for i := range r.Suite.Peers {
		longest = max(longest, r.Suite.Peers[i].Timeout)
	}
	measuring, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	spinning, stop := context.WithCancel(ctx)
	ready, ended := make(chan struct{}), make(chan struct{})
	var why error
	go func() {
		defer close(ended)
		// A measurement has a few processes, each with its time limit.
		err := r.self.Spin(spinning, t.Settings.Busy, 5*longest, func() { close(ready) })
		if spinning.Err() == nil {
			why = fmt.Errorf("what was to keep processors busy ended: %w", err)
			cancel(why)
		}
	}()
	defer func() { stop(); <-ended }()
	select {
	case <-ready:
	case <-ended:
		return cmp.Or(context.Cause(ctx), why)
	case <-time.After(spinStart):
		return fmt.Errorf("what is to keep processors busy did not say within %v that it does", spinStart)
	}
	err := measure(measuring)
	select {
	case <-ended: // before it was told to
		return cmp.Or(context.Cause(ctx), why)
	default:
		return err
	}
}

// order is in which n engines run: turned by one each round, so that each is first
// and last as often as the others; of two they take turns.
func order(n, round int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = (i + round) % n
	}
	return all
}

// ceilings measures the machine in a process of its own, whose memory is gone
// afterwards; nothing where they say nothing about the case.
func (r *run) ceilings(ctx context.Context, t *todo) (worker.Reply, error) {
	set := t.Settings
	elsewhere := set.Device != "" && set.Device != "cpu"
	if n := len(t.have); n > 0 && !t.have[n-1].OnProcessor() {
		elsewhere = true // Ledge chose another device by itself
	}
	if set.Start != "" || set.Quality != nil || elsewhere {
		return worker.Reply{}, nil
	}
	r.tell(t, "ceilings")
	reply, _, err := r.self.Ask(ctx, worker.Job{Kind: worker.Ceilings, Settings: record.Settings{Threads: set.Threads}, MiB: r.MiB, Passes: r.Passes}, nil, r.Suite.Timeout)
	if err != nil {
		return reply, fmt.Errorf("what the machine can do at most: %w", err)
	}
	return reply, nil
}

// sized is the model of a case as records have it, with the cache in the case's type.
func sized(t *todo) record.Model {
	m := *t.model.sizes
	m.Name = t.Model.Name
	scale := func(bytes, by int64) { m.CacheBytes, m.LocalBytes = m.CacheBytes*bytes/by, m.LocalBytes*bytes/by }
	switch t.Settings.Cache {
	case "f32":
		scale(2, 1)
	case "q8_0": // 34 bytes for 32 values
		scale(34, 64)
	}
	return m
}

// failures is how often an engine has failed in the case, one time after the other.
func (t *todo) failures(name string) int {
	n := 0
	for _, rec := range slices.Backward(t.have) {
		if run, ok := rec.Of(name); !ok || run.Failure == "" {
			break
		}
		n++
	}
	return n
}

// failure is how it failed first.
func (t *todo) failure(name string) string {
	for _, rec := range t.have {
		if run, ok := rec.Of(name); ok && run.Failure != "" {
			return run.Failure
		}
	}
	return ""
}

// line is what there is to say of a round.
func line(rec *record.Record) string {
	s := fmt.Sprintf("%s round %d:", rec.Case, rec.Round)
	for _, name := range []string{record.Decode, record.Prefill, record.Kept, record.FirstToken, record.Wall, record.Perplexity} {
		if name == record.Wall && rec.Settings.Start == "" {
			continue
		}
		var parts []string
		ours, has := 0.0, false
		for i := range rec.Runs {
			run := &rec.Runs[i]
			v, ok := run.Value(name)
			if !ok {
				continue
			}
			if run.Engine.Name == record.Ledge {
				ours, has = v, true
				continue
			}
			parts = append(parts, fmt.Sprintf("%s %.4g", run.Engine.Name, v))
		}
		if has {
			s += fmt.Sprintf(" %s %.4g", name, ours)
			if len(parts) > 0 {
				s += " (" + strings.Join(parts, ", ") + ")"
			}
			s += ";"
		}
	}
	s = strings.TrimSuffix(s, ";") + fmt.Sprintf(", %.0f s", rec.Seconds)
	if len(rec.Disturbed) > 0 {
		s += ", disturbed: " + strings.Join(rec.Disturbed, ", ")
	}
	for i := range rec.Runs {
		if f := rec.Runs[i].Failure; f != "" {
			s += fmt.Sprintf("; %s failed: %s", rec.Runs[i].Engine.Name, f)
		}
	}
	return s
}

// oneLine makes a message fit for a line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
