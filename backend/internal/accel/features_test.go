package accel_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/kernels/shader"
)

func full() accel.Limits {
	return accel.Limits{
		Features: shader.Features{Subgroup: 32, Half: true, IntDot: true, CoopMatrix: true, Invocations: 1024, Shared: 48 << 10},
		Buffers:  16, Range: 1 << 30, Groups: 1 << 20,
	}
}

func TestSwitches(t *testing.T) {
	for _, c := range []struct{ list, names string }{
		{"", "subgroup32 half intdot 1024x48k"},
		{"+coop", "subgroup32 half intdot 1024x48k"},
		{"-subgroup, -half", "intdot 1024x48k"},
		{"-intdot,+intdot", "subgroup32 half intdot 1024x48k"},
		{"min", "subgroup32 half intdot 128x16k"},
		{"min,-subgroup,-half,-intdot,-coop", "128x16k"},
	} {
		s, err := accel.ParseSwitches(c.list)
		if err != nil {
			t.Fatal(err)
		}
		l := full()
		s.Apply(&l)
		if got := strings.Join(l.Names(), " "); got != c.names {
			t.Errorf("%q leaves %s, want %s", c.list, got, c.names)
		}
		if err := l.Check(); err != nil {
			t.Errorf("%q: %v", c.list, err)
		}
		if min := strings.HasPrefix(c.list, "min"); min != (l.Range == accel.MinRange && l.Buffers == 4 && l.Groups == 65535) {
			t.Errorf("%q: limits %+v", c.list, l)
		}
	}
	for _, bad := range []string{"half", "+min", "-", "avx2", "min,-subgroups"} {
		if _, err := accel.ParseSwitches(bad); err == nil || !strings.Contains(err.Error(), "subgroup, half, intdot, coop") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestSwitchesOf(t *testing.T) {
	t.Setenv(accel.EnvSwitches, "-half")
	s, err := accel.SwitchesOf(backend.Options{})
	if err != nil || !s.Off("half") {
		t.Errorf("the environment is not read: %v", err)
	}
	if s, err = accel.SwitchesOf(backend.Options{Level: "-subgroup"}); err != nil || s.Off("half") || !s.Off("subgroup") {
		t.Errorf("the option does not come first: %v", err)
	}
	t.Setenv(accel.EnvSwitches, "what")
	if _, err = accel.SwitchesOf(backend.Options{}); err == nil || !strings.Contains(err.Error(), accel.EnvSwitches) {
		t.Errorf("an error that does not name the variable: %v", err)
	}
}

func TestMissing(t *testing.T) {
	s, err := accel.ParseSwitches("+half,+subgroup")
	if err != nil {
		t.Fatal(err)
	}
	l := full()
	if err := s.Missing(l); err != nil {
		t.Error(err)
	}
	l.Half = false
	if err := s.Missing(l); err == nil || !strings.Contains(err.Error(), `"half"`) {
		t.Errorf("a feature that is missing: %v", err)
	}
	if s, err = accel.ParseSwitches("+coop"); err != nil {
		t.Fatal(err)
	}
	if err := s.Missing(full()); err == nil || !strings.Contains(err.Error(), "no kernels for cooperative matrices") {
		t.Errorf("a feature without kernels: %v", err)
	}
}

// TestLevel: what computes the same bits has the same level.
func TestLevel(t *testing.T) {
	for list, want := range map[string]string{
		"": "q8+f16", "min": "q8+f16", "-subgroup": "q8+f16", "-half": "q8", "-intdot": "f16", "-half,-intdot": "f32", "min,-subgroup,-half,-intdot": "f32",
	} {
		s, err := accel.ParseSwitches(list)
		if err != nil {
			t.Fatal(err)
		}
		l := full()
		if s.Apply(&l); l.Level() != want {
			t.Errorf("%q: level %s, want %s", list, l.Level(), want)
		}
	}
}

func TestCheck(t *testing.T) {
	for i, less := range []func(l *accel.Limits){
		func(l *accel.Limits) { l.Buffers = 3 },
		func(l *accel.Limits) { l.Invocations = 0 },
		func(l *accel.Limits) { l.Shared = -1 },
		func(l *accel.Limits) { l.Range = 1<<27 - 4 },
		func(l *accel.Limits) { l.Groups = 65534 },
	} {
		l := full()
		less(&l)
		if l.Check() == nil {
			t.Errorf("case %d is accepted: %+v", i, l)
		}
	}
}

func TestTimeout(t *testing.T) {
	for text, want := range map[string]time.Duration{"": time.Minute, "2": 2 * time.Second, "0.5": time.Second / 2, "5m": 5 * time.Minute} {
		t.Setenv(accel.EnvTimeout, text)
		if d, err := accel.Timeout(time.Minute); err != nil || d != want {
			t.Errorf("%q is %v, %v", text, d, err)
		}
	}
	for _, bad := range []string{"0", "-1", "soon", "NaN"} {
		t.Setenv(accel.EnvTimeout, bad)
		if d, err := accel.Timeout(time.Minute); err == nil {
			t.Errorf("%q is %v", bad, d)
		}
	}
}

func TestNamesAreNew(t *testing.T) {
	l := full()
	a, b := l.Names(), l.Names()
	a[0] = ""
	if slices.Equal(a, b) {
		t.Error("two calls share a slice")
	}
}
