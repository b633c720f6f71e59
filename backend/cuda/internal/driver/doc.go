// Package driver is the CUDA driver, libcuda.so.1, loaded when the program runs. It
// defines the functions of third_party/cuda/include/cuda.h, which gorgonia.org/cu and
// backend/cuda call from C, and forwards each to the driver: so a binary needs no
// CUDA to be built and none to start, and a driver that lacks a function costs the
// calls of that function, not the program.
//
// Until Open has succeeded nothing is loaded; functions return
// CUDA_ERROR_NOT_INITIALIZED, and CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND where
// the loaded driver has no such function. Only cuInit succeeds always: gorgonia.org/cu
// calls it when the program starts and ends the program if it fails. The functions
// are hidden from other libraries, for the driver's own parts call each other by the
// same names.
//
// A driver may hang or crash while it starts: package trust has it tried in another
// process first.
//
// Environment: LEDGE_LIBCUDA names the driver's library to load instead of the usual
// ones.
package driver

//go:generate sh -c "go run github.com/ledge-run/ledge/build/cudaheader shim >shim.c"
