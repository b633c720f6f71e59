package trust

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/null"
	"github.com/ledge-run/ledge/graph/dtype"
)

// driver is one whose trial, in this process, gives what the test says.
type driver struct {
	probe  func() ([]backend.Info, error)
	files  func() ([]string, error)
	kernel string
	tried  int
}

func (d *driver) driver() backend.Driver {
	return backend.Driver{
		Name: "fake",
		Probe: func(context.Context) ([]backend.Info, error) {
			d.tried++
			return d.probe()
		},
		Open: func(_ context.Context, name string, _ backend.Options) (backend.Device, error) {
			return null.New(null.Options{Name: name}), nil
		},
		Foreign: &backend.Foreign{Files: d.files, Kernels: func() string { return d.kernel }},
	}
}

func newDriver(t *testing.T) (*driver, *Cache, string) {
	dir := t.TempDir()
	lib := filepath.Join(dir, "libfake.so")
	if err := os.WriteFile(lib, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &driver{
		probe: func() ([]backend.Info, error) { return nil, errors.New("no device") },
		files: func() ([]string, error) { return []string{lib}, nil },
	}, NewCache(filepath.Join(dir, "gpu")), lib
}

// TestWhenTried: a verdict counts until something that it depends on changes.
func TestWhenTried(t *testing.T) {
	d, c, lib := newDriver(t)
	trial := backend.Trial{}
	ask := func(want bool, what string) {
		t.Helper()
		before := d.tried
		p := &Prover{InProcess: true, Cache: c}
		for range 2 { // the second time, the process remembers
			if v := p.Prove(context.Background(), d.driver(), trial); v.Reason != "no device" || v.When.IsZero() {
				t.Errorf("%s: %+v", what, v)
			}
		}
		if n := d.tried - before; (n == 1) != want || n > 1 {
			t.Errorf("%s: tried %d times", what, n)
		}
	}
	ask(true, "new")
	ask(false, "the same")
	d.kernel = "2"
	ask(true, "other kernels")
	trial.Options.Level = "-half"
	ask(true, "another level")
	t.Setenv("LEDGE_GPU", "-subgroup")
	ask(true, "features switched off")
	t.Setenv("LEDGE_VULKAN_VALIDATE", "mistyped")
	ask(true, "validation asked for")
	t.Setenv("LEDGE_VULKAN_VALIDATE", "")
	ask(false, "no more")
	ask(false, "the same again")
	trial.Types = []dtype.DType{dtype.Q4_K}
	ask(false, "a refusal holds for all types")
	if err := os.WriteFile(lib, []byte("22"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask(true, "another driver")
	verdicts, _, err := c.List()
	if err != nil || len(verdicts) != 6 {
		t.Fatalf("%+v, %v", verdicts, err)
	}
	age := func(by time.Duration, passed bool) {
		t.Helper()
		files, _ := d.files()
		key := keyOf(d.driver(), files, trial)
		v := backend.Verdict{Driver: "fake", Reason: "no device", When: time.Now().Add(-by)}
		if passed {
			v.Reason = ""
			v.Types = []string{"q4_k"}
			v.Devices = []backend.Proof{{Info: backend.Info{Name: "fake0", Backend: "fake"}, Passed: true}}
		}
		c.store(key, &v)
		got, ok := c.load("fake", key)
		want := by < refusalLife || passed && by < passLife
		if by < -time.Hour {
			want = false
		}
		if ok != want || ok && got.Passed() != passed {
			t.Errorf("%v old, passed %v: %v %+v", by, passed, ok, got)
		}
	}
	for _, by := range []time.Duration{-2 * time.Hour, 0, 23 * time.Hour, 25 * time.Hour, 6 * 24 * time.Hour, 8 * 24 * time.Hour} {
		age(by, false)
		age(by, true)
	}
	// What else is in the folder: drivers' programs are listed and cleared, too.
	program, mine := filepath.Join(c.Dir(), strings.Repeat("0a", 16)+".gpu"), filepath.Join(c.Dir(), "notes.txt")
	for _, path := range []string{program, mine} {
		if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, size, err := c.List(); err != nil || size < 1<<20 || size > 2<<20 {
		t.Errorf("%d bytes, %v", size, err)
	}
	if _, err := c.Clear(); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(c.Dir(), "*")); err != nil || len(left) != 1 || left[0] != mine {
		t.Errorf("left: %v, %v", left, err)
	}
	ask(true, "cleared")
}

// TestTypes: a verdict that passed holds for the types it was found with; types
// that come later are added to them.
func TestTypes(t *testing.T) {
	d, c, _ := newDriver(t)
	files, _ := d.files()
	key := keyOf(d.driver(), files, backend.Trial{})
	passed := backend.Verdict{
		Driver: "fake", When: time.Now(), Types: []string{"q4_k"},
		Devices: []backend.Proof{{Info: backend.Info{Name: "fake0", Backend: "fake"}, Passed: true}},
	}
	c.store(key, &passed)
	// A device that is only used when asked for is not tried for each model.
	if v := (&Prover{InProcess: true, Cache: c}).Prove(context.Background(), d.driver(), backend.Trial{Types: []dtype.DType{dtype.Q6_K}}); d.tried != 0 || !v.Passed() {
		t.Errorf("tried %d times: %+v", d.tried, v)
	}
	prove := func(types ...dtype.DType) backend.Verdict {
		return (&Prover{InProcess: true, Cache: c}).Prove(context.Background(), d.driver(), backend.Trial{Types: types, Asked: true})
	}
	if v := prove(dtype.Q4_K); d.tried != 0 || !v.Passed() {
		t.Errorf("tried %d times: %+v", d.tried, v)
	}
	if v := prove(dtype.Q6_K); d.tried != 1 || strings.Join(v.Types, " ") != "q4_k q6_k" {
		t.Errorf("tried %d times: %+v", d.tried, v)
	}
}

// TestUntested: devices that are never picked are listed, and tested only when they
// may have been asked for; from then on they are tested with the others.
func TestUntested(t *testing.T) {
	d, c, _ := newDriver(t)
	d.probe = func() ([]backend.Info, error) {
		return []backend.Info{{Name: "fake0", Backend: "fake", Kind: backend.CPU}}, nil
	}
	prove := func(trial backend.Trial) backend.Verdict {
		fake := d.driver()
		fake.Open = func(context.Context, string, backend.Options) (backend.Device, error) {
			return nil, errors.New("broken")
		}
		return (&Prover{InProcess: true, Cache: c, Hint: "try again"}).Prove(context.Background(), fake, trial)
	}
	for range 2 {
		if v := prove(backend.Trial{Types: []dtype.DType{dtype.Q6_K}}); d.tried != 1 || len(v.Devices) != 1 || !v.Devices[0].Untested || v.Devices[0].Reason != "" {
			t.Fatalf("tried %d times: %+v", d.tried, v)
		}
	}
	if v := prove(backend.Trial{Asked: true}); d.tried != 2 || v.Devices[0].Untested || !strings.HasPrefix(v.Devices[0].Reason, "broken") {
		t.Errorf("asked for, tried %d times: %+v", d.tried, v)
	}
	if v := prove(backend.Trial{}); d.tried != 2 || v.Devices[0].Untested || !strings.HasPrefix(v.Devices[0].Reason, "broken") {
		t.Errorf("not asked for, tried %d times: %+v", d.tried, v)
	}
}

// TestAlive: a process that gives signs of life may take longer than the limit.
func TestAlive(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	d, c, _ := newDriver(t)
	for script, want := range map[string]string{
		`for i in 1 2 3 4 5 6; do sleep 0.3; printf 'x\nledge-'; printf 'alive\n'; done; printf 'ledge-verdict {"driver":"fake","reason":"at the end"}\n'`: "at the end",
		`for i in 1 2 3 4 5 6; do sleep 0.3; echo "not ledge-alive"; done`:                                                                                 "did not answer within 1s",
	} {
		p := &Prover{Program: []string{sh, "-c", script}, Cache: NewCache(c.Dir() + want[:3]), Limit: time.Second}
		if v := p.Prove(context.Background(), d.driver(), backend.Trial{}); !strings.Contains(v.Reason, want) {
			t.Errorf("%s: %+v", script, v)
		}
	}
	var b bytes.Buffer
	heard := 0
	l := &listener{bounded: bounded{w: &b, left: 10}, alive: func() { heard++ }}
	for range 3 {
		if err := Alive(l); err != nil {
			t.Fatal(err)
		}
	}
	if heard != 3 || b.Len() != 10 {
		t.Errorf("heard %d times, kept %d bytes", heard, b.Len())
	}
}

// TestNotTried: without a program, and where nothing may be tried in this process,
// only kept verdicts count; what cannot be tried is no verdict.
func TestNotTried(t *testing.T) {
	d, c, _ := newDriver(t)
	for what, p := range map[string]*Prover{
		"it was not tried yet": {Cache: c},
		"it cannot be tried":   {Cache: c, Program: []string{filepath.Join(t.TempDir(), "none")}},
	} {
		if v := p.Prove(context.Background(), d.driver(), backend.Trial{}); !strings.Contains(v.Reason, what) || len(v.Devices) > 0 {
			t.Errorf("%s: %+v", what, v)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if v := (&Prover{Cache: c, InProcess: true}).Prove(ctx, d.driver(), backend.Trial{}); v.Reason == "" {
		t.Errorf("ended: %+v", v)
	}
	d.files = func() ([]string, error) { return nil, errors.New("not installed") }
	if v := (&Prover{Cache: c, InProcess: true}).Prove(context.Background(), d.driver(), backend.Trial{}); v.Reason != "not installed" || d.tried > 1 {
		t.Errorf("not installed: %+v", v)
	}
	if all, _, _ := c.List(); len(all) != 0 {
		t.Errorf("kept: %+v", all)
	}
}

// TestEnvironment: a time limit that is none refuses every driver, and says so; nothing is
// tried, nor kept.
func TestEnvironment(t *testing.T) {
	for text, c := range map[string]struct {
		limit time.Duration
		say   string
	}{
		"": {0, "no device"}, "90s": {90 * time.Second, "no device"}, "30": {30 * time.Second, "no device"},
		"abc": {0, `LEDGE_PROBE_TIMEOUT="abc": a number of seconds or a duration like 90s is needed`},
		"-1s": {0, `LEDGE_PROBE_TIMEOUT="-1s": `},
	} {
		d, cache, _ := newDriver(t)
		p := New(func(name string) string { return map[string]string{EnvLimit: text, EnvCache: cache.Dir()}[name] }, "")
		v := p.Prove(context.Background(), d.driver(), backend.Trial{})
		if p.Limit != c.limit || !strings.HasPrefix(v.Reason, c.say) || (d.tried == 0) != (c.say != "no device") {
			t.Errorf("%q: %v, tried %d times: %+v", text, p.Limit, d.tried, v)
		}
		if all, _, _ := cache.List(); d.tried != len(all) {
			t.Errorf("%q: kept: %+v", text, all)
		}
	}
}

func TestHint(t *testing.T) {
	d, c, _ := newDriver(t)
	(&Prover{InProcess: true, Cache: c}).Prove(context.Background(), d.driver(), backend.Trial{})
	v := (&Prover{Cache: c, Hint: "try again"}).Prove(context.Background(), d.driver(), backend.Trial{})
	if v.Reason != "no device (found out just now; try again)" {
		t.Error(v.Reason)
	}
	for d, want := range map[time.Duration]string{0: "just now", 90 * time.Second: "1 minute ago", 119 * time.Minute: "1 hour ago", 50 * time.Hour: "2 days ago", -time.Hour: "just now"} {
		if got := Age(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// TestReports: what another process writes is only believed if it makes sense.
func TestReports(t *testing.T) {
	var b bytes.Buffer
	good := backend.Verdict{Driver: "fake", Devices: []backend.Proof{{Info: backend.Info{Name: "fake0", Backend: "fake"}, Passed: true}}}
	b.WriteString("a driver says hello without a line's end")
	if err := Report(&b, &good); err != nil {
		t.Fatal(err)
	}
	if v, err := readReport(b.Bytes(), "fake"); err != nil || !v.Passed() {
		t.Errorf("%+v, %v", v, err)
	}
	for _, text := range []string{
		"", "{}", reportPrefix, reportPrefix + "{}", reportPrefix + "[1]", reportPrefix + `{"driver":"fake"}`,
		reportPrefix + `{"driver":"other","reason":"x"}`,
		reportPrefix + `{"driver":"fake","devices":[{"passed":true}]}`,
		reportPrefix + `{"driver":"fake","devices":[{"passed":true,"info":{"name":"cpu","backend":"cpu"}}]}`,
		reportPrefix + `{"driver":"fake","devices":[{"passed":false,"info":{"name":"fake0","backend":"fake"}}]}`,
		reportPrefix + `{"driver":"fake","devices":[{"passed":true,"info":{"name":"a","backend":"fake"}},{"passed":true,"info":{"name":"a","backend":"fake"}}]}`,
	} {
		if v, err := readReport([]byte(text), "fake"); err == nil {
			t.Errorf("%q is believed: %+v", text, v)
		}
	}
}

func FuzzReadReport(f *testing.F) {
	f.Add([]byte(reportPrefix + `{"driver":"fake","reason":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, err := readReport(data, "fake"); err == nil && v.Driver != "fake" {
			t.Errorf("%+v", v)
		}
	})
}

func TestDefault(t *testing.T) {
	env := map[string]string{}
	get := func(k string) string { return env[k] }
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", "")
	if p := New(get, ""); !p.InProcess || len(p.Program) > 0 || !strings.HasSuffix(p.Cache.Dir(), filepath.Join("ledge", "gpu")) {
		t.Errorf("%+v", p)
	}
	env[EnvProbe], env[EnvCache], env[EnvLimit] = "/bin/ledge", "off", "7s"
	if p := New(get, ""); p.InProcess || p.Program[0] != "/bin/ledge" || p.Cache != nil || p.limit() != 7*time.Second {
		t.Errorf("%+v", p)
	}
	if p := New(get, "/other"); p.Program[0] != "/other" {
		t.Errorf("%+v", p)
	}
	env[EnvCache], env[EnvLimit] = "/tmp/x", "soon"
	if p := New(get, ""); p.Cache.Dir() != "/tmp/x" || p.limit() != DefaultLimit {
		t.Errorf("%+v", p)
	}
	var none *Cache
	if all, _, err := none.List(); all != nil || err != nil || none.Dir() != "" || none.Distrusted() != nil {
		t.Error("a nil cache has something")
	}
}

// TestMissing: a driver that does not seem to be installed is looked for without a trial.
// One that finds nothing either gives no verdict; one that crashes does, for there is
// something.
func TestMissing(t *testing.T) {
	d, _, _ := newDriver(t)
	d.files = func() ([]string, error) { return nil, errors.New("no library") }
	for _, c := range []struct {
		name    string
		prover  *Prover
		reason  string
		verdict bool
	}{
		{"not tried", &Prover{InProcess: true}, "no library", false},
		{"tried", &Prover{InProcess: true, Retry: true}, "no device", false},
		{"tried in a process of its own", &Prover{Program: []string{"/bin/sh", "-c", `echo 'ledge-verdict {"driver":"fake","reason":"none","when":"2026-01-02T03:04:05Z"}'`}, Retry: true}, "none", false},
		{"crashed", &Prover{Program: []string{"/bin/sh", "-c", "exit 2"}, Retry: true}, "its driver crashed when it was tried: exit status 2", true},
	} {
		if len(c.prover.Program) > 0 {
			if _, err := exec.LookPath(c.prover.Program[0]); err != nil {
				t.Skip(err)
			}
		}
		if v := c.prover.Prove(context.Background(), d.driver(), backend.Trial{}); v.Reason != c.reason || v.When.IsZero() == c.verdict {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

// BenchmarkWarm is a start with a kept verdict: what it adds to a command.
func BenchmarkWarm(b *testing.B) {
	dir := b.TempDir()
	d := &driver{probe: func() ([]backend.Info, error) { return nil, errors.New("no device") }, files: func() ([]string, error) { return []string{dir}, nil }}
	c := NewCache(filepath.Join(dir, "gpu"))
	if err := os.Mkdir(c.Dir(), 0o700); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p := &Prover{InProcess: true, Cache: c}
		p.Prove(context.Background(), d.driver(), backend.Trial{})
	}
}
