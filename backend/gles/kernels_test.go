//go:build gles && cgo && !static && linux

package gles

import (
	"context"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/backendtest"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/accel/kerneltest"
)

// TestAgainstReference compares every kernel with kernels/ref, with all that the
// driver offers and with the specification's minimum.
func TestAgainstReference(t *testing.T) {
	for _, words := range []string{"", "min"} {
		t.Run("switches="+words, func(t *testing.T) {
			shorter(t, words)
			opened(t, words) // skips where there is no driver
			s, err := accel.ParseSwitches(words)
			if err != nil {
				t.Fatal(err)
			}
			kerneltest.Run(t, func() (accel.API, error) { return open(s) })
		})
	}
}

// shorter leaves all but the minimum out of short tests: attention in wide
// workgroups takes Mesa's llvmpipe many minutes.
func shorter(t *testing.T, words string) {
	if testing.Short() && words != "min" {
		t.Skip("short: the minimum alone")
	}
}

// TestConformance runs the suite of all backends.
func TestConformance(t *testing.T) {
	for words, only := range map[string][]string{"": nil, "min": nil, "+intdot": backendtest.OfProducts} {
		t.Run("switches="+words, func(t *testing.T) {
			shorter(t, words)
			opened(t, words)
			backendtest.RunShare(t, func() (backend.Device, error) {
				return openDevice(context.Background(), device, backend.Options{Level: words})
			}, backendtest.Eighth, only...)
		})
	}
}

func TestStopped(t *testing.T) {
	opened(t, "")
	t.Setenv(accel.EnvTimeout, "4")
	backendtest.Stopped(t, func() (backend.Device, error) {
		return openDevice(context.Background(), device, backend.Options{})
	}, 5*time.Second)
}
