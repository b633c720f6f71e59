// Command needs checks that a binary asks the system for nothing but the C library
// when it starts: drivers are loaded when the program runs, so that one binary
// starts on machines that have none. It says which version of glibc that is at least.
//
//	go run ./build/needs [-glibc 2.31] BINARY...
//
// With -glibc it is an error if a binary needs a later one; with -max only the highest
// version is written.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	limit := flag.String("glibc", "", "the latest `version` of glibc that may be needed, such as 2.31")
	only := flag.Bool("max", false, "write the highest version that is needed, and nothing else")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: needs [-glibc VERSION] [-max] BINARY...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Args(), *limit, *only); err != nil {
		fmt.Fprintln(os.Stderr, "needs:", err)
		os.Exit(1)
	}
}

func run(paths []string, limit string, only bool) error {
	var most, may version
	if limit != "" {
		var err error
		if may, err = parseVersion(limit); err != nil {
			return fmt.Errorf("-glibc: %w", err)
		}
	}
	for _, path := range paths {
		b, err := inspect(path)
		if err != nil {
			return err
		}
		if err := b.check(may); err != nil {
			return fmt.Errorf("%s %w", path, err)
		}
		if most.less(b.glibc) {
			most = b.glibc
		}
		if !only {
			fmt.Printf("%s: %s\n", path, b)
		}
	}
	if only {
		fmt.Println(most)
	}
	return nil
}
