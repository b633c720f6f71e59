package accel

import (
	"errors"
	"fmt"
	"sync"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/host"
	"github.com/ledge-run/ledge/graph/pass"
)

// arenaAlign is the alignment of values in the arena, in bytes.
const arenaAlign = 256

// New makes a device of an opened API. It closes the API when it is closed
// itself; info says all but the memory, which comes from the API's limits.
func New(api API, info backend.Info) (backend.Device, error) {
	l := api.Limits()
	switch {
	case l.Buffers < 4:
		return nil, fmt.Errorf("%s: kernels see %d buffers, they need 4", info.Name, l.Buffers)
	case l.Range < 1<<20:
		return nil, fmt.Errorf("%s: a kernel sees %d bytes of a buffer, which is too little", info.Name, l.Range)
	case l.Groups < 1<<15:
		return nil, fmt.Errorf("%s: takes %d workgroups in a direction, which is too few", info.Name, l.Groups)
	}
	l.Range = int(min(uint64(l.Range), 1<<32-4)) &^ 3 // kernels count bytes of a buffer in 32 bits
	info.Memory = backend.Memory{Total: l.MemoryTotal, Free: l.MemoryFree, Unified: l.Unified}
	return &device{api: api, info: info, limits: l}, nil
}

// device is one opened device. API says that it is called by one goroutine at a
// time: all use of it goes through do.
type device struct {
	info   backend.Info
	limits Limits

	mu     sync.Mutex
	api    API
	lost   error // once the device is lost, what it said
	closed bool
}

// do calls f while nothing else uses the API. A device that was lost or closed
// gives its error at once.
func (d *device) do(f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost != nil {
		return d.lost
	}
	if d.closed {
		return fmt.Errorf("%s: the device is closed", d.info.Name)
	}
	return d.note(f())
}

// note remembers that the device is lost, if err says so; d.mu is held.
func (d *device) note(err error) error {
	if err != nil && errors.Is(err, backend.ErrDeviceLost) && d.lost == nil {
		d.lost = err
	}
	return err
}

// release closes what was made with the API, on a lost device too.
func (d *device) release(all ...interface{ Close() error }) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, x := range all {
		if err := x.Close(); err != nil && !(d.lost != nil && errors.Is(err, backend.ErrDeviceLost)) {
			errs = append(errs, d.note(err))
		}
	}
	return errors.Join(errs...)
}

// allocate makes a buffer of size bytes, or gives *backend.ErrOutOfMemory.
func (d *device) allocate(what string, size int, use Use) (b Buffer, err error) {
	err = d.do(func() error {
		b, err = d.allocateHeld(what, size, use)
		return err
	})
	return b, err
}

// allocateHeld is allocate where the device is held.
func (d *device) allocateHeld(what string, size int, use Use) (Buffer, error) {
	size = max(4, (size+3)&^3)
	if size > d.limits.Range {
		return nil, &backend.ErrOutOfMemory{What: what + " in one buffer", Need: uint64(size), Have: uint64(d.limits.Range)}
	}
	b, err := d.api.Allocate(what, size, use)
	if err != nil {
		return nil, err
	}
	if use != Local && len(b.Host()) < size {
		err := fmt.Errorf("%s: %s: the host sees %d bytes of %d", d.info.Name, what, len(b.Host()), size)
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (d *device) Info() backend.Info { return d.info }

func (d *device) Target() pass.Target {
	_, free := host.Memory()
	return pass.Target{Name: d.info.Name, Supports: d.supports, Lower: d.lower, Memory: d.limits.budget(free), Align: arenaAlign}
}

func (d *device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return d.api.Close()
}
