package vulkan

import (
	"context"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/backendtest"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// TestConformance runs the suite on every device here, and a share of it with each
// optional feature switched off, with those that are off by default switched on, and
// with no more than the specification asks for.
func TestConformance(t *testing.T) {
	infos, err := probe(context.Background())
	if err != nil {
		t.Skip(err)
	}
	for _, i := range infos {
		t.Run(i.Name, func(t *testing.T) {
			products := backendtest.OfProducts
			for level, only := range map[string][]string{"": nil, "min": nil, "-subgroup": products, "+half": products, "+intdot": products} {
				share := backendtest.Eighth
				if level == "" {
					share = backendtest.Whole
				}
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
