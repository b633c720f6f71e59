package opencl

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
	"github.com/ledge-run/ledge/kernels/shader"
)

// device is an opened device: an accel.API. What calls the driver runs on its
// worker; the caller waits for that, so that nothing here is used by two at once.
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

	worker   *worker
	progress atomic.Int64 // steps of jobs
	waiter   chan *fence  // to the goroutine that waits
	fences   []*fence     // all
	ring     []*fence     // those of Submit, used again when they are over
	last     *fence       // of the last Submit
	next     submission   // what Submit hands to the worker
	submit   func() error // enqueues next

	mu     sync.Mutex
	dead   error       // why the device is lost
	closed bool        //
	stuck  atomic.Bool // it did not answer: the driver is not called any more
}

var _ accel.API = (*device)(nil)

// open opens a device.
func open(l *library, p properties, limits accel.Limits, blobs *accel.Blobs) (*device, error) {
	d := &device{lib: l, prop: p, limits: limits, blobs: blobs, programs: map[string]*program{}, buffers: map[*buffer]struct{}{},
		recordings: map[*recording]struct{}{}, worker: newWorker(), waiter: make(chan *fence, 256)}
	d.submit = d.enqueueNext
	go waiting(l, d.waiter, limits.Timeout)
	if err := d.do("open", d.open); err != nil {
		return nil, errors.Join(fmt.Errorf("opencl: %s cannot be opened: %w", p.name, err), d.Close())
	}
	return d, nil
}

func (d *device) open() error {
	var c int32
	list := []uintptr{d.prop.device}
	props := []uintptr{contextPlatform, d.prop.platform, 0}
	d.context = dl.Call(d.lib.createContext, uintptr(unsafe.Pointer(&props[0])), 1, uintptr(unsafe.Pointer(&list[0])), 0, 0, uintptr(unsafe.Pointer(&c)))
	if err := d.made(&d.context, c, "clCreateContext"); err != nil {
		return err
	}
	d.queue = dl.Call(d.lib.createCommandQueue, d.context, d.prop.device, 0, uintptr(unsafe.Pointer(&c)))
	return d.made(&d.queue, c, "clCreateCommandQueue")
}

// made is the error of a call that makes something. A handle that comes with an
// error is none.
func (d *device) made(handle *uintptr, c int32, call string) error {
	if c != 0 {
		*handle = 0
		return code(c).err(call)
	}
	if *handle == 0 {
		return fmt.Errorf("%s: %w", call, errNull)
	}
	d.lib.handles.Add(1)
	return nil
}

// release gives a handle back. Errors of a lost device say nothing new.
func (d *device) release(fn, handle uintptr, call string) error {
	if handle == 0 || d.stuck.Load() {
		return nil
	}
	d.lib.handles.Add(-1)
	d.progress.Add(1)
	if err := code(int32(dl.Call(fn, handle))).err(call); err != nil && d.alive() == nil {
		return fmt.Errorf("opencl: %w", err)
	}
	return nil
}

func (d *device) Limits() accel.Limits { return d.limits }

// Close waits for what still runs, as freeing what a kernel uses is undefined,
// and frees everything. Of a device that hangs it frees nothing.
func (d *device) Close() error {
	d.mu.Lock()
	was := d.closed
	d.closed = true
	d.mu.Unlock()
	if was || d.stuck.Load() {
		return nil
	}
	err := d.run("close", func() error {
		var errs []error
		for _, f := range d.fences {
			if f.state == running {
				errs = append(errs, f.join())
			}
		}
		for r := range d.recordings {
			errs = append(errs, r.free())
		}
		for b := range d.buffers {
			errs = append(errs, b.free())
		}
		for _, p := range d.programs {
			errs = append(errs, d.release(d.lib.releaseProgram, p.handle, "clReleaseProgram"))
		}
		clear(d.programs)
		errs = append(errs, d.release(d.lib.releaseCommandQueue, d.queue, "clReleaseCommandQueue"),
			d.release(d.lib.releaseContext, d.context, "clReleaseContext"))
		return errors.Join(errs...)
	})
	if !d.stuck.Load() { // otherwise they are still in a call
		close(d.waiter)
		close(d.worker.jobs)
	}
	return err
}

// limitsOf is what a device can do. The dialect's OpenCL prelude has no words for
// arithmetic in float16 and subgroups, so none of these is there whatever the device
// can do, and asking for one is an error. Dot products of int8 every device can do;
// they are used where there is an instruction, or where they are asked for.
func limitsOf(p properties, s accel.Switches) (accel.Limits, error) {
	l := accel.Limits{
		Features:    shader.Features{IntDot: p.dot || s.Asked("intdot"), Invocations: p.invocations, Shared: p.shared},
		Buffers:     4,
		Range:       p.rangeBytes,
		Groups:      p.groups,
		MemoryTotal: p.memory,
		Unified:     p.unified,
	}
	if err := errors.Join(l.Check(), s.Missing(l)); err != nil {
		return l, fmt.Errorf("opencl: %s: %w", p.name, accel.OneLine(err))
	}
	s.Apply(&l)
	byDefault := accel.TimeoutGPU
	if p.kind&typeCPU != 0 {
		byDefault = accel.TimeoutSoftware
	}
	var err error
	if l.Timeout, err = accel.Timeout(byDefault); err != nil {
		return l, fmt.Errorf("opencl: %w", err)
	}
	return l, nil
}
