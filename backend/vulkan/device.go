package vulkan

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
)

// parameterBytes are the push constants of every kernel.
const parameterBytes = 128

// slots are the buffers of every kernel.
const slots = 4

// device is an opened device: the accel.API of Vulkan.
type device struct {
	in   *instance
	phys *physical
	deviceFunctions
	handle uintptr
	queue  uintptr
	limits accel.Limits
	staged bool // device memory is not mapped even if it could be

	setLayout, layout, commands uint64

	blobs    *accel.Blobs
	cache    uint64 // VkPipelineCache
	fresh    bool   // it has programs that are not on disk
	modules  map[string]uint64
	programs map[string]*program

	buffers    map[*buffer]bool
	recordings map[*recording]bool
	used       [16]uint64 // bytes of each heap
	dummy      *buffer    // for slots that a kernel does not use
	staging    *staging   // made when it is needed
	submits    uint64     // calls of Submit

	calls, waits *worker      // waiting does not hold up what can be called meanwhile
	steps        atomic.Int64 // of their tasks

	mu    sync.Mutex
	idle  []*fence // waited for
	all   []*fence
	lost  error // nothing works any more
	stuck bool  // the device still runs: what it uses can never be freed
}

// options of opening a device.
type options struct {
	switches    accel.Switches
	staged      bool // device memory is not mapped
	compileOnly bool // nothing will run
	noDot       bool // as if the device had no dot products of int8
}

// open opens the device of a number, as probe lists them.
func open(number int, o options) (*device, error) {
	return accel.Guarded(Name, Name+": opening a device", func() (*device, error) { return openNow(number, o) })
}

func openNow(number int, o options) (*device, error) {
	in, err := newInstance()
	if err != nil {
		return nil, err
	}
	handles, err := in.devices()
	if err == nil && number >= len(handles) {
		err = fmt.Errorf("vulkan: there is no device %d, the drivers have %d", number, len(handles))
	}
	var p *physical
	if err == nil {
		p, err = in.describe(handles[number])
	}
	if err == nil && !o.compileOnly {
		err = p.usable()
	}
	if err == nil && o.noDot {
		p.dot = false
	}
	if err != nil {
		return nil, errors.Join(err, in.close())
	}
	d := &device{
		in: in, phys: p, staged: o.staged, blobs: accel.OpenBlobs(),
		modules: map[string]uint64{}, programs: map[string]*program{},
		buffers: map[*buffer]bool{}, recordings: map[*recording]bool{},
	}
	if err := d.start(o); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", p.name(), err), d.closeNow())
	}
	d.calls, d.waits = newWorker(&d.steps), newWorker(&d.steps)
	return d, nil
}

// limitsFor are the limits with the switches applied, and known faults avoided.
func (p *physical) limitsFor(s accel.Switches) (accel.Limits, error) {
	s, p.faults = s.Avoid(knownFaults(Name, p.properties.vendorID, "", p.name(), p.fullVersion()))
	l := p.limits()
	// Where it is no instruction it is slower than floats, but any device can do it.
	l.IntDot = p.dot && p.dotFast || s.Asked("intdot")
	if p.properties.deviceType == deviceCPU && !s.Asked("half") {
		l.Half = false // slower than float32, which processors compute with
	}
	s.Apply(&l)
	byDefault := accel.TimeoutGPU
	if p.properties.deviceType == deviceCPU {
		byDefault = accel.TimeoutSoftware
	}
	var err error
	if l.Timeout, err = accel.Timeout(byDefault); err != nil {
		return l, err
	}
	return l, s.Missing(l)
}

func (d *device) start(o options) error {
	var err error
	if d.limits, err = d.phys.limitsFor(o.switches); err != nil {
		return err
	}
	if err := d.phys.faults.Refuse; err != nil && !o.compileOnly {
		return err
	}
	if err := d.create(); err != nil {
		return err
	}
	address := func(name *byte) uintptr {
		return dl.Call(uintptr(d.in.GetDeviceProcAddr), d.handle, uintptr(unsafe.Pointer(name)))
	}
	if err := load(&d.deviceFunctions, address); err != nil {
		return err
	}
	d.GetDeviceQueue.call(d.handle, d.phys.family, 0, &d.queue)
	if d.queue == 0 {
		return errors.New("vulkan: the device has no queue")
	}
	if err := d.layouts(); err != nil {
		return err
	}
	if o.compileOnly {
		return nil
	}
	pool := &commandPoolCreateInfo{head{sType: typeCommandPoolCreateInfo}, resetCommandBuffer, d.phys.family}
	if d.commands, err = d.make(d.CreateCommandPool, "making a command pool", pool); err != nil {
		return err
	}
	if err := d.openCache(); err != nil {
		return err
	}
	d.dummy, err = d.allocate("an unused buffer", 256, accel.Local)
	return err
}

// dotEnabled reports whether the device is opened with dot products of int8 as an
// instruction. Kernels that use them have code for devices without it, too.
func (d *device) dotEnabled() bool { return d.limits.IntDot && d.phys.dot }

// create makes the device with the features that kernels use.
func (d *device) create() error {
	p := d.phys
	var h held
	defer h.Unpin()
	all := &physicalFeatures2{head: head{sType: typeFeatures2}}
	heads := []*head{&all.head}
	var extensions []string
	want := func(version uint32, extension string, f *head) {
		if p.properties.apiVersion < version {
			extensions = append(extensions, extension)
		}
		heads = append(heads, f)
	}
	if d.limits.Half {
		want(version12, extFloat16, &(&float16Features{head{sType: typeFloat16Features}, 1, 0}).head)
	}
	if d.dotEnabled() {
		want(version13, extDot, &(&oneFeature{head{sType: typeDotFeatures}, 1}).head)
	}
	if d.limits.Subgroup > 0 {
		f := &subgroupSizeFeatures{head{sType: typeSubgroupSizeFeatures}, 0, 1}
		if p.sizeControl {
			f.subgroupSizeControl = 1
		}
		want(version13, extSizeControl, &f.head)
	}
	if d.limits.CoopMatrix {
		want(never, extCoop, &(&coopFeatures{head{sType: typeCoopFeatures}, 1, 0}).head)
		want(version12, extMemoryModel, &(&memoryModelFeatures{head{sType: typeMemoryModelFeatures}, 1, 0, 0}).head)
	}
	if p.executables {
		want(never, extExecutables, &(&oneFeature{head{sType: typeExecutableFeatures}, 1}).head)
	}
	if p.extensions[extPortability] {
		extensions = append(extensions, extPortability)
	}
	chain(&h, heads...)
	info := &deviceCreateInfo{
		head:       head{typeDeviceCreateInfo, ptr(all)},
		queueCount: 1,
		queues: hold(&h, queueCreateInfo{
			head: head{sType: typeQueueCreateInfo}, family: p.family, count: 1, priorities: hold(&h, float32(1)),
		}),
		extensionCount: uint32(len(extensions)),
		extensions:     holdNames(&h, extensions),
	}
	if err := d.in.CreateDevice.call(p.handle, info, nil, &d.handle).err("opening the device"); err != nil {
		return err
	}
	if d.handle == 0 {
		return errors.New("vulkan: opening the device gave none")
	}
	return nil
}

// layouts are the same for all kernels.
func (d *device) layouts() error {
	var h held
	defer h.Unpin()
	var bindings [slots]setLayoutBinding
	for n := range bindings {
		bindings[n] = setLayoutBinding{binding: uint32(n), kind: descriptorStorage, count: 1, stages: stageCompute}
	}
	var err error
	d.setLayout, err = d.make(d.CreateDescriptorSetLayout, "making a layout of buffers", &setLayoutCreateInfo{
		head: head{sType: typeSetLayoutCreateInfo}, count: slots, bindings: holdAll(&h, bindings[:]),
	})
	if err != nil {
		return err
	}
	d.layout, err = d.make(d.CreatePipelineLayout, "making a layout of programs", &layoutCreateInfo{
		head:     head{sType: typeLayoutCreateInfo},
		setCount: 1, sets: hold(&h, d.setLayout),
		rangeCount: 1, ranges: hold(&h, pushRange{stageCompute, 0, parameterBytes}),
	})
	return err
}

// make calls one of the functions that make an object.
func (d *device) make(f function, what string, info any) (uint64, error) {
	handle := new(uint64)
	if err := d.check(f.call(d.handle, info, nil, handle), what); err != nil {
		return 0, err
	}
	if *handle == 0 {
		return 0, fmt.Errorf("vulkan: %s gave none", what)
	}
	return *handle, nil
}

// destroy calls one of the functions that end an object, if there is one.
func (d *device) destroy(f function, handle uint64) {
	if handle != 0 && f != 0 {
		f.call(d.handle, handle, nil)
	}
}

// check gives a result's error and remembers a device that is lost.
func (d *device) check(r result, what string) error {
	err := r.err(what)
	if r == deviceLost {
		d.lose(err, false)
	}
	if r.noMemory() {
		return &backend.ErrOutOfMemory{What: what, Have: d.phys.freeMemory()}
	}
	return err
}

// fail is the error of a call after which nobody knows what the device does.
func (d *device) fail(r result, what string) error {
	err := fmt.Errorf("vulkan: %s: %s (%d): %w", what, r, int32(r), backend.ErrDeviceLost)
	d.lose(err, false)
	return err
}

func (d *device) lose(err error, stuck bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost == nil {
		d.lost = err
	}
	d.stuck = d.stuck || stuck
}

// usable is an error once the device is lost.
func (d *device) usable() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lost
}

// frozen reports whether the device still runs something that did not end in
// time. Then nothing can be freed: it may use all of it.
func (d *device) frozen() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stuck
}

func (d *device) Limits() accel.Limits {
	l := d.limits
	l.MemoryFree = d.phys.freeMemory()
	return l
}

// Close frees the device and all that is left. A device that hangs is left alone,
// with what it uses: waiting for it would never end.
func (d *device) Close() error {
	if d.frozen() || d.calls == nil {
		return nil
	}
	limit := 2 * d.limits.Timeout
	err, ended := d.calls.run(taskFunc(d.closeNow), limit)
	if !ended {
		err = fmt.Errorf("vulkan: closing %s: its driver did not come back within %v: %w", d.phys.name(), limit, backend.ErrDeviceLost)
		d.lose(err, true)
		return err
	}
	d.calls.end()
	d.waits.end()
	d.calls, d.waits = nil, nil
	return err
}

func (d *device) closeNow() error {
	var errs []error
	if d.handle != 0 && d.DestroyDevice != 0 {
		if d.DeviceWaitIdle != 0 && d.commands != 0 {
			r := d.DeviceWaitIdle.call(d.handle)
			if r != 0 && r != deviceLost {
				err := d.fail(r, "waiting for the device")
				d.lose(err, true) // it may still run
				return err
			}
		}
		for r := range d.recordings {
			r.free()
		}
		for b := range d.buffers {
			b.free()
		}
		d.closePrograms()
		for _, f := range d.all {
			d.destroy(d.DestroyFence, f.handle)
		}
		d.destroy(d.DestroyCommandPool, d.commands)
		d.destroy(d.DestroyPipelineLayout, d.layout)
		d.destroy(d.DestroyDescriptorSetLayout, d.setLayout)
		d.DestroyDevice.call(d.handle, nil)
	}
	d.handle = 0
	return errors.Join(append(errs, d.in.close())...)
}

var _ accel.API = (*device)(nil)
