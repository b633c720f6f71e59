// Command release makes what a package of Ledge holds besides its binaries, and
// checks what it may hold:
//
//	go run ./build/release man DIR               man1/ledge.1, ..., man3/libledge.3
//	go run ./build/release completions DIR       files for bash, zsh and fish, where they belong under /usr/share
//	go run ./build/release sbom FILE BINARY...   CycloneDX 1.6 of the Go modules linked into binaries
//	go run ./build/release licences [-check]     third_party/licences from the module cache
//	go run ./build/release notices FILE          THIRD_PARTY_NOTICES, from third_party/licences
//	go run ./build/release sizes BINARY...       a table; fails if one is larger than it may be
//
// It runs anywhere in the source tree. What it writes depends on the source, the
// binaries, -release (else git's description) and SOURCE_DATE_EPOCH (else the time of
// the revision): the same input gives the same bytes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// task is one invocation.
type task struct {
	root    string // of the source tree
	bin     string // folder of built programs to ask, "" to run them from source
	release string // version
	stdout  io.Writer
}

var commands = map[string]struct {
	args  string
	least int
	run   func(t *task, args []string) error
}{
	"man":         {"[-bin DIR] [-release VERSION] DIR", 1, (*task).man},
	"completions": {"[-bin DIR] DIR", 1, (*task).completions},
	"sbom":        {"[-release VERSION] FILE BINARY...", 2, (*task).sbom},
	"licences":    {"[-check] [DIR]", 0, (*task).licences},
	"notices":     {"FILE", 1, (*task).notices},
	"sizes":       {"BINARY...", 1, (*task).sizes},
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		code := 1
		if errors.As(err, new(usage)) {
			code = 2
		}
		os.Exit(code)
	}
}

// usage is a command line that makes no sense.
type usage struct{ text string }

func (u usage) Error() string { return u.text }

func run(args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return usage{"name a command: man, completions, sbom, licences, notices or sizes; go doc ./build/release says more"}
	}
	c, ok := commands[args[0]]
	if !ok {
		return usage{fmt.Sprintf("no command %q: there are man, completions, sbom, licences, notices and sizes", args[0])}
	}
	t := &task{stdout: stdout}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&t.bin, "bin", "", "folder of programs built for this machine")
	flags.StringVar(&t.release, "release", "", "version")
	check := flags.Bool("check", false, "compare only")
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() < c.least {
		reason := ""
		if err != nil {
			reason = err.Error() + "; "
		}
		return usage{fmt.Sprintf("%susage: release %s %s", reason, args[0], c.args)}
	}
	root, err := sourceRoot()
	if err != nil {
		return err
	}
	t.root = root
	rest := flags.Args()
	if *check {
		rest = append([]string{"-check"}, rest...)
	}
	return c.run(t, rest)
}

// sourceRoot is the folder of the module's go.mod.
func sourceRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", withStderr(err))
	}
	path := strings.TrimSpace(string(out))
	if path == "" || path == os.DevNull {
		return "", errors.New("this folder is not in Ledge's source tree: change to it")
	}
	return filepath.Dir(path), nil
}

// withStderr adds what a command said to its error.
func withStderr(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.Join(strings.Fields(string(exit.Stderr)), " "))
	}
	return err
}

// write writes a file, and its folder.
func write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
