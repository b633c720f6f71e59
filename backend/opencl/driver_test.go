package opencl

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
	"github.com/ledge-run/ledge/kernels/shader"
)

func TestProbe(t *testing.T) {
	opened(t)
	list, err := probe(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for i, info := range list {
		if info.Backend != "opencl" || info.Description == "" || info.Memory.Total == 0 || !strings.HasPrefix(info.Numerics.Device, "opencl/") {
			t.Errorf("device %d: %+v", i, info)
		}
		if info.Kind == backend.CPU && info.Score != 0 {
			t.Errorf("%s is a processor and would be picked", info.Name)
		}
		d, err := openNamed(context.Background(), info.Name, backend.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Info(); got.Name != info.Name || len(got.Features) == 0 {
			t.Errorf("opened %s, have %+v", info.Name, got)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	opened(t)
	for level, want := range map[string]string{"+half": "half", "+subgroup": "subgroup", "nonsense": "nonsense"} {
		if _, err := openNamed(context.Background(), "opencl0", backend.Options{Level: level}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("level %s: %v", level, err)
		}
	}
	if _, err := openNamed(context.Background(), "opencl99", backend.Options{}); err == nil || !strings.Contains(err.Error(), "opencl99") {
		t.Errorf("a device that is not there: %v", err)
	}
	d, err := openNamed(context.Background(), "opencl0", backend.Options{Level: "min"})
	if err != nil {
		t.Fatal(err)
	}
	if i := d.Info(); i.Numerics.Level != "f32" || !slices.Equal(i.Features, []string{"128x16k"}) {
		t.Errorf("the least limits: level %q, features %q", i.Numerics.Level, i.Features)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestLibraries: a library that is missing, is none, or is another one, is an error
// that names it.
func TestLibraries(t *testing.T) {
	if !dl.Supported {
		t.Skip("no libraries in this build")
	}
	text := filepath.Join(t.TempDir(), "libtext.so")
	if err := os.WriteFile(text, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := []string{"/nowhere/libOpenCL.so.1", text}
	if runtime.GOOS == "linux" {
		names = append(names, "libc.so.6")
	}
	for _, name := range names {
		t.Setenv(EnvLibrary, name)
		_, err := probe(context.Background())
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := openNamed(context.Background(), "opencl0", backend.Options{}); err == nil {
			t.Errorf("%s: a device is opened", name)
		}
	}
}

// TestLibraryNames: each system has names, no name comes twice.
func TestLibraryNames(t *testing.T) {
	for _, system := range []string{"linux", "android", "darwin", "windows"} {
		for _, arch := range []string{"amd64", "arm64", "arm", "riscv64"} {
			names := libraryNames(system, arch)
			seen := map[string]bool{}
			for _, n := range names {
				if n == "" || seen[n] {
					t.Errorf("%s/%s: %q again in %q", system, arch, n, names)
				}
				seen[n] = true
			}
			if len(names) == 0 {
				t.Errorf("%s/%s: no names", system, arch)
			}
		}
	}
}

// TestOpens: a hundred devices are opened, used and closed, and neither objects
// nor memory are left.
func TestOpens(t *testing.T) {
	first := opened(t)
	dir := t.TempDir()
	round := func() {
		if err := life(first.lib, dir, accel.TimeoutGPU); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 { // the driver's and Go's own memory settles
		round()
	}
	handles, goroutines, memory := first.lib.handles.Load(), runtime.NumGoroutine(), resident(t)
	for range 100 {
		round()
	}
	if n := first.lib.handles.Load(); n != handles {
		t.Errorf("%d objects are left after 100 opens", n-handles)
	}
	if n := runtime.NumGoroutine(); n > goroutines+2 {
		t.Errorf("%d goroutines before, %d after 100 opens", goroutines, n)
	}
	// A context of PoCL holds far more than 100 KiB.
	if grown := resident(t) - memory; grown > 10<<20 {
		t.Errorf("memory has grown by %d KiB over 100 opens", grown>>10)
	}
}

// resident is this process's resident memory, 0 where it is not known.
func resident(t *testing.T) int64 {
	runtime.GC()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		t.Fatalf("statm: %q", text)
	}
	var pages int64
	for _, c := range fields[1] {
		pages = pages*10 + int64(c-'0')
	}
	return pages * int64(os.Getpagesize())
}

// TestLimits: a device that is as small as the specifications allow is refused
// nothing, one that is smaller is refused.
func TestLimits(t *testing.T) {
	p := properties{name: "small", invocations: accel.MinInvocations, shared: accel.MinShared, rangeBytes: accel.MinRange, groups: accel.MinGroups, memory: 1 << 30}
	if _, err := limitsOf(p, accel.Switches{}); err != nil {
		t.Error(err)
	}
	p.shared--
	if _, err := limitsOf(p, accel.Switches{}); err == nil || !strings.Contains(err.Error(), "shared memory") {
		t.Errorf("too little shared memory: %v", err)
	}
}

// TestClang has clang read every kernel as OpenCL C 1.2, with the warnings that
// strict drivers make errors of.
func TestClang(t *testing.T) {
	clang := ""
	for _, n := range []string{"clang", "clang-20", "clang-19", "clang-18", "clang-17", "clang-16", "clang-15", "clang-14"} {
		if _, err := exec.LookPath(n); err == nil {
			clang = n
			break
		}
	}
	if clang == "" {
		t.Skip("clang is not at hand")
	}
	for _, k := range shader.Plain() {
		names, err := shader.Constants(k)
		if err != nil {
			t.Fatal(err)
		}
		for _, fused := range []bool{true, false} {
			text, err := source(k, onesFor(names), fused)
			if err != nil {
				t.Fatal(err)
			}
			// With the library's functions declared, as compilers of devices with
			// float16 have them.
			cmd := exec.Command(clang, "-x", "cl", "-cl-std=CL1.2", "-target", "spir64-unknown-unknown", "-Xclang", "-finclude-default-header", "-fsyntax-only",
				"-Wall", "-Wpedantic-core-features", "-Werror", "-Wno-unused-function", "-Wno-unused-variable", "-Wno-constant-logical-operand", "-")
			cmd.Stdin = strings.NewReader(text)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s, fused %v: %v\n%s", k, fused, err, out)
			}
		}
	}
}

// onesFor gives every constant 1 but the workgroup's size.
func onesFor(names []string) []uint32 {
	constants := make([]uint32, len(names))
	for i := range constants {
		constants[i] = 1
	}
	constants[0] = 128
	return constants
}

// TestNoLibrary: that there is none takes a short line.
func TestNoLibrary(t *testing.T) {
	if !dl.Supported || runtime.GOOS != "linux" {
		t.Skip("no libraries in this build, or another system's words")
	}
	_, err := load("libnowhere1.so", "/nowhere/libnowhere2.so", "libnowhere3.so")
	if err == nil || len(err.Error()) > 150 || !strings.Contains(err.Error(), "libnowhere1.so") || !strings.Contains(err.Error(), EnvLibrary) {
		t.Errorf("no library: %v", err)
	}
}
