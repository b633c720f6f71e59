package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/suite"
	"github.com/ledge-run/ledge/runtime/bench/worker"
)

// model is a file, as far as it is known.
type model struct {
	path  string
	sizes *record.Model
	err   error
}

// prepare finds what each case needs. Cases without their model, and peers that are
// not there, are left out by name.
func (r *run) prepare(ctx context.Context) error {
	ours := &ledge{name: record.Ledge, program: worker.Program{Path: r.Self}, hash: r.hash, packed: map[string]bool{}}
	if r.Suite.Ledge != "" {
		ours.program.Path = r.Suite.Ledge
	}
	engines := map[string]engine{}
	for i := range r.Suite.Peers {
		p := &r.Suite.Peers[i]
		switch p.Kind {
		case suite.LlamaBench:
			engines[p.Name] = &llama{p, r.hash}
		case suite.OtherLedge:
			engines[p.Name] = &ledge{p.Name, worker.Program{Path: p.Program, Env: p.Variables()}, r.hash, map[string]bool{}}
		default:
			engines[p.Name] = &command{p, r.hash}
		}
	}
	for _, name := range r.Without {
		if engines[name] == nil {
			return fmt.Errorf("the suite has no peer %q to leave out", name)
		}
	}
	for i := range r.Suite.Cases {
		c := r.Suite.Cases[i] // a copy: hashes are filled in
		if r.Only != nil && !r.Only.MatchString(c.ID) || c.Slow && !r.Slow {
			continue
		}
		t := &todo{Case: &c}
		id, err := ours.identity(&c)
		if err != nil {
			return fmt.Errorf("the program to measure: %w", err)
		}
		t.engines, t.ids = []engine{ours}, []record.Engine{id}
		for _, name := range c.Peers {
			if slices.Contains(r.Without, name) {
				continue
			}
			id, err := engines[name].identity(&c)
			if err != nil {
				r.missing("%s is left out: %v", name, err)
				continue
			}
			t.engines, t.ids = append(t.engines, engines[name]), append(t.ids, id)
		}
		if t.model, err = r.find(ctx, c.Model); err == nil {
			err = r.hashText(&c)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			r.missing("%s is left out: %v", c.Model.Name, err)
			continue
		}
		for _, rec := range r.Journal.Records {
			if t.fits(&rec) && !(r.Retry && r.failures(&rec, false)) {
				t.have = append(t.have, rec)
				r.failures(&rec, true)
			}
		}
		r.cases = append(r.cases, t)
	}
	return nil
}

// missing says once that something is not there.
func (r *run) missing(format string, args ...any) {
	n := len(r.out.Failed)
	if r.fail(format, args...); len(r.out.Failed) > n {
		r.say(format, args...)
	}
}

// find gives a model's file with its sizes.
func (r *run) find(ctx context.Context, m suite.Model) (*model, error) {
	if k, ok := r.models[m.File]; ok {
		return k, k.err
	}
	k := &model{path: r.Suite.Path(m.File)}
	r.models[m.File] = k
	if _, err := os.Stat(k.path); err != nil {
		k.err = err
		if r.Resolve != nil {
			if path, rerr := r.Resolve(m.File); rerr == nil {
				k.path, k.err = path, nil
			}
		}
		if k.err != nil {
			return k, k.err
		}
	}
	reply, _, err := r.self.Ask(ctx, worker.Job{Kind: worker.Sizes, Model: k.path}, nil, r.Suite.Timeout)
	if err != nil {
		k.err = err
		return k, err
	}
	k.sizes = reply.Model
	return k, nil
}

// hashText fills in the hash of the text that quality reads.
func (r *run) hashText(c *suite.Case) error {
	if c.Settings.Quality == nil {
		return nil
	}
	q := *c.Settings.Quality
	var err error
	if q.SHA256, err = r.hash.of(c.Text); err == nil && c.Reference != "" {
		q.ReferenceSHA256, err = r.hash.of(c.Reference)
	}
	if err != nil {
		return err
	}
	c.Settings.Quality = &q
	return nil
}

// fits reports whether a record is a round of the case as it would be measured now:
// the same settings, model and programs. What else the suite's file says does not
// matter, so that it can grow.
func (t *todo) fits(rec *record.Record) bool {
	if rec.Case != t.ID || rec.Model.SHA256 != t.model.sizes.SHA256 || !equal(rec.Settings, t.Settings) || len(rec.Runs) != len(t.ids) {
		return false
	}
	for _, id := range t.ids {
		run, ok := rec.Of(id.Name)
		if !ok || run.Engine.SHA256 != id.SHA256 || !equal(run.Engine.Args, id.Args) {
			return false
		}
	}
	return true
}

// equal compares values as a journal has them.
func equal(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// failures reports whether an engine failed in a round, and remembers it if asked.
func (r *run) failures(rec *record.Record, remember bool) (any bool) {
	for i := range rec.Runs {
		if f := rec.Runs[i].Failure; f != "" {
			any = true
			if remember {
				r.fail("%s: %s: %s", rec.Case, rec.Runs[i].Engine.Name, f)
			}
		}
	}
	return any
}
