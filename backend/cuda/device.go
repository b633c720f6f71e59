//go:build cuda && cgo && linux && !android && !static

package cuda

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"gorgonia.org/cu"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/host"
)

// device is an opened device: an accel.API. What calls the driver runs on its worker;
// the caller waits for that, so that nothing here is used by two at once.
type device struct {
	prop   properties
	limits accel.Limits

	context  cu.CUContext // the device's primary one; current on the worker
	retained bool
	current  bool
	stream   cu.Stream
	busy     bool       // the stream, perhaps
	events   []cu.Event // all that were made

	blobs       *accel.Blobs    // programs on disk
	prepared    map[string]code // that is not loaded yet
	made, found int             // modules that the driver compiled, and those that were on disk
	driver      string          // driverFiles
	modules     map[string]cu.Module
	programs    map[string]*program
	buffers     map[*buffer]struct{}
	recordings  map[*recording]struct{}
	graphs      []*graph
	built       int  // graphs so far
	mostParts   int  // that a submission was made of, where it is no graph of its own
	overlap     bool // kernels of new graphs begin before the one before them has ended
	stage       staging
	profile     *profile // nil unless asked for

	worker   *worker
	progress atomic.Int64 // steps of jobs
	ring     []*fence     // those of Submit
	last     *fence       // of the last Submit
	next     submission   // what Submit hands to the worker
	submit   func() error // starts next

	mu     sync.Mutex
	dead   error // why the device is lost
	closed bool
	stuck  atomic.Bool // it did not answer: the driver is not called any more
}

var (
	_ accel.API      = (*device)(nil)
	_ accel.Preparer = (*device)(nil)
)

// open opens a device.
func open(p properties, limits accel.Limits, blobs *accel.Blobs) (*device, error) {
	overlap, err := p.overlaps()
	profile, err2 := newProfile()
	if err := cmp.Or(err, err2); err != nil {
		return nil, err
	}
	d := &device{prop: p, limits: limits, blobs: blobs, modules: map[string]cu.Module{}, programs: map[string]*program{},
		prepared: map[string]code{}, overlap: overlap, driver: driverFiles(),
		buffers: map[*buffer]struct{}{}, recordings: map[*recording]struct{}{}, profile: profile}
	d.submit = d.startNext
	d.startWorker()
	if err := d.do("open", d.open); err != nil {
		return nil, errors.Join(fmt.Errorf("cuda: %s cannot be opened: %w", p.name, err), d.Close())
	}
	return d, nil
}

func (d *device) open() (err error) {
	if d.context, err = d.prop.device.RetainPrimaryCtx(); err != nil {
		return check("cuDevicePrimaryCtxRetain", err)
	}
	d.retained = true
	if handleOf(&d.context) == nil {
		return fmt.Errorf("cuDevicePrimaryCtxRetain: %w", errNull)
	}
	if err = cu.PushCurrentCtx(d.context); err != nil {
		return check("cuCtxPushCurrent", err)
	}
	d.current = true
	d.stream, err = cu.MakeStream(cu.NonBlocking)
	if err == nil && handleOf(&d.stream) == nil {
		err = errNull
	}
	if err != nil {
		d.stream = cu.Stream{}
		return check("cuStreamCreate", err)
	}
	free, total, err := cu.MemInfo()
	if err != nil {
		return check("cuMemGetInfo", err)
	}
	d.limits.MemoryTotal, d.limits.MemoryFree = uint64(max(total, 0)), uint64(max(free, 0))
	if d.prop.unified {
		d.limits.MemoryTotal, d.limits.MemoryFree = host.Memory()
	}
	return nil
}

// memory is what is free and what there is, as far as it is known. What a GPU without
// memory of its own calls free is not what the system can give.
func (d *device) memory() (free, total uint64) {
	if d.prop.unified {
		total, free = host.Memory()
		return free, total
	}
	f, t, err := cu.MemInfo()
	if err != nil {
		return 0, 0
	}
	return uint64(max(f, 0)), uint64(max(t, 0))
}

func (d *device) Limits() accel.Limits { return d.limits }

// Close waits for what still runs and frees everything. Of a device that hangs it
// frees nothing.
func (d *device) Close() error {
	d.mu.Lock()
	was := d.closed
	d.closed = true
	d.mu.Unlock()
	if was {
		return nil
	}
	var err error
	if !d.stuck.Load() {
		err = d.run("close", d.free)
	}
	close(d.worker.jobs)
	if !d.stuck.Load() { // else its thread may write to it still
		d.profile.print(os.Stderr, d.prop.name)
	}
	return err
}

// free gives everything back, in the reverse order of its making. On a lost device
// every call fails; that says nothing new.
func (d *device) free() error {
	d.drain()
	if d.stuck.Load() {
		return d.loss()
	}
	var errs []error
	for len(d.graphs) > 0 {
		errs = append(errs, d.drop(d.graphs[len(d.graphs)-1]))
	}
	for r := range d.recordings {
		r.free()
	}
	for b := range d.buffers {
		errs = append(errs, b.free())
	}
	errs = append(errs, d.stage.free(d))
	for _, m := range d.modules {
		errs = append(errs, d.released("cuModuleUnload", m.Unload()))
	}
	clear(d.modules)
	for i := range d.events {
		errs = append(errs, d.released("cuEventDestroy", cu.DestroyEvent(&d.events[i])))
	}
	d.events = nil
	if handleOf(&d.stream) != nil {
		errs = append(errs, d.released("cuStreamDestroy", d.stream.Destroy()))
	}
	if d.current {
		_, err := cu.PopCurrentCtx()
		errs = append(errs, d.released("cuCtxPopCurrent", err))
		d.current = false
	}
	if d.retained {
		errs = append(errs, d.released("cuDevicePrimaryCtxRelease", d.prop.device.ReleasePrimaryCtx()))
		d.retained = false
	}
	return errors.Join(errs...)
}

// released is the error of giving something back. Those of a lost device say nothing
// new.
func (d *device) released(call string, err error) error {
	d.progress.Add(1)
	if err == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead != nil {
		return nil
	}
	return fmt.Errorf("cuda: %w", check(call, err))
}
