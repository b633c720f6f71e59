package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/machine"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/bench/stats"
)

// result is a measurement of a case, a line of the journal.
type result struct {
	Case     string         `json:"case"`
	Time     time.Time      `json:"time"`
	Machine  record.Machine `json:"machine"`
	Settings settings       `json:"settings"`
	Sides    [2]side        `json:"sides"` // Ledge's, PyTorch's
	Apart    float64        `json:"apart"` // of losses, at most, relative
	Checked  int            `json:"checked"`

	Disturbed int `json:"disturbed"` // turns that count although something else was at work
}

// side is what one side did.
type side struct {
	Name       string    `json:"name"`
	Version    string    `json:"version"`
	Parameters int       `json:"parameters"`
	Turns      []float64 `json:"turns"` // seconds a step: the median of each turn
	Peak       int64     `json:"peak"`
	Before     int64     `json:"before"`
}

const (
	warming = 3  // steps before anything is measured, whose losses are compared
	batches = 16 // different ones
)

// apartMost is how far losses of both sides may lie apart, relative: by rounding
// alone. Operands of bfloat16 have 8 bits, and the two sides round at other places.
var apartMost = map[string]float64{"f32": 1e-5, "bf16": 2e-3}

func (o *options) measure(ctx context.Context) error {
	for _, name := range strings.Split(o.cases, ",") {
		r, err := o.one(ctx, name)
		if err != nil {
			return fmt.Errorf("case %s: %w", name, err)
		}
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(o.journal), 0o755); err != nil {
			return err
		}
		f, err := os.OpenFile(o.journal, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		_, err = f.Write(append(line, '\n'))
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		fmt.Fprintln(o.log, r.row())
	}
	return nil
}

// parseCase reads a name such as 16x128-bf16.
func parseCase(name string) (settings, error) {
	s := standard()
	shape, precision, ok := strings.Cut(name, "-")
	if n, err := fmt.Sscanf(shape+"\n", "%dx%d\n", &s.Batch, &s.Length); !ok || n != 2 || err != nil || apartMost[precision] == 0 ||
		s.Batch <= 0 || s.Length <= 0 || s.Length > s.Context {
		return s, fmt.Errorf("it must be documents x tokens (up to %d), - and f32 or bf16, such as 16x128-bf16", s.Context)
	}
	s.Precision = precision
	return s, nil
}

func (o *options) one(ctx context.Context, name string) (r result, err error) {
	s, err := parseCase(name)
	if err != nil {
		return r, err
	}
	dir, err := os.MkdirTemp("", "trainspeed")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s.Threads, s.Weights, s.Tokens = o.threads, filepath.Join(dir, "weights.safetensors"), filepath.Join(dir, "tokens")
	if err := errors.Join(s.writeWeights(s.Weights), s.writeTokens(s.Tokens, batches)); err != nil {
		return r, err
	}
	path := filepath.Join(dir, "settings.json")
	data, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(path, data, 0o644)
	}
	if err != nil {
		return r, err
	}
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	s.Weights, s.Tokens = "", ""
	r = result{Case: name, Time: time.Now().UTC().Truncate(time.Second), Machine: machine.New().Machine(), Settings: s}
	var both [2]*peer
	for i, c := range []struct {
		name string
		args []string
	}{{"Ledge", []string{self, "-worker", path}}, {"PyTorch", []string{o.python, o.script, path}}} {
		if both[i], err = start(ctx, s.Threads, c.args...); err != nil {
			return r, fmt.Errorf("%s: %w", c.name, err)
		}
		defer both[i].end()
		r.Sides[i] = side{Name: c.name, Version: both[i].hello.Version, Parameters: both[i].hello.Parameters}
	}
	if a, b := r.Sides[0].Parameters, r.Sides[1].Parameters; a != b {
		return r, fmt.Errorf("the models differ: %d and %d parameters", a, b)
	}
	return r, o.turns(&r, both)
}

// turns warms both sides up, compares their losses, and lets them take turns.
func (o *options) turns(r *result, both [2]*peer) error {
	reader := machine.New()
	var losses [2][]float64
	turn := func(i, steps int) (float64, float64, error) {
		a, err := both[i].steps(steps)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w", r.Sides[i].Name, err)
		}
		s := &r.Sides[i]
		s.Peak, s.Before = a.Peak, a.Before
		losses[i] = append(losses[i], a.Losses...)
		return stats.Median(a.Seconds), a.Used, nil
	}
	for i := range both {
		if _, _, err := turn(i, warming); err != nil {
			return err
		}
	}
	if err := r.compare(losses); err != nil {
		return err
	}
	disturbed := 0
	for round := 0; len(r.Sides[0].Turns) < o.rounds; round++ {
		before, begin, used := reader.Condition(), time.Now(), 0.0
		var seconds [2]float64
		for j := range both {
			i := (round + j) % 2
			s, u, err := turn(i, o.steps)
			if err != nil {
				return err
			}
			seconds[i] = s
			used += u
		}
		if d := machine.Disturbed(before, reader.Condition(), time.Since(begin).Seconds(), used); len(d) > 0 {
			if disturbed < o.rounds {
				disturbed++
				fmt.Fprintf(o.log, "%s: a round is measured again: %s\n", r.Case, strings.Join(d, "; "))
				continue
			}
			r.Disturbed++
		}
		for i := range both {
			r.Sides[i].Turns = append(r.Sides[i].Turns, seconds[i])
		}
	}
	return nil
}

// compare asks that both sides have computed the same.
func (r *result) compare(losses [2][]float64) error {
	for i, a := range losses[0] {
		b := losses[1][i]
		apart := math.Abs(a-b) / math.Abs(b)
		if most := apartMost[r.Settings.Precision]; !(apart <= most) {
			return fmt.Errorf("the loss of step %d is %.7g, PyTorch's %.7g: they may be %g apart", i+1, a, b, most)
		}
		r.Apart = max(r.Apart, apart)
		r.Checked++
	}
	return nil
}

// peer is a side at work.
type peer struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	errs  *strings.Builder
	hello hello
}

func start(ctx context.Context, threads int, args ...string) (*peer, error) {
	p := &peer{cmd: exec.CommandContext(ctx, args[0], args[1:]...), errs: &strings.Builder{}}
	p.cmd.Env = append(os.Environ(), fmt.Sprintf("OMP_NUM_THREADS=%d", threads))
	p.cmd.Stderr = p.errs
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, p.read(&p.hello)
}

// read reads a line of JSON; where there is none, the process has said why.
func (p *peer) read(to any) error {
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		return json.Unmarshal(line, to)
	}
	p.end()
	said := strings.Split(strings.TrimSpace(p.errs.String()), "\n")
	return fmt.Errorf("it ended: %s", said[len(said)-1])
}

func (p *peer) steps(n int) (a answer, err error) {
	if _, err = fmt.Fprintln(p.in, n); err != nil {
		return a, err
	}
	if err = p.read(&a); err == nil && (len(a.Seconds) != n || len(a.Losses) != n) {
		err = fmt.Errorf("%d steps asked for, %d seconds and %d losses given", n, len(a.Seconds), len(a.Losses))
	}
	return a, err
}

// end lets the process end: its input does. What it says then does not matter.
func (p *peer) end() {
	_ = p.in.Close()
	_ = p.cmd.Wait()
}
