package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program makes a command that runs the program in a process of its own.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, self, args...)
	c.Env = append(os.Environ(), asProgram+"=1")
	return c
}

func exitOf(err error) int {
	var e *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.ExitCode()
	}
	return -1
}

// TestFullDisk writes results to a device that is always full.
func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full: ", err)
	}
	m := golden(t, "llama-gqa")
	for _, args := range [][]string{
		{"run", "-m", m, "--raw", "-n", "4", "hi"}, {"run", "-m", m, "-q", "-n", "4", "--json", "hi"}, {"info", m}, {"info", m, "--json"},
		{"tokenize", "-m", m, "hi"}, {"graph", "-q", m}, {"logits", "-m", m, "-o", "-", "hi"}, {"bench", "-m", m, "-p", "8", "-n", "0", "-r", "1"},
		{"help"}, {"run", "--help"}, {"version"}, {"devices"}, {"models", "--all"}, {"completion", "zsh"},
	} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		code := run(args, nil, full, &errs)
		full.Close()
		checkRefusal(t, result{code: code, err: errs.String()}, exitFailed, "cannot write the output: no space left", args)
	}
	refused(t, exitFailed, "cannot write /dev/full: no space left", "logits", "-m", m, "-o", "/dev/full", "hi")
}

// TestInterrupt sends Ctrl-C during a generation that would go on for long.
func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows cannot send an interrupt to one process")
	}
	m := golden(t, "llama-gqa")
	for _, s := range []struct {
		signal os.Signal
		code   int
	}{{os.Interrupt, exitInterrupted}, {syscall.SIGTERM, exitTerminated}} {
		// Nothing is there to read, and the pipe stays open: the wait ends with
		// the signal.
		c := program(t, "run", "-m", m, "-")
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		c.Stderr = &errs
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond) // until it listens
		if err := c.Process.Signal(s.signal); err != nil {
			t.Fatal(err)
		}
		if code := exitOf(c.Wait()); code != s.code || errs.String() != "ledge: interrupted\n" {
			t.Errorf("%v while reading: exit code %d, %q", s.signal, code, &errs)
		}
		in.Close()
	}
	// A chat from a pipe streams its answers: stop one.
	c := program(t, "chat", "-m", m, "--ignore-eos")
	if err := c.Run(); exitOf(err) != exitUsage {
		t.Errorf("chat --ignore-eos: %v", err)
	}
	c = program(t, "bench", "-m", m, "-p", "100", "-n", "0", "-r", "1000000", "-o", "json")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(out)
	if code := exitOf(c.Wait()); code != exitInterrupted || len(text) > 0 {
		t.Errorf("bench: exit code %d, %q", code, text)
	}
}

// TestRealModel runs SmolLM2 as a user would.
func TestRealModel(t *testing.T) {
	dir := os.Getenv("LEDGE_TEST_MODELS")
	if dir == "" {
		t.Skip("LEDGE_TEST_MODELS does not name a folder with the real models")
	}
	m := filepath.Join(dir, "smollm2-135m-instruct-q4_1.gguf")
	if out := must(t, "run", "-m", m, "--temp", "0", "-n", "40", "Why is the sky blue?"); !strings.Contains(out, "light") {
		t.Errorf("the sky: %q", out)
	}
	if out := must(t, "run", "-m", m, "--raw", "--temp", "0", "-n", "13", "1, 2, 3, 4, 5, 6,"); !strings.HasPrefix(out, " 7, 8, 9") {
		t.Errorf("counting: %q", out)
	}
	if out := must(t, "tokenize", "-m", m, "Hello, world"); out != "  19556  \"Hello\"\n     28  \",\"\n    905  \" world\"\n" {
		t.Errorf("tokens: %s", out)
	}
	if out := must(t, "info", m); !strings.Contains(out, "system message") || !strings.Contains(out, "134.5 M") {
		t.Error(out)
	}
}
