//go:build cuda && cgo && linux && !android && !static

package driver_test

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gorgonia.org/cu"

	"github.com/ledge-run/ledge/backend/cuda/internal/driver"
	"github.com/ledge-run/ledge/backend/internal/installed"
)

// start is what a process sees that starts with gorgonia.org/cu and then opens the
// driver.
type start struct {
	Before struct {
		Loaded    bool   // a driver was in the process
		Devices   string // cu's error
		Has       bool   // cuInit
		VersionOf string // driver.Version's error
	}
	Open    string // its error, "" if there was none
	None    bool   // the error says that none is installed
	Again   string // another Open's, from several goroutines
	Version int    // as cu gives it
	Devices int
	Name    string
	Memory  int64
	Has     map[string]bool
	Alloc   string // the error of a function that the library lacks
	Result  string // of an error that newer drivers know
}

// TestMain is also the process that the tests look at.
func TestMain(m *testing.M) {
	if os.Getenv("LEDGE_TEST_START") == "" {
		os.Exit(m.Run())
	}
	var s start
	s.Before.Loaded = mapped()
	_, err := cu.NumDevices()
	s.Before.Devices = text(err)
	s.Before.Has = driver.Has("cuInit")
	_, err = driver.Version()
	s.Before.VersionOf = text(err)

	err = driver.Open()
	s.Open, s.None = text(err), errors.Is(err, installed.ErrNone)
	again := make([]string, 8)
	var all sync.WaitGroup
	for i := range again {
		all.Go(func() { again[i] = text(driver.Open()) })
	}
	all.Wait()
	s.Again = again[0]
	for _, a := range again {
		if a != again[0] {
			s.Again = strings.Join(again, ", ")
		}
	}
	s.Version = cu.Version()
	s.Devices, _ = cu.NumDevices()
	s.Name, _ = cu.Device(0).Name()
	s.Memory, _ = cu.Device(0).TotalMem()
	s.Has = map[string]bool{}
	for _, f := range []string{"cuInit", "cuGraphAddKernelNode", "cuGraphAddKernelNode_v2", "cuMemAlloc_v2", "no such function"} {
		s.Has[f] = driver.Has(f)
	}
	_, err = cu.MemAlloc(100)
	s.Alloc = text(err)
	s.Result = text(driver.Check(4321))
	if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
		os.Exit(1)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// mapped reports whether a library of CUDA's driver is in the process.
func mapped() bool {
	maps, err := os.ReadFile("/proc/self/maps")
	return err != nil || strings.Contains(string(maps), "libcuda")
}

// run starts the process with a library, "" for the usual ones.
func run(t *testing.T, library string) start {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "LEDGE_TEST_START=1", "LEDGE_LIBCUDA="+library)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var s start
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if b := s.Before; b.Loaded || b.Has || b.Devices != "NotInitialized" || b.VersionOf != "CUDA_ERROR_NOT_INITIALIZED" {
		t.Errorf("before Open: %+v", b)
	}
	if s.Open != s.Again {
		t.Errorf("Open gives %q, then %q", s.Open, s.Again)
	}
	return s
}

// library compiles testdata/start.c.
func library(t *testing.T, flags ...string) string {
	t.Helper()
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	lib := filepath.Join(t.TempDir(), "libcuda-test.so.1")
	args := append([]string{"-shared", "-fPIC", "-O1", "-Wall", "-Wno-builtin-declaration-mismatch", "-o", lib, "testdata/start.c"}, flags...)
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return lib
}

// TestStart: with any driver the program starts, and says what is wrong with it.
func TestStart(t *testing.T) {
	other := filepath.Join(t.TempDir(), "libcuda-other.so.1")
	if err := os.WriteFile(other, []byte("this is no library\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const advice = ": look whether nvidia-smi works (on a Jetson: dmesg), whether this user may open /dev/nvidia* (on a Jetson: is in the group video), and CUDA_VISIBLE_DEVICES"
	for _, c := range []struct {
		name, library string
		want          string // LIB stands for the library
	}{
		{"none", "/none/libcuda.so.1", "the CUDA driver is not installed: no library LIB"},
		{"not a library", other, "the CUDA driver cannot be loaded: LIB: file too short"},
		{"another library", "libm.so.6", "LIB is not a CUDA driver: it has no cuInit and cuDriverGetVersion"},
		{"good", library(t, "-DVERSION=12040", "-DINIT=0"), ""},
		{"just new enough", library(t, "-DVERSION=11040", "-DINIT=0", "-DOLD"), ""},
		{"too old", library(t, "-DVERSION=11020", "-DINIT=0"), "LIB is a driver for CUDA 11.2, older than 11.4: update it (to 470 or later; on a Jetson, to JetPack 5 or later)"},
		{"broken", library(t, "-DVERSION=12040", "-DINIT=999"), "LIB does not start: CUDA_ERROR_UNKNOWN (unknown error)" + advice},
		{"broken without texts", library(t, "-DVERSION=12040", "-DINIT=999", "-DBARE"), "LIB does not start: CUDA_ERROR_UNKNOWN" + advice},
		{"no device", library(t, "-DVERSION=12040", "-DINIT=100"), "LIB does not start: CUDA_ERROR_NO_DEVICE: no NVIDIA GPU that it can use; in a container, start it with the NVIDIA runtime (--runtime nvidia, or --gpus all); look at CUDA_VISIBLE_DEVICES"},
		{"an error without a name", library(t, "-DVERSION=12040", "-DINIT=12345"), "LIB does not start: CUDA error 12345"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := run(t, c.library)
			if want := strings.ReplaceAll(c.want, "LIB", c.library); s.Open != want {
				t.Errorf("Open gives %q, want %q", s.Open, want)
			}
			if s.None != (c.name == "none") {
				t.Errorf("it says that none is installed: %v", s.None)
			}
			if want := map[bool]int{true: 1}[c.want == "" || strings.Contains(c.want, "does not start")]; s.Devices != want {
				t.Errorf("cuInit was called %d times, want %d", s.Devices, want)
			}
			if s.None && (s.Version != -1 || s.Has["cuInit"] || s.Alloc != "NotInitialized") {
				t.Errorf("without a driver: %+v", s)
			}
		})
	}
}

// TestForward: calls reach the functions that they name, with what they were given,
// and a function that is not there is an error.
func TestForward(t *testing.T) {
	s := run(t, library(t, "-DVERSION=12040", "-DINIT=0"))
	if s.Version != 12040 || s.Name != "Test GPU" || s.Memory != 5000000000 || s.Devices != 1 {
		t.Errorf("%+v", s)
	}
	if s.Alloc != "SharedObjectSymbolNotFound" {
		t.Errorf("a function that is missing: %q", s.Alloc)
	}
	if s.Result != "CUDA_ERROR_OF_TOMORROW" {
		t.Errorf("an error that only the driver knows: %q", s.Result)
	}
	if !s.Has["cuInit"] || !s.Has["cuGraphAddKernelNode"] || !s.Has["cuGraphAddKernelNode_v2"] || s.Has["cuMemAlloc_v2"] || s.Has["no such function"] {
		t.Error(s.Has)
	}
	s = run(t, library(t, "-DVERSION=11040", "-DINIT=0", "-DOLD"))
	if !s.Has["cuGraphAddKernelNode"] || s.Has["cuGraphAddKernelNode_v2"] {
		t.Errorf("of CUDA 11.4: %v", s.Has)
	}
}

// TestUsual: without LEDGE_LIBCUDA it is libcuda.so.1.
func TestUsual(t *testing.T) {
	t.Setenv("LEDGE_LIBCUDA", "")
	names := driver.Libraries()
	if names[0] != "libcuda.so.1" {
		t.Error(names)
	}
	if _, err := installed.CUDA(names...); err == nil {
		t.Skip("a driver is installed here")
	}
	if s := run(t, ""); !s.None || !strings.HasPrefix(s.Open, "the CUDA driver is not installed: no library libcuda.so.1, ") {
		t.Errorf("Open gives %q", s.Open)
	}
}

// TestHidden: the driver's own libraries call each other by the names that this
// package defines, so a binary must not show them, even one that shows all it can;
// nor may it need a driver.
func TestHidden(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is not at hand")
	}
	exe := filepath.Join(t.TempDir(), "driver.test")
	if out, err := exec.Command(goTool, "test", "-c", "-tags", "cuda", "-ldflags", "-extldflags=-rdynamic", "-o", exe, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	source, err := os.ReadFile("shim.c")
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]bool{}
	for _, m := range regexp.MustCompile(`"(cu[A-Z]\w+)"`).FindAllSubmatch(source, -1) {
		ours[string(m[1])] = true
	}
	if !ours["cuInit"] || !ours["cuMemAlloc_v2"] {
		t.Fatal("shim.c has no names of functions")
	}
	shown, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	own := 0 // that the flag did what it should
	for _, s := range shown {
		if ours[s.Name] {
			t.Errorf("%s is shown to libraries", s.Name)
		}
		if s.Section != elf.SHN_UNDEF && elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			own++
		}
	}
	if own < 10 {
		t.Errorf("the binary shows %d functions: this tests nothing", own)
	}
	needed, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range needed {
		if strings.Contains(n, "cuda") {
			t.Errorf("it needs %s to start", n)
		}
	}
}
