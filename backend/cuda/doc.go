// Package cuda computes on NVIDIA GPUs, through the CUDA driver API.
//
// The driver is in builds with the tag cuda and cgo (build/build.sh), which need no
// CUDA toolkit; in others the package registers a driver that says so. libcuda.so.1
// is loaded when a device is asked for (package internal/driver).
//
// Environment: LEDGE_LIBCUDA names the driver's library to load instead of the usual
// ones.
package cuda

// Name of the driver; its devices are cuda0, cuda1, ...
const Name = "cuda"
