//go:build gles && cgo && !static && linux

package gles

// go-gl names one function of GLX (or of EGL) that it would find OpenGL's functions
// with, and asks the linker for its library. The functions here take that name
// within the binary, so that --as-needed drops the library. They are never called:
// go-gl is given another way (egl.go). With the headers of third_party nothing is
// linked in the first place; this is for builds with the system's.

/*
#cgo LDFLAGS: -Wl,--as-needed
__attribute__((visibility("hidden"), weak)) void *glXGetProcAddress(const unsigned char *name) { (void)name; return 0; }
__attribute__((visibility("hidden"), weak)) void *eglGetProcAddress(const char *name) { (void)name; return 0; }
*/
import "C"
