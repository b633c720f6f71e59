package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/backend"
)

// probeTime is how long a backend may take to find and test its devices.
const probeTime = 30 * time.Second

// probeCommand is what ledge devices runs in a process of its own: it looks at
// one backend and writes the reports as JSON.
func (a *app) probeCommand() *cli.Command {
	c := &cli.Command{
		Name:   "probe",
		Usage:  "test one backend and report as JSON",
		Hidden: true,
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usagef("probe takes the name of one backend")
			}
			for _, d := range backend.Drivers() {
				if d.Name == c.Args().First() {
					return a.out.json(testDriver(c.Context, d), false)
				}
			}
			return deviceError{fmt.Errorf("no backend %q in this build", c.Args().First())}
		},
	}
	return describe(c, "ledge probe BACKEND", "", "ledge probe cpu")
}

// probeDriver reports on a backend. All but the processor's, which calls no
// foreign driver, are tried in a child process: if that crashes or hangs, the
// backend is reported as such.
func (a *app) probeDriver(ctx context.Context, d backend.Driver) []deviceReport {
	if d.Name == "cpu" {
		return testDriver(ctx, d)
	}
	fail := func(format string, args ...any) []deviceReport {
		return []deviceReport{{Name: d.Name, Backend: d.Name, Reason: fmt.Sprintf(format, args...)}}
	}
	self, err := os.Executable()
	if err != nil {
		return fail("cannot start a process to try it: %v", err)
	}
	return runProbe(ctx, exec.Command(self, "probe", d.Name), d.Name, probeTime, fail)
}

// runProbe runs a probing process with a time limit and reads its report.
func runProbe(ctx context.Context, cmd *exec.Cmd, name string, limit time.Duration, fail func(string, ...any) []deviceReport) []deviceReport {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	c.Env = cmd.Env
	c.WaitDelay = time.Second
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &limited{w: &out, left: 1 << 20}, &limited{w: &errs, left: 64 << 10}
	err := c.Run()
	if ctx.Err() != nil {
		return fail("its driver did not answer within %v: not used", limit)
	}
	var reports []deviceReport
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &reports)
	}
	if err == nil {
		for _, r := range reports {
			if r.Backend != name || r.Found != (r.Info != nil) || r.Passed && !r.Found {
				err = errors.New("its report makes no sense")
			}
		}
	}
	if err != nil {
		said, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		if len(said) > 200 {
			said = said[:200]
		}
		return fail("its driver failed: %v: %s", err, said)
	}
	return reports
}

// limited lets so many bytes through and drops the rest.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}
