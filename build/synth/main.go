// Command synth writes a model file of the sizes of real models for speed to be
// measured on, where none can be had: of the llama architecture, as Ledge and
// llama.cpp load it, with random weights. It writes as fast as the disk takes it,
// so that a machine lent for minutes makes its own.
//
//	go run ./build/synth [-threads N] [-context N] SHAPE TYPE FILE.gguf
//
// SHAPE is 1b or 8b, the sizes of Llama 3.2 1B and Llama 3 8B; wide, eight layers
// of width 8192 as of Llama 3 70B; or tiny, for tests. TYPE is f16, q8_0, q4_0,
// q4_k, q4_k_m or q6_k. The mixed types are as llama-quantize makes them: with an
// output matrix of Q6_K, and q4_k_m with half of attn_v and ffn_down in Q6_K too.
//
// A block of weights is one of 4,096 that were encoded from normally distributed
// values, so scales are those of real weights, products keep the scale of their
// inputs, and logits are finite. The text that comes out is noise. A file is the
// same each time, whatever the number of threads.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/ledge-run/ledge/build/internal/synthmodel"
)

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "synth:", err)
		}
		os.Exit(1)
	}
}

func run(args []string, log io.Writer) error {
	flags := flag.NewFlagSet("synth", flag.ContinueOnError)
	flags.SetOutput(log)
	threads := flags.Int("threads", runtime.GOMAXPROCS(0), "threads that make and write weights")
	context := flags.Int("context", 0, "tokens the model says it was trained for; 0 for the shape's")
	flags.Usage = func() {
		fmt.Fprintf(log, "usage: synth [FLAGS] SHAPE TYPE FILE.gguf\nSHAPE is one of %s; TYPE one of %s\n", names(synthmodel.Shapes), names(recipes))
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 3 {
		return fmt.Errorf("%d arguments instead of SHAPE TYPE FILE.gguf; synth -h tells more", flags.NArg())
	}
	shape, ok := synthmodel.Shapes[flags.Arg(0)]
	if !ok {
		return fmt.Errorf("no shape %q: it must be one of %s", flags.Arg(0), names(synthmodel.Shapes))
	}
	r, ok := recipes[flags.Arg(1)]
	if !ok {
		return fmt.Errorf("no type %q: it must be one of %s", flags.Arg(1), names(recipes))
	}
	if *threads < 1 || *context < 0 || *context > math.MaxInt32 {
		return fmt.Errorf("-threads %d -context %d: threads must be positive, the context a number of tokens", *threads, *context)
	}
	if *context > 0 {
		shape.Context = *context
	}
	return writeFile(flags.Arg(2), shape, r, *threads)
}

func names[V any](m map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }
