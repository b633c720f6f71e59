// Command benchmodels makes the models that docs/performance.yaml measures of the one
// that build/models.sh fetches, with llama.cpp's llama-quantize; and a synthetic one
// with a billion parameters, whose sizes fit every type of weight.
//
//	go run ./build/benchmodels [-models DIR] [-llama DIR]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := command(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmodels:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, log io.Writer) error {
	f := flag.NewFlagSet("benchmodels", flag.ContinueOnError)
	f.SetOutput(log)
	models := f.String("models", "out/models", "folder of the models")
	llama := f.String("llama", "out/llama", "llama.cpp, from build/llama.sh")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("there is no argument %q", f.Arg(0))
	}
	return makeModels(ctx, *models, *llama, log)
}
