package all

import (
	"testing"

	"github.com/ledge-run/ledge/backend"
)

// TestDrivers: what this build links in, and nothing that is for tests.
func TestDrivers(t *testing.T) {
	have := map[string]bool{}
	for _, d := range backend.Drivers() {
		have[d.Name] = true
	}
	if !have["cpu"] {
		t.Error("no cpu driver")
	}
	if have["null"] {
		t.Error("the null driver is for tests")
	}
}
