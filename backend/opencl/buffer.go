package opencl

import (
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
	if err := d.alive(); err != nil {
		return nil, err
	}
	if size <= 0 || size%4 != 0 || size > d.limits.Range {
		return nil, fmt.Errorf("opencl: %s: a buffer of %d bytes: a multiple of 4 up to %d is wanted", what, size, d.limits.Range)
	}
	var c int32
	b := &buffer{d: d, what: what, use: use, size: size}
	b.handle = dl.Call(d.lib.createBuffer, d.context, memReadWrite, uintptr(size), 0, uintptr(unsafe.Pointer(&c)))
	if c != 0 {
		return nil, code(c).memoryErr("clCreateBuffer", what, size, d.free())
	}
	if b.handle == 0 {
		return nil, fmt.Errorf("opencl: %s: clCreateBuffer: %w", what, errNull)
	}
	d.lib.handles.Add(1)
	d.buffers[b] = struct{}{}
	d.used += uint64(size)
	if use != accel.Local {
		b.host = aligned(size)
	}
	if err := d.clear(b); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// free is the memory that is left, by this device's own count.
func (d *device) free() uint64 {
	if d.used >= d.prop.memory {
		return 0
	}
	return d.prop.memory - d.used
}

// clear sets a buffer to zeros and waits for that.
func (d *device) clear(b *buffer) error {
	d.stage.prepare(d, 64)
	f := d.stage.moves[0]
	f.reset()
	zero := []uint32{0}
	c := code(int32(dl.Call(d.lib.enqueueFillBuffer, d.queue, b.handle, uintptr(unsafe.Pointer(&zero[0])), 4, 0, uintptr(b.size), 0, 0, f.event())))
	if c != 0 {
		f.noEvent()
		return c.memoryErr("clEnqueueFillBuffer", b.what, b.size, d.free())
	}
	if err := f.flushed("clear " + b.what); err != nil && !noMemory(f.status) {
		return err
	}
	err := f.Wait()
	if noMemory(f.status) {
		d.dead = nil // the device is well, there is only no room
		return f.status.memoryErr("clEnqueueFillBuffer", b.what, b.size, d.free())
	}
	return err
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
	if b.handle == 0 {
		return nil
	}
	err := b.d.release(b.d.lib.releaseMemObject, b.handle, "clReleaseMemObject")
	b.handle = 0
	b.d.used -= min(b.d.used, uint64(b.size))
	delete(b.d.buffers, b)
	return err
}

// Write and Read go through memory of our own: a device that does not finish in
// time must not go on with memory that the caller has freed or unmapped.

func (b *buffer) Write(at int, data []byte) error {
	if err := b.check(at, len(data)); err != nil {
		return err
	}
	return b.d.stage.write(b, at, data)
}

func (b *buffer) Read(at int, dst []byte) error {
	if err := b.check(at, len(dst)); err != nil {
		return err
	}
	return b.d.stage.read(b, at, dst)
}

func (b *buffer) check(at, n int) error {
	if b.handle == 0 || b.use != accel.Local || at < 0 || n < 0 || at > b.size-n {
		return fmt.Errorf("opencl: %s: bytes %d to %d of a buffer of %d cannot be moved", b.what, at, at+n, b.size)
	}
	return b.d.alive()
}

// staging is two pieces of memory through which Write and Read go in turn, so
// that one is copied while the other moves.
type staging struct {
	piece [2][]byte
	moves [2]*fence
}

const stagePiece = 4 << 20

func (s *staging) prepare(d *device, n int) {
	size := min(n, stagePiece)
	if len(s.piece[0]) >= size {
		return
	}
	if size > 64<<10 {
		size = stagePiece
	}
	for i := range s.piece {
		s.piece[i] = aligned(size)
		if s.moves[i] == nil {
			s.moves[i] = d.newFence()
		}
	}
}

func (s *staging) write(b *buffer, at int, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	d := b.d
	s.prepare(d, len(data))
	defer s.settle()
	for turn := 0; len(data) > 0; turn ^= 1 {
		f := s.moves[turn]
		if err := f.Wait(); err != nil {
			return err
		}
		n := copy(s.piece[turn], data)
		f.reset()
		c := code(int32(dl.CallWords(d.lib.enqueueWriteBuffer, d.queue, b.handle, 0, uintptr(at), uintptr(n), address(s.piece[turn]), 0, 0, f.event())))
		if err := c.err("clEnqueueWriteBuffer"); err != nil {
			f.what = "write " + b.what
			f.noEvent()
			return d.failed(f, err)
		}
		if err := f.flushed("write " + b.what); err != nil {
			return err
		}
		at, data = at+n, data[n:]
	}
	return s.wait()
}

func (s *staging) read(b *buffer, at int, dst []byte) error {
	if len(dst) == 0 {
		return nil
	}
	d := b.d
	s.prepare(d, len(dst))
	defer s.settle()
	asked, got := 0, 0
	var size [2]int
	ask := func(turn int) error {
		n := min(len(s.piece[turn]), len(dst)-asked)
		size[turn] = n
		if n == 0 {
			return nil
		}
		f := s.moves[turn]
		f.reset()
		c := code(int32(dl.CallWords(d.lib.enqueueReadBuffer, d.queue, b.handle, 0, uintptr(at+asked), uintptr(n), address(s.piece[turn]), 0, 0, f.event())))
		if err := c.err("clEnqueueReadBuffer"); err != nil {
			f.what = "read " + b.what
			f.noEvent()
			return d.failed(f, err)
		}
		asked += n
		return f.flushed("read " + b.what)
	}
	for turn := range 2 {
		if err := ask(turn); err != nil {
			return err
		}
	}
	for turn := 0; got < len(dst); turn ^= 1 {
		if err := s.moves[turn].Wait(); err != nil {
			return err
		}
		got += copy(dst[got:], s.piece[turn][:size[turn]])
		if err := ask(turn); err != nil {
			return err
		}
	}
	return nil
}

func (s *staging) wait() error {
	for _, f := range s.moves {
		if err := f.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// settle waits for what an error has left on the way.
func (s *staging) settle() { _ = s.wait() }

// address of memory that the device keeps until it is closed: Go does not move it.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }
