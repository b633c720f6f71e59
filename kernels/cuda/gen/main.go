// Command gen compiles the kernels to the PTX that is committed beside them:
// go generate ./kernels/cuda. With -check it only says what is not as the sources give
// it: go run ./kernels/cuda/gen -check. It needs clang 19 (Debian: package clang-19)
// and nothing of NVIDIA's.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ledge-run/ledge/kernels/cuda"
)

const (
	compiler = "clang-19"
	atOnce   = 2 // compilers that run beside each other
)

func main() {
	dir := flag.String("dir", "kernels/cuda", "the folder of the sources")
	check := flag.Bool("check", false, "write nothing: fail if a file is not what the sources give")
	trace := flag.Bool("trace", false, "kernels with timers (trace.h), for a copy of the tree: they are not to be committed")
	flag.Parse()
	if *trace {
		extra = append(extra, "-DLEDGE_TRACE")
	}
	if err := run(*dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// extra are arguments of the compiler besides those that every unit has.
var extra []string

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

// write makes a folder hold what was made, and nothing else; or it reports what it
// would write and remove. What is compared is the code: another compression of the
// same is no difference.
func write(dir string, all []cuda.Code, check bool) error {
	want, err := cuda.Archives(all, compress)
	if err != nil {
		return err
	}
	have, err := read(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(want)) {
		old, there := have[name]
		delete(have, name)
		if there && same(old, want[name]) {
			continue
		}
		path := filepath.Join(dir, name)
		if check {
			errs = append(errs, fmt.Errorf("%s is not what its sources give: go generate ./kernels/cuda", path))
		} else if err := os.WriteFile(path, want[name], 0o644); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		path := filepath.Join(dir, name)
		if check {
			errs = append(errs, fmt.Errorf("%s has no source: go generate ./kernels/cuda", path))
		} else if err := os.Remove(path); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// compress calls xz: the packages that Go programs can link unpack as well, and
// compress to twice the size.
func compress(data []byte) ([]byte, error) {
	cmd := exec.Command("xz", "--format=xz", "--check=crc32", "-9e", "--threads=1", "--stdout")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("xz: %w (Debian: package xz-utils)", err)
	}
	return out, nil
}

// read gives all files of a folder.
func read(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		files[e.Name()] = data
	}
	return files, os.MkdirAll(dir, 0o755)
}

// same says whether two files have the same code.
func same(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, err := cuda.Unpack(a)
	if err != nil {
		return false
	}
	y, err := cuda.Unpack(b)
	return err == nil && slices.EqualFunc(x, y, func(a, b cuda.Code) bool { return a.Name == b.Name && bytes.Equal(a.PTX, b.PTX) })
}

// compileAll compiles every unit for its targets.
func compileAll(dir string) ([]cuda.Code, error) {
	units := cuda.Units()
	var all []cuda.Code
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
				all, errs = append(all, cuda.Code{Name: u.Entry + "." + t.Arch, PTX: text}), append(errs, err)
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
	cmd.Args = append(cmd.Args, extra...)
	cmd.Stdin = strings.NewReader(text)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("kernel %s for %s: %w\n%s", u.Entry, t.Arch, err, complaints.String())
	}
	numbered, err := number(strip(out.Bytes()))
	if err != nil {
		return nil, fmt.Errorf("kernel %s for %s: %w", u.Entry, t.Arch, err)
	}
	return numbered, nil
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
