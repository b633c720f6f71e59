package vulkan

import (
	"errors"

	"github.com/ledge-run/ledge/backend/internal/accel"
)

// staging is the one way to and from memory that the host does not see: a buffer
// in two halves, so that one is filled while the other is copied.
type staging struct {
	dev    *device
	buffer *buffer
	slots  [2]stageSlot
}

type stageSlot struct {
	at       int // where its half begins
	commands uintptr
	fence    *fence
	after    func() // when the copy is over; nil if none runs
}

// stageBytes is the size of a half. Tests make it smaller.
var stageBytes = 4 << 20

// stage gives the staging buffer and makes it when it is asked for first.
func (d *device) stage() (*staging, error) {
	if d.staging != nil {
		return d.staging, nil
	}
	s := &staging{dev: d}
	for n := range s.slots {
		s.slots[n].at = n * stageBytes
		var err error
		if s.slots[n].commands, err = d.commandBuffer(); err != nil {
			return nil, err
		}
	}
	// The host reads and writes it: memory for reading serves both. It is not
	// cleared: that would need this.
	b := &buffer{dev: d, bytes: 2 * stageBytes, use: accel.Upload}
	d.buffers[b] = true
	if err := b.create("the staging buffer", usageTransferSource|usageTransferTarget); err != nil {
		b.discard()
		return nil, err
	}
	s.buffer = b
	d.staging = s
	return s, nil
}

// write copies data into a buffer and waits for that.
func (s *staging) write(b *buffer, at int, data []byte) error {
	var err error
	for n := 0; len(data) > 0 && err == nil; n++ {
		slot := &s.slots[n%2]
		if err = s.finish(slot); err != nil {
			break
		}
		part := data[:min(len(data), stageBytes)]
		copy(s.buffer.mapped[slot.at:], part)
		err = s.run(slot, func(cmd uintptr) {
			s.copy(cmd, s.buffer, slot.at, b, at, len(part))
		}, func() {})
		data, at = data[len(part):], at+len(part)
	}
	return errors.Join(err, s.finishAll())
}

// read copies bytes of a buffer to the host.
func (s *staging) read(b *buffer, at int, dst []byte) error {
	var err error
	for n := 0; len(dst) > 0 && err == nil; n++ {
		slot := &s.slots[n%2]
		if err = s.finish(slot); err != nil {
			break
		}
		part := dst[:min(len(dst), stageBytes)]
		err = s.run(slot, func(cmd uintptr) {
			s.copy(cmd, b, at, s.buffer, slot.at, len(part))
		}, func() { copy(part, s.buffer.mapped[slot.at:]) })
		dst, at = dst[len(part):], at+len(part)
	}
	return errors.Join(err, s.finishAll())
}

// fill sets a buffer to zeros.
func (s *staging) fill(b *buffer) error {
	slot := &s.slots[0]
	err := s.run(slot, func(cmd uintptr) {
		s.dev.CmdFillBuffer.call(cmd, b.handle, 0, wholeSize, 0)
	}, func() {})
	return errors.Join(err, s.finishAll())
}

func (s *staging) copy(cmd uintptr, from *buffer, fromAt int, to *buffer, toAt, n int) {
	s.dev.CmdCopyBuffer.call(cmd, from.handle, to.handle, 1, &bufferCopy{uint64(fromAt), uint64(toAt), uint64(n)})
}

// run submits one command, between barriers, and says what is to be done after it.
func (s *staging) run(slot *stageSlot, command func(cmd uintptr), after func()) error {
	d := s.dev
	if err := d.begin(slot.commands, 0); err != nil {
		return err
	}
	d.barrier(slot.commands, atCompute|atTransfer, accessShaderWrite|accessTransferWrite, atTransfer, accessTransferRead|accessTransferWrite)
	command(slot.commands)
	d.barrier(slot.commands, atTransfer, accessTransferWrite, atTransfer|atCompute|atHost,
		accessTransferRead|accessTransferWrite|accessShaderRead|accessShaderWrite|accessHostRead)
	if err := d.check(d.EndCommandBuffer.call(slot.commands), "recording a copy"); err != nil {
		return err
	}
	f, err := d.fence()
	if err != nil {
		return err
	}
	f.add(slot.commands, true)
	if err := f.start(); err != nil {
		return err
	}
	slot.fence, slot.after = f, after
	return nil
}

// finish waits for a half's copy.
func (s *staging) finish(slot *stageSlot) error {
	if slot.after == nil {
		return nil
	}
	after := slot.after
	slot.after = nil
	if err := slot.fence.finish(); err != nil {
		return err
	}
	after()
	return nil
}

func (s *staging) finishAll() error { return errors.Join(s.finish(&s.slots[0]), s.finish(&s.slots[1])) }
