package ledge_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge"
	"github.com/ledge-run/ledge/runtime/power"
	"github.com/ledge-run/ledge/runtime/power/powertest"
)

// machine gives Open the sensors of a recorded machine.
func machine(t *testing.T, name string) *powertest.FS {
	t.Helper()
	files := powertest.Machine(name)
	t.Cleanup(ledge.SetMeter(func() *power.Meter { return power.OpenAt(files) }))
	return files
}

func text(t *testing.T, m *ledge.Model) (ids []int32, u ledge.Usage, err error) {
	t.Helper()
	s := m.NewSession()
	defer s.Close()
	for tok, e := range s.Generate(ctx, "The capital of France is", ledge.MaxTokens(6), ledge.Temperature(0), ledge.IgnoreEnd()) {
		if err = e; err == nil {
			ids = append(ids, tok.ID)
		}
	}
	return ids, s.Usage(), err
}

// TestLimits: a machine that is too hot gives the same tokens, later.
func TestLimits(t *testing.T) {
	path := tinyModel()
	free, err := ledge.Open(ctx, path, ledge.WithThreads(2))
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	want, u, err := text(t, free)
	if err != nil || len(want) != 6 || u.Paused != 0 || u.Reason != ledge.ReasonLength {
		t.Fatal(want, u, err)
	}
	machine(t, "phone") // at 82 °C
	m, err := ledge.Open(ctx, path, ledge.WithThreads(2), ledge.WithLimits(ledge.Limits{MaxCelsius: 60}))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var got []int32
	held := false
	for end := time.Now().Add(time.Minute); time.Now().Before(end); { // a reading a second, and tiny models are quick
		if got, u, err = text(t, m); err != nil || !slices.Equal(got, want) {
			t.Fatal(got, u, err)
		}
		if held = u.Paused > 0; held {
			break
		}
	}
	notes := m.Notes()
	if !held || len(notes) != 1 || !strings.HasPrefix(notes[0], "holding back: cpu-1-3-usr is at 81.9 °C, the limit is 60 °C") || len(m.Notes()) != 0 {
		t.Errorf("%+v, %q", u, notes)
	}
}

func TestLimitErrors(t *testing.T) {
	path := tinyModel()
	machine(t, "orin-nano")
	if m, err := ledge.Open(ctx, path, ledge.WithLimits(ledge.Limits{BatteryFloor: 20})); !errors.Is(err, ledge.ErrLimit) || !strings.Contains(err.Error(), "no battery") {
		t.Error(m, err)
	}
	if m, err := ledge.Open(ctx, path, ledge.WithLimits(ledge.Limits{MaxCelsius: 5})); err == nil || errors.Is(err, ledge.ErrLimit) || !strings.Contains(err.Error(), "30 to 120") {
		t.Error(m, err)
	}
	files := machine(t, "phone")
	files.Set("sys/class/power_supply/battery/capacity", "12")
	if m, err := ledge.Open(ctx, path, ledge.WithLimits(ledge.Limits{BatteryFloor: 20})); !errors.Is(err, ledge.ErrLimit) || !strings.Contains(err.Error(), "the battery has 12 % left") {
		t.Error(m, err)
	}
}
