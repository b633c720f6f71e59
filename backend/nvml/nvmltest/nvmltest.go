// Package nvmltest compiles libraries that stand in for NVIDIA's, for tests.
package nvmltest

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/dl"
)

//go:embed testdata/fake.c
var source []byte

// Library gives the path of a library. Its faults are macros of testdata/fake.c:
// "STATUS=999" for one that gives an error with every reading, "GARBAGE", "SILENT",
// "HANG", "OLD", "NO_ENERGY", ... A test without a C compiler is skipped.
func Library(t testing.TB, faults ...string) string {
	t.Helper()
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "gcc"
	}
	if !dl.Supported || runtime.GOOS != "linux" {
		t.Skip("this build loads no libraries")
	}
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skipf("the library that stands in for NVIDIA's needs a C compiler (Debian: package gcc): %v", err)
	}
	dir := t.TempDir()
	file, path := filepath.Join(dir, "fake.c"), filepath.Join(dir, "libnvidia-ml.so.1")
	if err := os.WriteFile(file, source, 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"-shared", "-fPIC", "-O1", "-w", "-o", path}
	for _, f := range faults {
		args = append(args, "-D"+f)
	}
	if out, err := exec.Command(compiler, append(args, file)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", compiler, err, out)
	}
	return path
}
