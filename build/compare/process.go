package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A run is a process that has ended.
type run struct {
	stdout []byte
	wall   time.Duration
	cpu    time.Duration // user and system
	peak   int64         // bytes resident at most; 0 where the system does not tell
}

// figures of the process itself.
func (r *run) figures() figures {
	return figures{"wall_s": r.wall.Seconds(), "cpu_s": r.cpu.Seconds(), "peak_mb": float64(r.peak) / 1e6}
}

// execute runs a command to its end, with env added to the environment. An error
// carries the last line that the command complained with.
func execute(ctx context.Context, env []string, name string, args ...string) (*run, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	start := time.Now()
	err := cmd.Run()
	r := &run{stdout: out.Bytes(), wall: time.Since(start)}
	if s := cmd.ProcessState; s != nil {
		r.cpu, r.peak = s.UserTime()+s.SystemTime(), peakBytes(s)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		what := strings.Join(append([]string{filepath.Base(name)}, args...), " ")
		return nil, fmt.Errorf("%s: %w: %s", what, err, lastLine(complaints.String()))
	}
	return r, nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// missing says that a program is not there; its case is then left out.
type missing struct{ what, how string }

func (m missing) Error() string { return m.what + " is not there: " + m.how }

func isMissing(err error) bool {
	var m missing
	return errors.As(err, &m)
}

// need returns the path of a program or file that must be there.
func need(path, how string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		return "", missing{path, how}
	}
	return path, nil
}
