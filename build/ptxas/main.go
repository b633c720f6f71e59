// Command ptxas assembles the PTX of kernels/cuda for GPUs that are not there, with
// NVIDIA's assemblers that build/ptxas.sh fetches, and writes what they say of it to
// docs/cuda-kernels.md: go run ./build/ptxas. It fails if a kernel is refused by a GPU
// that it is to run on, or does not fit it, or if registers spill where they must not.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

const page = "docs/cuda-kernels.md"

func main() {
	out := flag.String("o", page, "file to write")
	tools := flag.String("tools", "out/ptxas", "the folder that build/ptxas.sh made")
	flag.Parse()
	if err := run(*tools, *out); err != nil {
		fmt.Fprintln(os.Stderr, "ptxas:", err)
		os.Exit(1)
	}
}

func run(tools, out string) error {
	if err := checkTools(tools); err != nil {
		return err
	}
	programs, err := assembleAll(tools, true)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, []byte(markdown(programs)), 0o644); err != nil {
		return err
	}
	return errors.Join(faults(programs)...)
}
