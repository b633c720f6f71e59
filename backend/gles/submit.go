//go:build gles && cgo && !static && linux

package gles

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"

	gl "github.com/go-gl/gl/v3.1/gles2"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
)

// submission is what Submit hands to the thread. It is a part of api, so that a
// submission allocates nothing.
type submission struct {
	list  []accel.Recording
	fence *fence
	err   error
}

// fence marks the end of a submission. A fence that was waited for serves again.
type fence struct {
	a     *api
	sync  uintptr
	reads []accel.Range
	idle  bool // not submitted, or waited for
	err   error
	wait  func() // onWait, made a function once

	flushes int
}

func (f *fence) Submissions() int { return f.flushes }

func (a *api) Submit(list []accel.Recording, reads []accel.Range) (accel.Fence, error) {
	for _, r := range list {
		if rec, ok := r.(*recording); !ok || rec.a != a {
			return nil, errors.New("gles: a recording of another device was submitted")
		}
	}
	for _, r := range reads {
		b, ok := r.Buffer.(*buffer)
		if !ok || b.a != a || b.use != accel.Download {
			return nil, errors.New("gles: a submission reads what is not a download buffer of this device")
		}
		if err := b.inside("a read", r.From, r.To-r.From); err != nil {
			return nil, err
		}
	}
	f := a.idleFence()
	f.reads, f.flushes = append(f.reads[:0], reads...), 0
	a.sub = submission{list: list, fence: f}
	if err := a.t.do("submitting", a.submit); err != nil {
		return nil, err
	}
	err := a.sub.err
	a.sub = submission{}
	if err != nil {
		if errors.Is(err, backend.ErrDeviceLost) {
			return nil, a.t.lose(err)
		}
		return nil, err
	}
	f.idle = false
	return f, nil
}

func (a *api) idleFence() *fence {
	for _, f := range a.fences {
		if f.idle {
			return f
		}
	}
	f := &fence{a: a, idle: true}
	f.wait = f.onWait
	a.fences = append(a.fences, f)
	return f
}

// onSubmit makes a submission's calls: shadows to the device, the dispatches, a
// fence and a flush.
func (a *api) onSubmit() {
	if a.sub.err = a.onReset(); a.sub.err != nil {
		return
	}
	a.submitted++
	o := onDevice{pending: true} // what earlier submissions wrote
	for i, r := range a.sub.list {
		rec := r.(*recording)
		if i > 0 && !rec.reads {
			gl.Flush() // in pieces: drivers stop one that takes some seconds
			a.sub.fence.flushes++
		}
		for _, b := range rec.uploads {
			if a.sub.err = b.onUpload(a.submitted); a.sub.err != nil {
				return
			}
		}
		for i := range rec.steps {
			if a.sub.err = o.step(a, &rec.steps[i]); a.sub.err != nil {
				return
			}
		}
	}
	gl.MemoryBarrier(gl.SHADER_STORAGE_BARRIER_BIT | gl.BUFFER_UPDATE_BARRIER_BIT)
	f := a.sub.fence
	f.onDelete()
	f.sync = gl.FenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0)
	gl.Flush()
	f.flushes++
	a.sub.err = a.onError("submitting")
	if a.sub.err == nil && f.sync == 0 {
		a.sub.err = errors.New("gles: submitting: the driver gives no fence")
	}
}

// onUpload copies the shadow to the device, once for each submission.
func (b *buffer) onUpload(submission uint64) error {
	if b.name == 0 {
		return fmt.Errorf("gles: submitting %s, which is closed", b.what)
	}
	if b.sent == submission {
		return nil
	}
	b.sent = submission
	gl.BindBuffer(gl.COPY_WRITE_BUFFER, b.name)
	gl.BufferSubData(gl.COPY_WRITE_BUFFER, 0, b.size, unsafe.Pointer(&b.host[0]))
	return nil
}

// onDevice is what is bound, and whether what was dispatched must be waited for.
type onDevice struct {
	program *program
	buffers [4]uint32
	pending bool
}

// step dispatches. The grid is read on the host: with its copy at hand that costs
// less than the driver's reading it, and too large a grid is an error instead of
// whatever the driver makes of it.
func (o *onDevice) step(a *api, s *step) error {
	o.pending = o.pending || !s.free // also of a skipped call: the next may be free beside it alone
	var grid [3]uint32
	for i := range grid {
		if s.grid.name == 0 {
			return fmt.Errorf("gles: %s: the grid's buffer is closed", s.label)
		}
		grid[i] = binary.LittleEndian.Uint32(s.grid.host[s.gridAt+4*i:])
		if grid[i] == 0 {
			return nil
		}
		if grid[i] > a.groups[i] {
			return fmt.Errorf("gles: %s: %d workgroups in direction %d, the device takes %d", s.label, grid[i], i, a.groups[i])
		}
	}
	if o.program != s.program {
		gl.UseProgram(s.program.name)
		o.program = s.program
	}
	for i, b := range s.buffers {
		if b.name == 0 {
			return fmt.Errorf("gles: %s: buffer %s is closed", s.label, b.what)
		}
		if o.buffers[i] != b.name {
			gl.BindBufferBase(gl.SHADER_STORAGE_BUFFER, uint32(i), b.name)
			o.buffers[i] = b.name
		}
	}
	if len(s.params) > 0 && s.program.parameters >= 0 {
		gl.Uniform1uiv(s.program.parameters, int32(len(s.params)), &s.params[0])
	}
	if o.pending {
		gl.MemoryBarrier(gl.SHADER_STORAGE_BARRIER_BIT)
		o.pending = false
	}
	gl.DispatchCompute(grid[0], grid[1], grid[2])
	return nil
}

// Wait also copies what the submission reads.
func (f *fence) Wait() error {
	if f.idle {
		return f.err
	}
	if err := f.a.t.do("waiting", f.wait); err != nil {
		return err
	}
	f.idle = true
	if errors.Is(f.err, backend.ErrDeviceLost) {
		return f.a.t.lose(f.err)
	}
	return f.err
}

// slice is how long one call of the driver waits.
const slice = 50 * time.Millisecond

func (f *fence) onWait() {
	f.err = f.onSignal()
	f.onDelete()
	for i := 0; i < len(f.reads) && f.err == nil; i++ {
		r := f.reads[i]
		b := r.Buffer.(*buffer)
		if b.name == 0 {
			f.err = fmt.Errorf("gles: reading %s, which is closed", b.what)
			return
		}
		f.err = b.onRead(r.From, b.host[r.From:r.To])
	}
}

// onSignal waits until the device is done. What the process is stopped for meanwhile
// (Ctrl-Z, a container that is paused) uses up little of the time limit.
func (f *fence) onSignal() error {
	patience := accel.NewPatience(time.Now())
	flags := uint32(gl.SYNC_FLUSH_COMMANDS_BIT)
	for {
		before := time.Now()
		switch s := gl.ClientWaitSync(f.sync, flags, uint64(slice)); s {
		case gl.ALREADY_SIGNALED, gl.CONDITION_SATISFIED:
			return f.a.onReset()
		case gl.TIMEOUT_EXPIRED:
		default:
			if err := f.a.onReset(); err != nil {
				return err
			}
			if err := f.a.onError("waiting"); err != nil {
				return err
			}
			return fmt.Errorf("gles: waiting failed (status 0x%04x): %w", s, backend.ErrDeviceLost)
		}
		if err := f.a.onReset(); err != nil {
			return err
		}
		if time.Since(before) < slice/10 {
			time.Sleep(slice / 50) // a driver that does not wait
		}
		if patience.Over(f.a.limits.Timeout) {
			return fmt.Errorf("gles: a submission is not over after %v: %w", f.a.limits.Timeout, backend.ErrDeviceLost)
		}
		f.a.t.steps.Add(1)
		flags = 0
	}
}

func (f *fence) onDelete() {
	if f.sync != 0 {
		gl.DeleteSync(f.sync)
		f.sync = 0
	}
}
