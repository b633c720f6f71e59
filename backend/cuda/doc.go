// Package cuda is the device for NVIDIA GPUs from compute capability 7.2 on: Jetson
// boards from Xavier, and every card since Turing. It is in builds with the tag cuda
// and cgo (build/build.sh), on Linux; in others the package registers a driver that
// says so. The CUDA driver is loaded when the program runs, and no toolkit is needed
// to build.
//
// gorgonia.org/cu does devices, contexts, modules, memory, streams and events; what it
// lacks, and what a token pays for, is in calls.c: graphs, launches with packed
// parameters, pinned memory, the compiler. The device's primary context is current on
// one locked thread (worker.go), which makes all calls and watches what runs; whoever
// calls waits no longer than the time limit, so that a driver that hangs costs a
// thread, not the program. Only the compiler runs on more threads (prepare.go).
//
// A submission is one CUDA graph, built when its sequence of recordings is first run
// with these calls in it, and launched again from then on: copies of what the host has
// filled, kernels, copies of what is read back. Between launches only grids that
// changed are set. On GPUs that can (compute capability 9.0 on, drivers of CUDA 12.3 on),
// a kernel begins while the one before it still runs, and waits for it where it reads what
// that writes; a driver that refuses such a graph gets one without.
//
// Kernels come as PTX from package kernels/cuda; the driver compiles them for the GPU
// once, and the result is kept in the folder of compiled programs.
//
// Environment: LEDGE_LIBCUDA names the driver's library, LEDGE_GPU_TIMEOUT is the time
// limit, LEDGE_GPU_CACHE the folder of compiled programs. LEDGE_CUDA_PROFILE=1 runs
// kernels one by one, measures each, and prints a table when the device is closed: for
// tuning, as it costs speed. LEDGE_CUDA_OVERLAP=0 has kernels begin when the one before
// has ended. LEDGE_CUDA_TRACE=FILE is for kernels with timers (trace.go).
package cuda

// Name of the driver; its devices are cuda0, cuda1, ..., numbered as CUDA does.
const Name = "cuda"
