package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/backend/trust"
	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/power/governor"
)

// app is one invocation of the program.
type app struct {
	in     io.Reader
	out    *console.Output // standard output: results only
	stderr io.Writer       // everything else
	getenv func(string) string
	intr   *console.Interrupts
	quiet  bool
	trust  *trust.Prover // see prover

	shutTold bool // see shut

	governor *governor.Governor // see limit; nil without limits
	tell     func(note string)  // what it says
}

// run executes one command line (without the program's name) and returns the
// exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, intr := console.WatchInterrupts(context.Background())
	defer intr.Stop()
	a := &app{in: stdin, out: console.NewOutput(stdout), stderr: stderr, getenv: os.Getenv, intr: intr}
	err := console.Execute(ctx, a.newCLI(), args)
	if werr := a.out.Close(); err == nil || errors.Is(err, console.ErrOutput) {
		err = werr
	}
	code := exitCode(ctx, err)
	switch {
	case err == nil, errors.Is(err, errSilent):
	case code == exitInterrupted || code == exitTerminated:
		fmt.Fprintln(stderr, "ledge: interrupted")
	default:
		fmt.Fprintln(stderr, "ledge: "+oneLine(err.Error()))
	}
	return code
}

// commands lists the commands in the order in which help shows them.
func (a *app) commands() []*cli.Command {
	return []*cli.Command{
		a.runCommand(), a.chatCommand(), a.pullCommand(), a.modelsCommand(), a.cacheCommand(), a.infoCommand(),
		a.tokenizeCommand(), a.logitsCommand(), a.perplexityCommand(), a.evalCommand(), a.benchCommand(),
		a.dataCommand(), a.tokenizerCommand(), a.trainCommand(), a.finetuneCommand(), a.distillCommand(),
		a.quantizeCommand(), a.pruneCommand(), a.imatrixCommand(),
		a.mergeCommand(),
		a.devicesCommand(), a.powerCommand(), a.graphCommand(), a.versionCommand(), a.completionCommand(),
		a.helpCommand(), a.probeCommand(), a.completeCommand(), console.TableCommand("ledge"), a.measureCommand(),
	}
}

// newCLI builds the table of commands.
func (a *app) newCLI() *cli.App {
	return console.NewApp("ledge", "run language models on the device at hand", appHelp, a.commands(), a.out, a.stderr, a.before)
}

// before runs ahead of every command.
func (a *app) before(c *cli.Context) error {
	a.quiet = c.Bool("quiet")
	return nil
}

// note writes a line for the user to standard error.
func (a *app) note(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintln(a.stderr, oneLine(fmt.Sprintf(format, args...)))
	}
}
