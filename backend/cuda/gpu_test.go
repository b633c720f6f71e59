//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/backendtest"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/accel/kerneltest"
)

// onGPU is the name of the real GPU to use, "cuda0", which build/gpu-check.sh sets; where
// none is to be, it skips.
func onGPU(t testing.TB) string {
	t.Helper()
	name := os.Getenv("LEDGE_TEST_CUDA")
	if name == "" {
		t.Skip("LEDGE_TEST_CUDA names no GPU: the real driver is not used")
	}
	return name
}

// openGPU opens a benchmark's.
func openGPU(b *testing.B) *device {
	b.Helper()
	d, err := openCalled(onGPU(b), accel.BlobsIn(b.TempDir()))
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

// openCalled opens the device of a name.
func openCalled(name string, blobs *accel.Blobs) (*device, error) {
	all, err := find()
	if err != nil {
		return nil, err
	}
	for _, p := range all.devices {
		if infoOf(p, accel.Faults{}).Name != name {
			continue
		}
		limits, err := limitsOf(p, accel.Switches{})
		if err != nil {
			return nil, err
		}
		limits.Timeout = time.Minute
		return open(p, limits, blobs)
	}
	return nil, accel.OneLine(errors.Join(append(all.why, fmt.Errorf("LEDGE_TEST_CUDA: no device %q of %d", name, len(all.devices)))...))
}

// TestOpenCalled: what is tested and measured is the device that was named.
func TestOpenCalled(t *testing.T) {
	useFake(t)
	fake.Set("devices=2")
	d := must[*device](t)(openCalled("cuda1", accel.BlobsIn(t.TempDir())))
	if d.prop.ordinal != 1 {
		t.Errorf("cuda1 is number %d", d.prop.ordinal)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"cuda2", "1"} {
		if _, err := openCalled(name, accel.BlobsIn(t.TempDir())); err == nil || err.Error() != "LEDGE_TEST_CUDA: no device \""+name+"\" of 2" {
			t.Errorf("%s: %v", name, err)
		}
	}
	nothingLeft(t, "after closing")
}

// TestGPU runs the whole suite, and every kernel beside the reference, on a real GPU.
func TestGPU(t *testing.T) {
	name := onGPU(t)
	t.Run(name+"/kernels", func(t *testing.T) {
		blobs := accel.BlobsIn(t.TempDir())
		kerneltest.Run(t, func() (accel.API, error) { return openCalled(name, blobs) })
	})
	t.Run(name+"/suite", func(t *testing.T) {
		backendtest.Run(t, func() (backend.Device, error) {
			return openNamed(context.Background(), name, backend.Options{})
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
