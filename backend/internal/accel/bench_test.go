package accel

import (
	"testing"

	"github.com/ledge-run/ledge/backend"
)

// BenchmarkRun is what a token costs this package, on a device that does nothing: divide
// by the calls.
func BenchmarkRun(b *testing.B) {
	f, s := fakeSession(b, "gemma3")
	if err := s.run(s.args(0, 5, backend.ReadTop)); err != nil {
		b.Fatal(err)
	}
	args := s.args(5, 1, backend.ReadTop)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.run(args); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(f.dispatches), "calls")
}
