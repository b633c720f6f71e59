package cuda_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// build compiles testdata/words.* with the emulation.
func build(t *testing.T, compiler string, flags ...string) string {
	t.Helper()
	if _, err := exec.LookPath(compiler); err != nil || runtime.GOOS != "linux" {
		t.Skipf("it needs %s, on Linux", compiler)
	}
	program := filepath.Join(t.TempDir(), "words")
	args := append([]string{"-std=c++17", "-Wall", "-Wextra", "-Werror", "-DLEDGE_HOST", "-ffp-contract=off", "-pthread", "-fvisibility=hidden", "-I.", "-o", program}, flags...)
	args = append(args, "-x", "c++", "testdata/words.cu", "testdata/words.cpp", "emulate/block.cpp", "emulate/launch.cpp", "emulate/numbers.cpp")
	if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", compiler, err, out)
	}
	return program
}

func words(t *testing.T, program string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	return string(out), err
}

// TestEmulation: every word of device.h does on the host what PTX's documentation says,
// and what is wrong with a kernel is found.
func TestEmulation(t *testing.T) {
	for _, compiler := range []string{"g++", "clang++-19"} {
		t.Run(compiler, func(t *testing.T) {
			t.Parallel()
			program := build(t, compiler, "-O2")
			for _, seed := range []string{"1", "77"} {
				cmd := exec.Command(program)
				cmd.Env = append(os.Environ(), "LEDGE_EMULATE_SEED="+seed)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("seed %s: %v\n%s", seed, err, out)
				}
			}
		})
	}
}

// TestEmulationSanitized: the same under AddressSanitizer and its sibling for undefined
// behaviour, which find what kernels do beyond their memory.
func TestEmulationSanitized(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command("g++", "-print-file-name=libasan.so").Output(); err != nil || !strings.Contains(string(out), "/") {
		t.Skip("g++ has no AddressSanitizer here")
	}
	program := build(t, "g++", "-O1", "-g1", "-fsanitize=address,undefined")
	if out, err := words(t, program); err != nil || strings.Contains(out, "runtime error") {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range []struct{ how, more, want string }{
		{"3", "1", "use-after-poison"},       // a word beyond a shared array
		{"4", "1", "use-after-poison"},       // ... of what the launch gives
		{"5", "1", "heap-buffer-overflow"},   // ... of a buffer
		{"8", "128", "heap-buffer-overflow"}, // a copy from there
	} {
		out, err := words(t, program, c.how, c.more)
		if err == nil || !strings.Contains(out, "AddressSanitizer: "+c.want) {
			t.Errorf("words_wrong %s %s: %v, want %s\n%s", c.how, c.more, err, c.want, out)
		}
	}
}
