//go:build gles && cgo && !static && linux

package gles

import (
	"errors"
	"fmt"
	"unsafe"

	gl "github.com/go-gl/gl/v3.1/gles2"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// buffer is a buffer object. One for Upload or Download has a shadow in Go's
// memory, which a submission copies from and a wait copies to: OpenGL ES has no
// memory that both sides may have open.
type buffer struct {
	a    *api
	what string
	name uint32 // 0 when closed
	size int
	use  accel.Use
	host []byte
	sent uint64 // the submission that copied the shadow
}

// chunk is the most bytes moved in one call of the driver, which copies them.
const chunk = 8 << 20

var zeros [1 << 20]byte

func (a *api) Allocate(what string, size int, use accel.Use) (accel.Buffer, error) {
	if size <= 0 || size%4 != 0 || size > a.limits.Range {
		return nil, fmt.Errorf("gles: %s: a buffer of %d bytes, want a multiple of 4 up to %d", what, size, a.limits.Range)
	}
	b := &buffer{a: a, what: what, size: size, use: use}
	if err := a.call("allocating "+what, b.onAllocate); err != nil {
		return nil, err
	}
	if use != accel.Upload {
		if err := b.clear(); err != nil {
			_ = b.Close() // the first error says why
			return nil, err
		}
	}
	if use != accel.Local {
		b.host = make([]byte, size)
	}
	return b, nil
}

func (b *buffer) onAllocate() error {
	hint := map[accel.Use]uint32{accel.Local: gl.DYNAMIC_COPY, accel.Upload: gl.DYNAMIC_DRAW, accel.Download: gl.DYNAMIC_READ}[b.use]
	gl.GenBuffers(1, &b.name)
	var have int64
	if b.name != 0 {
		gl.BindBuffer(gl.COPY_WRITE_BUFFER, b.name)
		gl.BufferData(gl.COPY_WRITE_BUFFER, b.size, nil, hint)
		gl.GetBufferParameteri64v(gl.COPY_WRITE_BUFFER, gl.BUFFER_SIZE, &have)
	}
	err := b.onError("allocating")
	if err == nil && have != int64(b.size) {
		err = fmt.Errorf("gles: allocating %s: the driver gave %d bytes of %d and no error", b.what, have, b.size)
	}
	if err != nil {
		b.onDelete()
	}
	return err
}

func (b *buffer) onDelete() {
	if b.name != 0 {
		gl.DeleteBuffers(1, &b.name)
		b.name = 0
	}
}

// clear writes zeros. Memory that a driver promised and does not have shows here.
func (b *buffer) clear() error {
	for at := 0; at < b.size; at += chunk {
		from, end := at, min(at+chunk, b.size)
		if err := b.a.call("clearing "+b.what, func() error {
			gl.BindBuffer(gl.COPY_WRITE_BUFFER, b.name)
			for from < end {
				n := min(end-from, len(zeros))
				gl.BufferSubData(gl.COPY_WRITE_BUFFER, from, n, unsafe.Pointer(&zeros[0]))
				from += n
			}
			return b.onError("clearing")
		}); err != nil {
			return err
		}
	}
	return nil
}

// onError is the driver's pending error, which says of this buffer that it is out
// of memory where it is.
func (b *buffer) onError(doing string) error {
	err := b.a.onError(doing + " " + b.what)
	var oom *backend.ErrOutOfMemory
	if errors.As(err, &oom) {
		return &backend.ErrOutOfMemory{What: b.what, Need: uint64(b.size)}
	}
	return err
}

func (b *buffer) Size() int    { return b.size }
func (b *buffer) Host() []byte { return b.host }

// inside is an error unless n bytes at a place are the buffer's.
func (b *buffer) inside(call string, at, n int) error {
	if b.name == 0 {
		return fmt.Errorf("gles: %s of %s, which is closed", call, b.what)
	}
	if at < 0 || n < 0 || at > b.size-n {
		return fmt.Errorf("gles: %s of %d bytes at %d of %s, which has %d", call, n, at, b.what, b.size)
	}
	return nil
}

func (b *buffer) Write(at int, data []byte) error {
	if err := b.inside("a write", at, len(data)); err != nil {
		return err
	}
	for len(data) > 0 {
		n := min(len(data), chunk)
		if err := b.a.call("writing "+b.what, func() error {
			gl.BindBuffer(gl.COPY_WRITE_BUFFER, b.name)
			gl.BufferSubData(gl.COPY_WRITE_BUFFER, at, n, unsafe.Pointer(&data[0]))
			return b.onError("writing")
		}); err != nil {
			return err
		}
		at, data = at+n, data[n:]
	}
	return nil
}

func (b *buffer) Read(at int, dst []byte) error {
	if err := b.inside("a read", at, len(dst)); err != nil {
		return err
	}
	for len(dst) > 0 {
		n := min(len(dst), chunk)
		if err := b.a.call("reading "+b.what, func() error {
			gl.MemoryBarrier(gl.BUFFER_UPDATE_BARRIER_BIT)
			return b.onRead(at, dst[:n])
		}); err != nil {
			return err
		}
		at, dst = at+n, dst[n:]
	}
	return nil
}

// onRead copies bytes from the device.
func (b *buffer) onRead(at int, dst []byte) error {
	if len(dst) == 0 {
		return nil
	}
	gl.BindBuffer(gl.COPY_READ_BUFFER, b.name)
	p := gl.MapBufferRange(gl.COPY_READ_BUFFER, at, len(dst), gl.MAP_READ_BIT)
	if p == nil {
		if err := b.onError("reading"); err != nil {
			return err
		}
		return fmt.Errorf("gles: reading %s: the driver maps nothing", b.what)
	}
	copy(dst, unsafe.Slice((*byte)(p), len(dst)))
	if !gl.UnmapBuffer(gl.COPY_READ_BUFFER) {
		if err := b.onError("reading"); err != nil {
			return err
		}
		return fmt.Errorf("gles: reading %s: the driver lost its contents", b.what)
	}
	return nil
}

func (b *buffer) Close() error {
	if b.name == 0 {
		return nil
	}
	err := b.a.call("freeing "+b.what, func() error { b.onDelete(); return nil })
	b.host = nil
	if errors.Is(err, backend.ErrDeviceLost) {
		b.name = 0 // gone with the device
		return nil
	}
	return err
}
