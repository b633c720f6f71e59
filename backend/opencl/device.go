package opencl

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
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

	programs   map[string]*program
	buffers    map[*buffer]struct{}
	recordings map[*recording]struct{}
	dummy      *buffer // for what a kernel does not use
	stage      staging
	submits    uint64 // number of the last submission
	used       uint64 // bytes of buffers

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
func open(l *library, p properties, limits accel.Limits) (*device, error) {
	d := &device{lib: l, prop: p, limits: limits, programs: map[string]*program{}, buffers: map[*buffer]struct{}{}, recordings: map[*recording]struct{}{}}
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

// limitsOf is what a device can do. Arithmetic in float16 and subgroups are off,
// as no device has proven them yet.
func limitsOf(p properties, timeout time.Duration) accel.Limits {
	return accel.Limits{
		Features:    shader.Features{Invocations: p.invocations, Shared: p.shared},
		Buffers:     4,
		Range:       p.rangeBytes,
		Groups:      p.groups,
		MemoryTotal: p.memory,
		MemoryFree:  p.memory,
		Unified:     p.unified,
		Timeout:     timeout,
	}
}

// EnvTimeout is the environment variable with the seconds after which a device
// is taken for hung.
const EnvTimeout = "LEDGE_GPU_TIMEOUT"

func timeout() (time.Duration, error) {
	text := strings.TrimSpace(os.Getenv(EnvTimeout))
	if text == "" {
		return time.Minute, nil
	}
	if s, err := strconv.ParseFloat(text, 64); err == nil && s > 0 && s < 1e6 {
		return time.Duration(s * float64(time.Second)), nil
	}
	if t, err := time.ParseDuration(text); err == nil && t > 0 {
		return t, nil
	}
	return 0, fmt.Errorf("opencl: %s=%q: seconds above 0 are wanted", EnvTimeout, text)
}
