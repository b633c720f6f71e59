package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cpu"
	"github.com/ledge-run/ledge/backend/null"
	"github.com/ledge-run/ledge/backend/trust"
	"github.com/ledge-run/ledge/runtime/engine"
)

// foreign is a driver of others' code, whose one device computes nothing: no trial
// can pass it.
var foreign struct{ probed, opened int }

func init() {
	backend.Register(backend.Driver{
		Name: "foreign",
		Probe: func(context.Context) ([]backend.Info, error) {
			foreign.probed++
			return []backend.Info{{Name: "foreign0", Backend: "foreign", Kind: backend.GPU, Score: 99}}, nil
		},
		Open: func(context.Context, string, backend.Options) (backend.Device, error) {
			foreign.opened++
			return foreignDevice{null.New(null.Options{Name: "foreign0"})}, nil
		},
		Foreign: &backend.Foreign{Files: func() ([]string, error) { return []string{os.Args[0]}, nil }},
	})
}

type foreignDevice struct{ *null.Device }

func (d foreignDevice) Info() backend.Info {
	i := d.Device.Info()
	i.Backend, i.Kind, i.Score = "foreign", backend.GPU, 99
	return i
}

// TestMain keeps verdicts of tests apart from the user's.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ledge-engine-")
	if err != nil {
		panic(err)
	}
	os.Setenv(trust.EnvCache, dir)
	os.Unsetenv(trust.EnvProbe)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// TestForeignDriver: a library's user gets the processor where a driver does not
// prove itself, at the cost of one trial; a driver that was asked for is an error.
func TestForeignDriver(t *testing.T) {
	t.Setenv(trust.EnvCache, filepath.Join(t.TempDir(), "gpu"))
	g := golden(t, "llama-gqa")
	foreign.probed, foreign.opened = 0, 0
	for range 2 {
		m := openGolden(t, g, engine.Options{})
		if name := m.Device().Name; name != cpu.Name {
			t.Errorf("runs on %s", name)
		}
		i := slices.IndexFunc(m.Candidates(), func(c backend.Candidate) bool { return c.Driver == "foreign" })
		if i < 0 || !strings.Contains(m.Candidates()[i].Reason, "self-test failed") {
			t.Errorf("%+v", m.Candidates())
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if foreign.probed != 1 || foreign.opened != 1 {
		t.Errorf("tried %d times, opened %d times", foreign.probed, foreign.opened)
	}
	path := filepath.Join(t.TempDir(), "m.gguf")

	if err := os.WriteFile(path, goldenBytes(t, "llama-gqa"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Open(context.Background(), path, engine.Options{Device: "foreign"}); err == nil || !strings.Contains(err.Error(), "self-test failed") {
		t.Errorf("asked for: %v", err)
	}
	// A program that cannot be started finds out nothing, and nothing is tried here.
	t.Setenv(trust.EnvCache, filepath.Join(t.TempDir(), "other"))
	none := filepath.Join(t.TempDir(), "none")
	foreign.probed = 0
	if _, err := engine.Open(context.Background(), path, engine.Options{Device: "foreign", Probe: none}); err == nil || !strings.Contains(err.Error(), "it cannot be tried") || foreign.probed > 0 {
		t.Errorf("%v, tried %d times", err, foreign.probed)
	}
	t.Setenv(trust.EnvProbe, none)
	if _, err := engine.Open(context.Background(), path, engine.Options{Device: "foreign"}); err == nil || !strings.Contains(err.Error(), none) || foreign.probed > 0 {
		t.Errorf("%v, tried %d times", err, foreign.probed)
	}
}
