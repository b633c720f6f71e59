// Package gles computes on GPUs through the compute shaders of OpenGL ES 3.1: the
// way that is left on phones and boards without Vulkan or OpenCL.
//
// The driver is in builds with the tag gles and cgo (build/build.sh); in others the
// package registers a driver that says so. libEGL is loaded when the program runs.
// A context without a window belongs to one goroutine locked to its thread; all
// calls are sent there, and the sender waits no longer than the time limit, so that
// a driver that hangs inside a call costs a thread, not the program.
//
// Environment: LEDGE_EGL_LIBRARY names the EGL library to load instead of the
// usual ones; LEDGE_GPU_TIMEOUT is the time limit in seconds, 60 if unset.
package gles

// Name of the driver; its device is gles0.
const Name = "gles"
