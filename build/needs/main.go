// Command needs checks that a binary asks the system for nothing but the C library
// when it starts: drivers are loaded when the program runs, so that one binary
// starts on machines that have none.
package main

import (
	"debug/elf"
	"fmt"
	"os"
	"strings"
)

// libc is what a binary may need, by the beginning of the name: glibc's and musl's
// parts, Android's.
var libc = []string{"libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "libresolv.so", "ld-linux", "libc.musl", "liblog.so"}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: needs BINARY...")
		os.Exit(2)
	}
	for _, path := range os.Args[1:] {
		more, err := check(path)
		if err == nil && len(more) > 0 {
			err = fmt.Errorf("%s does not start without %s: something links a driver's library", path, strings.Join(more, ", "))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "needs:", err)
			os.Exit(1)
		}
	}
}

// check lists the libraries that a binary needs beyond the C library.
func check(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	names, err := f.ImportedLibraries()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var more []string
	for _, n := range names {
		if !allowed(n) {
			more = append(more, n)
		}
	}
	return more, nil
}

func allowed(name string) bool {
	for _, l := range libc {
		if strings.HasPrefix(name, l) {
			return true
		}
	}
	return false
}
