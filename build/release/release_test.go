package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// folder is where what tests share is built.
var folder string

// built builds the programs there, once, with what build/build.sh has for them.
var built = sync.OnceValue(func() error {
	cmd := exec.Command("bash", "-ec", `source build/lean.sh; go build -modfile "$lean/go.mod" -tags urfave_cli_no_docs -trimpath -o "$0/" ./cmd/ledge ./cmd/ledge-bench`, folder)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	_, err := cmd.Output()
	return withStderr(err)
})

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "ledge-release"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// builtPrograms is a folder with both.
func builtPrograms(t *testing.T) string {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	return folder
}

// must runs a command and gives what it writes to standard output.
func must(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(args, &out); err != nil {
		t.Fatalf("release %s: %v", strings.Join(args, " "), err)
	}
	return out.String()
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"frob"}, {"man"}, {"sbom", "x"}, {"sizes"}, {"man", "--frob", "x"}} {
		err := run(args, os.Stdout)
		if _, ok := err.(usage); !ok {
			t.Errorf("release %q: %v, want a usage error", args, err)
		}
	}
}

func TestSameBytes(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	bin, a, b := builtPrograms(t), t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		must(t, "man", "-bin", bin, "-release", "1.2.3", dir)
		must(t, "completions", "-bin", bin, dir)
		must(t, "sbom", "-release", "1.2.3", filepath.Join(dir, "sbom.json"), filepath.Join(bin, "ledge"))
		must(t, "notices", filepath.Join(dir, "NOTICES"))
	}
	first, err := readFolder(a)
	if err != nil {
		t.Fatal(err)
	}
	second, err := readFolder(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(first) < 40 || len(first) != len(second) {
		t.Fatalf("%d and %d files", len(first), len(second))
	}
	for name := range first {
		if !bytes.Equal(first[name], second[name]) {
			t.Errorf("%s is not the same in a second run", name)
		}
	}
}

func TestDate(t *testing.T) {
	k := &task{root: "../.."}
	for _, bad := range []string{"today", "-1", "1e9", " 5"} {
		t.Setenv("SOURCE_DATE_EPOCH", bad)
		if d, err := k.date(); err == nil {
			t.Errorf("SOURCE_DATE_EPOCH=%s: %v", bad, d)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	if d, err := k.date(); err != nil || d.Format("2006-01-02 15:04:05 MST") != "2023-11-14 22:13:20 UTC" {
		t.Errorf("%v, %v", d, err)
	}
}

func TestSizes(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, size int64) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil { // has no blocks
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name string
		size int64
		ok   bool
	}{
		{"ledge", 20_000_000, true}, {"ledge", 20_000_001, false},
		{"libledge.so.1", 18_000_000, true}, {"libledge.so.1", 18_000_001, false}, {"libledge.so.1.4", 18_000_001, false},
		{"ledge-bench", 90_000_000, true}, // no promise
	} {
		var out bytes.Buffer
		err := run([]string{"sizes", file(c.name, c.size)}, &out)
		if (err == nil) != c.ok || !strings.Contains(out.String(), "| "+c.name+" |") {
			t.Errorf("%s of %d bytes: %v\n%s", c.name, c.size, err, out.String())
		}
	}
	if err := run([]string{"sizes", filepath.Join(dir, "none")}, os.Stdout); err == nil {
		t.Error("a file that is not there has a size")
	}
	var table bytes.Buffer // with symbols it may be too large
	_ = run([]string{"sizes", filepath.Join(builtPrograms(t), "ledge")}, &table)
	if out := table.String(); !strings.Contains(out, "| kept |") {
		t.Errorf("the symbols of a program that was not stripped are not seen:\n%s", out)
	}
}
