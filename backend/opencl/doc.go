// Package opencl is the device for OpenCL 1.2 and later: GPUs of phones and
// boards whose Vulkan is missing or worse than their OpenCL. The library is
// loaded when the program runs, without cgo; the kernels are compiled by the
// driver, once: what it made of them is kept in a folder on disk.
//
// One in-order queue does everything. A run is the writes of the buffers that
// the host has filled, the kernels, the reads, and one flush; kernels are bound
// to their buffers when a run is recorded. Nothing that comes from the driver is
// believed: counts, sizes, strings and handles are checked, and no wait is
// longer than Limits.Timeout. A device that did not answer in time is left
// alone: what it holds is not freed, as freeing might not come back either.
package opencl
