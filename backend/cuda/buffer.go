//go:build cuda && cgo && linux && !android && !static

package cuda

// #include "calls.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/cuda/internal/driver"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// buffer is memory of the device, and for Upload and Download as much pinned memory of
// the host. Both are there on GPUs that share the host's memory, too: kernels read a
// list of arguments hundreds of times, and cached.
type buffer struct {
	d      *device
	what   string
	use    accel.Use
	size   int
	memory cu.DevicePtr // 0 once closed
	host   []byte
}

// Allocate makes a buffer.
func (d *device) Allocate(what string, size int, use accel.Use) (accel.Buffer, error) {
	if size <= 0 || size%4 != 0 || size > d.limits.Range {
		return nil, fmt.Errorf("cuda: %s: a buffer of %d bytes: a multiple of 4 up to %d is wanted", what, size, d.limits.Range)
	}
	b := &buffer{d: d, what: what, use: use, size: size}
	if err := d.do("allocate "+what, b.allocate); err != nil {
		return nil, err
	}
	return b, nil
}

// Where memory is the system's, an allocation of large bytes is held against what the
// system has, of which it keeps reserve: the driver would take it until the system
// ends processes.
const (
	large   = 16 << 20
	reserve = 64 << 20
)

func (b *buffer) allocate() error {
	d := b.d
	if free, _ := d.memory(); d.prop.unified && b.size >= large && free > 0 && uint64(b.size)+reserve > free {
		return fmt.Errorf("cuda: %w", &backend.ErrOutOfMemory{What: b.what, Need: uint64(b.size), Have: free})
	}
	p, err := cu.MemAlloc(int64(b.size))
	if err == nil && p == 0 {
		err = errNull
	}
	if err != nil {
		return d.full(b.what, b.size, check("cuMemAlloc", err))
	}
	b.memory = p
	d.buffers[b] = struct{}{}
	if b.use != accel.Local {
		if b.host, err = pinned(b.size); err != nil {
			return errors.Join(d.full(b.what, b.size, err), b.free())
		}
	}
	d.busy = true
	if err := cu.MemsetD32Async(p, 0, int64(b.size/4), d.stream); err != nil { // before all that comes in the stream
		return errors.Join(d.fail("clear "+b.what, check("cuMemsetD32Async", err)), b.free())
	}
	return nil
}

// pinned is cleared memory of the host that the device copies from and to directly.
func pinned(size int) ([]byte, error) {
	var p unsafe.Pointer
	err := driver.Check(int(C.cuMemHostAlloc(&p, C.size_t(size), 0)))
	if err == nil && p == nil {
		err = errNull
	}
	if err != nil {
		return nil, fmt.Errorf("cuMemHostAlloc: %w", err)
	}
	host := unsafe.Slice((*byte)(p), size)
	clear(host)
	return host, nil
}

func (d *device) unpin(host []byte) error {
	if host == nil {
		return nil
	}
	return d.released("cuMemFreeHost", cu.MemFreeHost(unsafe.Pointer(&host[0])))
}

func (b *buffer) Size() int    { return b.size }
func (b *buffer) Host() []byte { return b.host }

func (b *buffer) Close() error {
	if b.memory == 0 || b.d.stuck.Load() {
		return nil
	}
	return b.d.run("free "+b.what, b.free)
}

// free gives the memory back, once nothing that runs uses it, and with it the graphs
// that do. Recordings that use it can be submitted no more.
func (b *buffer) free() error {
	d := b.d
	if b.memory == 0 {
		return nil
	}
	d.drain()
	if d.stuck.Load() {
		return nil
	}
	var errs []error
	for r := range d.recordings {
		if r.uses(b) {
			r.broken = b
			errs = append(errs, d.forget(r))
		}
	}
	for i := len(d.graphs) - 1; i >= 0; i-- {
		if d.graphs[i].reading(b) {
			errs = append(errs, d.drop(d.graphs[i]))
		}
	}
	errs = append(errs, d.released("cuMemFree", cu.MemFree(b.memory)), d.unpin(b.host))
	b.memory, b.host = 0, nil
	delete(d.buffers, b)
	return errors.Join(errs...)
}

// Write and Read go through memory of our own: a device that does not finish in time
// must not go on with memory that the caller has freed or unmapped.

func (b *buffer) Write(at int, data []byte) error {
	if err := b.check(at, len(data)); err != nil || len(data) == 0 {
		return err
	}
	return b.d.do("write "+b.what, func() error { return b.d.stage.write(b, at, data) })
}

func (b *buffer) Read(at int, dst []byte) error {
	if err := b.check(at, len(dst)); err != nil || len(dst) == 0 {
		return err
	}
	return b.d.do("read "+b.what, func() error { return b.d.stage.read(b, at, dst) })
}

func (b *buffer) check(at, n int) error {
	if b.memory == 0 || b.use != accel.Local || at < 0 || n < 0 || at > b.size-n {
		return fmt.Errorf("cuda: %s: bytes %d to %d of a buffer of %d cannot be moved", b.what, at, at+n, b.size)
	}
	return nil
}
