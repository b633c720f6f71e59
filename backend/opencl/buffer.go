package opencl

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
)

// buffer is memory of the device, and for Upload and Download the host's side of
// it. The host's side is not mapped: a buffer that a kernel writes may not stay
// mapped, and mapping it anew for every run costs more than copying what a run
// moves.
type buffer struct {
	d       *device
	what    string
	use     accel.Use
	handle  uintptr
	size    int
	host    []byte
	written uint64 // the submission that wrote host to the device
}

// Allocate makes a buffer. It is cleared also because drivers do not take memory
// before it is used: what does not fit fails here and not in a run.
func (d *device) Allocate(what string, size int, use accel.Use) (accel.Buffer, error) {
	if size <= 0 || size%4 != 0 || size > d.limits.Range {
		return nil, fmt.Errorf("opencl: %s: a buffer of %d bytes: a multiple of 4 up to %d is wanted", what, size, d.limits.Range)
	}
	b := &buffer{d: d, what: what, use: use, size: size}
	if err := d.do("allocate "+what, b.allocate); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *buffer) allocate() error {
	d := b.d
	var c int32
	b.handle = dl.Call(d.lib.createBuffer, d.context, memReadWrite, uintptr(b.size), 0, uintptr(unsafe.Pointer(&c)))
	if err := d.made(&b.handle, c, "clCreateBuffer"); err != nil {
		return code(c).memoryErr(err, b.what, b.size, d.left())
	}
	d.buffers[b] = struct{}{}
	d.used += uint64(b.size)
	if b.use != accel.Local {
		b.host = aligned(b.size)
	}
	if err := b.clear(); err != nil {
		return errors.Join(err, b.free())
	}
	return nil
}

// left is the memory that is left, by this device's own count.
func (d *device) left() uint64 { return d.prop.memory - min(d.prop.memory, d.used) }

// clear sets a buffer to zeros and waits for that.
func (b *buffer) clear() error {
	d := b.d
	f := d.stage.fence(d, 0)
	zero := []uint32{0}
	c := code(int32(dl.Call(d.lib.enqueueFillBuffer, d.queue, b.handle, uintptr(unsafe.Pointer(&zero[0])), 4, 0, uintptr(b.size), 0, 0, f.event())))
	if c != 0 {
		f.noEvent()
		return c.memoryErr(c.err("clEnqueueFillBuffer"), b.what, b.size, d.left())
	}
	f.send("clear " + b.what)
	err := f.await()
	if noMemory(f.status) { // the device is well
		return f.status.memoryErr(err, b.what, b.size, d.left())
	}
	return f.join()
}

// aligned is memory at the start of a page, from which drivers copy directly.
func aligned(size int) []byte {
	const page = 4096
	b := make([]byte, size+page)
	at := int(-uintptr(unsafe.Pointer(&b[0])) & (page - 1))
	return b[at : at+size : at+size]
}

func (b *buffer) Size() int    { return b.size }
func (b *buffer) Host() []byte { return b.host }

func (b *buffer) Close() error {
	if b.handle == 0 || b.d.stuck.Load() {
		return nil
	}
	return b.d.run("free "+b.what, b.free)
}

func (b *buffer) free() error {
	err := b.d.release(b.d.lib.releaseMemObject, b.handle, "clReleaseMemObject")
	b.handle = 0
	b.d.used -= min(b.d.used, uint64(b.size))
	delete(b.d.buffers, b)
	return err
}

// Write and Read go through memory of our own: a device that does not finish in
// time must not go on with memory that the caller has freed or unmapped.

func (b *buffer) Write(at int, data []byte) error {
	if err := b.check(at, len(data)); err != nil || len(data) == 0 {
		return err
	}
	return b.d.do("write "+b.what, func() error { return b.d.stage.write(b, at, data) })
}

func (b *buffer) Read(at int, dst []byte) error {
	if err := b.check(at, len(dst)); err != nil || len(dst) == 0 {
		return err
	}
	return b.d.do("read "+b.what, func() error { return b.d.stage.read(b, at, dst) })
}

func (b *buffer) check(at, n int) error {
	if b.handle == 0 || b.use != accel.Local || at < 0 || n < 0 || at > b.size-n {
		return fmt.Errorf("opencl: %s: bytes %d to %d of a buffer of %d cannot be moved", b.what, at, at+n, b.size)
	}
	return nil
}

// staging is two pieces of memory through which Write and Read go in turn, so
// that one is copied while the other moves.
type staging struct {
	piece [2][]byte
	moves [2]*fence
}

const stagePiece = 4 << 20

// prepare makes the pieces large enough for n bytes, small ones for small moves.
func (s *staging) prepare(n int) {
	size := min(n, stagePiece)
	if len(s.piece[0]) >= size {
		return
	}
	if size > 64<<10 {
		size = stagePiece
	}
	for i := range s.piece {
		s.piece[i] = aligned(size)
	}
}

// fence gives the fence of a piece, whose last move is over.
func (s *staging) fence(d *device, turn int) *fence {
	if s.moves[turn] == nil {
		s.moves[turn] = d.newFence()
	}
	f := s.moves[turn]
	f.reset()
	return f
}

func (s *staging) write(b *buffer, at int, data []byte) error {
	s.prepare(len(data))
	for turn := 0; len(data) > 0; turn ^= 1 {
		if err := s.join(turn); err != nil {
			return err
		}
		n := copy(s.piece[turn], data)
		if err := s.move(b.d.lib.enqueueWriteBuffer, "clEnqueueWriteBuffer", "write", b, at, n, turn); err != nil {
			return err
		}
		at, data = at+n, data[n:]
	}
	return errors.Join(s.join(0), s.join(1))
}

func (s *staging) read(b *buffer, at int, dst []byte) error {
	s.prepare(len(dst))
	asked, got := 0, 0
	var size [2]int
	ask := func(turn int) error {
		size[turn] = min(len(s.piece[turn]), len(dst)-asked)
		if size[turn] == 0 {
			return nil
		}
		asked += size[turn]
		return s.move(b.d.lib.enqueueReadBuffer, "clEnqueueReadBuffer", "read", b, at+asked-size[turn], size[turn], turn)
	}
	if err := errors.Join(ask(0), ask(1)); err != nil {
		return err
	}
	for turn := 0; got < len(dst); turn ^= 1 {
		if err := s.join(turn); err != nil {
			return err
		}
		got += copy(dst[got:], s.piece[turn][:size[turn]])
		if err := ask(turn); err != nil {
			return err
		}
	}
	return nil
}

// move starts to move n bytes between a piece and the buffer.
func (s *staging) move(fn uintptr, call, what string, b *buffer, at, n, turn int) error {
	d, f := b.d, s.fence(b.d, turn)
	c := code(int32(dl.CallWords(fn, d.queue, b.handle, 0, uintptr(at), uintptr(n), address(s.piece[turn]), 0, 0, f.event())))
	if c != 0 {
		f.noEvent()
		_ = s.join(turn ^ 1)
		return d.lose(lost(what+" "+b.what, c.err(call)))
	}
	f.send(what + " " + b.what)
	return nil
}

// join waits for a piece's move, if there was one.
func (s *staging) join(turn int) error {
	if s.moves[turn] == nil {
		return nil
	}
	return s.moves[turn].join()
}

// address of memory that the device keeps until it is closed: Go does not move it.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }
