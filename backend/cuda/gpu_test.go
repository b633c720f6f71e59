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

// onGPU skips where no real GPU is to be used: build/gpu-check.sh sets the variable.
func onGPU(t testing.TB) {
	t.Helper()
	if os.Getenv("LEDGE_TEST_CUDA") == "" {
		t.Skip("LEDGE_TEST_CUDA is not set: the real driver is not used")
	}
}

// openGPU opens a benchmark's.
func openGPU(b *testing.B) *device {
	b.Helper()
	onGPU(b)
	d, err := openFirst(accel.BlobsIn(b.TempDir()), time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := d.Close(); err != nil {
			b.Error(err)
		}
	})
	return d
}

// TestGPU runs the whole suite, and every kernel beside the reference, on a real GPU.
func TestGPU(t *testing.T) {
	onGPU(t)
	t.Run("kernels", func(t *testing.T) {
		blobs := accel.BlobsIn(t.TempDir())
		kerneltest.Run(t, func() (accel.API, error) { return openFirst(blobs, time.Minute) })
	})
	t.Run("suite", func(t *testing.T) {
		backendtest.Run(t, func() (backend.Device, error) {
			return openNamed(context.Background(), "cuda0", backend.Options{})
		})
	})
}

// BenchmarkRead is how fast a kernel reads a GPU's memory that does nothing else: what
// decoding is measured by.
func BenchmarkRead(b *testing.B) {
	d := openGPU(b)
	const threads, piece = 256, 256 * 8 * 16
	size := int(min(4<<30, d.Limits().MemoryFree/2)) / piece * piece
	data, err := d.Allocate("what is read", size, accel.Local)
	if err != nil {
		b.Fatal(err)
	}
	defer data.Close()
	grid, err := d.Allocate("a grid", 16, accel.Upload)
	if err != nil {
		b.Fatal(err)
	}
	defer grid.Close()
	p, err := d.Program("read", []uint32{threads})
	if err != nil {
		b.Fatal(err)
	}
	best := 0.0
	for _, blocks := range []byte{1, 4, 16} { // times 256
		copy(grid.Host(), []byte{0, blocks, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0})
		r, err := d.Record([]accel.Dispatch{{Label: "read", Program: p, Buffers: [4]accel.Buffer{data, grid}, Params: []uint32{uint32(size / 16)}, Grid: grid}})
		if err != nil {
			b.Fatal(err)
		}
		run := func() {
			f, err := d.Submit([]accel.Recording{r}, nil)
			if err == nil {
				err = f.Wait()
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		run()
		start := time.Now()
		for range b.N {
			run()
		}
		best = max(best, float64(size)*float64(b.N)/time.Since(start).Seconds()/1e9)
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(best, "GB/s")
}
