//go:build linux

package main

import (
	"debug/elf"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// declared are the functions of ledge.h.
func declared(t *testing.T) []string { return declaredIn(t, "ledge.h") }

func declaredIn(t *testing.T, path string) []string {
	t.Helper()
	header, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(string(header), "")
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^(?:int|uint32_t|const char \*)\s*(ledge_\w+)\(`).FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	if len(names) < 25 {
		t.Fatalf("ledge.h has %d functions: %s", len(names), names)
	}
	return names
}

// checkBinary compares what a library gives and needs with what it should.
func checkBinary(t *testing.T, path string, machine elf.Machine) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var given []string
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF && s.Name != "" { // sections have none
			given = append(given, s.Name)
		}
	}
	slices.Sort(given)
	if want := declared(t); !slices.Equal(given, want) {
		t.Errorf("the library has %s\nledge.h has %s", given, want)
	}
	if f.Machine != machine {
		t.Errorf("it is for %s", f.Machine)
	}
	needs, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range needs {
		if !regexp.MustCompile(`^(libc\.so\.6|libm\.so\.6|libdl\.so\.2|libpthread\.so\.0|libresolv\.so\.2|ld-linux-.*)$`).MatchString(n) {
			t.Errorf("it needs %s", n)
		}
	}
	if name, err := f.DynString(elf.DT_SONAME); err != nil || !slices.Equal(name, []string{"libledge.so.1"}) {
		t.Errorf("its name is %q, %v", name, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 18<<20 {
		t.Errorf("it has %d bytes", info.Size())
	}
	t.Logf("%.1f MB, needs %s", float64(info.Size())/1e6, needs)
}

func TestExports(t *testing.T) {
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	checkBinary(t, library(t)+"/lib/libledge.so", machine)
}

// TestHeader: the header alone is C99 and C++11, without a warning.
func TestHeader(t *testing.T) {
	need(t, "gcc")
	unit := filepath.Join(t.TempDir(), "unit.c")
	text := "#include \"ledge.h\"\nledge_error e = LEDGE_ERROR_INIT;\nint main(void) { return ledge_abi_version() != LEDGE_ABI_VERSION; }\n"
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"gcc", "-std=c99", "-xc"}, {"g++", "-std=c++11", "-xc++"}, {"g++", "-std=c++20", "-xc++"}} {
		t.Run(strings.Join(args[:2], " "), func(t *testing.T) {
			need(t, args[0])
			run(t, append(args, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I.", "-fsyntax-only", unit)...)
		})
	}
}

// TestPrograms: what C programs find out.
func TestPrograms(t *testing.T) {
	rounds := "160"
	if os.Getenv("LEDGE_TEST_FULL") != "" {
		rounds = "8000" // 1,000 of each thread
	}
	for _, c := range [][]string{{"misuse"}, {"closing"}, {"forked"}, {"hammer", "8", rounds}} {
		t.Run(c[0], func(t *testing.T) {
			out, _ := run(t, append([]string{compile(t, "testdata/"+c[0]+".c"), tiny(t)}, c[1:]...)...)
			if !strings.HasSuffix(out, "ok\n") {
				t.Error(out)
			}
			t.Log(out)
		})
	}
}

// TestAddressSpace: a file that no addresses are left for says so.
func TestAddressSpace(t *testing.T) {
	program, model := compile(t, "examples/c/generate.c"), tiny(t)
	if err := os.Truncate(model, 64<<30); err != nil { // takes no room on the disk
		t.Skip(err)
	}
	fails(t, "no address space for its 68719476736 bytes", "bash", "-c", `ulimit -v 16000000; exec "$0" "$1" "$2"`, program, model, prompt)
}

// TestDefaults: without options, tokens are drawn as the Go API draws them, and the
// options that the init function gives say the same.
func TestDefaults(t *testing.T) {
	run(t, compile(t, "testdata/defaults.c"), tiny(t))
}

// TestArm64: the library for arm64, run by an emulator.
func TestArm64(t *testing.T) {
	if runtime.GOARCH == "arm64" {
		t.Skip("this machine is one: the other tests are about it")
	}
	if testing.Short() {
		t.Skip("-short: everything is compiled again")
	}
	need(t, "aarch64-linux-gnu-gcc", "qemu-aarch64-static", "go", "bash")
	dir := filepath.Join(t.TempDir(), "arm64")
	run(t, "GOARCH=arm64", "CC=aarch64-linux-gnu-gcc", "bash", "../../build/libledge.sh", dir)
	checkBinary(t, dir+"/lib/libledge.so", elf.EM_AARCH64)
	emulate := func(source string, args ...string) string {
		out := filepath.Join(dir, filepath.Base(source)+".bin")
		run(t, "aarch64-linux-gnu-gcc", "-std=gnu11", "-pthread", "-I"+dir+"/include", "-o", out, source, "-L"+dir+"/lib", "-lledge", "-lm")
		text, _ := run(t, append([]string{"qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", "-E", "LD_LIBRARY_PATH=" + dir + "/lib", out}, args...)...)
		return text
	}
	model := tiny(t)
	same(t, emulate("examples/c/generate.c", model, prompt), answer(t, model, prompt, false))
	for _, c := range [][]string{{"misuse"}, {"closing"}, {"forked"}, {"hammer", "8", "40"}} {
		if out := emulate("testdata/"+c[0]+".c", append([]string{model}, c[1:]...)...); !strings.HasSuffix(out, "ok\n") {
			t.Errorf("%s: %s", c[0], out)
		}
	}
}

const sanitize = "-fsanitize=address,undefined"

// sanitizers says why there are none, or nothing.
func sanitizers(t *testing.T) string {
	t.Helper()
	probe := filepath.Join(t.TempDir(), "probe.c")
	if err := os.WriteFile(probe, []byte("int main(void) { return 0; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, complaints, err := try("gcc", sanitize, "-o", probe+".bin", probe); err != nil {
		return "gcc has no sanitizers: " + complaints
	}
	return ""
}

// TestSanitizers: the library's C, and the programs that use it, do nothing that C
// leaves undefined and touch no memory that is not theirs.
func TestSanitizers(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	need(t, "gcc", "go", "bash")
	dir := t.TempDir()
	if why := sanitizers(t); why != "" {
		t.Skip(why)
	}
	_, complaints, err := try("CGO_CFLAGS=-O1 -g "+sanitize, "CGO_LDFLAGS="+sanitize, "bash", "../../build/libledge.sh", dir)
	if err == nil || !strings.Contains(complaints, "libasan") { // it is built, and refused for what it needs
		t.Fatalf("%v\n%s", err, complaints)
	}
	for _, c := range [][]string{{"misuse"}, {"closing"}, {"forked"}, {"hammer", "8", "80"}} {
		program := filepath.Join(dir, c[0])
		run(t, "gcc", "-std=gnu11", "-g", "-pthread", sanitize, "-I"+dir+"/include", "-o", program, "testdata/"+c[0]+".c", "-L"+dir+"/lib", "-lledge", "-lm", "-Wl,-rpath,"+dir+"/lib")
		// SIGSEGV is Go's, and what it finds is its own.
		out, complaints := run(t, append([]string{"ASAN_OPTIONS=handle_segv=0", "UBSAN_OPTIONS=halt_on_error=1", program, tiny(t)}, c[1:]...)...)
		if !strings.HasSuffix(out, "ok\n") || complaints != "" {
			t.Errorf("%s: %s%s", c[0], out, complaints)
		}
	}
}

// TestValgrind: no more memory is lost than by a library that is nothing but Go, and
// the heap is used rightly. Valgrind takes goroutines' stacks, which lie side by side,
// for one that grows and shrinks, and finds thousands of errors there that are none; so
// what counts are those about blocks of the heap.
func TestValgrind(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	need(t, "valgrind", "go", "gcc")
	programs := [][]string{{"testdata/stream.c", "20", "3"}}
	if os.Getenv("LEDGE_TEST_FULL") != "" { // minutes
		programs = append(programs, []string{"testdata/misuse.c"}, []string{"testdata/closing.c"}, []string{"testdata/hammer.c", "4", "24"})
	}
	dir := t.TempDir()
	run(t, "go", "build", "-trimpath", "-buildmode=c-shared", "-o", dir+"/libempty.so", "./testdata/empty")
	run(t, "gcc", "-o", dir+"/touch", "testdata/touch.c", "-L"+dir, "-lempty", "-Wl,-rpath,"+dir)
	grind := func(args ...string) (text string, lost map[string]int) {
		_, text = run(t, append([]string{"valgrind", "--leak-check=full", "--error-limit=no", "--num-callers=8"}, args...)...)
		lost = map[string]int{}
		for _, kind := range []string{"definitely lost", "indirectly lost", "possibly lost", "still reachable"} {
			m := regexp.MustCompile(kind + `: ([\d,]+) bytes in ([\d,]+) blocks`).FindStringSubmatch(text)
			if m == nil && !strings.Contains(text, "All heap blocks were freed") {
				t.Fatalf("valgrind said nothing of what is %s:\n%s", kind, text)
			} else if m != nil {
				n, err := strconv.Atoi(strings.ReplaceAll(m[1], ",", ""))
				if err != nil {
					t.Fatal(err)
				}
				lost[kind] = n
			}
		}
		return text, lost
	}
	_, base := grind(dir + "/touch")
	for _, program := range programs {
		text, lost := grind(append([]string{compile(t, program[0]), tiny(t)}, program[1:]...)...)
		t.Logf("%s loses %v, an empty library %v", program[0], lost, base)
		for _, kind := range []string{"definitely lost", "indirectly lost", "still reachable"} {
			if lost[kind] > base[kind] {
				t.Errorf("%s: %d bytes %s, an empty library %d:\n%s", program[0], lost[kind], kind, base[kind], blocks(text))
			}
		}
		if heap := blocks(text); heap != "" {
			t.Errorf("%s: wrong use of the heap:\n%s", program[0], heap)
		}
	}
}

// blocks are the reports of valgrind that speak of blocks of the heap, but for what
// belongs to threads, which the Go runtime keeps until the end.
func blocks(text string) string {
	var out []string
	ours := regexp.MustCompile(`Invalid free|Mismatched|[Aa]ddress \S+ is .* block of size|(definitely|indirectly|possibly) lost in loss record`)
	for _, report := range regexp.MustCompile(`(?m)^==\d+== $`).Split(text, -1) {
		if ours.MatchString(report) && !(strings.Contains(report, "possibly lost") && strings.Contains(report, "pthread_create")) {
			out = append(out, report)
		}
	}
	return strings.Join(out, "")
}
