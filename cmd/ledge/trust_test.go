package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend/trust"
	"github.com/ledge-run/ledge/cmd/internal/console"
)

// machine is a machine with fake drivers, for commands in processes of their own.
type machine struct {
	t       *testing.T
	drivers string
	limit   string // of a trial
	library string
	log     string
	dir     string // of verdicts
}

func newMachine(t *testing.T, drivers string) *machine {
	dir := t.TempDir()
	m := &machine{t, drivers, "20s", filepath.Join(dir, "libfake.so"), filepath.Join(dir, "log"), filepath.Join(dir, "gpu")}
	if err := os.WriteFile(m.library, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// run runs a command, and gives what the drivers were asked for.
func (m *machine) run(args ...string) (r result, calls []string) {
	m.t.Helper()
	_ = os.Remove(m.log)
	c := program(m.t, args...)
	c.Env = append(c.Env, fakeDrivers+"="+m.drivers, fakeLibrary+"="+m.library, fakeLog+"="+m.log,
		trust.EnvCache+"="+m.dir, trust.EnvLimit+"="+m.limit, "LEDGE_PACK_CACHE=0", "GOTRACEBACK=single")
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	r = result{exitOf(err), out.String(), errs.String()}
	data, _ := os.ReadFile(m.log)
	return r, strings.Split(strings.TrimSpace(string(data)), "\n")
}

func (m *machine) devices(args ...string) []deviceReport {
	m.t.Helper()
	r, _ := m.run(append([]string{"devices", "--json"}, args...)...)
	var d struct{ Devices []deviceReport }
	if err := json.Unmarshal([]byte(r.out), &d); err != nil {
		m.t.Fatalf("%v: %+v", err, r)
	}
	return d.Devices
}

// TestBadDrivers: whatever a driver does, commands go on with the processor, or
// say in one line why the device that was asked for cannot be used; what was found
// out is remembered, and the driver left alone.
func TestBadDrivers(t *testing.T) {
	model := golden(t, "llama-gqa")
	want := must(t, "run", "-m", model, "--raw", "--temp", "0", "-n", "6", "hi")
	for how, reason := range map[string]string{
		"nil":     "bad: its driver crashed when it was tried: exit status 2: panic: runtime error: invalid memory address",
		"exit":    "bad: its driver crashed when it was tried: there was no report",
		"segv":    "bad: its driver crashed when it was tried: ",
		"hang":    "bad: its driver did not answer within 1s",
		"garbage": "bad: its driver crashed when it was tried: its report makes no sense",
		"other":   "bad: its driver crashed when it was tried: its report makes no sense",
		"chatter": "bad: its driver did not answer within 1s",
		"none":    "bad: no device is plugged in",
		"wrong":   "bad0: self-test failed: weights of type q8_0: 1 rows, after 0 tokens: wrong result: normalised error",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, "bad:"+how)
			if how == "hang" || how == "chatter" {
				m.limit = "1s"
			}
			begin := time.Now()
			r, calls := m.run("run", "-m", model, "--raw", "--temp", "0", "-n", "6", "hi")
			if r.code != 0 || r.out != want {
				t.Errorf("automatic: %+v, want %q", r, want)
			}
			if took := time.Since(begin); took > 25*time.Second {
				t.Errorf("it took %v", took)
			}
			if calls[0] != "child probe bad" || slices.ContainsFunc(calls, func(c string) bool { return strings.HasPrefix(c, "command") }) {
				t.Errorf("the driver was asked: %q", calls)
			}
			// A second start, and other commands, let it alone.
			for _, args := range [][]string{{"run", "-m", model, "--raw", "--temp", "0", "-n", "6", "hi"}, {"graph", "-q", model}, {"info", model}} {
				if r, calls := m.run(args...); r.code != 0 || calls[0] != "" || strings.Contains(r.err, "bad") {
					t.Errorf("%v again: %+v, calls %q", args, r, calls)
				}
			}
			driver, why, _ := strings.Cut(reason, ": ")
			for _, name := range []string{"bad", "bad0"} {
				r, calls := m.run("run", "-m", model, "--device", name, "hi")
				if r.code != exitDevice || r.out != "" || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, why) || !strings.Contains(r.err, "ledge devices --retry tries it again") {
					t.Errorf("--device %s: %+v", name, r)
				}
				if calls[0] != "" {
					t.Errorf("--device %s: the driver was asked: %q", name, calls)
				}
			}
			for _, d := range m.devices() {
				if d.Backend != "bad" {
					continue
				}
				if d.Name != driver || d.Passed || d.Picked || !strings.HasPrefix(d.Reason, why) || d.When.IsZero() {
					t.Errorf("%+v", d)
				}
			}
			if r, _ := m.run("devices"); r.code != 0 || !strings.Contains(r.out, "* cpu") || !strings.Contains(r.out, why) {
				t.Errorf("%+v", r)
			}
			if _, calls := m.run("devices", "--retry"); calls[0] != "child probe bad" {
				t.Errorf("--retry: %q", calls)
			}
		})
	}
}

// TestInterruptedTrial: a trial that somebody interrupts is no verdict, and made again.
func TestInterruptedTrial(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no process sends itself signals there")
	}
	for how, want := range map[string]string{"interrupted": "interrupt", "terminated": "terminated"} {
		m := newMachine(t, "slow:"+how)
		for range 2 {
			r, calls := m.run("devices")
			if r.code != 0 || !strings.Contains(r.out, "slow       not used: its trial was ended from outside ("+want+")") || calls[0] != "child probe slow" {
				t.Errorf("%s: %+v, calls %q", how, r, calls)
			}
		}
		if r, _ := m.run("probe", "slow"); r.code < console.ExitInterrupted || strings.Contains(r.out, "ledge-verdict") {
			t.Errorf("%s: probe: %+v", how, r)
		}
	}
}

// TestGoodDriver: a device that passed is used, and not tested again until
// something changes.
func TestGoodDriver(t *testing.T) {
	model := golden(t, "llama-gqa")
	m := newMachine(t, "good:good,worse:nil")
	run := []string{"run", "-m", model, "--raw", "--temp", "0", "-n", "6", "hi"}
	want := must(t, run...)
	count := func(calls []string, call string) (n int) {
		for _, c := range calls {
			if c == call {
				n++
			}
		}
		return n
	}
	r, calls := m.run(run...)
	if r.code != 0 || r.out != want || count(calls, "child probe good") != 1 || count(calls, "command open good") != 1 || count(calls, "command probe good") != 0 || count(calls, "child probe worse") != 1 {
		t.Errorf("%+v %q", r, calls)
	}
	if r, calls := m.run(run...); r.code != 0 || r.out != want || !slices.Equal(calls, []string{"command open good"}) {
		t.Errorf("again: %+v %q", r, calls)
	}
	if r, calls := m.run(append(run, "--device", "cpu")...); r.code != 0 || calls[0] != "" {
		t.Errorf("--device cpu: %+v %q", r, calls)
	}
	// Another model may have types that were not tried: once.
	other := golden(t, "gemma3")
	_, calls = m.run("run", "-m", other, "--raw", "-n", "1", "hi")
	again := count(calls, "child probe good")
	_, calls = m.run("run", "-m", other, "--raw", "-n", "1", "hi")
	if again > 1 || count(calls, "child probe good") != 0 {
		t.Errorf("another model: %d trials, then %q", again, calls)
	}
	if _, calls := m.run(run...); count(calls, "child probe good") != 0 {
		t.Errorf("the first model again: %q", calls)
	}
	// A driver that was replaced has to prove itself again.
	if err := os.WriteFile(m.library, []byte("22"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, calls := m.run(run...); count(calls, "child probe good") != 1 || count(calls, "child probe worse") != 1 {
		t.Errorf("after a new driver: %q", calls)
	}
	out, _ := m.run("devices")
	for _, text := range []string{"* good0", "Fake GPU", "features fake, half", "avoids subgroups (a known fault)", "self-test passed in ", "  worse      not used: its driver crashed"} {
		if !strings.Contains(out.out, text) {
			t.Errorf("no %q in:\n%s", text, out.out)
		}
	}
	// None is installed: that costs nothing.
	if err := os.Remove(m.library); err != nil {
		t.Fatal(err)
	}
	if r, calls := m.run(run...); r.code != 0 || r.out != want || calls[0] != "" {
		t.Errorf("without: %+v %q", r, calls)
	}
	if r, _ := m.run("devices"); !strings.Contains(r.out, "  good       not found: no library libgood.so") {
		t.Error(r.out)
	}
}

// TestVaries: a device whose results are right, but not the same to the last bit in
// every batch, is used; the user is told.
func TestVaries(t *testing.T) {
	m := newMachine(t, "loose:varies")
	for range 2 {
		r, _ := m.run("run", "-m", golden(t, "llama-gqa"), "--raw", "--temp", "0", "-n", "6", "hi")
		if r.code != 0 || !strings.Contains(r.err, "note: a token's result depends on what is computed beside it") {
			t.Errorf("%+v", r)
		}
	}
	for _, d := range m.devices() {
		if d.Backend == "loose" && (!d.Picked || !d.Info.Varies || !strings.Contains(d.Info.Note, "depends")) {
			t.Errorf("%+v", d)
		}
	}
}

// TestVerdictFiles: verdicts of others, and damaged ones, are not believed.
func TestVerdictFiles(t *testing.T) {
	model := golden(t, "llama-gqa")
	m := newMachine(t, "bad:nil")
	run := []string{"run", "-m", model, "--raw", "-n", "1", "hi"}
	asked := func() bool {
		t.Helper()
		r, calls := m.run(run...)
		if r.code != 0 {
			t.Errorf("%+v", r)
		}
		return calls[0] != ""
	}
	if !asked() || asked() {
		t.Fatal("the verdict is not kept")
	}
	files, _ := filepath.Glob(filepath.Join(m.dir, "bad-*.verdict"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(data); at += len(data)/20 + 1 {
		bad := bytes.Clone(data)
		bad[at] ^= 1
		if err := os.WriteFile(files[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if !asked() {
			t.Errorf("byte %d changed: still believed", at)
		}
	}
	if err := os.Chmod(files[0], 0o666); err != nil {
		t.Fatal(err)
	}
	if !asked() {
		t.Error("a file that others may write to is believed")
	}
	if err := os.Chmod(m.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for range 2 { // nor is anything kept there
		if !asked() {
			t.Error("a folder that others may write to is believed")
		}
	}
	if err := os.Chmod(m.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if r, _ := m.run("cache"); !strings.Contains(r.out+r.err, "bad") {
		t.Errorf("ledge cache shows no verdict: %+v", r)
	}
	if r, _ := m.run("cache", "clear"); r.code != 0 {
		t.Errorf("%+v", r)
	}
	if !asked() {
		t.Error("cleared, and still believed")
	}
}

// TestWarmStart: a start with a kept verdict asks nothing and costs nothing.
func TestWarmStart(t *testing.T) {
	m := newMachine(t, "bad:nil,worse:hang")
	m.limit = "1s"
	_, _ = m.run("devices")
	info := func() time.Duration {
		c := exec.Command(os.Args[0], "info", golden(t, "llama-gqa"))
		c.Env = append(os.Environ(), asProgram+"=1", fakeDrivers+"="+m.drivers, fakeLibrary+"="+m.library, trust.EnvCache+"="+m.dir)
		start := time.Now()
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		return time.Since(start)
	}
	best := func() time.Duration {
		b := info()
		for range 9 {
			b = min(b, info())
		}
		return b
	}
	with := best()
	m.drivers = ""
	without := best()
	t.Logf("%v with two refused drivers, %v without", with, without)
	if with > without+20*time.Millisecond {
		t.Errorf("a start with two refused drivers takes %v, %v without", with, without)
	}
}
