package vulkan

import (
	"errors"
	"fmt"

	"github.com/ledge-run/ledge/backend/internal/accel"
)

// recording is a command buffer with the sets of buffers that it binds.
type recording struct {
	dev      *device
	commands uintptr
	pool     uint64 // of its sets
	reads    bool   // it writes what is read back

	submitted uint64 // number of its last submission
}

// Record prepares dispatches; see accel.API.
func (d *device) Record(list []accel.Dispatch) (accel.Recording, error) {
	var r *recording
	err := d.guard(d.calls, "recording", taskFunc(func() (err error) {
		r, err = d.record(list)
		return err
	}))
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (d *device) record(list []accel.Dispatch) (*recording, error) {
	d.keepCache()
	r := &recording{dev: d}
	for n := range list {
		if err := d.admissible(&list[n]); err != nil {
			return nil, fmt.Errorf("vulkan: %s: %w", list[n].Label, err)
		}
		for _, b := range list[n].Buffers {
			own, ok := b.(*buffer)
			r.reads = r.reads || ok && own.use == accel.Download
		}
	}
	d.recordings[r] = true
	if err := r.fill(list); err != nil {
		r.free()
		return nil, err
	}
	return r, nil
}

// admissible checks a dispatch: what a driver would not.
func (d *device) admissible(x *accel.Dispatch) error {
	if p, ok := x.Program.(*program); !ok || p.dev != d {
		return errors.New("its program is not this device's")
	}
	if len(x.Params)*4 > parameterBytes {
		return fmt.Errorf("%d parameters; there are %d", len(x.Params), parameterBytes/4)
	}
	for n, b := range x.Buffers {
		if b == nil {
			continue
		}
		if own, ok := b.(*buffer); !ok || !d.buffers[own] {
			return fmt.Errorf("buffer %d is not this device's, or closed", n)
		}
	}
	g, ok := x.Grid.(*buffer)
	if !ok || !d.buffers[g] || g.use != accel.Upload {
		return errors.New("the numbers of its workgroups are not in an upload buffer")
	}
	if x.GridAt < 0 || x.GridAt%4 != 0 || x.GridAt > g.bytes-12 {
		return fmt.Errorf("the numbers of its workgroups are at byte %d of %d", x.GridAt, g.bytes)
	}
	return nil
}

// sets numbers the different combinations of buffers.
func (d *device) sets(list []accel.Dispatch) (index []int, sets [][slots]uint64) {
	known := map[[slots]uint64]int{}
	for n := range list {
		var key [slots]uint64
		for i, b := range list[n].Buffers {
			key[i] = d.dummy.handle
			if own, ok := b.(*buffer); ok {
				key[i] = own.handle
			}
		}
		at, ok := known[key]
		if !ok {
			at = len(sets)
			known[key] = at
			sets = append(sets, key)
		}
		index = append(index, at)
	}
	return index, sets
}

func (r *recording) fill(list []accel.Dispatch) error {
	d := r.dev
	index, sets := d.sets(list)
	handles, err := r.bind(sets)
	if err != nil {
		return err
	}
	if r.commands, err = d.commandBuffer(); err != nil {
		return err
	}
	if err := d.begin(r.commands, 0); err != nil { // not for simultaneous use, which costs some drivers a copy of each submission
		return err
	}
	cmd := r.commands
	var pipeline uint64
	set := -1
	for n := range list {
		x := &list[n]
		if p := x.Program.(*program).handle; p != pipeline {
			pipeline = p
			d.CmdBindPipeline.call(cmd, bindCompute, p)
		}
		if index[n] != set {
			set = index[n]
			d.CmdBindDescriptorSets.call(cmd, bindCompute, d.layout, 0, 1, &handles[set], 0, nil)
		}
		params := new([parameterBytes / 4]uint32)
		copy(params[:], x.Params)
		d.CmdPushConstants.call(cmd, d.layout, stageCompute, 0, parameterBytes, params)
		if n == 0 || !x.Free { // what ran before this recording may have written, too
			d.barrier(cmd, atCompute|atTransfer, accessShaderWrite|accessTransferWrite, atCompute, accessShaderRead|accessShaderWrite)
		}
		d.CmdDispatchIndirect.call(cmd, x.Grid.(*buffer).handle, x.GridAt)
	}
	d.barrier(cmd, atCompute, accessShaderWrite, atHost, accessHostRead)
	return d.check(d.EndCommandBuffer.call(cmd), "recording")
}

// bind makes the sets of buffers.
func (r *recording) bind(sets [][slots]uint64) ([]uint64, error) {
	if len(sets) == 0 {
		return nil, nil
	}
	d := r.dev
	var h held
	defer h.Unpin()
	var err error
	r.pool, err = d.make(d.CreateDescriptorPool, "making sets of buffers", &setPoolCreateInfo{
		head: head{sType: typeSetPoolCreateInfo}, maxSets: uint32(len(sets)),
		sizeCount: 1, sizes: hold(&h, poolSize{descriptorStorage, uint32(slots * len(sets))}),
	})
	if err != nil {
		return nil, err
	}
	layouts := make([]uint64, len(sets))
	for n := range layouts {
		layouts[n] = d.setLayout
	}
	handles := make([]uint64, len(sets))
	info := &setAllocateInfo{head: head{sType: typeSetAllocateInfo}, pool: r.pool, count: uint32(len(sets)), layouts: holdAll(&h, layouts)}
	if err := d.check(d.AllocateDescriptorSets.call(d.handle, info, &handles[0]), "making sets of buffers"); err != nil {
		return nil, err
	}
	writes := make([]writeSet, 0, slots*len(sets))
	for n, set := range sets {
		if handles[n] == 0 {
			return nil, errors.New("vulkan: making sets of buffers gave none")
		}
		for i, b := range set {
			writes = append(writes, writeSet{
				head: head{sType: typeWriteSet}, set: handles[n], binding: uint32(i), count: 1, kind: descriptorStorage,
				buffers: hold(&h, descriptorBuffer{b, 0, wholeSize}),
			})
		}
	}
	d.UpdateDescriptorSets.call(d.handle, len(writes), &writes[0], 0, nil)
	return handles, nil
}

func (d *device) commandBuffer() (uintptr, error) {
	info := &commandAllocateInfo{head{sType: typeCommandAllocateInfo}, d.commands, 0, 1}
	cmd := new(uintptr)
	if err := d.check(d.AllocateCommandBuffers.call(d.handle, info, cmd), "making a command buffer"); err != nil {
		return 0, err
	}
	if *cmd == 0 {
		return 0, errors.New("vulkan: making a command buffer gave none")
	}
	return *cmd, nil
}

func (d *device) begin(cmd uintptr, flags uint32) error {
	return d.check(d.BeginCommandBuffer.call(cmd, &commandBeginInfo{head: head{sType: typeCommandBeginInfo}, flags: flags}), "recording")
}

// barrier lets what comes after see what was written before.
func (d *device) barrier(cmd uintptr, from, written, to, seen uint32) {
	d.CmdPipelineBarrier.call(cmd, from, to, 0, 1, &memoryBarrier{head{sType: typeMemoryBarrier}, written, seen}, 0, nil, 0, nil)
}

// Close frees it. It may be called again.
func (r *recording) Close() error {
	d := r.dev
	if d.frozen() || !d.recordings[r] {
		return nil
	}
	if d.usable() != nil {
		return nil // it may still be in use: it goes with the device
	}
	return d.guard(d.calls, "freeing a recording", taskFunc(func() error { r.free(); return nil }))
}

func (r *recording) free() {
	d := r.dev
	delete(d.recordings, r)
	if r.commands != 0 {
		d.FreeCommandBuffers.call(d.handle, d.commands, 1, &r.commands)
	}
	d.destroy(d.DestroyDescriptorPool, r.pool)
}
