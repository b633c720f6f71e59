// Command compare measures Ledge against other engines on the machine it runs
// on, and writes docs/performance.md from what it measured:
//
//	go run ./build/compare models      makes the models that build/models.sh does not fetch
//	go run ./build/compare list        names the cases
//	go run ./build/compare pack        has Ledge keep the models packed, as after their first start
//	go run ./build/compare run         measures
//	go run ./build/compare report      writes the tables and the picture
//
// A round of a case measures Ledge and the peer one after the other, and between
// ceilings of the machine (how fast memory is read, how many products it makes).
// Ratios are taken within a round. Every round is a line of out/compare/rounds.jsonl;
// a run that was interrupted goes on where it stopped.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ledge-run/ledge/runtime/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitLeft   = 3 // the budget is used up, and rounds are left
)

var errLeft = errors.New("rounds are left")

func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	commands := map[string]func(context.Context, []string, io.Writer, io.Writer) error{
		"models": modelsCommand, "list": listCommand, "pack": packCommand, "run": runCommand, "report": reportCommand,
		"ceiling": ceilingCommand, "facts": factsCommand, "spin": spinCommand,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprintln(stderr, "usage: compare models|list|pack|run|report [FLAGS]; compare run -h lists the flags")
		return exitUsage
	}
	err := commands[args[0]](ctx, args[1:], stdout, stderr)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errLeft):
		return exitLeft
	case errors.As(err, new(usageError)):
		fmt.Fprintln(stderr, "compare:", err)
		return exitUsage
	}
	fmt.Fprintln(stderr, "compare:", err)
	return exitFailed
}

type usageError struct{ error }

// options are the flags that several commands share.
type options struct {
	*flag.FlagSet
	out, models, llama string
}

func newOptions(name string, stderr io.Writer) *options {
	o := &options{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	o.SetOutput(stderr)
	o.StringVar(&o.out, "out", "out/compare", "folder of the rounds")
	o.StringVar(&o.models, "models", "out/models", "folder of the models")
	o.StringVar(&o.llama, "llama", "out/llama", "llama.cpp, from build/llama.sh")
	return o
}

func (o *options) parse(args []string) error {
	if err := o.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	if o.NArg() > 0 {
		return usageError{fmt.Errorf("%s takes no argument %q", o.Name(), o.Arg(0))}
	}
	return nil
}

func modelsCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := newOptions("models", stderr)
	if err := o.parse(args); err != nil {
		return err
	}
	return makeModels(ctx, o.models, o.llama, stderr)
}

func listCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	for _, c := range cases() {
		fmt.Fprintln(stdout, c.id)
	}
	return nil
}

func runCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := newOptions("run", stderr)
	progs := &programs{readMiB: 256}
	var p plan
	var only string
	o.StringVar(&progs.ledge, "ledge", "", "a ledge program (default: built from this source)")
	o.StringVar(&progs.llamaAVX2, "llama-avx2", "out/llama-avx2", "llama.cpp for AVX2 only, from build/llama.sh DIR avx2")
	o.StringVar(&progs.python, "python", "out/ov/bin/python", "a Python with openvino-genai and openvino-tokenizers")
	o.IntVar(&p.rounds, "rounds", 5, "measure `N` rounds of each case")
	o.BoolVar(&p.slow, "slow", false, "measure cases too that take minutes (a context of 16,384), once")
	o.DurationVar(&p.budget, "budget", 0, "end before this `TIME` is over, with exit code 3 if rounds are left")
	o.StringVar(&only, "only", "", "measure only cases that match this `REGEXP`")
	if err := o.parse(args); err != nil {
		return err
	}
	if p.rounds < 1 || p.budget < 0 {
		return usageError{fmt.Errorf("-rounds %d -budget %v: there must be a round and time for it", p.rounds, p.budget)}
	}
	pattern, err := regexp.Compile(only)
	if err != nil {
		return usageError{fmt.Errorf("-only: %w", err)}
	}
	chosen := choose(cases(), pattern)
	if len(chosen) == 0 {
		return usageError{fmt.Errorf("-only %s: no case matches; compare list names them", only)}
	}
	revision, err := prepare(ctx, progs, o)
	if err != nil {
		return err
	}
	j, err := openJournal(o.out)
	if err != nil {
		return err
	}
	left, err := measure(ctx, p, progs, chosen, j, revision, stderr)
	if err != nil {
		return err
	}
	if left > 0 {
		fmt.Fprintf(stderr, "%d rounds are left\n", left)
		return errLeft
	}
	return nil
}

// prepare builds ledge unless it was given, and says of which commit it is: of a
// program that was given it is not known.
func prepare(ctx context.Context, progs *programs, o *options) (revision string, err error) {
	progs.models, progs.llama = o.models, o.llama
	if progs.self, err = os.Executable(); err != nil {
		return "", err
	}
	if progs.ledge == "" {
		revision = commit(ctx)
		if progs.ledge, err = buildLedge(ctx, o.out); err != nil {
			return "", err
		}
	}
	// Programs are run by path, not looked up.
	if progs.ledge, err = filepath.Abs(progs.ledge); err != nil {
		return "", err
	}
	build, err := fileHash(progs.ledge)
	if err != nil {
		return "", err
	}
	return revision, progs.choosePacked(filepath.Join(o.out, "packed"), build)
}

// packCommand fills the folders of packed weights, which run would do itself in
// its own time.
func packCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := newOptions("pack", stderr)
	progs := &programs{}
	o.StringVar(&progs.ledge, "ledge", "", "a ledge program (default: built from this source)")
	if err := o.parse(args); err != nil {
		return err
	}
	if _, err := prepare(ctx, progs, o); err != nil {
		return err
	}
	for _, c := range cases() {
		if err := fill(ctx, progs, &c); isMissing(err) {
			fmt.Fprintf(stderr, "%s: left out: %v\n", c.id, err)
		} else if err != nil {
			return fmt.Errorf("%s: %w", c.id, err)
		}
	}
	return nil
}

// buildLedge builds the program from the source in the working folder.
func buildLedge(ctx context.Context, dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ledge")
	_, err := execute(ctx, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-o", path, "./cmd/ledge")
	return path, err
}

// commit is the source's, with a plus if it was changed; empty without git.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--abbrev=10", "--exclude=*", "--dirty=+").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// ceilings is what ceilingCommand writes.
type ceilings struct {
	bench.Ceiling
	Dots float64 `json:"dot_gops"`
}

func ceilingCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var sizes [2]int
	ok := len(args) == len(sizes)
	for i := range sizes {
		if ok {
			n, err := strconv.Atoi(args[i])
			sizes[i], ok = n, err == nil && n > 0 && n < 1<<20
		}
	}
	if !ok {
		return usageError{errors.New("ceiling takes a number of threads and one of MiB to read")}
	}
	n, size := sizes[0], sizes[1]<<20
	const passes = 5
	var c ceilings
	var err error
	if c.Ceiling, err = bench.ReadCeiling(ctx, size, n, passes); err != nil {
		return err
	}
	if c.Dots, err = bench.DotCeiling(ctx, n, passes); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(c)
}

func factsCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) != 1 {
		return usageError{errors.New("facts takes a model")}
	}
	m, err := readFacts(args[0])
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(m)
}

// spinCommand keeps a processor busy until it is killed, or for ten minutes.
func spinCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 1 {
		if processor, err := strconv.Atoi(args[0]); err == nil && processor >= 0 {
			return spin(ctx, processor, 10*time.Minute)
		}
	}
	return usageError{errors.New("spin takes a processor")}
}
