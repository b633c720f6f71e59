package cpu

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/backendtest"
	kernels "github.com/ledge-run/ledge/kernels/cpu"
)

// TestConformance runs the suite at every kernel level that this processor has,
// and at the best with several workers too, a number that divides nothing
// evenly. TestThreads compares all levels with 1, 2 and 3.
func TestConformance(t *testing.T) {
	levels := kernels.Levels()
	for i, level := range levels {
		threads := []int{1}
		if i == len(levels)-1 {
			threads = []int{1, 3}
		}
		for _, n := range threads {
			t.Run(fmt.Sprintf("%s-%d", level, n), func(t *testing.T) { backendtest.Run(t, opener(level.String(), n)) })
		}
	}
}

// TestThreads: the number of workers changes no bit.
func TestThreads(t *testing.T) {
	opens := map[string]func() (backend.Device, error){}
	for _, level := range kernels.Levels() {
		for _, n := range []int{1, 2, 3} {
			opens[fmt.Sprintf("%s-%d", level, n)] = opener(level.String(), n)
		}
	}
	backendtest.Same(t, opens)
}

// BenchmarkOps times every operation at the best level.
func BenchmarkOps(b *testing.B) { backendtest.Benchmark(b, opener("", 0)) }

// TestOrder: a big-endian processor is refused for what it is, not for wrong results.
func TestOrder(t *testing.T) {
	if err := checkOrder(binary.BigEndian); err == nil || !strings.Contains(err.Error(), "big-endian") {
		t.Errorf("big-endian: %v", err)
	}
	if err := checkOrder(binary.LittleEndian); err != nil {
		t.Error(err)
	}
}

func opener(level string, threads int) func() (backend.Device, error) {
	return func() (backend.Device, error) { return Open(backend.Options{Level: level, Threads: threads}) }
}
