// Command cudaheader works on third_party/cuda/include, our declarations of the CUDA
// driver API.
//
//	go run ./build/cudaheader shim >FILE.c     writes the functions that forward to the driver
//	go run ./build/cudaheader check CUDA.H...  compares ours with NVIDIA's headers (needs a C compiler)
//
// The first is run by go generate in backend/cuda/internal/driver, the second by
// build/full.sh.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cudaheader:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	_, here, _, _ := runtime.Caller(0)
	h, err := read(filepath.Join(filepath.Dir(here), "../../third_party/cuda/include"))
	if err != nil {
		return err
	}
	switch {
	case len(args) == 1 && args[0] == "shim":
		out := bufio.NewWriter(os.Stdout)
		h.shim(out)
		return out.Flush()
	case len(args) > 1 && args[0] == "check":
		for _, path := range args[1:] {
			if err := h.check(path); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			fmt.Printf("%s: %d functions, %d constants, %d structures agree\n", path, len(h.functions), len(h.constants), len(h.structs))
		}
		return nil
	}
	return errors.New("usage: cudaheader shim, or cudaheader check CUDA.H...")
}
