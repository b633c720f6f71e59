package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/trust"
	"github.com/ledge-run/ledge/graph/dtype"
)

// probeCommand is what this program, and others that use Ledge, run in a process
// of its own: it tries one backend's devices and reports. See package trust.
func (a *app) probeCommand() *cli.Command {
	c := &cli.Command{
		Name:   "probe",
		Usage:  "test one backend and report as JSON",
		Hidden: true,
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "limit", Usage: "end after `TIME` without a sign of life", Value: trust.DefaultLimit},
			&cli.BoolFlag{Name: "asked", Usage: "test devices, too, that are only used when asked for by name"},
			&cli.StringFlag{Name: "level", Usage: "`LEVEL` of kernels to force"},
			&cli.StringFlag{Name: "types", Usage: "`TYPES` of weights to try besides the usual ones"},
		},
		Action: a.probe,
	}
	return describe(c, "ledge probe [--types TYPE,...] BACKEND", "", "ledge probe cpu")
}

func (a *app) probe(c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("probe takes the name of one backend")
	}
	t := backend.Trial{Options: backend.Options{Level: c.String("level")}, Asked: c.Bool("asked")}
	for _, name := range strings.FieldsFunc(c.String("types"), func(r rune) bool { return r == ',' }) {
		dt, err := dtype.Parse(name)
		if err != nil {
			return usagef("--types: %v", err)
		}
		t.Types = append(t.Types, dt)
	}
	for _, d := range backend.Drivers() {
		if d.Name != c.Args().First() {
			continue
		}
		// Whoever waits for the report may be gone when a driver hangs.
		limit := c.Duration("limit") + 5*time.Second
		watch := trust.Watch(limit, func() { os.Exit(exitDevice) })
		defer watch.Stop()
		said := time.Now()
		v := trust.Try(c.Context, d, t, func() {
			watch.Heard()
			if time.Since(said) > min(time.Second, limit/8) {
				said = time.Now()
				_ = trust.Alive(a.out) // if nobody listens any more, the report fails
				_ = a.out.Flush()
			}
		})
		if c.Context.Err() != nil {
			return context.Cause(c.Context) // it was interrupted: what failed says nothing about the driver
		}
		if err := trust.Report(a.out, &v); err != nil {
			return err
		}
		return a.out.Flush()
	}
	return deviceError{fmt.Errorf("no backend %q in this build", c.Args().First())}
}

// prover is what this command trusts drivers by: verdicts that are kept, or trials
// by this very program in another process.
func (a *app) prover() *trust.Prover {
	if a.trust == nil {
		a.trust = trust.New(a.getenv, "")
		a.trust.InProcess = false
		self, err := trust.Self()
		if err == nil {
			a.trust.Program = self
		} // else it takes that of LEDGE_PROBE, or none and only kept verdicts
		a.trust.Hint = "ledge devices --retry tries it again"
		a.trust.Slow = func(driver string) {
			a.note("trying %s in a process of its own; the verdict is kept", driver)
		}
	}
	return a.trust
}
