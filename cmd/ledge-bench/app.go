package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/bench/suite"
	"github.com/ledge-run/ledge/runtime/bench/worker"
)

// Exit codes.
const (
	exitLeft   = 3 // the budget is used up, and rounds are left
	exitEngine = 4 // an engine or a model failed or was not there; the rest was measured
	exitBar    = 5 // a figure misses its bar
	exitForged = 6 // a receipt is not what its signer signed, or none
	exitDiffer = 7 // a replay contradicts the receipt
)

const exitCodesHelp = `EXIT CODES:
   0    the command did what it was asked to do
   1    it failed: a full disk, a journal that is no journal, ...
   2    wrong usage: an unknown command or flag, a suite file that makes no sense
   3    --budget is used up, and rounds are left: run the same command again
   4    an engine failed or a model is not there; everything else was measured
   5    --check: a figure misses its bar
   6    the receipt was changed or is none, or another key signed it
   7    replay: another output, or a figure that is worse than the receipt says
   130  interrupted (Ctrl-C); the rounds that had ended are in the journal
   143  terminated (SIGTERM)
`

// app is one invocation of the program.
type app struct {
	in     io.Reader
	out    *console.Output // standard output: results only
	stderr io.Writer       // everything else
	getenv func(string) string
	quiet  bool
	read   []source // what must not be written over
}

// outcome is an end that is no failure of the program, with its exit code.
type outcome struct {
	text string
	code int
}

func (o outcome) Error() string { return o.text }

// run executes one command line (without the program's name) and returns the exit
// code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, interrupts := console.WatchInterrupts(context.Background())
	defer interrupts.Stop()
	a := &app{in: stdin, out: console.NewOutput(stdout), stderr: stderr, getenv: os.Getenv}
	err := console.Execute(ctx, a.newCLI(), args)
	if werr := a.out.Close(); err == nil || errors.Is(err, console.ErrOutput) {
		err = werr
	}
	code := exitCode(ctx, err)
	switch {
	case err == nil, errors.Is(err, console.ErrSilent):
	case code == console.ExitInterrupted || code == console.ExitTerminated:
		fmt.Fprintln(stderr, "ledge-bench: interrupted; what was measured is in the journal")
	default:
		fmt.Fprintln(stderr, "ledge-bench: "+console.OneLine(err.Error()))
	}
	return code
}

func exitCode(ctx context.Context, err error) int {
	if code, ok := console.Interrupted(ctx, err); ok {
		return code
	}
	var usage console.UsageError
	var file *suite.Error
	var end outcome
	switch {
	case err == nil:
		return console.ExitOK
	case errors.As(err, &usage), errors.As(err, &file):
		return console.ExitUsage
	case errors.As(err, &end):
		return end.code
	}
	return console.ExitFailed
}

const appHelp = `
USAGE:
   ledge-bench COMMAND [FLAGS] [ARGUMENTS]      flags may also follow the arguments

COMMANDS:

   ledge-bench COMMAND --help tells more about a command.

SUITES:
   A suite is a YAML file that names models, devices, threads, lengths, other engines and
   the bars that figures must reach; init writes one with comments. Every combination
   is a case. A case is measured in rounds, Ledge and its peers one after the other; each
   round goes to the journal at once. What the journal has is not measured again.

` + exitCodesHelp + `
EXAMPLES:
   ledge-bench init board.yaml
   ledge-bench run board.yaml --budget 30m
   ledge-bench table board.yaml
   ledge-bench report board.yaml -o board.html
   ledge-bench receipt board.yaml -o board.receipt.json
`

// commands lists the commands in the order in which help shows them.
func (a *app) commands() []*cli.Command {
	return []*cli.Command{
		a.initCommand(), a.listCommand(), a.runCommand(), a.tableCommand(), a.compareCommand(), a.reportCommand(),
		a.receiptCommand(), a.verifyCommand(), a.replayCommand(),
		a.versionCommand(), a.helpCommand(), a.workerCommand(), console.TableCommand("ledge-bench"),
	}
}

// newCLI builds the table of commands.
func (a *app) newCLI() *cli.App {
	return console.NewApp("ledge-bench", "measure language models beside other engines", appHelp, a.commands(), a.out, a.stderr, func(c *cli.Context) error { a.quiet = c.Bool("quiet"); return nil })
}

// note writes a line for the user to standard error.
func (a *app) note(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintln(a.stderr, console.OneLine(fmt.Sprintf(format, args...)))
	}
}

func quietFlag() cli.Flag {
	return &cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no notes and no progress"}
}

func (a *app) helpCommand() *cli.Command {
	return console.HelpCommand("ledge-bench", a.out, exitCodesHelp, a.newCLI)
}

func (a *app) versionCommand() *cli.Command {
	c := &cli.Command{Name: "version", Usage: "show the version", Action: func(c *cli.Context) error {
		if err := console.Only(c, 0, ""); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "ledge-bench %s\n", console.Revision())
		return a.out.Flush()
	}}
	return console.Describe(c, "ledge-bench version", "", "ledge-bench version")
}

// workerCommand measures one thing for another ledge-bench. See package worker.
func (a *app) workerCommand() *cli.Command {
	c := &cli.Command{Name: worker.Name, Usage: "measure one thing, as standard input says", Hidden: true, Action: func(c *cli.Context) error {
		if err := worker.Serve(c.Context, a.in, a.out.Unbuffered(), console.Revision(), nil); err != nil {
			return err
		}
		return a.out.Flush()
	}}
	return console.Describe(c, "ledge-bench "+worker.Name, "", "ledge-bench "+worker.Name+" < job.json")
}
