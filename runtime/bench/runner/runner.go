// Package runner measures the cases of a suite: in rounds, Ledge and its peers one
// after the other, each in a process of its own, until every case has its rounds or
// the time is up. Each round is in the journal before the next begins, and what the
// journal has already is not measured again.
package runner

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/journal"
	"github.com/ledge-run/ledge/runtime/bench/machine"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/suite"
	"github.com/ledge-run/ledge/runtime/bench/worker"
)

// Options say how much of a suite is measured, and with what.
type Options struct {
	Suite   *suite.Suite
	Journal *journal.Journal
	Self    string // this program, which can be a worker

	Only    *regexp.Regexp  // of the cases' identifiers; nil: all
	Rounds  int             // of each case; 0: as the suite says
	Slow    bool            // slow cases, too
	Without []string        // peers that are left out
	Retry   bool            // rounds in which an engine failed are measured again
	Budget  time.Duration   // no round begins that would not end within it; 0: no limit
	Energy  bool            // measure it, where the machine can
	Machine *machine.Reader // nil: this one; tests bring another
	Passes  int             // of measuring ceilings; 0: 5
	MiB     int             // what the read ceiling is measured on; 0: 256

	// Resolve finds the file of a model that the suite names by something else than a
	// path; nil: nothing else is known.
	Resolve func(name string) (string, error)

	// Progress is told where the suite is, Say what is worth a line. Either may be nil.
	Progress func(Progress)
	Say      func(line string)
}

// Progress is where a suite is.
type Progress struct {
	Case, Engine string // what runs
	Done, Rounds int    // of all cases
	Passed, Left time.Duration
}

// Outcome is what came of it.
type Outcome struct {
	Measured int      // rounds, in this run
	Left     int      // rounds that the budget left
	Failed   []string // what failed or was missing, a line each
}

// run is a suite that is being measured.
type run struct {
	Options
	machine *machine.Reader
	base    record.Machine
	hash    *hashes
	self    worker.Program
	models  map[string]*model
	cases   []*todo
	began   time.Time
	out     Outcome
}

// todo is a case with those who are measured in it.
type todo struct {
	*suite.Case
	model   *model
	engines []engine
	ids     []record.Engine
	have    []record.Record // its rounds so far, of these programs and this model
}

// Run measures until all is there or the budget is used up. An error ends it early;
// what was measured until then is in the journal.
func Run(ctx context.Context, o Options) (Outcome, error) {
	o.MiB, o.Passes = cmp.Or(o.MiB, 256), cmp.Or(o.Passes, 5)
	r := &run{Options: o, machine: o.Machine, hash: newHashes(), self: worker.Program{Path: o.Self}, models: map[string]*model{}, began: time.Now()}
	if r.machine == nil {
		r.machine = machine.New()
	}
	r.base = r.machine.Machine()
	if err := r.prepare(ctx); err != nil {
		return r.out, err
	}
	for {
		c := r.next()
		if c == nil {
			return r.out, nil
		}
		if r.Budget > 0 && time.Since(r.began)+r.expected(c) > r.Budget {
			for _, c := range r.cases {
				r.out.Left += r.wanted(c)
			}
			return r.out, nil
		}
		if err := r.Journal.Reserve(); err != nil {
			return r.out, err
		}
		rec, err := r.round(ctx, c)
		if err != nil {
			return r.out, err
		}
		if err := r.Journal.Add(*rec); err != nil {
			return r.out, err
		}
		c.have = append(c.have, *rec)
		r.out.Measured++
		r.say("%s", line(rec))
		r.failures(rec, true)
	}
}

func (r *run) say(format string, args ...any) {
	if r.Say != nil {
		r.Say(fmt.Sprintf(format, args...))
	}
}

// fail remembers what failed, each once.
func (r *run) fail(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(r.out.Failed, s) {
		r.out.Failed = append(r.out.Failed, s)
	}
}

// tell says where the suite is.
func (r *run) tell(c *todo, engine string) {
	if r.Progress == nil {
		return
	}
	p := Progress{Case: c.ID, Engine: engine, Passed: time.Since(r.began), Done: r.out.Measured}
	for _, c := range r.cases {
		n := r.wanted(c)
		p.Rounds += n
		p.Left += time.Duration(n) * r.expected(c)
	}
	p.Rounds += p.Done
	r.Progress(p)
}
