// Package process runs the programs that a benchmark measures: each to its end or
// its time limit, with what it took from the machine. A program that ends, or is
// ended, takes those with it that it started: on Linux all that still have its
// variables, on other Unixes those that stayed in its process group.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"
)

// Command is what to run.
type Command struct {
	Path    string
	Args    []string
	Env     []string // added to this process's
	Stdin   []byte
	Timeout time.Duration // 0: none

	// Heard is told of all that the program has written to its standard output, whenever
	// that is more. nil: nobody wants to know.
	Heard func(all []byte)
}

// Result is a program that has ended.
type Result struct {
	Stdout []byte
	Wall   time.Duration
	CPU    time.Duration // user and system, with the processes it waited for
	Peak   int64         // bytes resident at most, of the largest process; 0 where the system does not tell
}

// MaxOutput bounds what is kept of standard output; a program that writes more fails.
const MaxOutput = 16 << 20

// tail is how much of its complaints is kept.
const tail = 4 << 10

// grace is how long a process has between being told to end and being killed, and
// its output to come to an end afterwards.
const grace = 2 * time.Second

// Run runs a command. An error says in one line how it failed; the result is there
// with it, if the program ran at all.
func Run(ctx context.Context, c Command) (Result, error) {
	limited := ctx
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	cmd := exec.CommandContext(limited, c.Path, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.WaitDelay = grace
	if c.Stdin != nil {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	out, complaints := &limitedBuffer{limit: MaxOutput, heard: c.Heard}, &tailBuffer{}
	cmd.Stdout, cmd.Stderr = out, complaints
	group(cmd)
	endOthers := adopt(cmd)
	start := time.Now()
	err := run(cmd)
	r := Result{Stdout: out.data, Wall: time.Since(start)}
	endGroup(cmd) // a child that lives on would disturb what is measured next
	endOthers()
	if s := cmd.ProcessState; s != nil {
		r.CPU, r.Peak = s.UserTime()+s.SystemTime(), peakBytes(s)
	}
	name := filepath.Base(c.Path)
	switch {
	case ctx.Err() != nil:
		return r, context.Cause(ctx)
	case limited.Err() != nil:
		return r, fmt.Errorf("%s did not end within %v%s", name, c.Timeout, complaints.said())
	case out.over:
		return r, fmt.Errorf("%s wrote more than %d MiB", name, MaxOutput>>20)
	case errors.Is(err, exec.ErrWaitDelay):
		return r, fmt.Errorf("%s ended, and left a process that holds its output", name)
	case err != nil:
		return r, fmt.Errorf("%s: %s%s", name, how(err), complaints.said())
	}
	return r, nil
}

// how is an error without the program's path.
func how(err error) string {
	var path *os.PathError
	var lookup *exec.Error
	switch {
	case errors.As(err, &path):
		return path.Err.Error()
	case errors.As(err, &lookup):
		return lookup.Err.Error()
	}
	return err.Error()
}

// LastLine is the last line of a text that is not blank.
func LastLine(b []byte) string {
	s := strings.TrimSpace(string(b))
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

// limitedBuffer keeps the beginning of what is written. More is an error, which ends
// the writer.
type limitedBuffer struct {
	data  []byte // no bytes.Buffer, whose ReadFrom knows no limit
	limit int
	over  bool
	heard func([]byte)
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(b.data)+len(p) > b.limit {
		b.over = true
		return 0, io.ErrShortWrite
	}
	b.data = append(b.data, p...)
	if b.heard != nil {
		b.heard(b.data)
	}
	return len(p), nil
}

// tailBuffer keeps the end of what is written.
type tailBuffer struct{ data []byte }

func (b *tailBuffer) Write(p []byte) (int, error) {
	b.data = append(b.data, p...)
	if len(b.data) > 2*tail {
		b.data = append(b.data[:0], b.data[len(b.data)-tail:]...)
	}
	return len(p), nil
}

// said is the last line, as the end of a message.
func (b *tailBuffer) said() string {
	line := LastLine(b.data)
	if line == "" {
		return ""
	}
	const longest = 300
	if len(line) > longest {
		line = strings.ToValidUTF8(line[:longest], "") + "…"
	}
	if !utf8.ValidString(line) {
		line = strings.ToValidUTF8(line, "?")
	}
	return ": " + line
}
