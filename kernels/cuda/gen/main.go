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

// run compiles every unit for its targets into the folder's ptx.
func run(dir string, check bool) error {
	version, err := exec.Command(compiler, "--version").Output()
	if err != nil {
		return fmt.Errorf("%s: %w: install it (Debian: package %[1]s)", compiler, err)
	}
	all, err := compileAll(dir)
	if err != nil {
		return err
	}
	if err := write(filepath.Join(dir, "ptx"), all, check); err != nil {
		first, _, _ := strings.Cut(string(version), "\n")
		return fmt.Errorf("%w\n(%s)", err, first)
	}
	return nil
}

// write makes a folder hold what was made, and nothing of units that are no more; or
// it reports what it would write and remove.
func write(dir string, all []made, check bool) error {
	var errs []error
	current := map[string]bool{}
	for _, m := range all {
		path := filepath.Join(dir, m.name+suffix)
		current[path] = true
		if old, err := unpack(path); err == nil && bytes.Equal(old, m.ptx) {
			continue
		}
		if check {
			errs = append(errs, fmt.Errorf("%s is not what its source gives: go generate ./kernels/cuda", path))
		} else if err := os.WriteFile(path, pack(m.ptx), 0o644); err != nil {
			return err
		}
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if current[path] {
			continue
		}
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

// compileAll compiles every unit for its targets.
func compileAll(dir string) ([]made, error) {
	units := cuda.Units()
	var all []made
	var errs []error
	var lock sync.Mutex
	slots := make(chan struct{}, atOnce)
	var group sync.WaitGroup
	for _, u := range units {
		for _, t := range cuda.Targets {
			if !u.For(t) {
				continue
			}
			group.Go(func() {
				slots <- struct{}{}
				text, err := compile(dir, u, t)
				<-slots
				lock.Lock()
				defer lock.Unlock()
				all, errs = append(all, made{u.Entry + "." + t.Arch, text}), append(errs, err)
			})
		}
	}
	group.Wait()
	return all, errors.Join(errs...)
}

// compile gives a unit's PTX for a target, without comments but those that Find makes
// instructions of.
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
		if !cuda.IsMark(line) {
			line, _, _ = bytes.Cut(line, []byte("//"))
		}
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
