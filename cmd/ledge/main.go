// Command ledge runs language models from GGUF files.
//
//	ledge run -m smollm2:135m "Why is the sky blue?"
//
// What a command computes goes to standard output, everything else (progress,
// notes, statistics, errors) to standard error. Run ledge help for the commands
// and ledge help exit-codes for the exit codes.
package main

import (
	"os"

	_ "github.com/ledge-run/ledge/backend/all"          // every backend of this build
	_ "github.com/ledge-run/ledge/runtime/power/nvidia" // and the power of NVIDIA's cards
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
