package fakedriver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/cpu"

	"github.com/ledge-run/ledge/kernels/cuda"
)

// Kernel is a text with kernels for the host: any number of KERNEL_OF.
type Kernel struct {
	Name string // for messages
	Text string
}

// Kernels are all of package kernels/cuda. Those that are not of the dialect are there
// twice, if they are for it: a driver for a GPU before sm_80 takes the second, from PTX
// for such. With -asan
// they are only with LEDGE_TEST_FULL, for they take long to compile.
func Kernels() ([]Kernel, error) {
	var all []Kernel
	for _, u := range cuda.Units() {
		text, err := u.Text()
		if err != nil {
			return nil, err
		}
		within := fmt.Sprintf("#include \"device.h\"\nnamespace unit_%s {\n%s\n}\n", u.Entry, text)
		if u.For(cuda.Targets[0]) {
			all = append(all, Kernel{u.Entry, within})
		}
		if oldest := cuda.Targets[len(cuda.Targets)-1]; u.File != "" && u.For(oldest) && (full || !asan) {
			all = append(all, Kernel{u.Entry + " for sm_72", "#define LEDGE_SM72\n" + strings.Replace(within, "namespace unit_", "namespace sm72_", 1)})
		}
	}
	return all, nil
}

// Library gives the path of a fake driver with these kernels. It takes minutes when
// nothing of it is there; a test without a C++ compiler is skipped.
func Library(t testing.TB, kernels []Kernel) string {
	t.Helper()
	compiler := os.Getenv("CXX")
	if compiler == "" {
		compiler = "g++"
	}
	if _, err := exec.LookPath(compiler); err != nil || runtime.GOOS != "linux" {
		t.Skipf("the emulated GPU needs a C++ compiler on Linux (Debian: package g++): %v", err)
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	b := builder{compiler: compiler, root: root, cache: filepath.Join(root, "out", "cuda")}
	path, err := b.library(kernels)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// moduleRoot is the folder of this repository: tests run below it.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "kernels", "cuda", "emulate.h")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("not within Ledge's sources, which the emulated GPU is made of")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

type builder struct{ compiler, root, cache string }

// unit is something to compile.
type unit struct {
	name, text string // C++ text ...
	file       string // ... or a file
}

// full: all is tested, and time is no matter.
var full = os.Getenv("LEDGE_TEST_FULL") != ""

// flags are those of a compilation. Floating-point operations are not contracted:
// kernels say where they want a fused one. Warnings are for who compiles kernels for
// GPUs, and differ between compilers. There are hundreds of kernels: they are optimised
// less than what runs them, and with AddressSanitizer call its checks, which is half of
// the compiler's time.
func (b *builder) flags(u unit) []string {
	f := []string{"-std=c++17", "-DLEDGE_HOST", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-fvisibility=hidden", "-g1", "-w", "-pthread",
		"-I" + filepath.Join(b.root, "kernels/cuda"), "-I" + filepath.Join(b.root, "third_party/cuda/include")}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		f = append(f, "-mavx2", "-mfma")
	}
	if u.file != "" {
		f = append(f, "-O2")
	} else {
		f = append(f, "-O1")
	}
	switch {
	case asan && u.file != "":
		f = append(f, "-fno-omit-frame-pointer", "-fsanitize=address")
	case asan && full:
		f = append(f, "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
	case asan:
		f = append(f, "-fno-omit-frame-pointer", "-fsanitize=address,alignment,shift", "-fno-sanitize-recover=undefined", "--param", "asan-instrumentation-with-call-threshold=0")
	}
	return f
}

func (b *builder) library(kernels []Kernel) (string, error) {
	units := make([]unit, 0, len(kernels)+12)
	for _, k := range kernels {
		units = append(units, unit{name: k.Name, text: k.Text})
	}
	for _, pattern := range []string{"kernels/cuda/emulate/*.cpp", "backend/internal/fakedriver/driver/*.cpp"} {
		files, err := filepath.Glob(filepath.Join(b.root, pattern))
		if err != nil || len(files) == 0 {
			return "", fmt.Errorf("no files %s: %v", pattern, err)
		}
		for _, f := range files {
			units = append(units, unit{name: filepath.Base(f), file: f})
		}
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(b.cache, "lock")) // tests of several packages run beside each other
	if err != nil {
		return "", err
	}
	defer unlock()
	version, err := exec.Command(b.compiler, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", b.compiler, err)
	}
	objects := make([]string, len(units))
	errs := make([]error, len(units))
	slots := make(chan struct{}, runtime.NumCPU())
	var group sync.WaitGroup
	for i, u := range units {
		group.Go(func() {
			slots <- struct{}{}
			objects[i], errs[i] = b.object(u, version)
			<-slots
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return b.link(objects)
}

// object compiles a unit, if it has not been: what the preprocessor makes of it tells.
func (b *builder) object(u unit, version []byte) (string, error) {
	flags := b.flags(u)
	pre, err := b.run(u, append(flags, "-E", "-P")...)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%q\n%s\n%s", version, flags, u.name, pre)
	path := filepath.Join(b.cache, hex.EncodeToString(h.Sum(nil)[:12])+".o")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	half := path + ".half"
	if _, err := b.run(u, append(flags, "-c", "-o", half)...); err != nil {
		return "", err
	}
	return path, os.Rename(half, path)
}

func (b *builder) run(u unit, args ...string) ([]byte, error) {
	args = append(args, "-x", "c++")
	if u.file != "" {
		args = append(args, u.file)
	} else {
		args = append(args, "-")
	}
	cmd := exec.Command(b.compiler, args...)
	cmd.Stdin = strings.NewReader(u.text)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s of %s: %w\n%s", b.compiler, u.name, err, complaints.String())
	}
	return out.Bytes(), nil
}

func (b *builder) link(objects []string) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q", objects)
	path := filepath.Join(b.cache, "libcuda-fake-"+hex.EncodeToString(h.Sum(nil)[:12])+".so.1")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	args := []string{"-shared", "-pthread", "-o", path + ".half"}
	if asan {
		args = append(args, "-fsanitize=address,undefined")
	} else {
		args = append(args, "-Wl,-z,defs") // nothing is missing; with it, what the sanitizer's program has is
	}
	if out, err := exec.Command(b.compiler, append(args, objects...)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("linking the fake driver: %w\n%s", err, out)
	}
	return path, os.Rename(path+".half", path)
}
