//go:build gles && cgo && !static && linux

package gles

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	gl "github.com/go-gl/gl/v3.1/gles2"

	"github.com/ledge-run/ledge/backend"
	"github.com/ledge-run/ledge/backend/internal/accel"
	"github.com/ledge-run/ledge/kernels/shader"
)

// api is an open context: accel.API. Methods named on... run on its thread.
type api struct {
	t       *thread
	context *glContext
	limits  accel.Limits
	about   about
	faults  accel.Faults
	groups  [3]uint32 // workgroups in each direction
	blobs   *accel.Blobs

	programs  map[string]*program
	zero      *buffer // bound where a kernel uses no buffer
	binaries  bool    // the driver gives compiled programs
	reset     func() uint32
	submitted uint64 // submissions so far

	sub    submission // what onSubmit reads
	submit func()     // onSubmit, made a function once
	fences []*fence
}

// about is what a driver says of itself.
type about struct {
	vendor, renderer, version string
	software                  bool
	extensions                []string
}

// open makes a context on a thread of its own.
func open(switches accel.Switches) (*api, error) {
	limit, err := accel.Timeout(accel.TimeoutGPU)
	if err != nil {
		return nil, err
	}
	t, err := newThread(limit)
	if err != nil {
		return nil, err
	}
	a := &api{t: t, programs: map[string]*program{}, blobs: accel.OpenBlobs()}
	a.limits.Timeout = limit
	a.submit = a.onSubmit
	if err := a.call("opening", func() error { return a.onOpen(switches) }); err != nil {
		t.stop(a.onClose)
		return nil, err
	}
	if a.about.software {
		if limit, err = accel.Timeout(accel.TimeoutSoftware); err != nil {
			t.stop(a.onClose)
			return nil, err
		}
		a.limits.Timeout, t.limit = limit, limit
	}
	zero, err := a.Allocate("placeholder", 16, accel.Local)
	if err != nil {
		t.stop(a.onClose)
		return nil, err
	}
	a.zero = zero.(*buffer)
	return a, nil
}

func (a *api) onOpen(switches accel.Switches) error {
	e, err := openEGL()
	if err != nil {
		return fmt.Errorf("gles: %w", err)
	}
	if a.context, err = e.newContext(); err != nil {
		return fmt.Errorf("gles: %w", err)
	}
	if err := initGL(e); err != nil {
		return fmt.Errorf("gles: %w", err)
	}
	a.about.vendor, a.about.renderer, a.about.version = glText(gl.VENDOR), glText(gl.RENDERER), glText(gl.VERSION)
	if major, minor := integer(gl.MAJOR_VERSION), integer(gl.MINOR_VERSION); major < 3 || major == 3 && minor < 1 {
		return fmt.Errorf("gles: %s gives OpenGL ES %d.%d (%s), compute shaders need 3.1", e.lib.Name, major, minor, a.about.version)
	}
	for i := range min(integer(gl.NUM_EXTENSIONS), 4096) {
		a.about.extensions = append(a.about.extensions, text(unsafe.Pointer(gl.GetStringi(gl.EXTENSIONS, uint32(i)))))
	}
	for _, s := range []string{"llvmpipe", "softpipe", "swrast", "swiftshader", "software"} {
		if strings.Contains(strings.ToLower(a.about.renderer), s) {
			a.about.software = true
		}
	}
	for _, r := range []struct {
		extension, function string
		call                func() uint32
	}{
		{"GL_EXT_robustness", "glGetGraphicsResetStatusEXT", gl.GetGraphicsResetStatusEXT},
		{"GL_KHR_robustness", "glGetGraphicsResetStatusKHR", gl.GetGraphicsResetStatusKHR},
	} {
		if a.has(r.extension) && e.address(r.function) != 0 {
			a.reset = r.call
		}
	}
	a.binaries = integer(gl.NUM_PROGRAM_BINARY_FORMATS) > 0
	a.onLimits()
	if err := a.onError("opening the context"); err != nil {
		return err
	}
	a.limits.IntDot = switches.Asked("intdot") // by shifts: slower than floats
	switches, a.faults = switches.Avoid(knownFaults(Name, 0, a.about.vendor, a.about.renderer, a.about.version))
	switches.Apply(&a.limits)
	if err = a.limits.Check(); err == nil {
		err = switches.Missing(a.limits)
	}
	if err != nil {
		return fmt.Errorf("gles: %w", err)
	}
	return nil
}

func (a *api) has(extension string) bool { return slices.Contains(a.about.extensions, extension) }

// onLimits asks for the limits. What a driver does not answer stays zero, and is
// refused by Limits.Check.
func (a *api) onLimits() {
	for i := range a.groups {
		var n int32
		gl.GetIntegeri_v(gl.MAX_COMPUTE_WORK_GROUP_COUNT, uint32(i), &n)
		a.groups[i] = uint32(max(n, 0))
	}
	var size int32
	gl.GetIntegeri_v(gl.MAX_COMPUTE_WORK_GROUP_SIZE, 0, &size)
	l := &a.limits
	l.Groups = int(min(a.groups[0], a.groups[1], a.groups[2]))
	l.Features = shader.Features{
		Invocations: max(0, min(integer(gl.MAX_COMPUTE_WORK_GROUP_INVOCATIONS), int(size))),
		Shared:      integer(gl.MAX_COMPUTE_SHARED_MEMORY_SIZE),
	}
	l.Buffers = min(integer(gl.MAX_COMPUTE_SHADER_STORAGE_BLOCKS), integer(gl.MAX_SHADER_STORAGE_BUFFER_BINDINGS))
	var block int64
	gl.GetInteger64v(gl.MAX_SHADER_STORAGE_BLOCK_SIZE, &block)
	l.Range = int(min(max(block, 0), maxBlock)) &^ 3
	a.onMemory()
}

// maxBlock bounds a storage buffer: beyond, drivers count bytes in 32 bits.
const maxBlock = 1 << 30

// initGL finds OpenGL's functions. go-gl keeps them for the whole process, and so
// does one library serve it.
func initGL(e *egl) error {
	shared.Lock()
	defer shared.Unlock()
	if shared.functions {
		return nil
	}
	if err := gl.InitWithProcAddrFunc(func(name string) unsafe.Pointer { return pointer(e.address(name)) }); err != nil {
		return fmt.Errorf("%s is not OpenGL ES 3.1: it has no function %w", e.lib.Name, err)
	}
	shared.functions = true
	return nil
}

func integer(name uint32) int {
	var v int32
	gl.GetIntegerv(name, &v)
	return int(v)
}

func glText(name uint32) string { return text(unsafe.Pointer(gl.GetString(name))) }

func (a *api) Limits() accel.Limits { return a.limits }

// Close frees what is left: buffers that were not closed go with the context.
func (a *api) Close() error {
	a.t.stop(a.onClose)
	return nil
}

func (a *api) onClose() {
	if a.context == nil {
		return
	}
	for _, f := range a.fences {
		f.onDelete()
	}
	for _, p := range a.programs {
		gl.DeleteProgram(p.name)
	}
	if a.zero != nil {
		a.zero.onDelete()
	}
	a.context.close()
	a.context = nil
}

// contextLost is KHR_robustness's error.
const contextLost = 0x0507

// onError gives the driver's pending error, with what was done.
func (a *api) onError(what string) error {
	code := gl.GetError()
	if code == gl.NO_ERROR {
		return nil
	}
	for range 16 { // several may be pending; a driver out of order has no end of them
		if next := gl.GetError(); next == gl.NO_ERROR {
			break
		} else if next == contextLost || next == gl.OUT_OF_MEMORY && code != contextLost {
			code = next
		}
	}
	switch code {
	case gl.OUT_OF_MEMORY:
		return &backend.ErrOutOfMemory{What: what}
	case contextLost:
		return fmt.Errorf("gles: %s: the driver lost the context: %w", what, backend.ErrDeviceLost)
	}
	name := map[uint32]string{gl.INVALID_ENUM: "invalid enum", gl.INVALID_VALUE: "invalid value",
		gl.INVALID_OPERATION: "invalid operation", gl.INVALID_FRAMEBUFFER_OPERATION: "invalid framebuffer operation"}[code]
	return fmt.Errorf("gles: %s: the driver reports error 0x%04x %s", what, code, name)
}

// onReset is an error if the GPU was reset under the context.
func (a *api) onReset() error {
	if a.reset == nil {
		return nil
	}
	switch s := a.reset(); s {
	case gl.NO_ERROR:
		return nil
	case gl.GUILTY_CONTEXT_RESET_EXT:
		return fmt.Errorf("gles: the GPU was reset because of this program: %w", backend.ErrDeviceLost)
	default:
		return fmt.Errorf("gles: the GPU was reset (status 0x%04x): %w", s, backend.ErrDeviceLost)
	}
}

// call runs f on the thread and gives its error; a loss ends the device.
func (a *api) call(what string, f func() error) error {
	var err error
	if derr := a.t.do(what, func() { err = f() }); derr != nil {
		return derr
	}
	if errors.Is(err, backend.ErrDeviceLost) {
		return a.t.lose(err)
	}
	return err
}
