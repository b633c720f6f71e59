package owned

import (
	"strings"
	"testing"
	"time"
)

// TestDuration: seconds and durations are read; anything else is an error, not overlooked.
func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"2": 2 * time.Second, "0.5": time.Second / 2, "90s": 90 * time.Second, "5m": 5 * time.Minute} {
		if d, err := Duration("X", text); err != nil || d != want {
			t.Errorf("%q is %v, %v", text, d, err)
		}
	}
	for _, bad := range []string{"", "0", "-1", "-5s", "soon", "NaN", "abc"} {
		if d, err := Duration("X", bad); err == nil || !strings.HasPrefix(err.Error(), `X="`+bad+`": `) {
			t.Errorf("%q is %v, %v", bad, d, err)
		}
	}
}

func TestSwitch(t *testing.T) {
	for text, want := range map[string]bool{"1": true, "on": true, "TRUE": true, " yes ": true, "0": false, "Off": false, "false": false, "no": false} {
		t.Setenv("LEDGE_X", text)
		if on, err := Switch("LEDGE_X", !want); err != nil || on != want {
			t.Errorf("%q is %v, %v", text, on, err)
		}
	}
	t.Setenv("LEDGE_X", "")
	for _, by := range []bool{true, false} {
		if on, err := Switch("LEDGE_X", by); err != nil || on != by {
			t.Errorf("nothing is %v, %v", on, err)
		}
	}
	t.Setenv("LEDGE_X", "2")
	if _, err := Switch("LEDGE_X", true); err == nil || err.Error() != `LEDGE_X="2": 1 or 0 is needed` {
		t.Error(err)
	}
}
