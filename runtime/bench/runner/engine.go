package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/process"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/suite"
	"github.com/ledge-run/ledge/runtime/bench/worker"
)

// An engine measures its part of a round.
type engine interface {
	// identity names the engine and the program that would run for a case; an error says
	// that it is not there.
	identity(c *suite.Case) (record.Engine, error)
	// measure fills in figures; an error says why there are none.
	measure(ctx context.Context, c *suite.Case, in input, r *record.Run) error
}

// input is what is known of a case when it runs.
type input struct {
	model   string // path of the file
	tokens  int    // of Settings.Start
	trained int64  // tokens that the model was trained for
	timeout time.Duration
	energy  bool
}

// found is where a program is, as a shell would find it.
func found(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		var lookup *exec.Error
		if st, serr := os.Stat(program); serr == nil && st.IsDir() {
			return "", fmt.Errorf("%s is a folder, not a program", program)
		} else if errors.As(err, &lookup) {
			err = lookup.Err
		}
		return "", fmt.Errorf("%s: %w", program, err)
	}
	return filepath.Abs(path)
}

// processFigures are what a process took, seen from outside.
func processFigures(r *record.Run, all []process.Result) {
	var wall, cpu []float64
	peak := int64(0)
	for _, p := range all {
		wall, cpu = append(wall, p.Wall.Seconds()), append(cpu, p.CPU.Seconds())
		peak = max(peak, p.Peak)
	}
	r.Figures[record.Wall], r.Figures[record.CPUTime] = record.NewFigure(record.Wall, wall...), record.NewFigure(record.CPUTime, cpu...)
	if _, said := r.Figures[record.PeakMemory]; !said && peak > 0 {
		r.Figures[record.PeakMemory] = record.NewFigure(record.PeakMemory, float64(peak)/1e6)
	}
}

// merge adds the samples of a second process of the same kind.
func merge(to *record.Run, figures map[string]record.Figure) {
	for name, f := range figures {
		sum := to.Figures[name]
		f.Samples = append(sum.Samples, f.Samples...)
		to.Figures[name] = f
	}
}

// ledge is Ledge itself, or another build of it.
type ledge struct {
	name    string
	program worker.Program
	peer    *suite.Peer // nil: Ledge itself
	hash    *hashes
	packed  map[string]bool // what is known to be kept packed
}

func (l *ledge) identity(*suite.Case) (record.Engine, error) {
	path, err := found(l.program.Path)
	if err != nil {
		return record.Engine{}, err
	}
	sum, err := l.hash.of(path)
	if err != nil || l.peer == nil {
		return record.Engine{Name: l.name, SHA256: sum}, err
	}
	how, err := config(l.peer, path, l.hash)
	return record.Engine{Name: l.name, SHA256: sum, Config: how}, err
}

// env are the variables of a case.
func env(c *suite.Case) []string {
	var all []string
	for k, v := range c.Settings.Env {
		all = append(all, k+"="+v)
	}
	slices.Sort(all)
	return all
}

// pack has the model kept packed, so that what is measured is a later start.
func (l *ledge) pack(ctx context.Context, c *suite.Case, in input) error {
	key := strings.Join(append(env(c), in.model, c.Settings.Device), "\n")
	if l.packed[key] {
		return nil
	}
	_, _, err := l.program.Ask(ctx, worker.Job{Kind: worker.Pack, Model: in.model, Settings: record.Settings{Device: c.Settings.Device}}, env(c), in.timeout)
	if err == nil {
		l.packed[key] = true
	}
	return err
}

func (l *ledge) measure(ctx context.Context, c *suite.Case, in input, r *record.Run) error {
	if err := l.pack(ctx, c, in); err != nil {
		return err
	}
	j := worker.Job{Kind: worker.Speed, Model: in.model, Settings: c.Settings, Energy: in.energy, Text: c.Text, Reference: c.Reference}
	processes := 1
	switch {
	case c.Settings.Start != "":
		if most := int(in.trained); most > 0 {
			j.Settings.Context = min(j.Settings.Context, most)
		}
		j.Kind, processes = worker.Start, c.Settings.Repeat
		// The first one is not counted: it finds the file's pages cold.
		if _, _, err := l.program.Ask(ctx, j, env(c), in.timeout); err != nil {
			return err
		}
	case c.Settings.Quality != nil:
		j.Kind = worker.Quality
	}
	var all []process.Result
	for range processes {
		reply, p, err := l.program.Ask(ctx, j, env(c), in.timeout)
		if err != nil {
			return err
		}
		all = append(all, p)
		merge(r, reply.Figures)
		r.Energy, r.Output, r.Engine.Version = reply.Energy, reply.Output, reply.Program
		r.Devices, r.Notes = reply.Devices, reply.Notes
	}
	processFigures(r, all)
	return nil
}
