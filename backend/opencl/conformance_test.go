package opencl

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/backendtest"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// TestConformance runs the suite on every device here. PoCL compiles slowly: the
// whole suite takes a quarter of an hour with empty caches, so that it is for
// LEDGE_TEST_FULL.
func TestConformance(t *testing.T) {
	infos, err := probe(context.Background())
	if err != nil {
		t.Skip(err)
	}
	for _, i := range infos {
		t.Run(i.Name, func(t *testing.T) {
			share := backendtest.Eighth
			if os.Getenv("LEDGE_TEST_FULL") != "" {
				share = backendtest.Whole
			}
			for level, only := range map[string][]string{"": nil, "min": nil, "+intdot": backendtest.OfProducts} {
				t.Run("level="+level, func(t *testing.T) {
					backendtest.RunShare(t, func() (backend.Device, error) {
						return openNamed(context.Background(), i.Name, backend.Options{Level: level})
					}, share, only...)
				})
			}
		})
	}
}

func TestStopped(t *testing.T) {
	infos, err := probe(context.Background())
	if err != nil {
		t.Skip(err)
	}
	t.Setenv(accel.EnvTimeout, "4")
	backendtest.Stopped(t, func() (backend.Device, error) {
		return openNamed(context.Background(), infos[0].Name, backend.Options{})
	}, 5*time.Second)
}
