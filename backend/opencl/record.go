package opencl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/backend/internal/dl"
)

// recording is a list of kernels with their arguments.
type recording struct {
	d       *device
	calls   []call
	uploads []*buffer // that kernels read
	reads   bool      // kernels write what is read back
}

// call is one dispatch. Its sizes are a part of it as the driver reads them from
// there.
type call struct {
	label         string
	kernel        uintptr
	grid          *buffer
	gridAt        int
	global, local [3]uintptr
	skip          bool // this time
}

// Record makes a kernel for each dispatch and sets its arguments once.
func (d *device) Record(list []accel.Dispatch) (accel.Recording, error) {
	r := &recording{d: d, calls: make([]call, 0, len(list))}
	err := d.do("record", func() error {
		d.recordings[r] = struct{}{}
		for i := range list {
			if err := r.add(&list[i]); err != nil {
				return errors.Join(fmt.Errorf("opencl: %s: %w", list[i].Label, err), r.free())
			}
			d.progress.Add(1)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *recording) add(s *accel.Dispatch) error {
	d := r.d
	p, ok := s.Program.(*program)
	if !ok {
		return fmt.Errorf("a program of another device (%T)", s.Program)
	}
	grid, ok := s.Grid.(*buffer)
	if !ok || grid.d != d || grid.use != accel.Upload || s.GridAt < 0 || s.GridAt%4 != 0 || s.GridAt > grid.size-12 {
		return fmt.Errorf("no grid at %d of the buffer that is given for it", s.GridAt)
	}
	if len(s.Params) > maxParams {
		return fmt.Errorf("%d parameters, there can be %d", len(s.Params), maxParams)
	}
	var handles [4]uintptr
	for i, b := range s.Buffers {
		if b == nil {
			if d.dummy == nil {
				dummy := &buffer{d: d, what: "a buffer for what is not used", size: 256}
				if err := dummy.allocate(); err != nil {
					return err
				}
				d.dummy = dummy
			}
			handles[i] = d.dummy.handle
			continue
		}
		own, ok := b.(*buffer)
		if !ok || own.d != d || own.handle == 0 {
			return fmt.Errorf("buffer %d is closed or of another device (%T)", i, b)
		}
		handles[i] = own.handle
		if own.use == accel.Upload {
			r.upload(own)
		}
		r.reads = r.reads || own.use == accel.Download
	}
	k, err := d.kernel(p)
	if err != nil {
		return err
	}
	r.calls = append(r.calls, call{label: s.Label, kernel: k, grid: grid, gridAt: s.GridAt, local: [3]uintptr{uintptr(p.group), 1, 1}})
	for i := range handles {
		c := code(int32(dl.Call(d.lib.setKernelArg, k, uintptr(i), unsafe.Sizeof(handles[i]), uintptr(unsafe.Pointer(&handles[i])))))
		if c != 0 {
			return c.err(fmt.Sprintf("clSetKernelArg %d", i))
		}
	}
	var params [maxParams]uint32
	copy(params[:], s.Params)
	return code(int32(dl.Call(d.lib.setKernelArg, k, 4, unsafe.Sizeof(params), uintptr(unsafe.Pointer(&params[0]))))).err("clSetKernelArg 4")
}

func (r *recording) upload(b *buffer) {
	for _, u := range r.uploads {
		if u == b {
			return
		}
	}
	r.uploads = append(r.uploads, b)
}

// Close frees the kernels. A run that uses them is over, or keeps them itself.
func (r *recording) Close() error {
	if r.calls == nil || r.d.stuck.Load() {
		return nil
	}
	return r.d.run("free a recording", r.free)
}

func (r *recording) free() error {
	var errs []error
	for _, c := range r.calls {
		errs = append(errs, r.d.release(r.d.lib.releaseKernel, c.kernel, "clReleaseKernel"))
	}
	r.calls, r.uploads = nil, nil
	delete(r.d.recordings, r)
	return errors.Join(errs...)
}

// size reads the call's number of workgroups.
func (c *call) size(groups int) error {
	at := c.grid.host[c.gridAt:]
	c.skip = false
	for i := range c.global {
		n := binary.NativeEndian.Uint32(at[4*i:])
		if n == 0 {
			c.skip = true
			return nil
		}
		if uint64(n) > uint64(groups) || uint64(n)*uint64(c.local[i]) > math.MaxInt {
			return fmt.Errorf("%d workgroups, the device allows %d", n, groups)
		}
		c.global[i] = uintptr(n) * c.local[i]
	}
	return nil
}
