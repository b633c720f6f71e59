//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/backendtest"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/accel/kerneltest"
)

// TestConformance runs the suite on the emulated GPU, as Orin and everything newer; the
// whole of it with LEDGE_TEST_FULL. Products run as on Xavier, too, with the driver of
// JetPack 5, and a part as on H100: what differs is which code is launched, and how.
func TestConformance(t *testing.T) {
	t.Setenv(accel.EnvTimeout, "10m") // a processor takes its time
	for words, only := range map[string][]string{"capability=87": nil, "capability=72 version=11040": {"info", "products"}, "capability=90": {"info", "selftest", "graphs", "determinism"}} {
		t.Run(words, func(t *testing.T) {
			useFake(t)
			fake.Set(words)
			share := backendtest.Eighth
			if os.Getenv("LEDGE_TEST_FULL") != "" {
				share = backendtest.Whole
			}
			t.Run("suite", func(t *testing.T) { // closes what it opens when it ends
				backendtest.RunShare(t, func() (backend.Device, error) {
					return openNamed(context.Background(), "cuda0", backend.Options{})
				}, share, only...)
			})
			nothingLeft(t, "in the end")
		})
	}
}

// TestAgainstReference compares every kernel with kernels/ref; those that Turing has
// variants of, or less shared memory for, also as there.
func TestAgainstReference(t *testing.T) {
	for words, only := range map[string][]string{"capability=87": nil, "capability=75": {"products", "products of uneven rows", "attention"}} {
		t.Run(words, func(t *testing.T) {
			useFake(t)
			fake.Set(words)
			blobs := accel.BlobsIn(t.TempDir())
			kerneltest.Run(t, func() (accel.API, error) { return openFirst(blobs, 10*time.Minute) }, only...)
			nothingLeft(t, "in the end")
		})
	}
}

func TestStoppedRun(t *testing.T) {
	useFake(t)
	fake.Set("")
	t.Setenv(accel.EnvTimeout, "8")
	backendtest.Stopped(t, func() (backend.Device, error) {
		return openNamed(context.Background(), "cuda0", backend.Options{})
	}, 10*time.Second)
}
