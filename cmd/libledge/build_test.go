//go:build linux

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledge-run/ledge"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
)

// limit is how long a program of these tests may take: one that hangs is ended.
const limit = 5 * time.Minute

// work is a folder for what the tests build, once for all of them.
var work string

func TestMain(m *testing.M) {
	var err error
	if work, err = os.MkdirTemp("", "libledge"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(work)
	os.Exit(code)
}

// need skips a test by the name of the tool that it lacks.
func need(t testing.TB, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
}

// run runs a program, with settings before it as in a shell, and gives what it wrote.
func run(t testing.TB, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, err := try(args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout, stderr
}

func try(args ...string) (string, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/env", args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &complaints, time.Second
	err := cmd.Run()
	return out.String(), complaints.String(), err
}

var prefix = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(work, "plain")
	_, complaints, err := try("bash", "../../build/libledge.sh", dir)
	if err != nil {
		return complaints, err
	}
	return dir, nil
})

// library builds the library, and gives the folder that it is in; LEDGE_TEST_LIBRARY
// names one that is built already.
func library(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("LEDGE_TEST_LIBRARY"); dir != "" {
		need(t, "gcc")
		return dir
	}
	need(t, "go", "bash", "gcc")
	dir, err := prefix()
	if err != nil {
		t.Fatalf("build/libledge.sh: %v\n%s", err, dir)
	}
	return dir
}

// compile builds a C program of this folder against the library.
func compile(t testing.TB, source string) string {
	t.Helper()
	lib, out := library(t), filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(source), ".c"))
	run(t, "gcc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-I"+lib+"/include", "-o", out, source,
		"-L"+lib+"/lib", "-lledge", "-lm", "-Wl,-rpath,"+lib+"/lib")
	return out
}

// tiny is a model with random weights.
func tiny(t testing.TB) string {
	t.Helper()
	data := goldentest.Bytes(t, "../../runtime/model/testdata", "llama-gqa.gguf.gz")
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// models are the tiny model and, where LEDGE_TEST_MODELS names a folder that has it, a
// real one.
func models(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{"tiny": tiny(t)}
	if real := smollm2(); real != "" {
		all["smollm2"] = real
	} else {
		t.Log("LEDGE_TEST_MODELS names no folder with smollm2-135m-instruct-q4_1.gguf: only a tiny model is run")
	}
	return all
}

func smollm2() string {
	path := filepath.Join(os.Getenv("LEDGE_TEST_MODELS"), "smollm2-135m-instruct-q4_1.gguf")
	if _, err := os.Stat(path); err != nil || os.Getenv("LEDGE_TEST_MODELS") == "" {
		return ""
	}
	return path
}

// answer is what the Go API generates: the examples must show the same.
func answer(t testing.TB, path, prompt string, chat bool) string {
	t.Helper()
	ctx := context.Background()
	m, err := ledge.Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s := m.NewSession()
	defer s.Close()
	opts := []ledge.GenerateOption{ledge.Temperature(0), ledge.MaxTokens(32)}
	tokens := s.Generate(ctx, prompt, opts...)
	if chat {
		tokens = s.Chat(ctx, []ledge.Message{{Role: "user", Content: prompt}}, opts...)
	}
	var text strings.Builder
	for tok, err := range tokens {
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(tok.Text)
	}
	return text.String() + "\n"
}

// same compares an example's output with that of the Go API.
func same(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("it wrote %q, the Go API %q", got, want)
	}
	if len(strings.TrimSpace(want)) < 10 {
		t.Errorf("the text %q says little", want)
	}
}
