package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ledge-run/ledge/cmd/internal/clidoc"
	"github.com/ledge-run/ledge/cmd/internal/console"
	"github.com/ledge-run/ledge/runtime/engine/goldentest"
)

// asProgram makes the test binary behave as the program itself, for tests that
// need a process: signals, a terminal, a full disk.
const asProgram = "LEDGE_TEST_AS_PROGRAM"

var scratch string // folder of the test run

func TestMain(m *testing.M) {
	// A test that tries drivers starts this binary as "ledge probe NAME": it must
	// never run the tests then, which would try drivers again, and so on.
	probing := len(os.Args) > 1 && os.Args[1] == "probe" // by a command that a test runs in this process
	if os.Getenv(asProgram) == "1" || probing {
		registerFakes(os.Getenv(fakeDrivers))
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	// Tests try the drivers that they bring, not those of the machine, which may
	// compile kernels for minutes.
	for _, api := range []string{"VULKAN", "OPENCL", "EGL"} {
		if err := os.Setenv("LEDGE_"+api+"_LIBRARY", "/none/libnone.so"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	var err error
	if scratch, err = os.MkdirTemp("", "ledge-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, name := range []string{"LEDGE_MODEL", "LEDGE_MODELS", "LEDGE_DEVICE", "LEDGE_GPU_LAYERS", "LEDGE_CPU", "LEDGE_FUSE", "LEDGE_PACK_CACHE", "LEDGE_GPU_CACHE", "LEDGE_PROBE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"} {
		os.Unsetenv(name)
	}
	os.Setenv("HOME", filepath.Join(scratch, "home"))
	os.Setenv("USERPROFILE", filepath.Join(scratch, "home"))
	os.Setenv("LEDGE_OFFLINE", "1") // no test uses the network
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

var models sync.Map

// golden unpacks one of the tiny random models.
func golden(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(scratch, name+".gguf")
	once, _ := models.LoadOrStore(name, &sync.Once{})
	once.(*sync.Once).Do(func() {
		data := unzip(t, name+".gguf.gz")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	})
	return path
}

// unzip unpacks a file of the golden models' folder.
func unzip(t testing.TB, name string) []byte {
	t.Helper()
	return goldentest.Bytes(t, "../../runtime/model/testdata", name)
}

// result is what a command left behind.
type result struct {
	code     int
	out, err string
}

// ledge runs a command line with nothing on standard input.
func ledge(args ...string) result { return ledgeIn("", args...) }

// ledgeIn runs a command line; an empty input stands for none.
func ledgeIn(input string, args ...string) result {
	var in io.Reader
	if input != "" {
		in = strings.NewReader(input)
	}
	var out, errs bytes.Buffer
	code := run(args, in, &out, &errs)
	return result{code, out.String(), errs.String()}
}

// must runs a command line that succeeds.
func must(t *testing.T, args ...string) string {
	t.Helper()
	r := ledge(args...)
	if r.code != 0 {
		t.Fatalf("ledge %q: exit code %d, %s", args, r.code, r.err)
	}
	return r.out
}

// refused checks that a command fails with a code and one clear line.
func refused(t *testing.T, code int, say string, args ...string) {
	t.Helper()
	checkRefusal(t, ledge(args...), code, say, args)
}

func checkRefusal(t *testing.T, r result, code int, say string, args []string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(r.err, "\n"), "\n")
	last := lines[len(lines)-1]
	if r.code != code || !strings.HasPrefix(last, "ledge: ") || !strings.Contains(last, say) || len(lines) > 2 {
		t.Errorf("ledge %q: exit code %d, %q; want %d and one line with %q", args, r.code, r.err, code, say)
	}
	for _, bad := range []string{"goroutine ", "USAGE", "panic"} {
		if strings.Contains(r.err, bad) {
			t.Errorf("ledge %q says %q:\n%s", args, bad, r.err)
		}
	}
}

func TestHelp(t *testing.T) {
	var names []string
	a := &app{out: console.NewOutput(io.Discard), stderr: io.Discard, getenv: os.Getenv}
	for _, c := range a.commands() {
		if c.Name == "help" {
			continue // its help is all help
		}
		names = append(names, c.Name)
		for _, s := range c.Subcommands {
			names = append(names, c.Name+" "+s.Name)
		}
	}
	if len(names) < 15 {
		t.Errorf("there are only %d commands", len(names))
	}
	for _, name := range names {
		words := strings.Fields(name)
		first := must(t, append(words, "--help")...)
		for _, args := range [][]string{append([]string{"help"}, words...), append(words, "-h")} {
			if got := must(t, args...); got != first {
				t.Errorf("ledge %q differs from ledge %s --help:\n%s", args, name, got)
			}
		}
		for _, want := range []string{"ledge " + name + ": ", "USAGE:\n", "EXAMPLES:\n   "} {
			if !strings.Contains(first, want) {
				t.Errorf("the help of %s has no %q:\n%s", name, want, first)
			}
		}
		for _, f := range a.commandOf(a.commands(), words).VisibleFlags() {
			if d, ok := clidoc.FlagOf(f); !ok || !strings.Contains(first, "   "+console.FlagLine(d)+"\n") && !slices.Contains(f.Names(), "help") {
				t.Errorf("the help of %s does not tell of %s:\n%s", name, f.Names(), first)
			}
		}
		for i, line := range strings.Split(first, "\n") {
			if len(line) > 170 || strings.TrimRight(line, " ") != line && strings.TrimSpace(line) != "" {
				t.Errorf("the help of %s, line %d: %q", name, i+1, line)
			}
		}
	}
	all := must(t)
	for _, args := range [][]string{{"help"}, {"--help"}, {"-h"}} {
		if got := must(t, args...); got != all {
			t.Errorf("ledge %q differs from ledge", args)
		}
	}
	for _, want := range []string{"run ", "chat ", "perplexity ", "EXIT CODES", "LEDGE_MODELS", "130"} {
		if !strings.Contains(all, want) {
			t.Errorf("the help has no %q", want)
		}
	}
	if strings.Contains(all, "probe") || strings.Contains(all, "__complete") {
		t.Error("the help shows commands that are none of the user's")
	}
	if !strings.Contains(must(t, "help", "exit-codes"), "4    the device") {
		t.Error("help exit-codes does not list the codes")
	}
}

func TestWrongUsage(t *testing.T) {
	m := golden(t, "llama-gqa")
	for _, c := range []struct {
		say  string
		args []string
	}{
		{`no command "rnu", did you mean run?`, []string{"rnu"}},
		{`no command "xyzzy"; see ledge help`, []string{"xyzzy"}},
		{`no command "models lst", did you mean list?`, []string{"models", "lst"}},
		{"flags come after the command", []string{"-m", m, "run", "hi"}},
		{"unknown flag --tmp for run, did you mean --temp?", []string{"run", "-m", m, "--tmp", "1", "hi"}},
		{"unknown flag --tmp", []string{"run", "hi", "--tmp=1"}},
		{"unknown flag --all", []string{"models", "rm", "--all", "x"}},
		{"flag -n needs a value", []string{"run", "-m", m, "hi", "-n"}},
		{"-n", []string{"run", "-m", m, "-n", "many", "hi"}},
		{"top_p is 7", []string{"run", "-m", m, "--top-p", "7", "hi"}},
		{"--logit-bias", []string{"run", "-m", m, "--logit-bias", "7", "hi"}},
		{"samplers[0]", []string{"run", "-m", m, "--samplers", "magic", "hi"}},
		{"-t -3", []string{"run", "-m", m, "-t", "-3", "hi"}},
		{"--cache-type q9", []string{"run", "-m", m, "--cache-type", "q9", "hi"}},
		{"prompt is empty", []string{"run", "-m", m}},
		{"prompt is empty", []string{"run", "-m", m, ""}},
		{"prompt is empty", []string{"run", "-m", m, "  "}},
		{"--raw and --system", []string{"run", "-m", m, "--raw", "--system", "x", "hi"}},
		{"--special goes with --raw", []string{"run", "-m", m, "--special", "hi"}},
		{"-m names no model", []string{"run", "-m", "", "hi"}},
		{"takes no arguments", []string{"chat", "-m", m, "hi"}},
		{"one MODEL, 2 arguments", []string{"info", m, m}},
		{"two models are named", []string{"info", m, "-m", "other.gguf"}},
		{"no text", []string{"tokenize", "-m", m}},
		{"no output", []string{"logits", "-m", m, "hi"}},
		{"no text", []string{"logits", "-m", m, "-o", "x.npy"}},
		{"not both", []string{"logits", "-m", m, "-o", "x.npy", "--tokens-file", "x.json", "hi"}},
		{"no text to score", []string{"perplexity", "-m", m}},
		{"-c 4", []string{"perplexity", "-m", m, "-f", "x", "-c", "4"}},
		{"-o xml", []string{"bench", "-m", m, "-o", "xml"}},
		{"--n-prompt", []string{"bench", "-m", m, "-p", "many"}},
		{"nothing to measure", []string{"bench", "-m", m, "-p", "0", "-n", "0"}},
		{"-r 0", []string{"bench", "-m", m, "-r", "0"}},
		{"--stage fusde", []string{"graph", m, "--stage", "fusde"}},
		{"name a shell", []string{"completion", "tcsh"}},
		{"no model to pull", []string{"pull"}},
		{"no model to remove", []string{"models", "rm"}},
	} {
		refused(t, exitUsage, c.say, c.args...)
	}
}

func TestModelNotThere(t *testing.T) {
	for _, name := range []string{"smollm2:135m", "nosuch:1b", "hf:owner/repo", "ms:owner/repo", "https://example.org/model.gguf", filepath.Join(scratch, "none.gguf")} {
		for _, args := range [][]string{{"run", "-m", name, "hi"}, {"info", name}, {"pull", name}, {"bench", "-m", name}, {"graph", name}} {
			refused(t, exitModel, "", args...)
		}
	}
	refused(t, exitModel, "", "models", "rm", "nosuch:1b")
	refused(t, exitModel, "--offline", "chat") // the default model
	t.Setenv("LEDGE_MODEL", "nosuch:2b")
	refused(t, exitModel, "nosuch:2b", "info")
}

func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole, err := os.ReadFile(golden(t, "llama-gqa"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[8] ^= 0xff // the number of tensors
	for _, path := range []string{
		write("nonsense.gguf", []byte("this is no model at all")), write("empty.gguf", nil), write("short.gguf", whole[:3000]),
		write("head.gguf", whole[:20]), write("flipped.gguf", flipped),
	} {
		for _, args := range [][]string{
			{"run", "-m", path, "hi"}, {"chat", "-m", path}, {"info", path}, {"tokenize", "-m", path, "hi"}, {"graph", path},
			{"logits", "-m", path, "-o", filepath.Join(dir, "x.npy"), "hi"}, {"perplexity", "-m", path, "-f", path}, {"bench", "-m", path},
		} {
			r := ledge(args...)
			checkRefusal(t, r, exitFailed, "", args)
			if r.out != "" {
				t.Errorf("ledge %q wrote %q", args, r.out)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "x.npy")); err == nil {
		t.Error("a failed logits left a file")
	}
	refused(t, exitModel, "is a folder", "info", dir)
}

func TestDeviceNotThere(t *testing.T) {
	m := golden(t, "llama-gqa")
	for _, args := range [][]string{
		{"run", "-m", m, "--device", "vulkan7", "hi"}, {"bench", "-m", m, "--device", "vulkan7"}, {"graph", m, "--device", "vulkan7"},
		{"devices", "--device", "vulkan7"},
	} {
		refused(t, exitDevice, "vulkan7", args...)
	}
	t.Setenv("LEDGE_DEVICE", "vulkan7")
	refused(t, exitDevice, "vulkan7", "run", "-m", m, "hi")
	if out := must(t, "run", "-m", m, "--device", "cpu", "-n", "2", "hi"); out == "" {
		t.Error("--device does not override LEDGE_DEVICE")
	}
}

func TestConfiguration(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	file := filepath.Join(dir, "ledge", "config.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(fmt.Sprintf(`{"model": %q, "threads": 1}`, golden(t, "llama-gqa")))
	if out := must(t, "tokenize", "the"); !strings.Contains(out, `"`) {
		t.Errorf("with a configured model, tokenize wrote %q", out)
	}
	for _, bad := range []string{`{"modle": "x"}`, `{`, `[]`, `{"threads": "two"}`, `{} {}`, strings.Repeat(" ", maxConfig+1)} {
		write(bad)
		refused(t, exitFailed, "mend or remove", "tokenize", "the")
	}
	write(`{"device": "vulkan7"}`)
	refused(t, exitDevice, "vulkan7", "run", "-m", golden(t, "llama-gqa"), "hi")
}
