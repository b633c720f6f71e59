package vulkan

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
)

// fence is one submission. Fences, with the structures that C reads, are used
// again once they have been waited for, so that submitting allocates nothing.
type fence struct {
	dev      *device
	handle   uint64
	info     submitInfo
	commands []uintptr
	begins   []int         // which of them begin a submission of their own
	ranges   []mappedRange // memory whose writes the host must ask for
	pending  bool
	waiting  bool // what the worker is to do
}

// fence gives one that is idle.
func (d *device) fence() (*fence, error) {
	d.mu.Lock()
	if n := len(d.idle); n > 0 {
		f := d.idle[n-1]
		d.idle = d.idle[:n-1]
		d.mu.Unlock()
		f.commands, f.begins, f.ranges = f.commands[:0], f.begins[:0], f.ranges[:0]
		return f, nil
	}
	d.mu.Unlock()
	f := &fence{dev: d}
	var err error
	if f.handle, err = d.make(d.CreateFence, "making a fence", &fenceCreateInfo{head: head{sType: typeFenceCreateInfo}}); err != nil {
		return nil, err
	}
	f.info.sType = typeSubmitInfo
	d.mu.Lock()
	d.all = append(d.all, f)
	d.idle = append(d.idle, nil)[:len(d.idle)] // room to come back
	d.mu.Unlock()
	return f, nil
}

// add appends commands, to be submitted alone or with those before them.
func (f *fence) add(commands uintptr, alone bool) {
	if alone || len(f.commands) == 0 {
		f.begins = append(f.begins, len(f.commands))
	}
	f.commands = append(f.commands, commands)
}

func (f *fence) Submissions() int { return max(1, len(f.begins)) }

// Submit runs recordings; see accel.API.
func (d *device) Submit(list []accel.Recording, reads []accel.Range) (accel.Fence, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	f, err := d.fence()
	if err != nil {
		return nil, err
	}
	d.submits++
	for _, one := range list {
		r, ok := one.(*recording)
		if !ok || !d.recordings[r] {
			f.free()
			return nil, fmt.Errorf("vulkan: a recording that is not this device's, or closed")
		}
		if r.submitted == d.submits {
			f.free()
			return nil, errors.New("vulkan: a recording is submitted twice at once")
		}
		r.submitted = d.submits
		f.add(r.commands, !r.reads)
	}
	for i := range reads {
		b, ok := reads[i].Buffer.(*buffer)
		if !ok || !d.buffers[b] || b.use != accel.Download || reads[i].From < 0 || reads[i].To > b.bytes {
			f.free()
			return nil, fmt.Errorf("vulkan: bytes %d to %d are read of what is no download buffer with them", reads[i].From, reads[i].To)
		}
		if !b.coherent {
			f.ranges = append(f.ranges, mappedRange{head: head{sType: typeMappedRange}, memory: b.memory, size: wholeSize})
		}
	}
	f.waiting = false
	if err := d.guard(d.calls, "submitting", f); err != nil {
		return nil, err
	}
	return f, nil
}

// do is what a worker does.
func (f *fence) do() error {
	if f.waiting {
		return f.finish()
	}
	return f.start()
}

// start submits it: it is pending then, or back among the idle. Each part is a
// submission of its own, as drivers stop one that takes some seconds; the last
// signals the fence when all are over.
func (f *fence) start() error {
	d := f.dev
	var pins runtime.Pinner
	defer pins.Unpin()
	pins.Pin(f)
	if len(f.commands) > 0 {
		pins.Pin(&f.commands[0])
	}
	for n := range max(1, len(f.begins)) {
		from, to, signals := 0, len(f.commands), f.handle
		if n < len(f.begins) {
			from = f.begins[n]
		}
		if n+1 < len(f.begins) {
			to, signals = f.begins[n+1], 0
		}
		f.info.commandCount, f.info.commands = uint32(to-from), nil
		if to > from {
			f.info.commands = &f.commands[from]
		}
		r := result(int32(dl.CallWords(uintptr(d.QueueSubmit), d.queue, 1, uintptr(unsafe.Pointer(&f.info)), uintptr(signals))))
		switch {
		case r.noMemory() && n == 0: // nothing was submitted
			f.free()
			return d.check(r, "submitting")
		case r != 0:
			return d.fail(r, "submitting")
		}
	}
	f.pending = true
	return nil
}

// Wait blocks until the submission is over, at most the limits' time. What
// takes longer never ends, as far as one can tell: the device counts as lost.
func (f *fence) Wait() error {
	if !f.pending {
		return f.dev.usable()
	}
	f.waiting = true
	return f.dev.guard(f.dev.waits, "waiting", f)
}

func (f *fence) finish() error {
	d := f.dev
	f.pending = false
	r := f.await()
	if r == resultTimeout {
		err := fmt.Errorf("vulkan: %s did not finish within %v (%s sets the limit): %w", d.phys.name(), d.limits.Timeout, accel.EnvTimeout, backend.ErrDeviceLost)
		d.lose(err, true)
		return err
	}
	if r != 0 {
		return d.fail(r, "waiting")
	}
	if len(f.ranges) > 0 {
		r = result(int32(dl.CallWords(uintptr(d.InvalidateMappedMemoryRanges), d.handle, uintptr(len(f.ranges)), uintptr(unsafe.Pointer(&f.ranges[0])))))
		if err := d.check(r, "reading back"); err != nil {
			return err
		}
	}
	r = result(int32(dl.CallWords(uintptr(d.ResetFences), d.handle, 1, uintptr(unsafe.Pointer(&f.handle)))))
	if err := d.check(r, "resetting a fence"); err != nil {
		return err
	}
	f.free()
	return nil
}

// await waits until the submission is over.
func (f *fence) await() (r result) {
	d := f.dev
	slice := d.limits.Timeout / accel.Turns
	for range accel.Turns {
		r = result(int32(dl.CallWords(uintptr(d.WaitForFences), d.handle, 1, uintptr(unsafe.Pointer(&f.handle)), 1, uintptr(slice.Nanoseconds()))))
		d.steps.Add(1)
		if r != resultTimeout {
			break
		}
	}
	return r
}

// free puts it back among the idle.
func (f *fence) free() {
	f.dev.mu.Lock()
	f.dev.idle = append(f.dev.idle, f)
	f.dev.mu.Unlock()
}
