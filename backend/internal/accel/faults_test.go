package accel_test

import (
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/quirks"
)

func TestAvoid(t *testing.T) {
	quirk := func(words ...string) quirks.Quirk {
		return quirks.Quirk{Avoid: words, Why: "it is broken", Report: "https://example.org/1"}
	}
	for _, c := range []struct {
		switches string
		known    []quirks.Quirk
		names    string
		lines    int
		line     string
		refused  bool
	}{
		{"", nil, "subgroup32 half intdot 1024x48k", 0, "", false},
		{"", []quirks.Quirk{quirk("-half", "-intdot")}, "subgroup32 1024x48k", 1, "-half -intdot: it is broken (https://example.org/1)", false},
		{"-subgroup", []quirks.Quirk{quirk("-half"), quirk("note")}, "intdot 1024x48k", 2, "nothing, but it is broken", false},
		{"+half,+coop", []quirks.Quirk{quirk("-half", "-intdot", "-coop")}, "subgroup32 half 1024x48k", 1, "(https://example.org/1), but half, coop asked for by name", false},
		{"+half", []quirks.Quirk{quirk("-half")}, "subgroup32 half intdot 1024x48k", 1, "-half: it is broken (https://example.org/1), but half asked for by name", false},
		{"+half", []quirks.Quirk{quirk("refuse")}, "subgroup32 half intdot 1024x48k", 1, "the device: it is broken", true},
	} {
		s, err := accel.ParseSwitches(c.switches)
		if err != nil {
			t.Fatal(err)
		}
		avoided, f := s.Avoid(c.known)
		l := full()
		avoided.Apply(&l)
		if got := strings.Join(l.Names(), " "); got != c.names {
			t.Errorf("%q with %v leaves %s, want %s", c.switches, c.known, got, c.names)
		}
		if got := strings.Join(f.Lines, "\n"); len(f.Lines) != c.lines || !strings.Contains(got, c.line) {
			t.Errorf("%q with %v: %q", c.switches, c.known, got)
		}
		if (f.Refuse != nil) != c.refused || c.refused && !strings.Contains(f.Refuse.Error(), "it is broken (https://example.org/1)") {
			t.Errorf("%q with %v: refused %v", c.switches, c.known, f.Refuse)
		}
		for _, feature := range []string{"half", "intdot", "coop"} { // what was given is not changed
			if s.Off(feature) {
				t.Errorf("%q with %v: %s was switched off in the user's own", c.switches, c.known, feature)
			}
		}
	}
}

func TestKernelVersion(t *testing.T) {
	a, b := accel.KernelVersion("one"), accel.KernelVersion("two")
	if a == b || a != accel.KernelVersion("one") || !strings.HasPrefix(a, accel.Version+"-") {
		t.Errorf("%s, %s", a, b)
	}
}
