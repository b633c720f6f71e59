// Command gen compiles the kernels to the PTX that is committed beside them:
// go generate ./kernels/cuda. With -check it only says what is not as the sources give
// it: go run ./kernels/cuda/gen -check. It needs clang 19 (Debian: package clang-19)
// and nothing of NVIDIA's.
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/ledge-run/ledge/kernels/cuda"
)

const (
	compiler = "clang-19"
	suffix   = ".ptx.gz"
	atOnce   = 2 // compilers that run beside each other
)

func main() {
	dir := flag.String("dir", "kernels/cuda", "the folder of the sources")
	check := flag.Bool("check", false, "write nothing: fail if a file is not what the sources give")
	flag.Parse()
	if err := run(*dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run writes the PTX of every unit for every target, and removes that of units that
// are no more; or reports what it would write and remove.
func run(dir string, check bool) error {
	made, err := compileAll(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range made {
		path := filepath.Join(dir, "ptx", m.name+suffix)
		if old, err := unpack(path); err == nil && bytes.Equal(old, m.ptx) {
			continue
		}
		if check {
			errs = append(errs, fmt.Errorf("%s is not what its source gives: go generate ./kernels/cuda", path))
		} else if err := os.WriteFile(path, pack(m.ptx), 0o644); err != nil {
			return err
		}
	}
	stale, err := staleFiles(dir, made)
	if err != nil {
		return err
	}
	for _, path := range stale {
		if check {
			errs = append(errs, fmt.Errorf("%s has no source: go generate ./kernels/cuda", path))
		} else if err := os.Remove(path); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// made is a unit's PTX for a target, by the name of its file.
type made struct {
	name string
	ptx  []byte
}

// compileAll compiles every unit for every target.
func compileAll(dir string) ([]made, error) {
	if _, err := exec.LookPath(compiler); err != nil {
		return nil, fmt.Errorf("%w: install %s", err, compiler)
	}
	units := cuda.Units()
	all := make([]made, len(units)*len(cuda.Targets))
	errs := make([]error, len(all))
	slots := make(chan struct{}, atOnce)
	var group sync.WaitGroup
	for i, u := range units {
		for j, t := range cuda.Targets {
			at := i*len(cuda.Targets) + j
			group.Go(func() {
				slots <- struct{}{}
				text, err := compile(dir, u, t)
				all[at], errs[at] = made{u.Entry + "." + t.Arch, text}, err
				<-slots
			})
		}
	}
	group.Wait()
	return all, errors.Join(errs...)
}

// compile gives a unit's PTX for a target, without comments.
func compile(dir string, u cuda.Unit, t cuda.Target) ([]byte, error) {
	text, err := u.Text()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(compiler, "-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "-S",
		"--cuda-gpu-arch="+t.Arch, fmt.Sprintf("--cuda-feature=+ptx%d", t.PTX),
		"-std=c++17", "-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function",
		"-I", dir, "-o", "-", "-")
	cmd.Stdin = strings.NewReader(text)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("kernel %s for %s: %w\n%s", u.Entry, t.Arch, err, complaints.String())
	}
	return strip(out.Bytes()), nil
}

// strip takes comments and empty lines out of PTX.
func strip(ptx []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(ptx) {
		line, _, _ = bytes.Cut(line, []byte("//"))
		if line = bytes.TrimRight(line, " \t\n"); len(line) > 0 {
			b.Write(line)
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// pack compresses; the same text makes the same file.
func pack(text []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is one
	_, err := w.Write(text)
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
}

func unpack(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// staleFiles are those of units that are no more.
func staleFiles(dir string, all []made) ([]string, error) {
	current := map[string]bool{}
	for _, m := range all {
		current[m.name+suffix] = true
	}
	paths, err := filepath.Glob(filepath.Join(dir, "ptx", "*"+suffix))
	var stale []string
	for _, path := range paths {
		if !current[filepath.Base(path)] {
			stale = append(stale, path)
		}
	}
	return stale, err
}
