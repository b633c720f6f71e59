package main

import (
	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/bench/worker"
	"github.com/ledge-run/ledge/runtime/engine"
)

// measureCommand measures one thing for ledge-bench, which so compares builds of this
// program, too. See package worker.
func (a *app) measureCommand() *cli.Command {
	c := &cli.Command{Name: worker.Name, Usage: "measure one thing, as standard input says", Hidden: true, Action: func(c *cli.Context) error {
		if err := worker.Serve(c.Context, a.in, a.out.Unbuffered(), console.Revision(), func(o *engine.Options) { o.Prover = a.prover() }); err != nil {
			return err
		}
		return a.out.Flush()
	}}
	return describe(c, "ledge "+worker.Name, "", "ledge "+worker.Name+" < job.json")
}
