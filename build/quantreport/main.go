// Command quantreport measures ledge quantize against llama-quantize and writes what
// it finds into docs/quantize.md, between marks.
//
//	go run ./build/quantreport [FLAGS] error|quality|speed
//
// error encodes synthetic F32 weights in every type with both programs and compares
// the errors, tensor by tensor. quality quantises a model with both, with the same
// importance matrix, and compares the divergence from the source; with -dir it goes on
// where it was when it ended, by -minutes or by Ctrl-C. speed takes turns with the two. Each writes its table alone, so that they can be run one at a time.
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
	"time"

	"github.com/ledge-run/ledge/build/internal/report"
)

// job is what a run of the command does.
type job struct {
	llama  string // folder of llama.cpp's programs
	ledge  string
	dir    string // for files
	model  string
	calib  string
	text   string
	docs   string
	types  string
	log    io.Writer
	thread int
	chunks int
	lot    int

	context int
	budget  bool
}

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "quantreport:", err)
		}
		os.Exit(1)
	}
}

func run(args []string, log io.Writer) (err error) {
	r := &job{log: log}
	flags := flag.NewFlagSet("quantreport", flag.ContinueOnError)
	flags.SetOutput(log)
	flags.StringVar(&r.llama, "llama", filepath.Join(os.Getenv("LEDGE_TEST_LLAMA"), "bin"), "folder of llama-quantize and llama-imatrix")
	flags.StringVar(&r.ledge, "ledge", "", "program to measure the speed of (default: built of this source)")
	flags.StringVar(&r.model, "model", filepath.Join(os.Getenv("LEDGE_TEST_MODELS"), "smollm2-q8_0.gguf"), "source of quality and speed")
	flags.StringVar(&r.calib, "calibration", "", "text for the importance matrix")
	flags.StringVar(&r.text, "text", "", "text to measure on, of two chunks of 512 tokens or more")
	flags.StringVar(&r.docs, "docs", "docs/quantize.md", "page to write the tables into")
	flags.StringVar(&r.types, "types", "", "types to measure, with commas between (default: all)")
	flags.IntVar(&r.thread, "threads", 2, "threads of both programs")
	flags.IntVar(&r.chunks, "chunks", 160, "chunks of the text to measure quality on, ctx/2-1 positions each")
	flags.IntVar(&r.lot, "lot", 8, "chunks that all files are measured on before the next")
	flags.IntVar(&r.context, "ctx", 512, "tokens of a chunk")
	minutes := flags.Float64("minutes", 0, "end quality after so long, with a table of what was measured until then (0: when it is done)")
	flags.BoolVar(&r.budget, "budget", true, "search for budgets, too")
	dir := flags.String("dir", "", "folder for files (default: a temporary one)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("name what to measure: error, quality or speed")
	}
	if r.dir = *dir; r.dir == "" {
		if r.dir, err = os.MkdirTemp("", "quantreport"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *minutes > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*minutes*float64(time.Minute)))
		defer cancel()
	}
	what := flags.Arg(0)
	var table string
	switch what {
	case "error":
		table, err = r.errors(ctx)
	case "quality":
		table, err = r.quality(ctx)
	case "speed":
		table, err = r.speed(ctx)
	default:
		return fmt.Errorf("%q: it must be error, quality or speed", what)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(log, table)
	begin, end := report.Marks(what, "quantreport")
	return report.Insert(r.docs, begin, table, end)
}

// program runs one of llama.cpp's.
func (r *job) program(ctx context.Context, name string, args ...string) error {
	_, err := report.Llama(ctx, r.llama, name, args...)
	return err
}

// list is what -types names, or all.
func (r *job) list(all []string) []string {
	if r.types == "" {
		return all
	}
	return strings.Split(r.types, ",")
}

func (r *job) path(name string) string { return filepath.Join(r.dir, name) }
