package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		text string
		want version
	}{{"2.31", version{2, 31}}, {"2.2.5", version{2, 2}}, {"3.0", version{3, 0}}} {
		if v, err := parseVersion(c.text); err != nil || v != c.want {
			t.Errorf("%s is %v, %v", c.text, v, err)
		}
	}
	for _, text := range []string{"", "2", "2.", "PRIVATE", "2.x", "-2.31"} {
		if v, err := parseVersion(text); err == nil {
			t.Errorf("%q is %v", text, v)
		}
	}
	if (version{2, 4}).less(version{2, 31}) == false || (version{2, 31}).less(version{2, 4}) || (version{2, 31}).less(version{2, 31}) {
		t.Error("2.4 comes before 2.31")
	}
}

// TestCompiled: programs of the C compiler need what their source asks for.
func TestCompiled(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("gcc is not installed")
	}
	compile := func(source string, args ...string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "program")
		cmd := exec.Command("gcc", append([]string{"-x", "c", "-", "-o", path}, args...)...)
		cmd.Stdin = strings.NewReader(source)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return path
	}
	// A symbol of glibc 2.25, whatever this machine's is; linked so that nothing else is needed.
	path := compile("int getentropy(void *, unsigned long);\nint f(void *p) { return getentropy(p, 8); }\n", "-shared", "-fPIC", "-nostartfiles")
	b, err := inspect(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.glibc != (version{2, 25}) || b.symbol != "getentropy" || len(b.libraries) != 1 {
		t.Errorf("it %s", b)
	}
	if err := b.check(version{2, 25}); err != nil {
		t.Error(err)
	}
	if err := b.check(version{2, 24}); err == nil || !strings.Contains(err.Error(), "for getentropy, later than 2.24") {
		t.Errorf("2.24: %v", err)
	}
	if err := run([]string{path}, "2.24", true); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("2.24: %v", err)
	}

	// A library that is none of the C library's.
	dir := t.TempDir()
	cmd := exec.Command("gcc", "-x", "c", "-", "-shared", "-fPIC", "-o", filepath.Join(dir, "libdriver.so"))
	cmd.Stdin = strings.NewReader("int driver(void) { return 0; }\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err = inspect(compile("int driver(void);\nint main(void) { return driver(); }\n", "-L"+dir, "-ldriver"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.check(version{}); err == nil || !strings.Contains(err.Error(), "libdriver.so") {
		t.Errorf("a driver's library: %v", err)
	}
	if _, err := inspect("binary_test.go"); err == nil {
		t.Error("a text is a binary")
	}
}
