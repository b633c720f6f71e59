package opencl

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
	"github.com/ledge-run/ledge/kernels/shader"
)

// device is an opened device: an accel.API.
type device struct {
	lib    *library
	prop   properties
	limits accel.Limits

	context, queue uintptr

	blobs          *accel.Blobs // programs on disk
	compiled, kept int          // programs that the driver compiled, and those found
	programs       map[string]*program
	buffers        map[*buffer]struct{}
	recordings     map[*recording]struct{}
	dummy          *buffer // for what a kernel does not use
	stage          staging
	submits        uint64 // number of the last submission
	used           uint64 // bytes of buffers

	waiter chan *fence // to the goroutine that waits; nil before the first
	fences []*fence    // all
	ring   []*fence    // those of Submit, used again when they are over
	last   *fence      // of the last Submit

	// dead is set once the device is lost, stuck if it did not answer: then the
	// driver is not called any more.
	dead  error
	stuck bool
}

var _ accel.API = (*device)(nil)

// open opens a device.
func open(l *library, p properties, limits accel.Limits, blobs *accel.Blobs) (*device, error) {
	d := &device{lib: l, prop: p, limits: limits, blobs: blobs, programs: map[string]*program{}, buffers: map[*buffer]struct{}{}, recordings: map[*recording]struct{}{}}
	var c int32
	list := []uintptr{p.device}
	props := []uintptr{contextPlatform, p.platform, 0}
	d.context = dl.Call(l.createContext, uintptr(unsafe.Pointer(&props[0])), 1, uintptr(unsafe.Pointer(&list[0])), 0, 0, uintptr(unsafe.Pointer(&c)))
	if err := made(d.context, c, "clCreateContext"); err != nil {
		return nil, fmt.Errorf("opencl: %s cannot be opened: %w", p.name, err)
	}
	l.handles.Add(1)
	d.queue = dl.Call(l.createCommandQueue, d.context, p.device, 0, uintptr(unsafe.Pointer(&c)))
	if err := made(d.queue, c, "clCreateCommandQueue"); err != nil {
		return nil, errors.Join(fmt.Errorf("opencl: %s cannot be opened: %w", p.name, err), d.Close())
	}
	l.handles.Add(1)
	return d, nil
}

// made is the error of a call that makes something.
func made(handle uintptr, c int32, call string) error {
	if c != 0 {
		return code(c).err(call)
	}
	if handle == 0 {
		return fmt.Errorf("%s: %w", call, errNull)
	}
	return nil
}

// release gives a handle back.
func (d *device) release(fn, handle uintptr, call string) error {
	if handle == 0 || d.stuck {
		return nil
	}
	d.lib.handles.Add(-1)
	if err := code(int32(dl.Call(fn, handle))).err(call); err != nil && d.dead == nil {
		return fmt.Errorf("opencl: %w", err)
	}
	return nil
}

func (d *device) Limits() accel.Limits { return d.limits }

// alive is the error of a device that is lost.
func (d *device) alive() error {
	if d.dead != nil {
		return fmt.Errorf("opencl: %s was lost before: %w", d.prop.name, backend.ErrDeviceLost)
	}
	return nil
}

// Close waits for what still runs, as freeing what a kernel uses is undefined.
func (d *device) Close() error {
	var errs []error
	if d.queue != 0 && !d.stuck {
		for _, f := range d.fences {
			if f.state == running {
				errs = append(errs, f.Wait())
			}
		}
	}
	if d.waiter != nil {
		close(d.waiter)
		d.waiter = nil
	}
	for r := range d.recordings {
		errs = append(errs, r.Close())
	}
	for b := range d.buffers {
		errs = append(errs, b.Close())
	}
	for _, p := range d.programs {
		errs = append(errs, d.release(d.lib.releaseProgram, p.handle, "clReleaseProgram"))
	}
	clear(d.programs)
	errs = append(errs, d.release(d.lib.releaseCommandQueue, d.queue, "clReleaseCommandQueue"),
		d.release(d.lib.releaseContext, d.context, "clReleaseContext"))
	d.queue, d.context = 0, 0
	return errors.Join(errs...)
}

// limitsOf is what a device can do. The dialect's OpenCL prelude has no words for
// arithmetic in float16, subgroups and integer dot products, so none of these is
// there whatever the device can do, and asking for one is an error.
func limitsOf(p properties, s accel.Switches) (accel.Limits, error) {
	l := accel.Limits{
		Features:    shader.Features{Invocations: p.invocations, Shared: p.shared},
		Buffers:     4,
		Range:       p.rangeBytes,
		Groups:      p.groups,
		MemoryTotal: p.memory,
		MemoryFree:  p.memory,
		Unified:     p.unified,
	}
	if err := errors.Join(l.Check(), s.Missing(l)); err != nil {
		return l, fmt.Errorf("opencl: %s: %w", p.name, oneLine(err))
	}
	s.Apply(&l)
	var err error
	if l.Timeout, err = accel.Timeout(defaultTimeout); err != nil {
		return l, fmt.Errorf("opencl: %w", err)
	}
	return l, nil
}

// defaultTimeout is after how long a device is taken for hung.
const defaultTimeout = time.Minute
