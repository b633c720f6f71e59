//go:build cuda && cgo && linux && !android && !static

package cuda

// #include <stdlib.h>
// #include "calls.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/kernels/cuda"
)

// recording is a list of kernels with their arguments, which are packed in C's memory
// once and for all.
type recording struct {
	d       *device
	calls   []call
	packed  *C.ledge_call // as many as calls; nil once closed
	uploads []*buffer     // that kernels read
	times   *buffer       // of its blocks, nil as a rule (trace.go)
	reads   bool          // kernels write what is read back
	broken  *buffer       // one that it uses and that is closed
}

// call is one dispatch, but for what is packed.
type call struct {
	label   string
	program *program
	buffers [4]*buffer
	grid    *buffer
	gridAt  int
	free    bool   // runs beside the one before it
	traffic *int64 // bytes that it moves this time, if somebody counts
}

// Record packs each dispatch's arguments.
func (d *device) Record(list []accel.Dispatch) (accel.Recording, error) {
	r := &recording{d: d, calls: make([]call, len(list))}
	for i := range list {
		if err := r.set(i, &list[i]); err != nil {
			return nil, fmt.Errorf("cuda: %s: %w", list[i].Label, err)
		}
	}
	if err := r.startTrace(); err != nil {
		return nil, err
	}
	if err := d.do("record", func() error { return r.pack(list) }); err != nil {
		return nil, errors.Join(err, r.endTrace())
	}
	return r, nil
}

// set checks a dispatch and notes what it uses.
func (r *recording) set(i int, s *accel.Dispatch) error {
	d := r.d
	p, ok := s.Program.(*program)
	if !ok || p.d != d {
		return fmt.Errorf("a program of another device (%T)", s.Program)
	}
	grid, ok := s.Grid.(*buffer)
	if !ok || grid.d != d || grid.use != accel.Upload || grid.memory == 0 || s.GridAt < 0 || s.GridAt%4 != 0 || s.GridAt > grid.size-12 {
		return fmt.Errorf("no grid at %d of the buffer that is given for it", s.GridAt)
	}
	if len(s.Params) > cuda.MaxParams {
		return fmt.Errorf("%d parameters, there can be %d", len(s.Params), cuda.MaxParams)
	}
	c := &r.calls[i]
	*c = call{label: s.Label, program: p, grid: grid, gridAt: s.GridAt, free: s.Free && i > 0, traffic: s.Traffic}
	for n, b := range s.Buffers {
		if b == nil {
			continue
		}
		own, ok := b.(*buffer)
		if !ok || own.d != d || own.memory == 0 {
			return fmt.Errorf("buffer %d is closed or of another device (%T)", n, b)
		}
		c.buffers[n] = own
		if own.use == accel.Upload && !slices.Contains(r.uploads, own) {
			r.uploads = append(r.uploads, own)
		}
		r.reads = r.reads || own.use == accel.Download
	}
	return nil
}

// pack makes the structures that launches take.
func (r *recording) pack(list []accel.Dispatch) error {
	r.packed = (*C.ledge_call)(C.calloc(C.size_t(max(1, len(list))), C.sizeof_ledge_call))
	if r.packed == nil {
		return errors.New("cuda: the C library has no memory for a recording")
	}
	for i := range list {
		c, to := &r.calls[i], r.at(i)
		to.function = C.CUfunction(handleOf(&c.program.function))
		to.args.trace = C.CUdeviceptr(r.timesOf(i))
		to.threads, to.shared = C.uint(c.program.threads), C.uint(c.program.dynamic)
		for n, b := range c.buffers {
			if b != nil {
				to.args.b[n] = C.CUdeviceptr(b.memory)
			}
		}
		for n, p := range list[i].Params {
			to.args.p[n] = C.uint32_t(p)
		}
		for n, k := range c.program.constants {
			to.args.c[n] = C.uint32_t(k)
		}
	}
	r.d.recordings[r] = struct{}{}
	return nil
}

// at is the packed call i.
func (r *recording) at(i int) *C.ledge_call {
	return (*C.ledge_call)(unsafe.Add(unsafe.Pointer(r.packed), i*C.sizeof_ledge_call))
}

// groups reads the call's number of blocks; a zero among them is a call to skip.
func (c *call) groups(most int) (g [3]uint32, err error) {
	at := c.grid.host[c.gridAt:]
	for i := range g {
		g[i] = binary.NativeEndian.Uint32(at[4*i:])
		if uint64(g[i]) > uint64(most) {
			return g, fmt.Errorf("cuda: %s: %d blocks in direction %d, the device allows %d", c.label, g[i], i, most)
		}
	}
	return g, nil
}

// uses reports whether a buffer is among those of the calls.
func (r *recording) uses(b *buffer) bool {
	for i := range r.calls {
		if c := &r.calls[i]; c.grid == b || slices.Contains(c.buffers[:], b) {
			return true
		}
	}
	return false
}

// Close frees what is packed, and the graphs. A run that uses them is waited for.
func (r *recording) Close() error {
	if r.packed == nil || r.d.stuck.Load() {
		return nil
	}
	return errors.Join(r.endTrace(), r.d.run("free a recording", func() error {
		r.d.drain()
		if r.d.stuck.Load() {
			return nil
		}
		err := r.d.forget(r)
		r.free()
		return err
	}))
}

func (r *recording) free() {
	C.free(unsafe.Pointer(r.packed))
	r.packed = nil
	delete(r.d.recordings, r)
}
