package opencl

import (
	"context"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/backendtest"
)

// TestConformance runs the suite on every device here.
func TestConformance(t *testing.T) { testConformance(t, "") }

// TestIntDotConformance runs what sees products, with activations rounded to int8.
func TestIntDotConformance(t *testing.T) { testConformance(t, "+intdot", backendtest.OfProducts...) }

func testConformance(t *testing.T, switches string, only ...string) {
	infos, err := probe(context.Background())
	if err != nil {
		t.Skip(err)
	}
	for _, i := range infos {
		t.Run(i.Name, func(t *testing.T) {
			backendtest.Run(t, func() (backend.Device, error) {
				return openNamed(context.Background(), i.Name, backend.Options{Level: switches})
			}, only...)
		})
	}
}
