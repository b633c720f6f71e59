package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// stubs is a folder with shell scripts in place of programs.
func stubs(t *testing.T, programs map[string]string) *check {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil || runtime.GOOS != "linux" {
		t.Skip("no Linux with bash: the programs of this test are scripts")
	}
	c := &check{dir: t.TempDir(), device: "cuda1", ctx: t.Context()}
	c.folder = c.dir
	for name, text := range programs {
		if err := os.MkdirAll(c.path("src/backend/"+strings.TrimSuffix(name, ".test")), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, c.path(name), "#!/usr/bin/env bash\n"+text)
	}
	return c
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// holds says whether an error is the one that is wanted; "" is none.
func holds(err error, want string) bool {
	if err == nil || want == "" {
		return err == nil && want == ""
	}
	return strings.Contains(err.Error(), want)
}

// TestSanitizer: compute-sanitizer ends as the program did, unless told otherwise.
func TestSanitizer(t *testing.T) {
	for what, s := range map[string]struct{ summary, want string }{
		"no errors":  {"echo ERROR SUMMARY: 0 errors", ""},
		"errors":     {"echo ERROR SUMMARY: 2 errors; [[ \"$*\" == *'--error-exitcode 1 '* ]] && exit 1 || exit 0", "exit status 1"},
		"ten":        {"echo ERROR SUMMARY: 10 errors", "does not say"},
		"no summary": {"echo Paris.", "does not say"},
	} {
		c := stubs(t, map[string]string{"compute-sanitizer": s.summary})
		write(t, c.path("models/a.gguf"), "")
		if err := sanitizer(c); !holds(err, s.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestTests: a test binary in which nothing ran on the device has not passed.
func TestTests(t *testing.T) {
	const golden, gpu = "echo '    --- PASS: TestGoldenModels/cuda1 (1.00s)'", "echo \"    --- PASS: TestGPU/$LEDGE_TEST_CUDA/suite (1.00s)\""
	for what, s := range map[string]struct {
		golden, gpu string
		asked       bool
		want        string
	}{
		"all":                  {golden, gpu, true, ""},
		"no device":            {"echo '--- PASS: TestGoldenModels (0.01s)'", gpu, false, "all.test: no test ran on cuda1"},
		"another one":          {"echo '    --- PASS: TestGoldenModels/cuda10 (0.01s)'", gpu, false, "all.test: no test ran on cuda1"},
		"skipped":              {golden, "echo '--- SKIP: TestGPU (0.00s)'", false, "cuda.test: no test ran on cuda1"},
		"not linked in":        {golden, "echo testing: warning: no tests to run; echo PASS", false, "cuda.test: no test ran on cuda1"},
		"failed":               {golden, gpu + "; exit 1", false, "exit status 1"},
		"missing":              {golden, "", false, ""},
		"missing, but wanted":  {golden, "", true, "cuda.test is not in the folder"},
		"only the device's":    {golden + "; [[ \"$*\" == *'/^cuda1$ '* ]] || exit 1", gpu, false, ""},
		"the device, by name":  {"[ $LEDGE_TEST_CUDA = cuda1 ] || exit 1; " + golden, gpu, false, ""},
		"both without devices": {"", "true", false, "cuda.test: no test ran"},
	} {
		programs := map[string]string{"all.test": s.golden}
		if s.gpu != "" {
			programs["cuda.test"] = s.gpu
		}
		c := stubs(t, programs)
		c.asked = s.asked
		if err := tests(c); !holds(err, s.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestOtherDevices: the read kernel is CUDA's, whatever is checked.
func TestOtherDevices(t *testing.T) {
	c := stubs(t, map[string]string{"cuda.test": "[ $LEDGE_TEST_CUDA = cuda0 ] && echo 4527 GB/s"})
	if c.device = "vulkan1"; read(c) != nil || c.read != 4527 {
		t.Errorf("%s: %.0f GB/s", c.device, c.read)
	}
}

// TestSteps: a step that there is none of is refused before any runs.
func TestSteps(t *testing.T) {
	all, err := stepsOf(nil)
	if err != nil || len(all) != len(steps) {
		t.Errorf("%d steps, %v", len(all), err)
	}
	some, err := stepsOf([]string{"read", " tests"})
	if err != nil || len(some) != 2 || some[0].name != "tests" || some[1].name != "read" {
		t.Errorf("%d steps, %v", len(some), err)
	}
	out := filepath.Join(t.TempDir(), "report.md")
	for _, only := range []string{"tset", "tests,", "tests,decode"} {
		if err := run([]string{"-only", only, "-out", out, "-dir", t.TempDir()}); err == nil || !strings.Contains(err.Error(), ": there are machine, tests, text, ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", only, err)
		}
	}
	if exists(out) {
		t.Error("something ran")
	}
}

// TestRevision: a report says of which commit it is.
func TestRevision(t *testing.T) {
	of := func(pairs ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{}
		for i := 0; i < len(pairs); i += 2 {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: pairs[i], Value: pairs[i+1]})
		}
		return info
	}
	for _, s := range []struct {
		info *debug.BuildInfo
		want string
	}{
		{nil, "unknown"},
		{of("vcs", "git"), "unknown"},
		{of("vcs.revision", "51b809b", "vcs.modified", "false"), "51b809b"},
		{of("vcs.revision", "51b809b", "vcs.modified", "true"), "51b809b, with local changes"},
	} {
		if have := revision(s.info, s.info != nil); have != s.want {
			t.Errorf("%q, want %q", have, s.want)
		}
	}
	out := filepath.Join(t.TempDir(), "report.md")
	if err := run([]string{"-only", "machine", "-out", out, "-dir", t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	if page, err := os.ReadFile(out); err != nil || !strings.Contains(string(page), "\nCommit: ") {
		t.Errorf("%s, %v", page, err)
	}
}

// TestScript: build/gpu-check.sh measures the archive beside it, and leaves what people
// copied there.
func TestScript(t *testing.T) {
	c := stubs(t, nil)
	script, err := os.ReadFile("../gpu-check.sh")
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.path("build/gpu-check.sh"), string(script))
	pack := func(program, text string) {
		t.Helper()
		from := t.TempDir()
		write(t, filepath.Join(from, "gpu/models/none"), "")
		write(t, filepath.Join(from, "gpu/gpucheck"), "#!/usr/bin/env bash\necho "+text+"; ls out/gpu\n")
		write(t, filepath.Join(from, "gpu", program), "")
		if err := os.MkdirAll(c.path("out"), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := c.program(nil, "tar", "czf", c.path("out/gpu-check.tar.gz"), "-C", from, "gpu"); err != nil {
			t.Fatal(err)
		}
	}
	ran := func() string {
		t.Helper()
		out, err := c.program(nil, "bash", c.path("build/gpu-check.sh"), "run")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(out), " ")
	}
	pack("before", "first")
	write(t, c.path("out/gpu/models/real.gguf"), "")
	write(t, c.path("out/gpu/peer/run.sh"), "")
	if have := ran(); have != "first before gpucheck models peer unpacked" {
		t.Error(have)
	}
	write(t, c.path("out/gpu/kept"), "")
	if have := ran(); have != "first before gpucheck kept models peer unpacked" {
		t.Errorf("again: %s", have)
	}
	pack("trace", "second")
	if have := ran(); have != "second gpucheck models peer trace unpacked" {
		t.Errorf("another archive: %s", have)
	}
	os.Remove(c.path("out/gpu-check.tar.gz"))
	if have := ran(); !strings.HasPrefix(have, "second ") || !c.has("out/gpu/models/real.gguf") || !c.has("out/gpu/peer/run.sh") {
		t.Errorf("without the archive: %s", have)
	}
}
