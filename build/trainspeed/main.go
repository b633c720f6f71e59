// Command trainspeed measures training steps beside PyTorch and writes what it finds
// into docs/training.md, between marks. Linux only.
//
//	python3 -m venv out/torch && out/torch/bin/pip install torch transformers numpy safetensors   # once; CPU wheels do
//	go run ./build/trainspeed measure                       # every case; with -cases 16x128-f32 one of them
//	go run ./build/trainspeed table                         # from what has been measured
//
// Both sides begin with the same weights, take the same steps on the same tokens in
// turns, each in a process of its own that sleeps meanwhile, and must give the same
// losses.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "trainspeed:", err)
		}
		os.Exit(1)
	}
}

type options struct {
	python, script, journal, docs string
	cases                         string
	threads, rounds, steps        int
	log                           io.Writer
}

func run(args []string, in io.Reader, out, log io.Writer) error {
	o := options{log: log}
	flags := flag.NewFlagSet("trainspeed", flag.ContinueOnError)
	flags.SetOutput(log)
	flags.StringVar(&o.python, "python", filepath.Join("out", "torch", "bin", "python"), "Python with PyTorch and transformers")
	flags.StringVar(&o.script, "peer", filepath.Join("build", "trainspeed", "peer.py"), "PyTorch's side")
	flags.StringVar(&o.journal, "journal", filepath.Join("out", "trainspeed.jsonl"), "file that each measurement is added to")
	flags.StringVar(&o.docs, "docs", filepath.Join("docs", "training.md"), "page to write the table into")
	flags.StringVar(&o.cases, "cases", "1x64-f32,8x96-f32,16x128-f32,1x64-bf16,8x96-bf16,16x128-bf16", "documents x tokens of a step, and the precision of products")
	flags.IntVar(&o.threads, "threads", 2, "threads of both sides")
	flags.IntVar(&o.rounds, "rounds", 12, "turns of each side")
	flags.IntVar(&o.steps, "steps", 5, "steps of a turn")
	settings := flags.String("worker", "", "take steps by these settings, as asked for on the standard input")
	verb := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb, args = args[0], args[1:]
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch {
	case *settings != "":
		return work(ctx, *settings, in, out)
	case flags.NArg() > 0:
		return fmt.Errorf("%q: flags follow measure or table, and nothing else does", flags.Arg(0))
	case verb == "measure":
		return o.measure(ctx)
	case verb == "table":
		return o.table(out)
	}
	return errors.New("say measure or table")
}
