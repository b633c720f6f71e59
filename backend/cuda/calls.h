// What gorgonia.org/cu lacks, or what would cost too much for every token: graphs,
// launches of kernels whose parameters are packed already, and the compiler with its
// messages. Nothing here keeps anything.
#ifndef LEDGE_CUDA_CALLS_H
#define LEDGE_CUDA_CALLS_H

#include <cuda.h>
#include <stdint.h>

// ledge_args is the one parameter of every kernel: Args of kernels/cuda/device.h.
typedef struct {
  CUdeviceptr b[4];
  uint32_t p[32];
  uint32_t c[8];
  CUdeviceptr trace; // of kernels with timers alone (trace.go); others are not given it
} ledge_args;

// ledge_call is a kernel with all that a launch needs. Recordings keep arrays of them
// in C's memory, where the driver may read them without Go's help.
typedef struct {
  CUfunction function;
  unsigned int grid[3];
  unsigned int threads; // of a block
  unsigned int shared;  // dynamic shared memory, in bytes
  ledge_args args;
} ledge_call;

// ledge_copy moves bytes between pinned memory of the host and the device.
typedef struct {
  CUdeviceptr device;
  char *host;
  size_t bytes;
  int down; // to the host
} ledge_copy;

CUresult ledge_launch(const ledge_call *c, CUstream s);

// A node comes after those in the list. The functions with one before CUDA 12's changes
// are used: drivers from 11.4 on have them, and newer ones go on to.
CUresult ledge_add_kernel(CUgraphNode *node, CUgraph g, const CUgraphNode *after, size_t n, const ledge_call *c);
CUresult ledge_set_kernel(CUgraphExec x, CUgraphNode node, const ledge_call *c);
CUresult ledge_add_copy(CUgraphNode *node, CUgraph g, const CUgraphNode *after, size_t n, const ledge_copy *c, CUcontext ctx);
CUresult ledge_set_copy(CUgraphExec x, CUgraphNode node, const ledge_copy *c, CUcontext ctx);

// ledge_overlap has a kernel come after another one, and begin as soon as that one lets
// it; before CUDA 12.3 a driver lacks it.
CUresult ledge_overlap(CUgraph g, CUgraphNode from, CUgraphNode to);

// ledge_jit compiles PTX, which ends with a zero that n counts, for the current
// context's GPU. The binary is in memory that the caller frees; log gets the compiler's
// messages, ending with a zero.
CUresult ledge_jit(const char *ptx, size_t n, void **binary, size_t *size, char *log, size_t room);

#endif
