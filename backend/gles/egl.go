//go:build gles && cgo && !static && linux

package gles

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/ledge-run/ledge/backend/internal/dl"
	"github.com/ledge-run/ledge/backend/internal/owned"
)

// EGL's numbers.
const (
	eglSuccess            = 0x3000
	eglNone               = 0x3038
	eglSurfaceType        = 0x3033
	eglPbufferBit         = 1
	eglRenderableType     = 0x3040
	eglES2Bit             = 0x04
	eglES3Bit             = 0x40
	eglExtensions         = 0x3055
	eglHeight             = 0x3056
	eglWidth              = 0x3057
	eglContextMajor       = 0x3098
	eglContextMinor       = 0x30FB
	eglOpenGLESAPI        = 0x30A0
	eglResetStrategy      = 0x3138
	eglLoseContextOnReset = 0x31BF
	eglPlatformMesa       = 0x31DD // surfaceless
	eglPlatformDevice     = 0x313F
)

// eglNames are the libraries tried, first to last: the dispatcher of Linux and
// Android, then the drivers themselves where there is none.
var eglNames = []string{
	"libEGL.so.1", "libEGL.so",
	"/vendor/lib64/egl/libEGL_adreno.so", "/vendor/lib64/egl/libGLES_mali.so", "/vendor/lib64/egl/libEGL_mali.so",
	"/vendor/lib64/egl/libEGL_POWERVR_ROGUE.so", "/system/vendor/lib64/egl/libEGL_adreno.so", "/system/vendor/lib64/egl/libGLES_mali.so",
	"/usr/lib/aarch64-linux-gnu/libmali.so.1", "/usr/lib/aarch64-linux-gnu/libmali.so", "/usr/lib/libmali.so.1", "libmali.so.1", "libmali.so",
}

// glesNames hold OpenGL ES's functions where EGL does not give their addresses.
var glesNames = []string{
	"libGLESv2.so.2", "libGLESv2.so",
	"/vendor/lib64/egl/libGLESv2_adreno.so", "/vendor/lib64/egl/libGLES_mali.so", "/vendor/lib64/egl/libGLESv2_POWERVR_ROGUE.so",
}

// egl is the loaded library.
type egl struct {
	lib, gles *dl.Library // gles may be nil

	getDisplay, getPlatformDisplay, initialize, queryString, bindAPI, chooseConfig, createContext, destroyContext,
	createPbuffer, destroySurface, makeCurrent, getError, getProcAddress, releaseThread uintptr

	display    uintptr
	extensions []string // of the display
}

// shared is the library and its display. Both stay for the life of the process:
// ending a display ends every context on it.
var shared struct {
	sync.Mutex
	egl       *egl
	functions bool // go-gl has its functions
}

// wantedLibraries are the names that are tried, first to last.
func wantedLibraries() []string {
	if n := owned.Env("LEDGE_EGL_LIBRARY"); n != "" {
		return []string{n}
	}
	return eglNames
}

// openEGL loads the library and opens a display, once.
func openEGL() (*egl, error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.egl != nil {
		return shared.egl, nil
	}
	lib, err := dl.Open(wantedLibraries()...)
	if err != nil {
		return nil, fmt.Errorf("OpenGL ES is not here: %w", err)
	}
	e := &egl{lib: lib}
	for name, f := range map[string]*uintptr{
		"eglGetDisplay": &e.getDisplay, "eglInitialize": &e.initialize, "eglQueryString": &e.queryString, "eglBindAPI": &e.bindAPI,
		"eglChooseConfig": &e.chooseConfig, "eglCreateContext": &e.createContext, "eglDestroyContext": &e.destroyContext,
		"eglCreatePbufferSurface": &e.createPbuffer, "eglDestroySurface": &e.destroySurface, "eglMakeCurrent": &e.makeCurrent,
		"eglGetError": &e.getError, "eglGetProcAddress": &e.getProcAddress, "eglReleaseThread": &e.releaseThread,
	} {
		if *f, err = lib.Symbol(name); err != nil {
			return nil, err
		}
	}
	if e.getPlatformDisplay, err = lib.Symbol("eglGetPlatformDisplay"); err != nil { // EGL 1.5 only
		e.getPlatformDisplay = e.address("eglGetPlatformDisplayEXT")
	}
	e.gles, _ = dl.Open(glesNames...)
	if err := e.openDisplay(); err != nil {
		return nil, fmt.Errorf("%s: %w", lib.Name, err)
	}
	shared.egl = e
	return e, nil
}

// openDisplay prefers a display without a window system: Mesa's, then that of the
// first GPU that gives one, then whatever is the default.
func (e *egl) openDisplay() error {
	first := "" // what failed before
	client := e.strings(0, eglExtensions)
	if e.getPlatformDisplay != 0 && slices.Contains(client, "EGL_MESA_platform_surfaceless") {
		err := e.initDisplay(dl.Call(e.getPlatformDisplay, eglPlatformMesa, 0, 0))
		if err == nil {
			return nil
		}
		first = fmt.Sprintf("surfaceless display: %v; ", err)
	}
	if e.getPlatformDisplay != 0 && slices.Contains(client, "EGL_EXT_platform_device") {
		for _, device := range e.devices() {
			if e.initDisplay(dl.Call(e.getPlatformDisplay, eglPlatformDevice, device, 0)) == nil {
				return nil
			}
		}
	}
	if err := e.initDisplay(dl.Call(e.getDisplay, 0)); err != nil {
		return fmt.Errorf("%sdefault display: %w", first, err)
	}
	return nil
}

// devices lists the GPUs that EGL knows.
func (e *egl) devices() []uintptr {
	query := e.address("eglQueryDevicesEXT")
	if query == 0 {
		return nil
	}
	list, n := make([]uintptr, 16), new(int32)
	if !e.ok(query, uintptr(len(list)), uintptr(unsafe.Pointer(&list[0])), uintptr(unsafe.Pointer(n))) {
		return nil
	}
	return list[:min(max(int(*n), 0), len(list))]
}

func (e *egl) initDisplay(d uintptr) error {
	if d == 0 {
		return e.failure("eglGetDisplay")
	}
	version := new([2]int32)
	if !e.ok(e.initialize, d, uintptr(unsafe.Pointer(&version[0])), uintptr(unsafe.Pointer(&version[1]))) {
		return e.failure("eglInitialize")
	}
	e.display, e.extensions = d, e.strings(d, eglExtensions)
	return nil
}

// ok calls a function that gives an EGLBoolean, of 32 bits.
//
//go:uintptrescapes
func (e *egl) ok(f uintptr, args ...uintptr) bool { return uint32(dl.Call(f, args...)) != 0 }

func (e *egl) failure(call string) error {
	code := uint32(dl.Call(e.getError))
	if code == eglSuccess {
		return fmt.Errorf("%s failed without an error code", call)
	}
	return fmt.Errorf("%s failed with EGL error 0x%04x", call, code)
}

// strings are the words of one of EGL's strings.
func (e *egl) strings(display, name uintptr) []string {
	return strings.Fields(text(pointer(dl.Call(e.queryString, display, name))))
}

// address finds a function of OpenGL, 0 if there is none. EGL before 1.5 gives
// only those of extensions.
func (e *egl) address(name string) uintptr {
	c := append([]byte(name), 0)
	if a := dl.Call(e.getProcAddress, uintptr(unsafe.Pointer(&c[0]))); a != 0 {
		return a
	}
	for _, l := range []*dl.Library{e.gles, e.lib} {
		if l != nil {
			if a, err := l.Symbol(name); err == nil {
				return a
			}
		}
	}
	return 0
}

// glContext is an OpenGL ES context, current on the thread that made it.
type glContext struct {
	egl             *egl
	handle, surface uintptr
}

// newContext makes a context of OpenGL ES 3.1 or later and makes it current.
func (e *egl) newContext() (c *glContext, err error) {
	if !e.ok(e.bindAPI, eglOpenGLESAPI) {
		return nil, e.failure("eglBindAPI")
	}
	surfaceless := slices.Contains(e.extensions, "EGL_KHR_surfaceless_context")
	config, err := e.config(surfaceless)
	if err != nil {
		return nil, err
	}
	c = &glContext{egl: e}
	for _, attributes := range [][]int32{
		{eglContextMajor, 3, eglContextMinor, 1, eglResetStrategy, eglLoseContextOnReset, eglNone},
		{eglContextMajor, 3, eglContextMinor, 1, eglNone},
		{eglContextMajor, 3, eglNone}, // gives the latest 3.x where the minor version can't be asked for
	} {
		if len(attributes) > 5 && !slices.Contains(e.extensions, "EGL_EXT_create_context_robustness") {
			continue
		}
		if c.handle = dl.Call(e.createContext, e.display, config, 0, uintptr(unsafe.Pointer(&attributes[0]))); c.handle != 0 {
			break
		}
	}
	if c.handle == 0 {
		return nil, fmt.Errorf("no context of OpenGL ES 3: %w", e.failure("eglCreateContext"))
	}
	if !surfaceless {
		size := []int32{eglWidth, 16, eglHeight, 16, eglNone}
		if c.surface = dl.Call(e.createPbuffer, e.display, config, uintptr(unsafe.Pointer(&size[0]))); c.surface == 0 {
			err := e.failure("eglCreatePbufferSurface")
			c.close()
			return nil, err
		}
	}
	if !e.ok(e.makeCurrent, e.display, c.surface, c.surface, c.handle) {
		err := e.failure("eglMakeCurrent")
		c.close()
		return nil, err
	}
	return c, nil
}

// config chooses a frame buffer configuration, of which nothing is drawn to.
func (e *egl) config(surfaceless bool) (uintptr, error) {
	surface := int32(eglPbufferBit)
	if surfaceless {
		surface = 0
	}
	for _, bit := range []int32{eglES3Bit, eglES2Bit} { // old drivers don't know the first
		attributes := []int32{eglRenderableType, bit, eglSurfaceType, surface, eglNone}
		config, n := new(uintptr), new(int32)
		if e.ok(e.chooseConfig, e.display, uintptr(unsafe.Pointer(&attributes[0])), uintptr(unsafe.Pointer(config)), 1, uintptr(unsafe.Pointer(n))) && *n > 0 {
			return *config, nil
		}
	}
	return 0, fmt.Errorf("no configuration for OpenGL ES: %w", e.failure("eglChooseConfig"))
}

// close ends the context; to be called on its thread.
func (c *glContext) close() {
	e := c.egl
	dl.Call(e.makeCurrent, e.display, 0, 0, 0)
	if c.surface != 0 {
		dl.Call(e.destroySurface, e.display, c.surface)
	}
	if c.handle != 0 {
		dl.Call(e.destroyContext, e.display, c.handle)
	}
	dl.Call(e.releaseThread)
}

// pointer is an address that C gave; it is not Go's.
func pointer(a uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&a)) }

// maxText is more than any driver's list of extensions takes.
const maxText = 1 << 16

// text copies a C string, as far as it is sane.
func text(p unsafe.Pointer) string {
	if p == nil {
		return ""
	}
	var b []byte
	for len(b) < maxText {
		c := *(*byte)(unsafe.Add(p, len(b)))
		if c == 0 {
			break
		}
		if c < ' ' || c > '~' {
			c = ' '
		}
		b = append(b, c)
	}
	return string(b)
}
