package vulkan

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// buffer is a buffer with memory of its own: there are few of them.
type buffer struct {
	dev      *device
	handle   uint64
	memory   uint64
	bytes    int
	use      accel.Use
	mapped   []byte // nil where the host does not see it
	coherent bool
	heap     uint32
	taken    uint64 // bytes of the heap
}

// places lists which memory is tried for a use, the best first: what flags it must
// have.
func (d *device) places(use accel.Use) []uint32 {
	const visible = memoryHostVisible | memoryHostCoherent
	switch {
	case use == accel.Upload:
		return []uint32{visible | memoryDeviceLocal, visible}
	case use == accel.Download:
		return []uint32{visible | memoryHostCached, memoryHostVisible | memoryHostCached, visible}
	case d.limits.Unified && !d.staged:
		return []uint32{visible | memoryDeviceLocal, memoryDeviceLocal}
	}
	return []uint32{memoryDeviceLocal, 0}
}

// kinds lists the memory types for a use among those that a buffer may have.
func (d *device) kinds(use accel.Use, allowed uint32) []uint32 {
	var out []uint32
	seen := uint32(0)
	for _, want := range d.places(use) {
		for n, t := range d.phys.memory.types[:d.phys.memory.typeCount] {
			if bit := uint32(1) << n; allowed&bit != 0 && seen&bit == 0 && t.flags&want == want {
				seen |= bit
				out = append(out, uint32(n))
			}
		}
		if use == accel.Local && len(out) > 0 {
			break // elsewhere it would be slow without a word
		}
	}
	return out
}

// Allocate makes a buffer; see accel.API.
func (d *device) Allocate(what string, size int, use accel.Use) (accel.Buffer, error) {
	var b *buffer
	err := d.guard(d.calls, "allocating "+what, taskFunc(func() (err error) {
		b, err = d.allocate(what, size, use)
		return err
	}))
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (d *device) allocate(what string, size int, use accel.Use) (*buffer, error) {
	if size <= 0 || size%4 != 0 || size > d.limits.Range {
		return nil, fmt.Errorf("vulkan: %s: a buffer of %d bytes; it can have 4 to %d, in steps of 4", what, size, d.limits.Range)
	}
	usage := uint32(usageStorage | usageTransferSource | usageTransferTarget)
	if use == accel.Upload {
		usage |= usageIndirect
	}
	b := &buffer{dev: d, bytes: size, use: use}
	d.buffers[b] = true
	err := b.create(what, usage)
	if err == nil && use != accel.Upload {
		err = b.clear()
	}
	if err != nil {
		b.discard()
		return nil, err
	}
	return b, nil
}

func (b *buffer) create(what string, usage uint32) error {
	d := b.dev
	var err error
	info := &bufferCreateInfo{head: head{sType: typeBufferCreateInfo}, size: uint64(b.bytes), usage: usage}
	if b.handle, err = d.make(d.CreateBuffer, "making "+what, info); err != nil {
		return b.need(err, what)
	}
	need := new(memoryRequirements)
	d.GetBufferMemoryRequirements.call(d.handle, b.handle, need)
	kinds := d.kinds(b.use, need.typeBits)
	if need.size < uint64(b.bytes) || len(kinds) == 0 {
		return fmt.Errorf("vulkan: %s: the driver has no memory for it: %d bytes, types %#x", what, need.size, need.typeBits)
	}
	for _, kind := range kinds {
		if err = b.take(what, need.size, kind); err == nil {
			break
		}
		if full := (*backend.ErrOutOfMemory)(nil); !errors.As(err, &full) {
			return err
		}
	}
	if err != nil {
		return err
	}
	if err := d.check(d.BindBufferMemory.call(d.handle, b.handle, b.memory, 0), "binding "+what); err != nil {
		return b.need(err, what)
	}
	return nil
}

// take allocates the memory and maps it where the host can see it.
func (b *buffer) take(what string, size uint64, kind uint32) error {
	d := b.dev
	t := d.phys.memory.types[kind]
	if all := d.phys.memory.heaps[t.heap].size; size > all || d.used[t.heap] > all-size {
		return &backend.ErrOutOfMemory{What: what, Need: size, Have: all - min(all, d.used[t.heap])}
	}
	var err error
	b.memory, err = d.make(d.AllocateMemory, "allocating "+what, &memoryAllocateInfo{head{sType: typeMemoryAllocateInfo}, size, kind})
	if err != nil {
		return b.need(err, what)
	}
	b.heap, b.taken = t.heap, size
	d.used[t.heap] += size
	b.coherent = t.flags&memoryHostCoherent != 0
	if t.flags&memoryHostVisible == 0 || b.use == accel.Local && (d.staged || !d.limits.Unified || !b.coherent) {
		return nil
	}
	at := new(ptr)
	if err := d.check(d.MapMemory.call(d.handle, b.memory, 0, wholeSize, 0, at), "mapping "+what); err != nil {
		return b.need(err, what)
	}
	if *at == nil || uintptr(*at)%4 != 0 {
		return fmt.Errorf("vulkan: mapping %s gave no address", what)
	}
	b.mapped = unsafe.Slice((*byte)(*at), b.bytes)
	return nil
}

// need adds to a lack of memory what was needed.
func (b *buffer) need(err error, what string) error {
	full := (*backend.ErrOutOfMemory)(nil)
	if errors.As(err, &full) {
		return &backend.ErrOutOfMemory{What: what, Need: uint64(b.bytes), Have: full.Have}
	}
	return err
}

// clear sets it to zeros.
func (b *buffer) clear() error {
	if b.mapped != nil && b.coherent {
		clear(b.mapped)
		return nil
	}
	s, err := b.dev.stage()
	if err != nil {
		return err
	}
	return s.fill(b)
}

func (b *buffer) Size() int { return b.bytes }

func (b *buffer) Host() []byte {
	if b.use == accel.Local {
		return nil
	}
	return b.mapped
}

func (b *buffer) within(at, n int) error {
	if b.use != accel.Local || at < 0 || n > b.bytes || at > b.bytes-n {
		return fmt.Errorf("vulkan: bytes %d to %d of a buffer of %d", at, at+n, b.bytes)
	}
	return b.dev.usable()
}

func (b *buffer) Write(at int, data []byte) error {
	if err := b.within(at, len(data)); err != nil || len(data) == 0 {
		return err
	}
	if b.mapped != nil {
		copy(b.mapped[at:], data)
		return nil
	}
	return b.dev.guard(b.dev.calls, "writing", taskFunc(func() error {
		s, err := b.dev.stage()
		if err != nil {
			return err
		}
		return s.write(b, at, data)
	}))
}

func (b *buffer) Read(at int, dst []byte) error {
	if err := b.within(at, len(dst)); err != nil || len(dst) == 0 {
		return err
	}
	if b.mapped != nil {
		copy(dst, b.mapped[at:])
		return nil
	}
	return b.dev.guard(b.dev.calls, "reading", taskFunc(func() error {
		s, err := b.dev.stage()
		if err != nil {
			return err
		}
		return s.read(b, at, dst)
	}))
}

// Close frees it. It may be called again.
func (b *buffer) Close() error {
	d := b.dev
	if d.frozen() || !d.buffers[b] {
		return nil
	}
	if d.usable() != nil {
		return nil // it may still be in use: it goes with the device
	}
	return d.guard(d.calls, "freeing memory", taskFunc(func() error { b.free(); return nil }))
}

// discard frees a buffer that could not be made.
func (b *buffer) discard() {
	if b.dev.usable() == nil {
		b.free()
	}
}

func (b *buffer) free() {
	d := b.dev
	delete(d.buffers, b)
	d.destroy(d.DestroyBuffer, b.handle)
	d.destroy(d.FreeMemory, b.memory) // unmaps it
	d.used[b.heap] -= b.taken
	b.handle, b.memory, b.mapped, b.taken = 0, 0, nil, 0
}
