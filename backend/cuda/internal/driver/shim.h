// The driver of CUDA, loaded when Open asks for it. See doc.go.
#ifndef LEDGE_CUDA_SHIM_H
#define LEDGE_CUDA_SHIM_H

#include <cuda.h>

// Generated: the driver's functions, by their names, and where they are once they are looked up.
extern const int ledge_cuda_count;
extern const char *const ledge_cuda_symbols[];
extern void *ledge_cuda_table[];

// ledge_cuda_name is the name of an error, 0 if it has none here.
const char *ledge_cuda_name(CUresult r);

// ledge_cuda_load loads a library and looks all functions up. It returns 0, or why it cannot, which the caller frees.
// A second call after one that succeeded does nothing.
char *ledge_cuda_load(const char *path);

// ledge_cuda_init calls the driver's cuInit, which the shim's own does not.
CUresult ledge_cuda_init(void);

// ledge_cuda_has: the loaded driver has the function.
int ledge_cuda_has(const char *symbol);

// ledge_cuda_find is where a function is, 0 if the driver has none or is not loaded.
void *ledge_cuda_find(int i);

// ledge_cuda_absent is what a function returns that has no other to call.
CUresult ledge_cuda_absent(void);

#endif
