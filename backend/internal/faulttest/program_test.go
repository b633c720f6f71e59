package faulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/trust"
	"github.com/ledge-run/ledge/graph/dtype"
)

// program builds ledge, with the backends of this build.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(programs, "ledge")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command is not at hand")
	}
	if out, err := exec.Command("go", "build", "-tags", strings.Join(tags, ","), "-o", path, "../../../cmd/ledge").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// ledge runs the program in an environment and gives what it said.
func ledge(t *testing.T, path string, env []string, args ...string) (out, said string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, path, args...)
	c.Env = env
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v\n%s", args, err, stderr.String())
	}
	return stdout.String(), stderr.String(), c.ProcessState.ExitCode()
}

// TestProgram: the program itself, which tries drivers in a process of their own,
// with a driver that crashes, hangs or computes wrongly there, and with one that
// passed and fails later.
func TestProgram(t *testing.T) {
	if os.Getenv(envDriver) != "" {
		return // it runs none of its own
	}
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			path := program(t)
			library := build(t, d)
			env := append(d.environment(t, library), "LEDGE_CPU=", "LEDGE_PROBE=", "LEDGE_MODEL=")
			model := modelOf(env)
			run := func(fault, device string, more ...string) (string, string, int) {
				env := append(append(slices.Clip(env), more...), "LEDGE_FAKE=gpu "+fault)
				return ledge(t, path, env, "run", "-m", model, "--raw", "--temp", "0", "-n", "4", "-c", "128", "-t", "1", "--no-cache", "--device", device, "hello")
			}
			want, said, code := run("", "cpu")
			if code != 0 || len(want) < 4 {
				t.Fatalf("%q, %s", want, said)
			}

			// Drivers that fail in the trial.
			for _, c := range []struct{ fault, reason string }{
				{"crash=5", "crashed"},
				{"crash=60", "crashed"},
				{"hang=" + d.hangs[1], "did not answer within 3s"},
				{"fail=1", ""},
			} {
				fresh := []string{"LEDGE_GPU_CACHE=" + t.TempDir(), "LEDGE_PROBE_TIMEOUT=3s"}
				start := time.Now()
				got, said, code := run(c.fault, "auto", fresh...)
				if got != want || code != 0 {
					t.Errorf("%s, auto: %q, exit code %d: %s", c.fault, got, code, said)
				}
				got, said, code = run(c.fault, d.name, fresh...)
				if got != "" || code != 4 || !strings.Contains(said, c.reason) || strings.Count(strings.TrimSpace(said), "ledge: ") != 1 {
					t.Errorf("%s, %s: %q, exit code %d: %s", c.fault, d.name, got, code, said)
				}
				if took := time.Since(start); took > 20*time.Second {
					t.Errorf("%s: that took %v", c.fault, took)
				}
			}

			// Drivers that have passed: the verdict is kept.
			v := assure(t, d, env)
			if !v.Passed() {
				t.Skip(v.Reason)
			}
			got, said, code := run("", d.name)
			if got != want || code != 0 {
				t.Fatalf("undisturbed: %q, want %q, exit code %d: %s", got, want, code, said)
			}
			errs := 0
			for i, n := range []int{1, 9, 60, 150, 230, 260, 300, 500, 700} {
				fault := fmt.Sprintf(d.fails[i%len(d.fails)], n)
				got, said, code := run(fault, "auto")
				if got != want || code != 0 {
					t.Errorf("%s, auto: %q, exit code %d: %s", fault, got, code, said)
				}
				got, said, code = run(fault, d.name)
				switch {
				case code == 0 && got != want, !strings.HasPrefix(want, strings.TrimSuffix(got, "\n")):
					t.Errorf("%s, %s: %q, exit code %d: %s", fault, d.name, got, code, said)
				case code != 0:
					errs++
					if code != 4 || !strings.Contains(said, "ledge: ") {
						t.Errorf("%s, %s: exit code %d: %s", fault, d.name, code, said)
					}
				}
			}
			if errs < 3 {
				t.Errorf("only %d errors", errs)
			}
		})
	}
}

// modelOf is the model's file in an environment.
func modelOf(env []string) (path string) {
	for _, e := range env {
		if p, ok := strings.CutPrefix(e, envModel+"="); ok {
			path = p
		}
	}
	return path
}

// assure keeps a verdict for processes with an environment, where they look for it:
// the trial says that the driver is well.
func assure(t *testing.T, d driver, env []string) backend.Verdict {
	t.Helper()
	for _, e := range env { // files are looked up, and variables hashed, in this process
		if k, v, _ := strings.Cut(e, "="); strings.HasPrefix(k, "LEDGE_") && k != envDriver {
			t.Setenv(k, v)
		}
	}
	p := &trust.Prover{Program: []string{os.Args[0]}, Cache: trust.DefaultCache(os.Getenv)}
	for _, drv := range backend.Drivers() {
		if drv.Name == d.name {
			return p.Prove(context.Background(), drv, backend.Trial{Types: weightTypes})
		}
	}
	return backend.Verdict{}
}

// weightTypes are those of the model, for which the verdict has to hold.
var weightTypes = []dtype.DType{dtype.F32, dtype.F16}
