// Package worker measures Ledge in a process of its own, so that one measurement's
// memory, caches and crashes are not another's. A program that can be a worker calls
// Serve when its hidden command Name is given; whoever measures calls Ask.
package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/ledge-run/ledge/runtime/bench/process"
	"github.com/ledge-run/ledge/runtime/bench/record"
	"github.com/ledge-run/ledge/runtime/engine"
)

// Name is the command that makes a program a worker: a Job on standard input, a
// Reply on standard output. It is no interface for others: both ends are of one
// version.
const Name = "__measure"

// version is of jobs and replies.
const version = 1

// Kind is what a job asks for.
type Kind string

const (
	Sizes    Kind = "sizes"    // of the model, with its hash
	Tokens   Kind = "tokens"   // how many the text is
	Ceilings Kind = "ceilings" // of the machine
	Pack     Kind = "pack"     // have the packed weights kept
	Speed    Kind = "speed"    // prompts and generation
	Start    Kind = "start"    // the first token of a process
	Quality  Kind = "quality"  // how well a text is predicted
	Spin     Kind = "spin"     // keep processors busy: a first reply says that they are
)

// Job is a piece of work.
type Job struct {
	Version   int             `json:"version"`
	Kind      Kind            `json:"kind"`
	Started   time.Time       `json:"started"` // when the process was started
	Model     string          `json:"model,omitempty"`
	Settings  record.Settings `json:"settings"`
	Text      string          `json:"text,omitempty"`      // of Tokens: a prompt; of Quality: a file
	Reference string          `json:"reference,omitempty"` // of Quality: a file of another model's predictions
	Energy    bool            `json:"energy,omitempty"`    // measure it
	MiB       int             `json:"mib,omitempty"`       // of Ceilings: what is read,
	Passes    int             `json:"passes,omitempty"`    // and how often
	Limit     time.Duration   `json:"limit,omitempty"`     // of Spin: it ends after that, whatever happens
}

// Reply is what came out.
type Reply struct {
	Version int    `json:"version"`
	Error   string `json:"error,omitempty"`
	Program string `json:"program,omitempty"` // version of Ledge

	Figures map[string]record.Figure `json:"figures,omitempty"`
	Energy  []record.Energy          `json:"energy,omitempty"`
	Output  *record.Output           `json:"output,omitempty"`

	Devices []record.Device `json:"devices,omitempty"` // that computed, the first most
	Level   string          `json:"level,omitempty"`   // of the processor's kernels
	Notes   []string        `json:"notes,omitempty"`   // of the model: a device that failed, a driver's fault

	Model    *record.Model    `json:"model,omitempty"`
	Tokens   int              `json:"tokens,omitempty"` // of the text
	Ceilings *record.Ceilings `json:"ceilings,omitempty"`
}

// Program is one that can be a worker.
type Program struct {
	Path string
	Env  []string
}

// Ask has a program do a job.
func (p Program) Ask(ctx context.Context, j Job, env []string, timeout time.Duration) (Reply, process.Result, error) {
	j.Version, j.Started = version, time.Now()
	in, err := json.Marshal(j)
	if err != nil {
		return Reply{}, process.Result{}, err
	}
	var reply Reply
	r, err := process.Run(ctx, process.Command{Path: p.Path, Args: []string{Name}, Env: append(append([]string{}, p.Env...), env...), Stdin: in, Timeout: timeout})
	if ctx.Err() != nil {
		return reply, r, err
	}
	// What it says itself of a failure is better than its exit code.
	jerr := json.Unmarshal(bytes.TrimSpace(r.Stdout), &reply)
	switch {
	case jerr == nil && reply.Error != "":
		return reply, r, errors.New(reply.Error)
	case err != nil:
		return reply, r, err
	case jerr != nil:
		return reply, r, fmt.Errorf("%s is no program of Ledge that can measure: it answers %q", p.Path, clip(process.LastLine(r.Stdout)))
	case reply.Version != version:
		return reply, r, fmt.Errorf("%s is of another version: it speaks %d, this program %d", p.Path, reply.Version, version)
	}
	return reply, r, nil
}

// Spin has a program keep processors busy until the context is cancelled, and calls
// ready once they are. An error says why it ended.
func (p Program) Spin(ctx context.Context, busy int, limit time.Duration, ready func()) error {
	in, err := json.Marshal(Job{Version: version, Kind: Spin, Started: time.Now(), Settings: record.Settings{Busy: busy}, Limit: limit})
	if err != nil {
		return err
	}
	spins := false
	heard := func(all []byte) {
		var first Reply
		line, _, whole := bytes.Cut(all, []byte("\n"))
		if !spins && whole && json.Unmarshal(line, &first) == nil && first.Error == "" && first.Version == version {
			spins = true
			ready()
		}
	}
	r, err := process.Run(ctx, process.Command{Path: p.Path, Args: []string{Name}, Env: p.Env, Stdin: in, Heard: heard})
	var last Reply
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case json.Unmarshal([]byte(process.LastLine(r.Stdout)), &last) == nil && last.Error != "":
		return errors.New(last.Error)
	case err != nil:
		return err
	case !spins:
		return fmt.Errorf("%s cannot keep processors busy: it answers %q", filepath.Base(p.Path), clip(process.LastLine(r.Stdout)))
	}
	return fmt.Errorf("%s ended by itself", filepath.Base(p.Path))
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// Serve does the job that it reads. An error is written, too, and returned so that
// the program ends with its exit code. set, which may be nil, changes the options that
// models are opened with: a program has its own way to try drivers.
func Serve(ctx context.Context, in io.Reader, out io.Writer, program string, set func(*engine.Options)) error {
	data, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return err
	}
	var j Job
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("%s is a command for ledge-bench, which says on standard input what to measure: %w", Name, err)
	}
	reply := Reply{Version: version, Program: program}
	if j.Version != version {
		err = fmt.Errorf("the job is of version %d, this program's is %d", j.Version, version)
	} else {
		err = do(ctx, &j, &reply, set, out)
	}
	if err != nil {
		reply.Error = err.Error()
	}
	if werr := json.NewEncoder(out).Encode(reply); werr != nil {
		return werr
	}
	return err
}

// do is the table of jobs.
func do(ctx context.Context, j *Job, r *Reply, set func(*engine.Options), out io.Writer) error {
	switch j.Kind {
	case Sizes:
		return sizes(j, r)
	case Tokens:
		return tokens(j, r)
	case Ceilings:
		return ceilings(ctx, j, r)
	case Spin:
		return spin(ctx, j, func() error { return json.NewEncoder(out).Encode(Reply{Version: version}) })
	case Pack, Speed, Start, Quality:
		return measure(ctx, j, r, set)
	}
	return fmt.Errorf("no job is called %q", j.Kind)
}
