// Package fakedriver makes a library that stands in for NVIDIA's driver in tests: it
// runs the kernels of package kernels/cuda on the host (kernels/cuda/emulate.h), counts
// what it is asked for, and goes wrong as it is told. So all of backend/cuda is tested
// where there is no GPU.
//
// The library is C++ (folder driver, compiled when a test asks for it: Library), and
// loaded like the real one, by LEDGE_LIBCUDA. What it has compiled it keeps in out/cuda
// of this repository, as long as sources and flags stay the same. A test binary built
// with -asan gets a library built for AddressSanitizer and its sibling for undefined
// behaviour.
//
// What it does as a driver may, but tests need to see, it does as late and as oddly as
// a driver may: what is queued runs on another thread, and not before somebody waits or
// asks for it; streams, and nodes of graphs, take turns by chance; memory is full of
// NaN when it is new, and gone when it is freed.
//
// Environment: LEDGE_FAKE is what Fake.Set is told, for other processes;
// LEDGE_EMULATE_SEED and LEDGE_EMULATE_THREADS are emulate.h's.
package fakedriver
